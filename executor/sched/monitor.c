/* SPDX-License-Identifier: MIT */
/* monitor.c: see monitor.h. */
#include "executor/sched/monitor.h"

#include "executor/base/alloc.h"
#include "executor/base/clock.h"
#include "executor/base/futex.h"
#include "executor/sched/pace.h"
#include "executor/sched/rescue.h"
#include "executor/sched/reserve.h"

/* A stuck worker is noticed after one to two ticks; what it holds up is to be served within
 * a millisecond. */
#define TICK_NS 400000
/* With one worker there is no other that idles; only the spare could help. As long as that worker
 * looks around by itself, half as often will do: a tick costs 10 us and more. */
#define TICK_ALONE_NS 2000000
#define TICK_STEADY_NS 4000000
/* Nobody has idled for so many ticks: there is nobody to help. Until somebody lies down, who
 * then hurries the monitor, these are enough. */
#define BUSY_TICKS 5
#define TICK_BUSY_NS 2000000
/* All are stuck when each has computed for so long in one turn. Wall time would tell the same
 * of one that only waits for a CPU that others have; but one that blocks in a call computes
 * nothing, so after a long time all are stuck, too. */
#define STUCK_CPU_NS 3000000
#define BLOCKED_NS 100000000
/* After so many ticks with all workers asleep the monitor sleeps, too. */
#define QUIET_TICKS 64

/* Let a worker look around at its next turn. */
static void hurry(pi_worker *worker)
{
    pi_store_relaxed(&worker->look_at, pi_load_relaxed(&worker->turns));
}

/* Find somebody for a stuck worker: an idle one, else one that turns, else a second idle one: the
 * first, who was called to search and for whose sake nobody else is picked, may wait for a CPU. */
static void call_for_help(pica_executor *ex, uint32_t stuck, const bool *turned)
{
    uint32_t n = pi_executor_seats(ex);
    int helper = pi_idle_pick(&ex->idle);
    bool idle = helper >= 0;
    for (uint32_t i = 1; helper < 0 && i < n; i++) {
        uint32_t who = (stuck + i) % n; /* of two requests he would forget the first */
        if (turned[who] && !pi_load_relaxed(&ex->workers[who].to_rescue))
            helper = (int)who;
    }
    for (uint32_t i = 1; helper < 0 && i < n; i++) {
        uint32_t who = (stuck + i) % n;
        const pi_worker *worker = &ex->workers[who]; /* first what costs no fence */
        idle = pi_rescue_is_idle(worker) && !pi_load_relaxed(&worker->at_rest) &&
               pi_idle_claim(&ex->idle, who);
        if (idle)
            helper = (int)who;
    }
    if (helper < 0)
        return; /* all are stuck, or asked, or up and searching: the next tick sees */
    pi_rescue_ask(&ex->workers[helper], stuck);
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
    if (pi_rescue_is_idle(by)) {
        /* It sleeps until the earliest deadline that it knew of; one armed since is due. */
        if (pi_timers_next(&stuck->timers) <= pi_now())
            pi_executor_wake(ex, (int)rescuer - 1);
        return true;
    }
    return turned[rescuer - 1];
}

static bool is_alone(const pica_executor *ex)
{
    return pi_load_relaxed(&ex->workers_count) == 1;
}

static void note_cpu(pica_executor *ex)
{
    for (uint32_t i = 0; i < pi_load_acquire(&ex->workers_count); i++)
        ex->monitor_cpu_ns[i] = pi_thread_cpu_ns(ex->workers[i].thread);
}

/* Has every worker computed since its CPU time was noted? */
static bool all_compute(pica_executor *ex)
{
    for (uint32_t i = 0; i < pi_load_acquire(&ex->workers_count); i++)
        if (pi_thread_cpu_ns(ex->workers[i].thread) - ex->monitor_cpu_ns[i] < STUCK_CPU_NS)
            return false;
    return true;
}

/* Nobody can rescue anybody? Then the spare can. As soon as somebody can, it rests. Of several
 * workers the CPU time is noted when all are first found stuck; of one, whose ticks are long, at
 * each that finds it alive. */
static void look_after_spare(pica_executor *ex, bool alive)
{
    if (alive) {
        ex->monitor_alive = 0;
        ex->monitor_noted = is_alone(ex);
        if (ex->monitor_noted)
            note_cpu(ex);
        pi_spare_send_to_rest(ex);
        return;
    }
    int64_t now = pi_now();
    if (!ex->monitor_alive) {
        ex->monitor_alive = now;
        if (!ex->monitor_noted)
            note_cpu(ex);
    }
    if (!pi_spare_works(ex) && (now - ex->monitor_alive >= BLOCKED_NS || all_compute(ex)))
        pi_spare_work(ex, 0);
}

