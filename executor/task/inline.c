/* SPDX-License-Identifier: MIT */
/* inline.c: see inline.h. */
#include "executor/task/inline.h"

#include "executor/sched/starved.h"

/* Of the exhausted budgets one in each millisecond, and each that woke somebody, is a real
 * suspension, so that other ready tasks get their turn; all of them would turn depth first into
 * breadth first. */
bool pi_inline_breathe_slow(pi_worker *worker, pi_fiber *fiber)
{
    bool found = pi_worker_breathe(worker);
    if (!found && worker->now_ms == worker->gave_way_ms)
        return false;
    worker->gave_way_ms = worker->now_ms;
    /* Not behind all that is queued: that may be a million children that the caller is about
     * to run one by one on its own stack. */
    pi_worker_give_way(worker, fiber);
    return true;
}

/* Take a task out of wherever it lies. */
static bool claim(pi_worker *worker, const pi_fiber *fiber, pica_task *task)
{
    uint16_t home = pi_load_relaxed(&task->home);
    if (home == worker->index)
        return pi_deque_claim(&worker->deque, &task->node);
    if (pi_task_executor(task) != worker->ex)
        return false;
    if (home == PI_HOME_STARVED) /* where it has its place in the order, unless it can run here */
        return pi_inline_may(fiber, task) && pi_starved_claim(task);
    return home < pi_executor_seats(worker->ex) &&
           pi_deque_claim_foreign(&worker->ex->workers[home].deque, &task->node);
}

pi_claim pi_inline_claim(pi_worker *worker, pi_fiber *fiber, pica_task *task)
{
    if (pi_load_relaxed(&task->fiber) || task->pin || !fiber->may_inline)
        return PI_CLAIM_NO;
    if (!claim(worker, fiber, task))
        return PI_CLAIM_NO;
    if (pi_load_relaxed(&task->fiber) != NULL) {
        pi_worker_ready(task); /* it has been started meanwhile, and was queued again */
        return PI_CLAIM_NO;
    }
    return pi_inline_may(fiber, task) ? PI_CLAIM_YES : PI_CLAIM_STACK;
}
