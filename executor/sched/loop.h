/* SPDX-License-Identifier: MIT */
/* loop.h: a worker's loop: what it takes from where, and in which order (pi_loop_next()), and what
 * it does when there is nothing (pi_loop_idle()).
 *
 * What it does with a task is its user's: worker.c switches to the task's fiber, a model of the
 * protocols that meet here (tests/executor/sched/ready_model.c, closing_model.c, trim_model.c) does
 * what it tries. So those models run this very loop.
 *
 *   1. It ends when the executor has stopped, or the worker rests (reserve.h).
 *   2. At its end the worker counts neither as asleep nor as searching.
 *
 * Callers: the worker's thread, outside of tasks.
 */
#ifndef PI_LOOP_H
#define PI_LOOP_H

#include "executor/base/clock.h"
#include "executor/sched/closing.h"
#include "executor/sched/pace.h"
#include "executor/sched/ready.h"
#include "executor/sched/rescue.h"
#include "executor/sched/reserve.h"
#include "executor/sched/starved.h"
#include "executor/sched/steal.h"
#include "executor/sched/trim.h"

/** The budget is used up: look at what no queue announces (reactor, timers, requests).
 *  @return true: tasks became ready by that */
bool pi_loop_budget_slow(pi_worker *worker);

/** At the end of a budget: a task that others have queued, and nobody else may come for: from the
 *  inject queue, or a stuck worker that the caller rescues. Not twice in a row: where turns are
 *  long each ends a budget, and those in the own queues would never have one.
 *  @return NULL: none, or not now */
pica_task *pi_loop_take_others(pi_worker *worker);

/** After a poll of a worker's driver: fire its timers.
 *  @param now  read after it, once for all that wants it
 *  @return how many waits have ended */
unsigned pi_loop_take_batch(pi_worker *worker, pi_worker *at, int events, bool was_empty,
                            int64_t now);

/* After something was taken from the own deque: is there more, and somebody to help? The
 * take's exchange is the first half of the fence. */
static inline void pi_loop_share(pi_worker *worker)
{
    pi_fence_after_rmw();
    if (PI_UNLIKELY(pi_idle_wanted(worker->idle)) && pi_deque_size(&worker->deque) > 0 &&
        pi_steal_allowed(worker))
        (void)pi_worker_share_slow(worker);
}

/* Without inlining, breadth first would start everything before it ends anything. Now and then the
 * oldest all the same; of what is taken here, not of turns, which are spent elsewhere, too. */
#define PI_LOOP_CROWD 1024
static inline pi_node *pi_loop_take_own(pi_worker *worker)
{
    pi_deque *deque = &worker->deque;
    if (PI_UNLIKELY(worker->flags & PICA_NO_INLINE) && pi_deque_size(deque) > PI_LOOP_CROWD &&
        ++worker->newest % PI_BUDGET)
        return pi_deque_take_newest(deque);
    return pi_deque_take_oldest(deque);
}

static inline pica_task *pi_loop_next(pi_worker *worker)
{
    pica_task *task = worker->next;
    if (PI_UNLIKELY(task != NULL)) {
        worker->next = task->next;
        task->next = NULL;
        return task;
    }
    if (pi_worker_spend(worker)) {
        (void)pi_loop_budget_slow(worker);
        if (PI_UNLIKELY(pi_load_relaxed(&worker->rests)))
            return NULL;
        pi_starved_retry(worker);
        task = worker->comeback;
        worker->comeback = NULL;
        if (task && pi_deque_claim(&worker->deque, &task->node))
            return task;
        if ((task = pi_loop_take_others(worker)))
            return task;
    }
    if (PI_UNLIKELY(!pi_upmc_empty(&worker->mailbox)))
        pi_ready_take_mailbox(worker);
    if (PI_UNLIKELY(worker->pinned_head != NULL) && (worker->pinned_turn = !worker->pinned_turn))
        return pi_ready_pop_pinned(worker);
    pi_node *node = pi_loop_take_own(worker);
    if (PI_LIKELY(node != NULL)) {
        pi_loop_share(worker);
        return pi_task_of(node);
    }
    if ((task = pi_ready_pop_pinned(worker)))
        return task;
    return pi_load_relaxed(&worker->ex->inject_length) ? pi_ready_take_injected(worker) : NULL;
}

/* Look everywhere: mailbox, inject queue, all deques. In the own deque, too: going to sleep may
 * have woken tasks (pi_worker_notice_closing()). */
static inline pica_task *pi_loop_look(pi_worker *worker)
{
    pica_executor *ex = worker->ex;
    pi_node *own = pi_deque_take_oldest(&worker->deque);
    if (own)
        return pi_task_of(own);
    if (!pi_upmc_empty(&worker->mailbox))
        pi_ready_take_mailbox(worker);
    pica_task *task = pi_ready_pop_pinned(worker);
    if (!task && pi_load_relaxed(&ex->inject_length))
        task = pi_ready_take_injected(worker);
    return task ? task : pi_steal(worker);
}