/* The time has run out, lately, for which a batch of events was its worker's own, and there is more
 * in its queue: others may take of it. The worker itself would see to it, but at its next turn. */
static bool has_overdue_batch(const pi_worker *worker, int64_t now)
{
    int64_t own_until = pi_load_relaxed(&worker->own_until);
    return own_until <= now && own_until > now - 2 * TICK_NS && pi_deque_size(&worker->deque) > 0;
}

/* @return whether all workers look around by themselves */
static bool tick(pica_executor *ex)
{
    int64_t now = pi_now();
    bool turned[PI_IDLE_MAX] = {false};
    bool alive = false, steady = true;
    uint32_t seats = pi_executor_seats(ex), workers = pi_load_relaxed(&ex->workers_count);
    for (uint32_t i = 0; i < seats; i++) {
        pi_worker *worker = &ex->workers[i];
        uint32_t turns = pi_load_relaxed(&worker->turns);
        uint32_t since = turns - ex->monitor_turns[i];
        ex->monitor_turns[i] = turns;
        turned[i] = since > 0;
        alive = alive || (i < workers && (since > 0 || pi_rescue_is_idle(worker)));
        if (since < PI_BUDGET) {
            hurry(worker); /* long turns: its reactor would wait for 61 of them */
            steady = steady && i >= workers;
        }
        if (has_overdue_batch(worker, now))
            pi_executor_wake(ex, pi_idle_pick(&ex->idle));
    }
    look_after_spare(ex, alive);
    for (uint32_t i = 0; i < seats; i++) {
        pi_worker *worker = &ex->workers[i];
        if (turned[i] || pi_rescue_is_idle(worker) || pi_load_relaxed(&worker->at_rest))
            continue;
        if (!is_served(ex, worker, turned))
            call_for_help(ex, i, turned);
        else if (pi_deque_size(&worker->deque) > 0) /* spawned since, too few to wake a thief */
            pi_executor_wake(ex, pi_idle_pick(&ex->idle));
    }
    return steady;
}

static int64_t tick_ns(const pica_executor *ex, bool steady)
{
    if (!is_alone(ex))
        return TICK_NS;
    return steady ? TICK_STEADY_NS : TICK_ALONE_NS;
}

static void *monitor_main(void *arg)
{
    pica_executor *ex = arg;
    unsigned quiet = 0, busy = 0;
    bool goes_on = true;
    while (goes_on && pi_load_acquire(&ex->phase) != PI_STOPPED) {
        quiet = pi_pace_all_sleep(ex) ? quiet + 1 : 0;
        busy = pi_idle_asleep(&ex->idle) == 0 ? busy + 1 : 0;
        bool steady = false;
        if (quiet == 0 || pi_spare_works(ex)) /* which it need not, if the others sleep */
            steady = tick(ex) && !pi_spare_works(ex);
        if (quiet > QUIET_TICKS)
            goes_on = pi_pace_wait(ex, PI_PACE_SLEEPS, PICA_NEVER);
        else if (busy > BUSY_TICKS && !is_alone(ex))
            goes_on = pi_pace_wait(ex, PI_PACE_SLOW, pi_now() + TICK_BUSY_NS);
        else
            goes_on = pi_pace_wait(ex, PI_PACE_TICKS, pi_now() + tick_ns(ex, steady));
    }
    return NULL;
}

int pi_monitor_start(pica_executor *ex)
{
    if (ex->workers_max < 2 && ex->flags & PICA_NO_SPARE)
        return 0;
    ex->monitor_turns = pi_zalloc(ex->seats_max * sizeof(uint32_t));
    ex->monitor_cpu_ns = pi_zalloc(ex->seats_max * sizeof(int64_t));
    int rc = ex->monitor_turns && ex->monitor_cpu_ns ? 0 : -ENOMEM;
    if (rc == 0)
        rc = pi_thread_start(&ex->monitor, monitor_main, ex);
    ex->monitor_started = rc == 0;
    return rc;
}

void pi_monitor_stop(pica_executor *ex)
{
    if (ex->monitor_started) {
        pi_pace_stop(ex);
        pthread_join(ex->monitor, NULL);
        ex->monitor_started = false;
    }
    pi_free(ex->monitor_turns);
    pi_free(ex->monitor_cpu_ns);
    ex->monitor_turns = NULL;
    ex->monitor_cpu_ns = NULL;
}
