/* SPDX-License-Identifier: MIT */
/* await.c: waiting for one task's end. See pica/task.h. */
#include "executor/task/await.h"

#include "executor/task/inline.h"

static void take_result(pica_task *task, intptr_t *result)
{
    if (!pi_load_relaxed(&task->observed))
        pi_store_relaxed(&task->observed, (uint8_t)1);
    if (result)
        *result = task->result;
}

bool pi_await_is_self(const pi_fiber *fiber, const pica_task *task)
{
    for (const pica_task *t = fiber->current; t; t = t->outer)
        if (t == task)
            return true;
    return false;
}

/* Park until the task has ended; a cancel of the caller goes on to the task, once.
 * @return whether that happened, or had happened before */
static bool park_until_done(pica_task *task, bool cancelled)
{
    for (;;) {
        pi_waiter me = {.data = NULL};
        if (cancelled)
            pi_wait_begin_shielded(&me);
        else
            pi_wait_begin(&me);
        if (!pi_task_wait_link(task, &me)) {
            (void)pi_wait_abandon(&me);
            return cancelled;
        }
        if (pi_wait_park(&me, PICA_NEVER) == PI_WOKEN) {
            pi_task_await_done(task);
            return cancelled;
        }
        pi_task_wait_unlink(task, &me);
        cancelled = true;
        (void)pica_cancel(task);
    }
}

static __attribute__((noinline)) int await_slow(pica_task *task, intptr_t *result, bool cancelled)
{
    cancelled = park_until_done(task, cancelled);
    take_result(task, result);
    return cancelled ? -ECANCELED : 0;
}

int pi_await(pica_task *task, intptr_t *result, bool cancelled)
{
    for (;;) {
        pi_worker *worker = pi_worker_self();
        if (pi_task_done(task)) {
            take_result(task, result);
            return cancelled ? -ECANCELED : 0;
        }
        if (PI_UNLIKELY(!worker || !worker->fiber))
            return await_slow(task, result, false);
        pi_fiber *fiber = worker->fiber;
        if (PI_UNLIKELY(pi_inline_breathe(worker, fiber)))
            continue;
        if (PI_UNLIKELY(!cancelled && pi_scopes_cancelled(fiber))) {
            if (pi_await_is_self(fiber, task))
                return -EDEADLK;
            (void)pica_cancel(task);
            cancelled = true;
        }
        pi_claim claim = pi_inline_claim(worker, fiber, task);
        if (PI_UNLIKELY(claim != PI_CLAIM_YES)) {
            if (pi_await_is_self(fiber, task))
                return -EDEADLK;
            if (claim == PI_CLAIM_STACK)
                worker->next = task; /* depth first all the same, on a fiber of its own */
            return await_slow(task, result, cancelled);
        }
        bool delivered;
        intptr_t value = pi_inline_run(fiber, task, &delivered);
        if (PI_UNLIKELY(!pi_load_relaxed(&task->observed)))
            pi_store_relaxed(&task->observed, (uint8_t)1);
        if (result)
            *result = value;
        return cancelled || delivered ? -ECANCELED : 0;
    }
}

int pica_await(pica_task *task, intptr_t *result)
{
    return task ? pi_await(task, result, false) : -EINVAL;
}

int pica_join_until(pica_task *task, intptr_t *result, int64_t deadline_ns)
{
    if (!task)
        return -EINVAL;
    if (!pi_task_done(task)) {
        pi_worker *worker = pi_worker_self();
        if (worker && worker->fiber && pi_await_is_self(worker->fiber, task))
            return -EDEADLK;
        int rc = pi_wait_check();
        if (rc < 0)
            return rc;
        pi_waiter me = {.data = NULL};
        pi_wait_begin(&me);
        if (pi_task_wait_link(task, &me)) {
            pi_how how = pi_wait_park(&me, deadline_ns);
            if (how != PI_WOKEN) {
                pi_task_wait_unlink(task, &me);
                return how == PI_TIMEOUT ? -ETIMEDOUT : -ECANCELED;
            }
            pi_task_await_done(task);
        } else {
            (void)pi_wait_abandon(&me);
        }
    }
    take_result(task, result);
    return 0;
}

int pica_join(pica_task *task, intptr_t *result)
{
    return pica_join_until(task, result, PICA_NEVER);
}
