/* SPDX-License-Identifier: MIT */
/* await.c: waiting for one task's end. See pica/task.h. */
#include "executor/task/await.h"

#include "executor/sched/ignored.h"
#include "executor/sched/starved.h"
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

/* The task waits for a stack, and may run on the caller's. */
static bool may_run_here(const pi_fiber *fiber, const pica_task *task)
{
    return fiber && pi_is_starved(task) && pi_task_executor(task) == fiber->worker->ex &&
           pi_inline_may(fiber, task);
}

pi_await_end pi_await_park(const pi_fiber *fiber, pica_task *task, bool shielded, bool *tried)
{
    for (;;) {
        pi_waiter me = {.data = NULL};
        if (shielded)
            pi_wait_begin_shielded_for(&me, PI_FOR_TASK, (uintptr_t)task->id);
        else
            pi_wait_begin_for(&me, PI_FOR_TASK, (uintptr_t)task->id);
        if (!pi_task_wait_link(task, &me)) {
            (void)pi_wait_abandon(&me);
            return PI_AWAIT_DONE;
        }
        /* Who is linked before the task lies among the starved is told (pi_task_look_again()). */
        if (!*tried && may_run_here(fiber, task)) {
            pi_task_wait_unlink(task, &me);
            (void)pi_wait_abandon(&me);
            *tried = true;
            return PI_AWAIT_STARVED;
        }
        pi_how how = pi_wait_park(&me, PICA_NEVER);
        if (how == PI_WOKEN) {
            pi_task_await_done(task);
            return PI_AWAIT_DONE;
        }
        pi_task_wait_unlink(task, &me);
        if (how != PI_CLOSED)
            return PI_AWAIT_CANCELLED;
        *tried = false;
    }
}

static __attribute__((noinline)) int await_slow(const pi_fiber *fiber, pica_task *task,
                                                intptr_t *result, bool *cancelled, bool *tried)
{
    pi_await_end end;
    while ((end = pi_await_park(fiber, task, *cancelled, tried)) == PI_AWAIT_CANCELLED) {
        *cancelled = true;
        (void)pica_cancel(task); /* once */
    }
    if (end == PI_AWAIT_STARVED)
        return 1;
    take_result(task, result);
    return *cancelled ? -ECANCELED : 0;
}

/* All but the case that pica_await() handles itself. @return as await_slow() */
static __attribute__((noinline)) int await_not_inline(pi_fiber *fiber, pica_task *task,
                                                      intptr_t *result, bool *cancelled,
                                                      bool *tried, pi_claim claim)
{
    if (pi_await_is_self(fiber, task))
        return -EDEADLK;
    if (claim == PI_CLAIM_STACK)
        pi_worker_push_next(fiber->worker, task); /* depth first too, on a fiber of its own */
    return await_slow(fiber, task, result, cancelled, tried);
}

int pi_await(pica_task *task, intptr_t *result, bool cancelled)
{
    bool tried = false;
    for (;;) {
        pi_worker *worker = pi_worker_self();
        pi_fiber *fiber = worker ? worker->fiber : NULL;
        if (pi_task_done(task)) {
            take_result(task, result);
            if (fiber) /* a turn as well: who counts some, and never looks around, seems alive */
                (void)pi_inline_breathe(worker, fiber);
            return cancelled ? -ECANCELED : 0;
        }
        if (!fiber)
            return await_slow(NULL, task, result, &cancelled, &tried);
        if (!cancelled && pi_scopes_cancelled(fiber)) {
            if (pi_await_is_self(fiber, task))
                return -EDEADLK;
            (void)pica_cancel(task);
            cancelled = true;
            pi_ignored_note(fiber);
        }
        if (pi_inline_breathe(worker, fiber)) /* after the look: it may let the task end */
            continue;
        pi_claim claim = pi_inline_claim(worker, fiber, task);
        if (claim != PI_CLAIM_YES) {
            int rc = await_not_inline(fiber, task, result, &cancelled, &tried, claim);
            if (rc <= 0)
                return rc;
            continue;
        }
        if (cancelled)
            task->flags |= PI_TASK_DELIVERED; /* it has got this one */
        bool delivered;
        intptr_t value = pi_inline_run(fiber, task, true, &delivered);
        pi_store_relaxed(&task->observed, (uint8_t)1);
        if (result)
            *result = value;
        return cancelled || delivered ? -ECANCELED : 0;
    }
}

static __attribute__((noinline)) int await_general(pica_task *task, intptr_t *result)
{
    return task ? pi_await(task, result, false) : -EINVAL;
}

/* The common case by itself: an unstarted child in the own queue, nothing else to look at. (A
 * deadline is something else: whether it has passed since the caller's last wait only the clock can
 * tell, and each await has to. The end of a group, whose loop is its own, reads it less often.) */
int pica_await(pica_task *task, intptr_t *result)
{
    pi_worker *worker = pi_worker_self();
    if (PI_UNLIKELY(!task || !worker || !worker->fiber))
        return await_general(task, result);
    pi_fiber *fiber = worker->fiber;
    if (PI_UNLIKELY(!pi_scopes_quiet(fiber)) || pi_worker_spend(worker) ||
        PI_UNLIKELY(pi_load_relaxed(&task->home) != worker->index) ||
        !pi_inline_may(fiber, task) || !pi_deque_claim(&worker->deque, &task->node))
        return await_general(task, result);
    if (PI_UNLIKELY(pi_load_relaxed(&task->fiber) != NULL)) {
        pi_worker_ready(task); /* it was started and queued again just now */
        return await_general(task, result);
    }
    bool delivered;
    intptr_t value = pi_inline_run(fiber, task, true, &delivered);
    pi_store_relaxed(&task->observed, (uint8_t)1);
    if (result)
        *result = value;
    return PI_UNLIKELY(delivered) ? -ECANCELED : 0;
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
        pi_how how;
        do {
            pi_waiter me = {.data = NULL};
            pi_wait_begin_for(&me, PI_FOR_TASK, (uintptr_t)task->id);
            if (!pi_task_wait_link(task, &me)) {
                (void)pi_wait_abandon(&me);
                break;
            }
            how = pi_wait_park(&me, deadline_ns);
            if (how == PI_WOKEN)
                pi_task_await_done(task);
            else
                pi_task_wait_unlink(task, &me);
            if (how == PI_TIMEOUT || how == PI_CANCEL)
                return how == PI_TIMEOUT ? -ETIMEDOUT : -ECANCELED;
        } while (how == PI_CLOSED); /* it has found no stack, which is not the caller's concern */
    }
    take_result(task, result);
    return 0;
}

int pica_join(pica_task *task, intptr_t *result)
{
    return pica_join_until(task, result, PICA_NEVER);
}
