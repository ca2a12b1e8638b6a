/* SPDX-License-Identifier: MIT */
/* stack.h: memory for stacks, carved from slabs. No threads here: callers lock.
 *
 *   one stack:   | guard 16 KiB | reserve 12 KiB | what was asked for, 32 KiB | top
 *
 * A slab is one mapping of at least 64 MiB that reserves address space, not memory: a stack
 * that was never used costs nothing, a parked one the pages that it touched (one, as a rule)
 * and 120 bytes of page tables. Without MADV_NOHUGEPAGE it would cost 64 KiB.
 *
 * Guard and stack are whole pages, so both grow where pages are larger (64 KiB on some aarch64
 * kernels: a guard of 16 KiB would reach into its own stack).
 *
 * Guards are markers in the page tables (MADV_GUARD_INSTALL, Linux 6.13), which cost 0.4 us
 * and no mapping. Where the kernel lacks them, mprotect() makes them, up to a number that
 * leaves the process room for its other mappings; after that stacks have none, and their
 * number is known, or carving fails, as the executor's options say.
 *
 * The reserve is what pica's own frames and inlined tasks may use beyond what a task asked
 * for. Sizes come in classes, each twice the one before; class 0 holds the default.
 */
#ifndef PI_STACK_H
#define PI_STACK_H

#include "executor/base/atomics.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PI_STACK_DEFAULT ((size_t)32 << 10) /* what the documentation promises */
#define PI_STACK_GUARD ((size_t)16 << 10)
#if defined(PI_ASAN) || defined(PI_TSAN)
/* Sanitized frames are several times as large. */
#define PI_STACK_CLASS0 ((size_t)256 << 10)
#define PI_STACK_RESERVE ((size_t)96 << 10)
#define PI_STACK_LIBRARY ((size_t)32 << 10)
#else
#define PI_STACK_CLASS0 PI_STACK_DEFAULT
#define PI_STACK_RESERVE ((size_t)12 << 10)
#define PI_STACK_LIBRARY ((size_t)4 << 10) /* of the reserve: what pica's own calls may need */
#endif
#define PI_STACK_MAX ((size_t)1 << 30)
#define PI_STACK_CLASSES 16u

/** How guards are made; found out once per executor. */
typedef enum pi_guard_kind {
    PI_GUARD_UNKNOWN = 0,
    PI_GUARD_MADVISE,
    PI_GUARD_MPROTECT
} pi_guard_kind;

/** The most guards by mprotect(), each of which splits a mapping in two; the kernel grants a
 *  process 65,530 mappings by default. */
#define PI_GUARD_MPROTECT_MAX 24000u

typedef struct pi_stack_slab {
    struct pi_stack_slab *next;
    char *base;
    size_t length;
    size_t guard;  /* bytes of it at the low end of each stride */
    size_t stride;
    size_t carved; /* how many stacks have been handed out of it */
    size_t count;  /* how many there are */
    unsigned class;
    unsigned numbers[]; /* Valgrind's, of what has been carved; none where it does not run */
} pi_stack_slab;

/** All slabs of one owner. */
typedef struct pi_stacks {
    pi_stack_slab *slabs[PI_STACK_CLASSES]; /* newest first */
    pi_guard_kind guards;
    bool strict;         /* no stack without a guard */
    size_t slab_bytes;   /* least size of a slab; 0: 64 MiB */
    size_t page;         /* what guards and stacks are rounded up to; 0: the system's page */
    size_t mprotected;   /* guards made by mprotect() */
    uint64_t unguarded;  /* stacks handed out without one */
} pi_stacks;

typedef struct pi_stack {
    char *low;   /* lowest usable address; the guard ends here */
    size_t size; /* usable bytes, reserve included */
    bool guarded;
} pi_stack;

/** The class whose stacks hold so many bytes besides the reserve; PI_STACK_CLASSES: none. */
unsigned pi_stack_class(size_t size);

/** What a task on a stack of this class may count on. */
static inline size_t pi_stack_class_size(unsigned class)
{
    return PI_STACK_CLASS0 << class;
}

/** Carve a new stack. @return 0; -ENOMEM, *out untouched. */
int pi_stack_carve(pi_stacks *stacks, unsigned class, pi_stack *out);

/** Call visit() on every stack ever carved. */
void pi_stacks_each(pi_stacks *stacks, void (*visit)(pi_stack stack, void *arg), void *arg);

/** Unmap everything. */
void pi_stacks_deinit(pi_stacks *stacks);

#endif
