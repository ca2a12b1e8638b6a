/* SPDX-License-Identifier: MIT */
/* inline.h: running an awaited child on the waiter's own fiber.
 *
 *   1. Only a task that the caller waits for, in a wait that can't return before the task has
 *      ended, is run so: a stranger on top of the waiter's stack could wait for the waiter.
 *   2. Never a started or a pinned one, never onto a pinned waiter, never with less stack left
 *      than it asked for, never where inlining is off.
 *   3. It spends the budget of the worker, so that reactor and timers are looked at.
 */
#ifndef PI_INLINE_H
#define PI_INLINE_H

#include "executor/sched/closing.h"
#include "executor/sched/defer.h"
#include "executor/sched/exception.h"
#include "executor/sched/scope.h"
#include "executor/sched/worker.h"

typedef enum pi_claim {
    PI_CLAIM_NO,    /* it is not here, or may not be run inline */
    PI_CLAIM_STACK, /* it is the caller's now, but there is too little stack for it */
    PI_CLAIM_YES    /* it is the caller's now: pi_inline_run() */
} pi_claim;

/** Spend the budget before a claim. @return true: the caller was suspended meanwhile, all that
 *  it knows of worker and task is out of date */
bool pi_inline_breathe_slow(pi_worker *worker, pi_fiber *fiber);
static inline bool pi_inline_breathe(pi_worker *worker, pi_fiber *fiber)
{
    return pi_worker_spend(worker) && pi_inline_breathe_slow(worker, fiber);
}

/** Levels are 16 bits; only on very large stacks so many tasks fit. */
#define PI_INLINE_LEVELS 60000

/** May an unstarted task run here, once it is claimed? */
static inline bool pi_inline_may(const pi_fiber *fiber, const pica_task *task)
{
    return PI_LIKELY(fiber->may_inline && !task->pin && !pi_load_relaxed(&task->fiber)) &&
           PI_LIKELY(fiber->level < PI_INLINE_LEVELS) &&
           PI_LIKELY(pi_fiber_stack_left(fiber) >=
                     pi_stack_class_size(pi_task_stack_class(task)) + PI_STACK_LIBRARY);
}

/** How large a stack an unstarted task may ask for so that it may run here; 0: none may. */
static inline size_t pi_inline_room(const pi_fiber *fiber)
{
    size_t left = pi_fiber_stack_left(fiber);
    bool may = fiber->may_inline && fiber->level < PI_INLINE_LEVELS;
    return may && left > PI_STACK_LIBRARY ? left - PI_STACK_LIBRARY : 0;
}

/** Get hold of an unstarted task that lies in the own deque, or another worker's, or waits for a
 *  stack and fits here. */
pi_claim pi_inline_claim(pi_worker *worker, pi_fiber *fiber, pica_task *task);

/** Run a claimed task to its end.
 *  @param held       the caller holds a reference; if not, the task may be gone after
 *  @param delivered  set to whether a cancel of the caller was delivered to the task
 *  @return its result. May come back on another worker. */
static inline __attribute__((always_inline)) intptr_t
pi_inline_run(pi_fiber *fiber, pica_task *task, bool held, bool *delivered)
{
    pica_task *outer = fiber->current;
    uint16_t floor = fiber->floor;
    uint16_t level = fiber->level;
    (void)pi_load_acquire(&task->word); /* what the spawner wrote; partner: pi_spawn_fill() */
    task->outer = outer;
    fiber->level = (uint16_t)(level + 1);
    pi_store_relaxed(&task->level, (uint16_t)(level + 1));
    pi_store_release(&task->fiber, fiber); /* pairs with pi_scope_interrupt() */
    fiber->current = task;
    if (PI_UNLIKELY(task->flags & PI_TASK_DELIVERED))
        fiber->floor = (uint16_t)(level + 1);
    /* The claim's exchange stands between the store of outer->fiber and this look at its
     * flags: a canceller that did not find the fiber yet has set them before. */
    pi_fence_after_rmw();
    if (PI_UNLIKELY(pi_load_relaxed(&outer->cancels) || pi_scope_group_cancelled(outer)))
        pi_store_relaxed(&fiber->attention, 1u);
    PI_NO_EXCEPTION_PASSES();
    intptr_t result = task->fn(task->arg);
    pi_task_returned(fiber, (uint16_t)(level + 1));
    fiber->current = outer;
    fiber->level = level;
    fiber->floor = outer->flags & PI_TASK_DELIVERED && floor < outer->level ? outer->level : floor;
    *delivered = task->flags & PI_TASK_DELIVERED;
    pi_worker *worker = fiber->worker; /* perhaps another one by now */
    if (PI_LIKELY(held && !(task->flags & (PI_TASK_MEMBER | PI_TASK_MAIN))) &&
        PI_LIKELY(pi_task_end_inline(task, result))) {
        pi_store_release(&worker->ended, worker->ended + 1);
        pi_executor_task_ended(worker->ex);
    } else {
        pi_task_finish(worker, task, result, held);
    }
    return result;
}

#endif
