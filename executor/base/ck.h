/* SPDX-License-Identifier: MIT */
/* ck.h: the one door to ConcurrencyKit (law 4).
 *
 * What fits is used: ck_stack, whose push is for many and whose batch pop is for one
 * (upmc). It gives the newest first, so the batch is reversed here. ThreadSanitizer does not
 * see ck_pr's assembly; the annotations tell it of the one order that the stack gives: what
 * ran before a push happens before the pop that finds it. A build with PICA_MODEL replaces
 * the stack by a list on the checker's own atomics. */
#ifndef PI_CK_H
#define PI_CK_H

#include "executor/base/atomics.h"

#include <stddef.h>

#ifdef PICA_MODEL

typedef struct pi_stack_entry {
    struct pi_stack_entry *next;
} pi_stack_entry;
typedef struct pi_upmc {
    pi_stack_entry *head;
} pi_upmc;

static inline void pi_upmc_push(pi_upmc *stack, pi_stack_entry *entry)
{
    pi_stack_entry *head = pi_load_relaxed(&stack->head);
    do
        entry->next = head;
    while (!pi_cas_release(&stack->head, &head, entry));
}
static inline bool pi_upmc_empty(const pi_upmc *stack)
{
    return pi_load_relaxed(&stack->head) == NULL;
}
static inline pi_stack_entry *pi_upmc_take_newest_first(pi_upmc *stack)
{
    return pi_xchg_acquire(&stack->head, (pi_stack_entry *)NULL);
}
static inline pi_stack_entry *pi_upmc_next(const pi_stack_entry *entry)
{
    return entry->next;
}

#else

#include <ck_md.h>
#if !defined(__x86_64__) && defined(CK_MD_TSO)
/* The headers of an x86-64 package, in a build for another CPU: they promise an order that it
 * does not keep, and would leave out ck's fences. */
#undef CK_MD_TSO
#define CK_MD_RMO
#endif
#include <ck_stack.h>

typedef ck_stack_entry_t pi_stack_entry;
typedef struct pi_upmc {
    ck_stack_t stack;
} pi_upmc;

#ifdef PI_TSAN
void __tsan_acquire(void *address);
void __tsan_release(void *address);
void AnnotateIgnoreWritesBegin(const char *file, int line);
void AnnotateIgnoreWritesEnd(const char *file, int line);
#endif

/** Any thread. Lock-free. Orders what ran before ahead of the take that finds the entry. */
static inline void pi_upmc_push(pi_upmc *stack, pi_stack_entry *entry)
{
#ifdef PI_TSAN
    /* ck writes entry->next before its compare-and-swap, but after this. */
    entry->next = NULL;
    __tsan_release(stack);
    AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
    ck_stack_push_upmc(&stack->stack, entry);
    AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
#else
    pi_fence_release(); /* ck orders earlier stores before its own, but not earlier loads */
    PI_POINT(ck_stack_push_upmc(&stack->stack, entry));
#endif
}

/** Any thread; out of date when it is read. */
static inline bool pi_upmc_empty(const pi_upmc *stack)
{
    return pi_load_relaxed(&stack->stack.head) == NULL;
}

/** The owner alone. Wait-free. */
static inline pi_stack_entry *pi_upmc_take_newest_first(pi_upmc *stack)
{
    pi_stack_entry *entries = ck_stack_batch_pop_upmc(&stack->stack);
#ifdef PI_TSAN
    __tsan_acquire(stack);
#endif
    return entries;
}

static inline pi_stack_entry *pi_upmc_next(const pi_stack_entry *entry)
{
    return entry->next;
}

#endif /* PICA_MODEL */

/** Take all entries, the oldest first. The owner alone. */
static inline pi_stack_entry *pi_upmc_take_all(pi_upmc *stack)
{
    pi_stack_entry *newest = pi_upmc_take_newest_first(stack);
    pi_stack_entry *oldest = NULL;
    while (newest) {
        pi_stack_entry *next = pi_upmc_next(newest);
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

#endif
