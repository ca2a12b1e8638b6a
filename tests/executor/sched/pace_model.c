/* SPDX-License-Identifier: MIT */
/* pace_model.c: how the monitor waits (pace.h), against workers that lie down, get up, go to rest
 * and come back, and against its stop. pace.c and idle.c are the real ones; here are the monitor's
 * loop, which chooses as monitor.c does but without its patience, and of the workers' loop and
 * reserve.c what concerns the monitor. A worker that is up at the end computes for ever.
 *
 * What has to hold in each interleaving, once nobody can go on: the monitor does not sleep beside
 * a worker that is up, and is not slow beside one that sleeps; where it was stopped, it has ended.
 */
#include "executor/sched/pace.h"

#include "executor/base/futex.h"

#include "tests/model/model.h"

#include <string.h>

enum {
    WORKERS = 2,
    TICKS_MAX = 2 /* waits in a row that only the time ends */
};

static pica_executor executor;
static pi_worker workers[WORKERS];
static model_event drivers[WORKERS];

/* --- What pace.c stands on ------------------------------------------------------------------- */

static bool waits;    /* the monitor does, on the futex */
static bool finished; /* it has returned */

int pi_futex_wait(uint32_t *at, uint32_t value, int64_t deadline_ns)
{
    if (deadline_ns != PICA_NEVER && model_choose(2))
        return -ETIMEDOUT;
    waits = true;
    model_futex_wait(at, value);
    waits = false;
    return 0;
}

void pi_futex_wake(uint32_t *at, int n)
{
    (void)n;
    model_futex_wake(at);
}

/* --- Parts ----------------------------------------------------------------------------------- */

static void monitors(void)
{
    bool goes_on = true;
    for (unsigned ticks = 0; goes_on && ticks < TICKS_MAX; ticks++) {
        if (pi_pace_all_sleep(&executor))
            goes_on = pi_pace_wait(&executor, PI_PACE_SLEEPS, PICA_NEVER);
        else if (pi_idle_asleep(&executor.idle) == 0)
            goes_on = pi_pace_wait(&executor, PI_PACE_SLOW, 1);
        else
            goes_on = pi_pace_wait(&executor, PI_PACE_TICKS, 1);
    }
    finished = true;
}

static void lies_down(void)
{
    unsigned w = model_self();
    model_check(!pi_idle_sleep_begin(&executor.idle, w, false));
    pi_pace_notice(&executor, PI_PACE_SLOW);
    model_sleep(&drivers[w]);
}

static void gets_up(void)
{
    unsigned w = model_self();
    model_sleep(&drivers[w]);
    model_check(!pi_idle_woken(&executor.idle, w));
    pi_pace_notice(&executor, PI_PACE_SLEEPS);
}

static void lies_down_and_gets_up(void)
{
    lies_down();
    model_check(!pi_idle_woken(&executor.idle, model_self()));
    pi_pace_notice(&executor, PI_PACE_SLEEPS);
}

static void gets_up_and_lies_down(void)
{
    gets_up();
    lies_down();
}

/* Its last look finds something. */
static void turns_in_bed(void)
{
    unsigned w = model_self();
    model_check(!pi_idle_sleep_begin(&executor.idle, w, false));
    pi_pace_notice(&executor, PI_PACE_SLOW);
    model_check(pi_idle_sleep_abort(&executor.idle, w));
    pi_pace_notice(&executor, PI_PACE_SLEEPS);
}

static void goes_to_rest(void)
{
    pi_store_relaxed(&workers[model_self()].at_rest, 1u);
}

static void comes_from_rest(void)
{
    (void)pi_xchg_relaxed(&workers[model_self()].at_rest, 0u);
    pi_pace_notice(&executor, PI_PACE_SLEEPS);
}

static void gets_up_to_rest(void)
{
    gets_up();
    goes_to_rest();
}

static void comes_from_rest_to_bed(void)
{
    comes_from_rest();
    lies_down();
}

static void rests_again(void)
{
    comes_from_rest();
    goes_to_rest();
}

static void stops(void)
{
    pi_pace_stop(&executor);
}

/* --- Set-ups --------------------------------------------------------------------------------- */

static void setup(unsigned n_asleep, unsigned n_called)
{
    memset(&executor, 0, sizeof(executor));
    memset(workers, 0, sizeof(workers));
    memset(drivers, 0, sizeof(drivers));
    waits = finished = false;
    executor.workers = workers;
    executor.seats = WORKERS;
    pi_idle_init(&executor.idle, WORKERS);
    for (unsigned w = 0; w < n_asleep; w++)
        model_check(!pi_idle_sleep_begin(&executor.idle, w, false));
    for (unsigned w = 0; w < n_called; w++)
        drivers[w].set = true;
}

