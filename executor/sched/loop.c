/* SPDX-License-Identifier: MIT */
/* loop.c: see loop.h. Here is what few turns come to. */
#include "executor/sched/loop.h"

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

unsigned pi_loop_take_batch(pi_worker *worker, pi_worker *at, int events, bool was_empty,
                            int64_t now)
{
    worker->now_ms = (uint32_t)(now / 1000000);
    unsigned found = (unsigned)(events > 0 ? events : 0) + pi_timers_expire(&at->timers, now);
    if (found && was_empty)
        pi_store_relaxed(&worker->own_until, now + PI_OWN_NS);
    return found;
}

unsigned pi_worker_look_around(pi_worker *worker, pi_worker *at)
{
    bool was_empty = pi_deque_size(&worker->deque) <= 0;
    int events = worker->ex->driver->poll(at->driver, 0);
    int64_t now = pi_now();
    if (at == worker)
        worker->polled_ns = now;
    return pi_loop_take_batch(worker, at, events, was_empty, now);
}

/* Turns may be so short that a poll at the end of each budget is a tenth of all the work. */
static unsigned look_around_if_due(pi_worker *worker, int64_t now)
{
    if (now - worker->polled_ns >= PI_POLL_NS)
        return pi_worker_look_around(worker, worker);
    return pi_loop_take_batch(worker, worker, 0, pi_deque_size(&worker->deque) <= 0, now);
}

/* Thieves come in flocks, and the first one to find the queue private again pays a membarrier. */
static void privatize_if_left_alone(pi_worker *worker, int64_t now)
{
    uint32_t visits = pi_deque_visits(&worker->deque);
    if (visits != worker->visits) {
        worker->visits = visits;
        worker->visited_ns = now;
    } else if (now - worker->visited_ns >= PI_ALONE_NS && !pi_idle_asleep(worker->idle) &&
               !pi_idle_searching(worker->idle)) {
        pi_deque_privatize(&worker->deque);
    }
}

__attribute__((noinline)) bool pi_loop_budget_slow(pi_worker *worker)
{
    pi_store_relaxed(&worker->look_at, worker->turns + PI_BUDGET);
    pi_worker_notice_closing(worker);
    pi_trim_answer(worker);
    int64_t now = pi_now();
    if (pi_deque_could_be_private(&worker->deque))
        privatize_if_left_alone(worker, now);
    unsigned found = look_around_if_due(worker, now);
    pi_rescue_recovered(worker);
    pi_rescue_serve(worker);
    return found > 0;
}

/* From the stuck and from the inject queue in turn, unless one of them has nothing. */
static pica_task *take_others(pi_worker *worker)
{
    pica_task *task = NULL;
    bool rescues = pi_load_relaxed(&worker->rescuing);
    worker->stuck_turn = !worker->stuck_turn;
    if (PI_UNLIKELY(rescues) && worker->stuck_turn)
        task = pi_steal_from_stuck(worker);
    if (!task && pi_load_relaxed(&worker->ex->inject_length))
        task = pi_ready_take_injected(worker);
    if (PI_UNLIKELY(rescues) && !task && !worker->stuck_turn)
        task = pi_steal_from_stuck(worker);
    return task;
}

__attribute__((noinline)) pica_task *pi_loop_take_others(pi_worker *worker)
{
    pica_task *task = worker->others_came ? NULL : take_others(worker);
    worker->others_came = task != NULL;
    return task;
}

bool pi_worker_breathe(pi_worker *worker)
{
    int before = *worker->errno_at; /* the task's, in whose midst this is */
    bool found = pi_loop_budget_slow(worker);
    *worker->errno_at = before;
    if (pi_upmc_empty(&worker->mailbox))
        return found;
    pi_ready_take_mailbox(worker);
    return true;
}
