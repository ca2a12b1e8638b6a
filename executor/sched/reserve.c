/* SPDX-License-Identifier: MIT */
/* reserve.c: see reserve.h. */
#include "executor/sched/reserve.h"

#include "executor/base/alloc.h"
#include "executor/base/clock.h"
#include "executor/base/futex.h"
#include "executor/base/membarrier.h"
#include "executor/sched/closing.h"
#include "executor/sched/pace.h"
#include "executor/sched/ready.h"
#include "executor/sched/rescue.h"

/* [mutex] Make seats up to this one. Before seats says two only the first worker runs tasks. That
 * one may have decided, when it still said one, to cancel a task without a fence
 * (pi_scope_fence()): this fence stands between its store and its load, or its decision comes
 * after it. */
static int take_seats(pica_executor *ex, uint32_t last)
{
    for (uint32_t i = ex->seats; i <= last; i++) {
        pi_unseen_begin(); /* until seats says that it is there */
        int rc = pi_worker_init(&ex->workers[i], ex, i);
        ex->workers[i].rests = ex->workers[i].at_rest = 1;
        pi_unseen_end();
        if (rc < 0)
            return rc;
        pi_store_release(&ex->seats, i + 1);
        pi_fence_seq_cst();
        if (ex->asymmetric)
            pi_membarrier();
    }
    return 0;
}

/* [mutex] */
static int send_to_work(pica_executor *ex, uint32_t index)
{
    pi_worker *worker = &ex->workers[index];
    int rc = take_seats(ex, index);
    if (rc == 0 && !worker->thread_started) {
        rc = pi_thread_start(&worker->thread, pi_worker_main, worker);
        worker->thread_started = rc == 0;
    }
    if (rc < 0)
        return rc;
    pi_store_relaxed(&worker->rests, 0u);
    ex->driver->wake(worker->driver);
    return 0;
}

/* [mutex] It is called, or sees `rests` when it has lain down: the fence of the claim and that of
 * lying down stand between. */
static void send_to_rest(pica_executor *ex, pi_worker *worker)
{
    if (worker->rests)
        return;
    pi_store_relaxed(&worker->rests, 1u);
    pi_store_relaxed(&worker->look_at, pi_load_relaxed(&worker->turns));
    if (pi_idle_claim(&ex->idle, worker->index))
        pi_executor_wake(ex, (int)worker->index);
}

void pi_spare_work(pica_executor *ex, uint32_t stuck)
{
    if (ex->flags & PICA_NO_SPARE)
        return;
    pthread_mutex_lock(&ex->reserve_mutex);
    uint32_t spare = ex->workers_count;
    if (spare < ex->seats_max && send_to_work(ex, spare) == 0)
        pi_rescue_ask(&ex->workers[spare], stuck);
    pthread_mutex_unlock(&ex->reserve_mutex);
}

void pi_spare_send_to_rest(pica_executor *ex)
{
    if (!pi_spare_works(ex))
        return;
    pthread_mutex_lock(&ex->reserve_mutex);
    pi_worker *spare = pi_spare_of(ex);
    if (spare)
        send_to_rest(ex, spare);
    pthread_mutex_unlock(&ex->reserve_mutex);
}

int pica_executor_resize(pica_executor *ex, unsigned workers)
{
    if (!ex || workers < ex->workers_min || workers > ex->workers_max)
        return -EINVAL;
    int rc = 0;
    pthread_mutex_lock(&ex->reserve_mutex);
    uint32_t now = ex->workers_count, wanted = now;
    if (pi_load_acquire(&ex->phase) != PI_RUNNING)
        rc = -ESHUTDOWN;
    while (rc == 0 && wanted < workers && (rc = send_to_work(ex, wanted)) == 0)
        wanted++;
    if (rc == 0)
        wanted = workers;
    else
        wanted = now; /* those that were begun go to rest again */
    pi_store_release(&ex->workers_count, wanted); /* their threads have been noted */
    pi_idle_limit(&ex->idle, wanted);
    for (uint32_t i = wanted; i < ex->seats; i++)
        send_to_rest(ex, &ex->workers[i]);
    pthread_mutex_unlock(&ex->reserve_mutex);
    return rc;
}

/* Everything queued here, in its order, to those that work. */
static void hand_over(pi_worker *worker)
{
    pi_node *node;
    pica_task *task;
    worker->comeback = NULL; /* it lies in the deque as well */
    while ((task = worker->next)) {
        worker->next = task->next;
        pi_worker_inject(worker->ex, task);
    }
    while ((node = pi_deque_take_oldest(&worker->deque)))
        pi_worker_inject(worker->ex, pi_task_of(node));
}

void pi_reserve_rest(pi_worker *worker)
{
    pica_executor *ex = worker->ex;
    pi_worker_set_self(worker);
    pi_store_relaxed(&worker->at_rest, 1u);
    while (pi_load_relaxed(&worker->rests) && pi_load_acquire(&ex->phase) != PI_STOPPED) {
        /* What it has spawned and ended before, against closing; see pi_loop_idle(). */
        pi_fence_seq_cst();
        pi_worker_notice_closing(worker);
        pi_executor_task_ended(ex);
        hand_over(worker); /* last: closing cancels tasks, which are queued here then */
        pi_rescue_recovered(worker);
        int64_t deadline = pi_timers_next(&worker->timers);
        (void)ex->driver->poll(worker->driver, deadline > 0 ? deadline : 1);
        (void)pi_timers_expire(&worker->timers, pi_now());
    }
    (void)pi_xchg_relaxed(&worker->at_rest, 0u);
    pi_pace_notice(ex, PI_PACE_SLEEPS);
    pi_worker_set_self(NULL);
}
