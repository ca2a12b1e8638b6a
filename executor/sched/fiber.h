/* SPDX-License-Identifier: MIT */
/* fiber.h: a stack with saved registers and one wait word, which runs a task and those that
 * the task runs inline. It lies in the top page of its own stack, so that a parked task
 * touches a single page.
 *
 *   1. A fiber serves one base task at a time, from its first instruction to its end, and
 *      then goes back to a cache; it never moves to another executor.
 *   2. Only the flow of control that runs on it writes the fields tagged [runner]. That one
 *      may be on another thread after each suspension.
 *   3. Memory is type-stable until the executor dies: wait.word keeps counting.
 *
 * Levels: every open scope (a task's root scope too) has a level, its depth on the fiber.
 * floor is the level of the outermost scope whose cancel reaches what runs now: 1 without a
 * shield, the shield's own level within one.
 */
#ifndef PI_FIBER_H
#define PI_FIBER_H

#include "executor/coro/stack.h"
#include "executor/coro/switch.h"
#include "executor/sched/task.h"
#include "executor/sched/timer.h"

struct pi_fiber {
    pi_context context;  /* [worker] where it stands while it does not run */
    pi_wait wait;        /* see wait.h */
    pica_task *base;     /* [worker, atomic] the task that is queued for it */
    pica_task *current;  /* [runner] the innermost task that runs on it */
    uint32_t attention;  /* [atomic] 1: some scope on it may be cancelled; look at them all */
    uint32_t deadlines;  /* [runner] open scopes that have a deadline */
    uint16_t level;      /* [runner] of the innermost open scope */
    uint16_t floor;      /* [runner] */
    uint8_t class;       /* [const] of its stack */
    bool may_inline;     /* [worker] awaited children may run on it */
    bool guarded;        /* [const] */
    uint8_t waits_for;   /* [runner, atomic] what its last wait was for; see pi_for */
    struct pi_several *several; /* [runner] innermost wait for several tasks that runs one */
    char *low;           /* [const] lowest usable address of its stack */
    struct pi_worker *worker; /* [worker] that runs it, or ran it last */
    int saved_errno;     /* [worker] a courtesy: errno goes with the fiber */
    uint32_t since_ms;   /* [runner, atomic] when it parked last, by the worker's coarse clock */
    uintptr_t waits_which; /* [runner, atomic] which one its last wait was for */
    pi_fiber *next;      /* [cache; or who won its wait, see winners.h] */

    /* A switch, and a wait without a deadline, touch nothing beyond the two lines that end here. */
    pi_timer timer;      /* [runner] the deadline of its wait */
    uint32_t refused;    /* [runner] calls that returned -ECANCELED on entry */
    uint32_t ignored_level; /* [runner] see ignored.h: where somebody was told first, */
    int64_t ignored_since_ns; /* [runner] and when */
};

/** A wait for several tasks (group end, collecting gather) that runs one of them inline. If a
 *  cancel of the waiter is delivered to that one, the others get theirs at the same time. */
typedef struct pi_several {
    pica_task *waiter;
    void (*cancel)(struct pi_several *several); /* never suspends */
    struct pi_several *outer;
} pi_several;

#if !defined(PI_ASAN) && !defined(PI_TSAN) /* whose contexts are larger */
_Static_assert(offsetof(pi_fiber, timer) == 2 * PI_CACHE_LINE, "each wait touches what is before");
#endif

static inline pi_fiber *pi_fiber_of(pi_context *context)
{
    return (pi_fiber *)(void *)context; /* its first member */
}

/** Where the fiber of a stack lies: at its top, a little lower on each stack, so that the
 *  tops of many stacks do not share the same few cache sets. */
static inline pi_fiber *pi_fiber_at(pi_stack stack)
{
    size_t stagger = ((uintptr_t)stack.low >> 13) % 8 * 128;
    uintptr_t top = (uintptr_t)stack.low + stack.size - stagger - sizeof(struct pi_fiber);
    return (pi_fiber *)(top & ~(uintptr_t)(PI_CACHE_LINE - 1));
}

/** Before every switch away. ThreadSanitizer takes the fiber for a thread; this is what stands
 *  for its join, when the executor frees what the fiber has touched. */
static inline void pi_fiber_leaves(pi_fiber *fiber)
{
#ifdef PI_TSAN
    __tsan_release(fiber);
#else
    (void)fiber;
#endif
}

/** The caller goes on after a stretch of another fiber, as if it had made it itself. */
static inline void pi_fiber_follows(pi_fiber *fiber)
{
#ifdef PI_TSAN
    __tsan_acquire(fiber); /* partner: pi_fiber_leaves() */
#else
    (void)fiber;
#endif
}

/** Give a task its fiber, which is free. The worker that runs it next.
 *  @param may_inline  whether awaited children may run on it; on a pinned task's none do */
static inline void pi_fiber_bind(pi_fiber *fiber, pica_task *task, bool may_inline)
{
    pi_store_relaxed(&fiber->base, task);
    fiber->current = task;
    fiber->level = 1;
    fiber->floor = 1;
    fiber->deadlines = 0;
    fiber->refused = 0;
    fiber->ignored_level = 0;
    fiber->several = NULL;
    fiber->saved_errno = 0;
    fiber->may_inline = may_inline && !task->pin;
    pi_store_relaxed(&fiber->attention, 0u);
    task->outer = NULL;
    pi_store_relaxed(&task->level, (uint16_t)1);
    pi_store_release(&task->fiber, fiber); /* pairs with pi_scope_interrupt() */
}

/** What every fiber runs: one base task after another. worker.c. */
void pi_fiber_main(pi_context *from, pi_context *self);

/** Ask for the task of a fiber, which may be about to wake up. Any thread, any time.
 *  @param wait  of a fiber, or NULL */
static inline void pi_fiber_prefetch_task(const pi_wait *wait)
{
    if (wait)
        __builtin_prefetch(pi_load_relaxed(&wait->fiber->base), 1);
}

/** Bytes of stack below the caller, or 0 if the caller stands on another stack. */
static inline size_t pi_fiber_stack_left(const pi_fiber *fiber)
{
    const char *here;
#if defined(__x86_64__)
    __asm__("movq %%rsp, %0" : "=r"(here)); /* needs no frame pointer */
#else
    here = (const char *)__builtin_frame_address(0);
#endif
    return here > fiber->low && here < (const char *)fiber ? (size_t)(here - fiber->low) : 0;
}

#endif
