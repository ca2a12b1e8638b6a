/* SPDX-License-Identifier: MIT */
/* monitor.c: see monitor.h. */
#include "executor/sched/monitor.h"

#include "executor/base/alloc.h"
#include "executor/base/clock.h"
#include "executor/base/futex.h"
#include "executor/sched/executor.h"

/* A stuck worker is noticed after one to two ticks; what it holds up is to be served within
 * a millisecond. */
#define TICK_NS 400000
/* Nobody has idled for so many ticks: there is nobody to help. Until somebody lies down, who
 * then hurries the monitor, these are enough. */
#define BUSY_TICKS 5
#define TICK_BUSY_NS 2000000
/* After so many ticks with all workers asleep the monitor sleeps, too. */
#define QUIET_TICKS 64

static bool is_idle(const pi_worker *worker)
{
    return pi_load_relaxed(&worker->parked);
}

/* Attach and detach under the mutex; 0: nobody. */
static void set_rescuer(pica_executor *ex, pi_worker *stuck, uint32_t rescuer)
{
    uint32_t old = stuck->rescuer;
    const pi_driver_ops *driver = ex->driver;
    if (old) {
        pi_worker *was = &ex->workers[old - 1];
        if (driver->detach)
            driver->detach(was->driver, stuck->driver);
        pi_store_relaxed(&was->rescuing, was->rescuing - 1);
    }
    pi_store_relaxed(&stuck->rescuer, 0u);
    if (!rescuer)
        return;
    pi_worker *now = &ex->workers[rescuer - 1];
    if (driver->attach && driver->attach(now->driver, stuck->driver) < 0)
        return; /* the next tick tries again */
    pi_store_relaxed(&now->rescuing, now->rescuing + 1);
    pi_store_relaxed(&stuck->rescuer, rescuer);
}

void pi_monitor_recovered(pi_worker *worker)
{
    pica_executor *ex = worker->ex;
    pthread_mutex_lock(&ex->rescue_mutex);
    set_rescuer(ex, worker, 0);
    pthread_mutex_unlock(&ex->rescue_mutex);
}

void pi_monitor_serve_slow(pi_worker *worker)
{
    pica_executor *ex = worker->ex;
    uint32_t asked = pi_xchg_acquire(&worker->to_rescue, 0u);
    if (asked) {
        pthread_mutex_lock(&ex->rescue_mutex);
        pi_worker *stuck = &ex->workers[asked - 1];
        if (!is_idle(stuck) && stuck->rescuer != worker->index + 1)
            set_rescuer(ex, stuck, worker->index + 1);
        pthread_mutex_unlock(&ex->rescue_mutex);
        pi_store_relaxed(&worker->rescues, worker->rescues + 1);
    }
    for (uint32_t i = 0; i < ex->workers_count; i++)
        if (pi_load_relaxed(&ex->workers[i].rescuer) == worker->index + 1)
            pi_worker_look_around(worker, &ex->workers[i]);
}

int64_t pi_monitor_deadline_slow(const pi_worker *worker)
{
    const pica_executor *ex = worker->ex;
    int64_t earliest = PICA_NEVER;
    for (uint32_t i = 0; i < ex->workers_count; i++) {
        const pi_worker *other = &ex->workers[i];
        int64_t next = pi_timers_next(&other->timers);
        if (pi_load_relaxed(&other->rescuer) == worker->index + 1 && next < earliest)
            earliest = next;
    }
    return earliest;
}

/* Let a worker look around at its next turn. */
static void hurry(pi_worker *worker)
{
    pi_store_relaxed(&worker->look_at, pi_load_relaxed(&worker->turns));
}

/* Find somebody for a stuck worker: an idle one, else one that turns. */
static void call_for_help(pica_executor *ex, uint32_t stuck, const bool *turned)
{
    uint32_t n = ex->workers_count;
    int helper = pi_idle_pick(&ex->idle);
    bool idle = helper >= 0;
    for (uint32_t i = 1; helper < 0 && i < n; i++)
        if (turned[(stuck + i) % n])
            helper = (int)((stuck + i) % n);
    if (helper < 0)
        return; /* all are stuck, or somebody is up and searching: the next tick sees */
    pi_store_release(&ex->workers[helper].to_rescue, stuck + 1);
    if (idle)
        pi_executor_wake(ex, helper);
    else
        hurry(&ex->workers[helper]);
}

