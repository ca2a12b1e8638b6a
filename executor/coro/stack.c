/* SPDX-License-Identifier: MIT */
/* stack.c: see stack.h. */
#include "executor/coro/stack.h"

#include "executor/base/alloc.h"
#include "executor/base/atomics.h"
#include "executor/coro/valgrind.h"

#include <errno.h>
#include <limits.h>
#include <sys/mman.h>
#include <unistd.h>
#ifdef PI_ASAN
#include <sanitizer/asan_interface.h>
#endif

/* Headers of older systems lack it; the kernel says EINVAL where it does. */
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

#define SLAB_MIN ((size_t)64 << 20)

unsigned pi_stack_class(size_t size)
{
    unsigned class = 0;
    while (class < PI_STACK_CLASSES && pi_stack_class_size(class) < size)
        class++;
    return class;
}

/* Every system call in a function of its own: errno is read where it was written. */
static __attribute__((noinline)) int map(void **out, size_t length)
{
    void *p = mmap(NULL, length, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (p == MAP_FAILED)
        return -ENOMEM;
    (void)madvise(p, length, MADV_NOHUGEPAGE); /* fails where there are no huge pages */
    *out = p;
    return 0;
}

static size_t pages(const pi_stacks *stacks, size_t length)
{
    size_t page = stacks->page ? stacks->page : (size_t)sysconf(_SC_PAGESIZE);
    return (length + page - 1) & ~(page - 1);
}

static int slab_new(pi_stacks *stacks, unsigned class)
{
    pi_stack_slab shape = {.class = class, .guard = pages(stacks, PI_STACK_GUARD)};
    shape.stride = shape.guard + pages(stacks, PI_STACK_RESERVE + pi_stack_class_size(class));
    size_t least = stacks->slab_bytes ? stacks->slab_bytes : SLAB_MIN;
    shape.count = (least + shape.stride - 1) / shape.stride;
    shape.length = shape.count * shape.stride;
    size_t numbers = pi_valgrind_runs() ? shape.count * sizeof(unsigned) : 0;
    pi_stack_slab *slab = pi_zalloc(sizeof(*slab) + numbers);
    if (!slab)
        return -ENOMEM;
    *slab = shape;
    void *base;
    int rc = map(&base, slab->length);
    if (rc < 0) {
        pi_free(slab);
        return rc;
    }
    slab->base = base;
    slab->next = stacks->slabs[class];
    stacks->slabs[class] = slab;
    return 0;
}

/* Does madvise() say yes to everything, as it does under emulators (qemu-user)? Then its yes to
 * a guard means nothing. */
static __attribute__((noinline)) bool madvise_says_yes(char *at, size_t length)
{
    return madvise(at, length, INT_MAX) == 0;
}

/* Make a guard. @return false: this stack has none */
static __attribute__((noinline)) bool guard(pi_stacks *stacks, char *at, size_t length)
{
    if (stacks->guards == PI_GUARD_UNKNOWN && madvise_says_yes(at, length))
        stacks->guards = PI_GUARD_MPROTECT;
    if (stacks->guards != PI_GUARD_MPROTECT) {
        if (madvise(at, length, MADV_GUARD_INSTALL) == 0) {
            stacks->guards = PI_GUARD_MADVISE;
            return true;
        }
        /* Known to work and failing now: out of memory for page tables, or denied since. */
        if (stacks->guards == PI_GUARD_UNKNOWN)
            stacks->guards = PI_GUARD_MPROTECT;
    }
    if (stacks->mprotected >= PI_GUARD_MPROTECT_MAX || mprotect(at, length, PROT_NONE) != 0)
        return false;
    stacks->mprotected++;
    return true;
}

int pi_stack_carve(pi_stacks *stacks, unsigned class, pi_stack *out)
{
    pi_stack_slab *slab = stacks->slabs[class];
    if (!slab || slab->carved == slab->count) {
        int rc = slab_new(stacks, class);
        if (rc < 0)
            return rc;
        slab = stacks->slabs[class];
    }
    char *at = slab->base + slab->carved * slab->stride;
    bool guarded = guard(stacks, at, slab->guard);
    if (!guarded && stacks->strict)
        return -ENOMEM;
    stacks->unguarded += !guarded;
    out->low = at + slab->guard;
    out->size = slab->stride - slab->guard;
    out->guarded = guarded;
    if (pi_valgrind_runs())
        slab->numbers[slab->carved] = pi_valgrind_stack(out->low, out->size);
    slab->carved++;
    return 0;
}

void pi_stacks_each(pi_stacks *stacks, void (*visit)(pi_stack stack, void *arg), void *arg)
{
    for (unsigned class = 0; class < PI_STACK_CLASSES; class++)
        for (pi_stack_slab *slab = stacks->slabs[class]; slab; slab = slab->next)
            for (size_t i = 0; i < slab->carved; i++)
                visit((pi_stack){.low = slab->base + i * slab->stride + slab->guard,
                                 .size = slab->stride - slab->guard,
                                 .guarded = true},
                      arg);
}

void pi_stacks_deinit(pi_stacks *stacks)
{
    for (unsigned class = 0; class < PI_STACK_CLASSES; class++) {
        while (stacks->slabs[class]) {
            pi_stack_slab *slab = stacks->slabs[class];
            stacks->slabs[class] = slab->next;
            for (size_t i = 0; pi_valgrind_runs() && i < slab->carved; i++)
                pi_valgrind_stack_gone(slab->numbers[i]);
#ifdef PI_ASAN
            __asan_unpoison_memory_region(slab->base, slab->length); /* abandoned frames */
#endif
            munmap(slab->base, slab->length);
            pi_free(slab);
        }
    }
}
