/* SPDX-License-Identifier: MIT */
/* sleep_test.c: giving way and sleeping: the order, and the limits of time. */
#include "tests/executor/bodies.h"

#include <pica/scope.h>

struct trace {
    char text[128]; /* one worker writes */
    unsigned n;
};

struct part {
    struct trace *trace;
    unsigned kind;
    char name;
};

static void note(struct trace *trace, char c)
{
    if (trace->n < sizeof(trace->text) - 1)
        trace->text[trace->n++] = c;
}

/* A yield, and every sleep that lasts no time, are the same. */
static intptr_t gives_way(void *arg)
{
    const struct part *part = arg;
    for (unsigned i = 0; i < 3; i++) {
        note(part->trace, part->name);
        int rc = part->kind == 0   ? pica_yield()
                 : part->kind == 1 ? pica_sleep(0)
                 : part->kind == 2 ? pica_sleep(-5)
                 : part->kind == 3 ? pica_sleep_until(0)
                 : part->kind == 4 ? pica_sleep_until(pica_now())
                                   : pica_sleep(INT64_MIN);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static void others_run_first_in_their_order(void)
{
    struct trace trace = {"", 0};
    pica_task *tasks[6];
    for (unsigned i = 0; i < 6; i++) {
        struct part part = {&trace, i, (char)('A' + i)};
        CHECK_FATAL_OK(pica_spawn_copy(&tasks[i], gives_way, &part));
    }
    for (unsigned i = 0; i < 6; i++)
        CHECK_EQ(body_end(tasks[i]), 0);
    CHECK_STR(trace.text, "ABCDEFABCDEFABCDEF");
}

struct sleeping {
    struct trace *trace;
    int64_t until;
    char name;
};

static intptr_t sleeps_until(void *arg)
{
    const struct sleeping *s = arg;
    int rc = pica_sleep_until(s->until);
    CHECK_LE(s->until, pica_now());
    note(s->trace, s->name);
    return rc;
}

/* @return did all of them sleep before the first was due? Who is late does not sleep. */
static bool sleepers_wake_in_order(unsigned pace, void *unused)
{
    (void)unused;
    struct trace trace = {"", 0};
    static const unsigned order[] = {7, 2, 9, 0, 4, 1, 8, 3, 6, 5};
    pica_task *tasks[10];
    int64_t base = pica_after(PICA_MS(2) * pace);
    for (unsigned i = 0; i < 10; i++) {
        struct sleeping s = {&trace, base + PICA_US(50) * order[i], (char)('0' + order[i])};
        CHECK_FATAL_OK(pica_spawn_copy(&tasks[i], sleeps_until, &s));
    }
    for (unsigned i = 0; i < 10; i++)
        CHECK_SOON(pica_task_status(tasks[i]) >= PICA_WAITING);
    bool in_time = pica_now() < base;
    for (unsigned i = 0; i < 10; i++)
        CHECK_EQ(body_end(tasks[i]), 0);
    if (in_time)
        CHECK_STR(trace.text, "0123456789");
    return in_time;
}

static void the_earliest_wakes_first(void)
{
    CHECK_PACED(sleepers_wake_in_order, NULL);
}

static void never_too_early(void)
{
    static const int64_t durations[] = {1, 1000, 50000, 1000000, 3000000};
    for (unsigned i = 0; i < sizeof(durations) / sizeof(durations[0]); i++) {
        int64_t until = pica_after(durations[i]);
        CHECK_OK(pica_sleep(durations[i]));
        CHECK_LE(until, pica_now());
        until = pica_after(durations[i]);
        CHECK_OK(pica_sleep_until(until));
        CHECK_LE(until, pica_now());
    }
}

static intptr_t sleeps_for(void *arg)
{
    return pica_sleep(*(const int64_t *)arg);
}

/* Far, farther than the clock can count, and for ever: until cancelled, not into the past. */
static void far_away(void)
{
    const int64_t durations[] = {PICA_SEC(86400), PICA_NEVER - 1, PICA_NEVER};
    for (unsigned i = 0; i < sizeof(durations) / sizeof(durations[0]); i++) {
        int64_t duration = durations[i];
        pica_task *task;
        CHECK_FATAL_OK(pica_spawn_copy(&task, sleeps_for, &duration));
        BODY_WAITS(task);
        CHECK_OK(pica_sleep(PICA_US(300)));
        CHECK_EQ(pica_task_status(task), PICA_WAITING);
        CHECK_EQ(pica_cancel(task), 0);
        CHECK_EQ(body_end(task), -ECANCELED);
    }
}

static void many_sleep(void)
{
    enum { MANY = 3000 };
    static pica_task *tasks[MANY];
    check_rng rng = check_rng_make(4);
    for (unsigned i = 0; i < MANY; i++) {
        int64_t duration = (int64_t)check_rng_below(&rng, 5000000);
        CHECK_FATAL_OK(pica_spawn_copy(&tasks[i], sleeps_for, &duration));
    }
    for (unsigned i = 0; i < MANY; i++)
        CHECK_EQ(body_end(tasks[i]), 0);
}

/* One worker is enough to sleep and to compute: timers fire between yields. */
static void busy_tasks_let_timers_fire(void)
{
    int64_t duration = PICA_MS(2);
    pica_task *sleeper;
    CHECK_FATAL_OK(pica_spawn_copy(&sleeper, sleeps_for, &duration));
    patience p = patience_of(PICA_SEC(10));
    while (pica_task_status(sleeper) != PICA_DONE && patience_lasts(&p))
        CHECK_FATAL_OK(pica_yield());
    CHECK_EQ(pica_task_status(sleeper), PICA_DONE);
    CHECK_EQ(body_end(sleeper), 0);
}

CHECK_MAIN
{
    check_run_in(CHECK_ONE, "others run first, in their order", others_run_first_in_their_order);
    check_run_in(CHECK_ONE, "the earliest wakes first", the_earliest_wakes_first);
    check_run("never too early", never_too_early);
    check_run("far away", far_away);
    check_run("many sleep", many_sleep);
    check_run("busy tasks let timers fire", busy_tasks_let_timers_fire);
}