/* Sleep in the driver until something happens. @return the events that ended it */
static inline int pi_loop_sleep(pi_worker *worker)
{
    pica_executor *ex = worker->ex;
    int64_t deadline = pi_timers_next(&worker->timers);
    int64_t rescued = pi_rescue_deadline(worker);
    deadline = rescued < deadline ? rescued : deadline;
    int64_t trim = pi_trim_deadline(worker);
    deadline = trim < deadline ? trim : deadline;
    if (PI_UNLIKELY(pi_load_relaxed(&ex->starved)) && worker->retry_ns < deadline)
        deadline = worker->retry_ns;
    if (deadline <= 0)
        deadline = 1; /* 0 means: do not sleep, and does not let a wake in */
    pi_store_relaxed(&worker->parked, 1u);
    pi_store_relaxed(&worker->sleeps, worker->sleeps + 1);
    int events = ex->driver->poll(worker->driver, deadline);
    pi_store_relaxed(&worker->parked, 0u);
    return events;
}

/* Nothing to run here. @return a task found elsewhere; NULL: look into the own queues again, or the
 * executor has stopped */
static inline pica_task *pi_loop_idle(pi_worker *worker)
{
    pica_executor *ex = worker->ex;
    pi_idle *idle = &ex->idle;
    pica_task *task;
    if (!worker->searching && pi_trim_idle(worker))
        return NULL;
    if (!worker->searching && (pi_load_relaxed(&ex->workers_count) > 1 || pi_spare_works(ex))) {
        /* What waits in the own reactor comes before what others have queued: its sockets are
         * warm here, and theirs there. */
        if (pi_worker_look_around(worker, worker) > 0)
            return NULL;
        worker->searching = pi_idle_search_begin(idle);
    }
    if (worker->searching && (task = pi_loop_look(worker))) {
        worker->searching = false;
        if (pi_idle_search_end(idle))
            pi_executor_wake(ex, pi_idle_pick(idle));
        return task;
    }
    pi_rescue_recovered(worker);
    bool last = pi_idle_sleep_begin(idle, worker->index, worker->searching);
    worker->searching = false;
    pi_pace_notice(ex, PI_PACE_SLOW);
    pi_worker_notice_closing(worker);
    /* Its last task's end and somebody's `draining` may have missed each other; the fence of
     * sleep_begin stands between the two now. */
    pi_executor_task_ended(ex);
    /* So is the one that rests and whoever sends it to: one of them sees the other. And whoever
     * asks all to trim. */
    if ((task = pi_loop_look(worker)) || pi_load_relaxed(&ex->phase) == PI_STOPPED ||
        pi_load_relaxed(&worker->rests) || pi_trim_asked(worker)) {
        if (!pi_idle_sleep_abort(idle, worker->index))
            last = pi_idle_search_end(idle);
        pi_pace_notice(ex, PI_PACE_SLEEPS);
        if (last)
            pi_executor_wake(ex, pi_idle_pick(idle));
        pi_trim_answer(worker);
        return task;
    }
    int events = pi_loop_sleep(worker);
    worker->searching = pi_idle_woken(idle, worker->index);
    pi_pace_notice(ex, PI_PACE_SLEEPS);
    pi_store_relaxed(&worker->look_at, worker->turns + PI_BUDGET); /* it has just looked */
    (void)pi_loop_take_batch(worker, worker, events, true, pi_now());
    pi_rescue_serve(worker);
    pi_starved_retry(worker); /* last: it may call the user's code */
    return NULL;
}

/** The worker has something else to do: it counts as one that searches no more. */
static inline void pi_loop_end_search(pi_worker *worker)
{
    if (worker->searching) {
        worker->searching = false;
        if (pi_idle_search_end(worker->idle))
            (void)pi_worker_share_slow(worker);
    }
}

/** @param execute  runs a task until it suspends or ends; inlined where it is static */
static inline __attribute__((always_inline)) void
pi_loop(pi_worker *worker, void (*execute)(pi_worker *worker, pica_task *task))
{
    for (;;) {
        /* A switch leaves no register as it was. Without this the compiler computes the address
         * of each member once and for all, and reads it from the stack on every turn. */
        __asm__ __volatile__("" : "+r"(worker));
        pica_task *task = pi_loop_next(worker);
        if (!task && (pi_load_relaxed(&worker->rests) || !(task = pi_loop_idle(worker)))) {
            /* Stopped: no task lives, so nothing was found. */
            if (pi_load_acquire(&worker->ex->phase) == PI_STOPPED ||
                pi_load_relaxed(&worker->rests))
                break;
            continue;
        }
        pi_loop_end_search(worker);
        execute(worker, task);
    }
    pi_loop_end_search(worker); /* there is nothing to find, but whom it wakes shall stop, too */
}

#endif