static void both_up(void)
{
    setup(0, 0);
}

static void both_up_one_called(void)
{
    setup(0, 1);
}

static void one_asleep(void)
{
    setup(1, 0);
}

static void both_asleep(void)
{
    setup(2, 0);
}

static void both_asleep_one_called(void)
{
    setup(2, 1);
}

static void both_asleep_and_called(void)
{
    setup(2, 2);
}

static void one_rests(void)
{
    setup(0, 0);
    workers[0].at_rest = 1;
}

static void one_rests_one_called(void)
{
    setup(0, 0);
    model_check(!pi_idle_sleep_begin(&executor.idle, 1, false));
    workers[0].at_rest = 1;
    drivers[1].set = true;
}

static void one_rests_one_asleep(void)
{
    setup(0, 0);
    model_check(!pi_idle_sleep_begin(&executor.idle, 1, false));
    workers[0].at_rest = 1;
}

/* --- The end --------------------------------------------------------------------------------- */

static void looks_after_all(void)
{
    if (!waits || executor.monitor_pace == PI_PACE_TICKS)
        return;
    uint32_t resting = workers[0].at_rest + workers[1].at_rest;
    if (executor.monitor_pace == PI_PACE_SLEEPS)
        model_check(pi_idle_asleep(&executor.idle) + resting == WORKERS);
    else
        model_check(pi_idle_asleep(&executor.idle) == 0);
}

static void has_ended(void)
{
    model_check(finished && executor.monitor_pace == PI_PACE_STOPS);
}

const model_test model_tests[] = {
    {"one lies down", both_up, {lies_down, monitors}, looks_after_all, true, 0, 0},
    {"both lie down", both_up, {lies_down, lies_down, monitors}, looks_after_all, true, 3, 1},
    {"one gets up", both_asleep_one_called, {gets_up, monitors}, looks_after_all, true, 0, 0},
    {"both get up",
     both_asleep_and_called,
     {gets_up, gets_up, monitors},
     looks_after_all,
     true,
     3,
     1},
    {"up and down again",
     both_asleep_one_called,
     {gets_up_and_lies_down, monitors},
     looks_after_all,
     true,
     0,
     0},
    {"down and up again",
     both_up_one_called,
     {lies_down_and_gets_up, monitors},
     looks_after_all,
     true,
     0,
     0},
    {"turns in bed", both_up, {turns_in_bed, monitors}, looks_after_all, true, 0, 0},
    {"one goes to rest",
     both_asleep_one_called,
     {gets_up_to_rest, monitors},
     looks_after_all,
     true,
     0,
     0},
    {"one comes back",
     one_rests_one_asleep,
     {comes_from_rest, monitors},
     looks_after_all,
     true,
     0,
     0},
    {"back, and to bed",
     one_rests,
     {comes_from_rest_to_bed, monitors},
     looks_after_all,
     true,
     0,
     0},
    {"back, and to rest",
     one_rests_one_asleep,
     {rests_again, monitors},
     looks_after_all,
     true,
     0,
     0},
    {"one rests, one gets up",
     one_rests_one_called,
     {rests_again, gets_up, monitors},
     looks_after_all,
     true,
     3,
     1},
    {"to rest, and up",
     both_asleep_and_called,
     {gets_up_to_rest, gets_up, monitors},
     looks_after_all,
     true,
     3,
     1},
    {"stop, all up", both_up, {stops, monitors}, has_ended, false, 0, 0},
    {"stop, one asleep", one_asleep, {stops, monitors}, has_ended, false, 0, 0},
    {"stop, all asleep", both_asleep, {stops, monitors}, has_ended, false, 0, 0},
    {"stop, one lies down", both_up, {lies_down, stops, monitors}, has_ended, true, 3, 1},
    {"stop, one gets up",
     both_asleep_one_called,
     {gets_up, stops, monitors},
     has_ended,
     false,
     3,
     1},
    {0},
};

const model_reason model_reasons[] = {
    {"idle.c", NULL, "", 0, "idle_model.c"},
    {"pi_executor_seats", "acquire load -> relaxed", "ex->seats", 1,
     "it publishes a new worker's at_rest; without, it is taken for one that is up, for a tick"},
    {0},
};
