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

#include "executor/sched/scope.h"
#include "executor/sched/worker.h"

typedef enum pi_claim {
    PI_CLAIM_NO,    /* it is not here, or may not be run inline */
    PI_CLAIM_STACK, /* it is the caller's now, but there is too little stack for it */
    PI_CLAIM_YES    /* it is the caller's now: pi_inline_run() */
} pi_claim;

/** Get hold of an unstarted task that lies in the own deque (or another worker's). */
pi_claim pi_inline_claim(pi_worker *worker, pi_fiber *fiber, pica_task *task);

/** Run a claimed task to its end. @param cancelled  NULL, or set to true where a cancel of the
 *  caller was delivered to the task. @return its result. The task may be gone, unless the
 *  caller holds a reference. May come back on another worker. */
intptr_t pi_inline_run(pi_fiber *fiber, pica_task *task, bool *cancelled);

/** Spend the budget before a claim. @return true: the caller was suspended meanwhile, all that
 *  it knows of worker and task is out of date */
bool pi_inline_breathe_slow(pi_worker *worker, pi_fiber *fiber);
static inline bool pi_inline_breathe(pi_worker *worker, pi_fiber *fiber)
{
    return pi_worker_spend(worker) && pi_inline_breathe_slow(worker, fiber);
}

#endif