/* The stuck one has a rescuer. Is that one still on its feet, and does it know of the timers? */
static bool is_served(pica_executor *ex, pi_worker *stuck, const bool *turned)
{
    uint32_t rescuer = pi_load_relaxed(&stuck->rescuer);
    if (!rescuer)
        return false;
    pi_worker *by = &ex->workers[rescuer - 1];
    if (is_idle(by)) {
        /* It sleeps until the earliest deadline that it knew of; one armed since is due. */
        if (pi_timers_next(&stuck->timers) <= pi_now())
            pi_executor_wake(ex, (int)rescuer - 1);
        return true;
    }
    return turned[rescuer - 1];
}

static void tick(pica_executor *ex)
{
    bool turned[PI_IDLE_MAX];
    for (uint32_t i = 0; i < ex->workers_count; i++) {
        pi_worker *worker = &ex->workers[i];
        uint32_t turns = pi_load_relaxed(&worker->turns);
        uint32_t since = turns - ex->monitor_counts[i];
        ex->monitor_counts[i] = turns;
        turned[i] = since > 0;
        if (since > 0 && since < PI_BUDGET)
            hurry(worker); /* long turns: its reactor would wait for 61 of them */
    }
    for (uint32_t i = 0; i < ex->workers_count; i++) {
        pi_worker *worker = &ex->workers[i];
        if (turned[i] || is_idle(worker))
            continue;
        if (!is_served(ex, worker, turned))
            call_for_help(ex, i, turned);
        else if (pi_deque_size(&worker->deque) > 0) /* spawned since, too few to wake a thief */
            pi_executor_wake(ex, pi_idle_pick(&ex->idle));
    }
}

/* Wait in a way that a worker ends early if it makes an end of the reason for it. */
static void pause_for(pica_executor *ex, uint32_t pace, int64_t deadline)
{
    uint32_t ticks = PI_MONITOR_TICKS;
    if (!pi_cas_relaxed(&ex->monitor_pace, &ticks, pace))
        return; /* to be stopped */
    pi_fence_seq_cst(); /* before we look; partner: pi_monitor_notice() */
    unsigned asleep = pi_idle_asleep(&ex->idle);
    if (asleep == (pace == PI_MONITOR_SLEEPS ? ex->workers_count : 0))
        pi_futex_wait(&ex->monitor_pace, pace, deadline);
    (void)pi_cas_relaxed(&ex->monitor_pace, &pace, (uint32_t)PI_MONITOR_TICKS);
}

static void *monitor_main(void *arg)
{
    pica_executor *ex = arg;
    unsigned quiet = 0, busy = 0;
    while (pi_load_acquire(&ex->phase) != PI_STOPPED) {
        unsigned asleep = pi_idle_asleep(&ex->idle);
        quiet = asleep == ex->workers_count ? quiet + 1 : 0;
        busy = asleep == 0 ? busy + 1 : 0;
        if (quiet == 0)
            tick(ex);
        if (quiet > QUIET_TICKS)
            pause_for(ex, PI_MONITOR_SLEEPS, PICA_NEVER);
        else if (busy > BUSY_TICKS)
            pause_for(ex, PI_MONITOR_SLOW, pi_now() + TICK_BUSY_NS);
        else
            pi_futex_wait(&ex->monitor_pace, PI_MONITOR_TICKS, pi_now() + TICK_NS);
    }
    return NULL;
}

void pi_monitor_hurry_slow(pica_executor *ex, uint32_t pace)
{
    if (pi_cas_release(&ex->monitor_pace, &pace, (uint32_t)PI_MONITOR_TICKS))
        pi_futex_wake(&ex->monitor_pace, 1);
}

int pi_monitor_start(pica_executor *ex)
{
    if (ex->workers_count < 2)
        return 0;
    ex->monitor_counts = pi_zalloc(ex->workers_count * sizeof(uint32_t));
    if (!ex->monitor_counts)
        return -ENOMEM;
    int rc = pi_thread_start(&ex->monitor, monitor_main, ex);
    ex->monitor_started = rc == 0;
    return rc;
}

void pi_monitor_stop(pica_executor *ex)
{
    if (ex->monitor_started) {
        pi_store_release(&ex->monitor_pace, (uint32_t)PI_MONITOR_STOPS);
        pi_futex_wake(&ex->monitor_pace, 1);
        pthread_join(ex->monitor, NULL);
        ex->monitor_started = false;
    }
    pi_free(ex->monitor_counts);
    ex->monitor_counts = NULL;
}
