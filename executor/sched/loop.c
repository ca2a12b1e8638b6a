/* SPDX-License-Identifier: MIT */
/* loop.c: see loop.h. Here is what few turns come to. */
#include "executor/sched/loop.h"

#include "executor/base/clock.h"

void pi_executor_wake(pica_executor *ex, int i)
{
    if (i < 0)
        return;
    pi_add_relaxed(&ex->workers[i].wakes, UINT64_C(1));
    ex->driver->wake(ex->workers[i].driver);
}

__attribute__((noinline)) int pi_worker_share_slow(pi_worker *worker)
{
    pi_store_relaxed(&worker->own_until, INT64_C(0));
    pi_executor_wake(worker->ex, pi_idle_pick(worker->idle));
    return 0;
}

unsigned pi_loop_take_batch(pi_worker *worker, pi_worker *at, int events, bool was_empty)
{
    int64_t now = pi_now();
    worker->now_ms = (uint32_t)(now / 1000000);
    unsigned found = (unsigned)(events > 0 ? events : 0) + pi_timers_expire(&at->timers, now);
    if (found && was_empty)
        pi_store_relaxed(&worker->own_until, now + PI_OWN_NS);
    return found;
}

unsigned pi_worker_look_around(pi_worker *worker, pi_worker *at)
{
    bool was_empty = pi_deque_size(&worker->deque) <= 0;
    return pi_loop_take_batch(worker, at, worker->ex->driver->poll(at->driver, 0), was_empty);
}

__attribute__((noinline)) bool pi_loop_budget_slow(pi_worker *worker)
{
    pi_store_relaxed(&worker->look_at, worker->turns + PI_BUDGET);
    pi_worker_notice_closing(worker);
    pi_trim_answer(worker);
    if (!pi_idle_asleep(worker->idle) && !pi_idle_searching(worker->idle))
        pi_deque_privatize(&worker->deque);
    unsigned found = pi_worker_look_around(worker, worker);
    pi_rescue_recovered(worker);
    pi_rescue_serve(worker);
    return found > 0;
}

bool pi_worker_breathe(pi_worker *worker)
{
    bool found = pi_loop_budget_slow(worker);
    if (pi_upmc_empty(&worker->mailbox))
        return found;
    pi_ready_take_mailbox(worker);
    return true;
}
