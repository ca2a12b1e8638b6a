/* SPDX-License-Identifier: MIT */
/* inline.c: see inline.h. */
#include "executor/task/inline.h"

#include "executor/base/assert.h"
#include "executor/sched/executor.h"

/* Of so many exhausted budgets one is a real suspension, so that other ready tasks get their
 * turn; all of them would turn depth first into breadth first. */
#define BREATHS 61

bool pi_inline_breathe_slow(pi_worker *worker, pi_fiber *fiber)
{
    bool found = pi_worker_breathe(worker);
    if (!found && ++worker->breaths < BREATHS)
        return false;
    worker->breaths = 0;
    if (worker->flags & PICA_NO_INLINE)
        return false; /* parks often enough */
    pi_worker_suspend(worker, fiber, PI_AFTER_YIELD);
    return true;
}

pi_claim pi_inline_claim(pi_worker *worker, pi_fiber *fiber, pica_task *task)
{
    if (pi_load_relaxed(&task->fiber) || task->pin || fiber->base->pin ||
        PI_UNLIKELY(worker->flags & PICA_NO_INLINE))
        return PI_CLAIM_NO;
    uint16_t home = pi_load_relaxed(&task->home);
    if (PI_LIKELY(home == worker->index)) {
        if (!pi_deque_claim(&worker->deque, &task->node))
            return PI_CLAIM_NO;
    } else if (home >= worker->ex->workers_count || pi_task_executor(task) != worker->ex ||
               !pi_deque_claim_foreign(&worker->ex->workers[home].deque, &task->node)) {
        return PI_CLAIM_NO;
    }
    if (PI_UNLIKELY(pi_load_relaxed(&task->fiber) != NULL)) {
        pi_worker_ready(task); /* it has been started and was queued again */
        return PI_CLAIM_NO;
    }
    return pi_fiber_stack_left(fiber) >= pi_stack_class_size(task->stack_class) ? PI_CLAIM_YES
                                                                              : PI_CLAIM_STACK;
}

intptr_t pi_inline_run(pi_fiber *fiber, pica_task *task, bool *cancelled)
{
    pica_task *outer = fiber->current;
    uint16_t floor = fiber->floor;
    task->outer = outer;
    pi_store_relaxed(&task->level, ++fiber->level);
    pi_store_release(&task->fiber, fiber); /* pairs with pi_scope_interrupt() */
    fiber->current = task;
    /* The claim's exchange stands between the store of outer->fiber and this look at its
     * flags: a canceller that did not find the fiber yet has set them before. */
    pi_fence_after_rmw();
    const pica_scope *group = outer->group;
    if (PI_UNLIKELY(pi_load_relaxed(&outer->cancels) ||
                    (group && pi_load_relaxed(&group->flags) & PI_SCOPE_CANCELLED)))
        pi_store_relaxed(&fiber->attention, 1u);
    intptr_t result = task->fn(task->arg);
    pi_require(!task->scope, "task %llu (%s) returned inside a scope or group",
               (unsigned long long)task->id, task->site);
    fiber->current = outer;
    fiber->level--;
    fiber->floor = outer->outer_delivered && floor < outer->level ? outer->level : floor;
    if (cancelled)
        *cancelled = task->outer_delivered;
    pi_task_finish(pi_worker_self(), task, result, true);
    return result;
}
