/* SPDX-License-Identifier: MIT */
/* stats_test.c: the counters of an executor say what is there, and fall back to nothing. The
 * harness relies on them for its leak check, so each of them is seen to rise here. */
#include "tests/executor/bodies.h"

#include <pica/net.h>
#include <pica/sem.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

static pica_stats stats(void)
{
    pica_stats s = {.size = sizeof(s)};
    CHECK_FATAL_OK(pica_executor_stats(check_executor(), &s));
    return s;
}

static void sizes(void)
{
    pica_stats s;
    memset(&s, 0xab, sizeof(s));
    s.size = 0;
    CHECK_EQ(pica_executor_stats(check_executor(), &s), -EINVAL);
    CHECK_EQ(pica_executor_stats(check_executor(), NULL), -EINVAL);
    s.size = sizeof(s);
    CHECK_EQ(pica_executor_stats(NULL, &s), -EINVAL);
    s.size = offsetof(pica_stats, tasks_held); /* a caller that knows the first one only */
    CHECK_EQ(pica_executor_stats(check_executor(), &s), 0);
    CHECK_EQ(s.tasks_live, 1);
    CHECK_EQ(s.tasks_held, UINT64_C(0xabababababababab));
    struct {
        pica_stats known;
        uint64_t unknown;
    } newer; /* a caller that knows more than this library */
    memset(&newer, 0xab, sizeof(newer));
    newer.known.size = sizeof(newer);
    CHECK_EQ(pica_executor_stats(check_executor(), &newer.known), 0);
    CHECK_EQ(newer.known.size, sizeof(newer));
    CHECK_EQ(newer.known.tasks_live, 1);
    CHECK_EQ(newer.unknown, 0);
    s.size = SIZE_MAX; /* what was never set is no size */
    CHECK_EQ(pica_executor_stats(check_executor(), &s), -EINVAL);
}

static void tasks_and_stacks(void)
{
    enum { N = 300 };
    static pica_task *tasks[N];
    check_latch asleep = {0};
    pica_stats before = stats();
    CHECK_EQ(before.tasks_live, 1);
    CHECK_LE(1, before.tasks_held);
    CHECK_EQ(before.stacks_live, 1);
    for (unsigned i = 0; i < N; i++)
        tasks[i] = body_spawn(body_swallows, &asleep);
    CHECK_EQ(stats().tasks_live, N + 1);
    CHECK_EQ(stats().tasks_held, before.tasks_held + N);
    CHECK_HITS(&asleep, N);
    CHECK_EQ(stats().stacks_live, N + 1);
    for (unsigned i = 0; i < N; i++) {
        CHECK_OK(pica_cancel(tasks[i]));
        CHECK_EQ(pica_await(tasks[i], NULL), 0);
    }
    CHECK_SOON(stats().tasks_live == 1);
    CHECK_SOON(stats().stacks_live == 1);
    CHECK_EQ(stats().tasks_held, before.tasks_held + N); /* the handles */
    for (unsigned i = 0; i < N; i++)
        pica_unref(tasks[i]);
    CHECK_SOON(stats().tasks_held == before.tasks_held);
}

static intptr_t sleeps_long(void *arg)
{
    (void)arg;
    return pica_sleep(PICA_SEC(1000));
}

static void timers(void)
{
    pica_task *tasks[20];
    for (unsigned i = 0; i < 20; i++)
        tasks[i] = body_spawn(i % 2 ? sleeps_long : body_sleeps, NULL);
    for (unsigned i = 0; i < 20; i++)
        BODY_WAITS(tasks[i]);
    CHECK_EQ(stats().timers_armed, 10); /* a sleep without end needs none */
    for (unsigned i = 0; i < 20; i++) {
        CHECK_OK(pica_cancel(tasks[i]));
        CHECK_EQ(body_end(tasks[i]), -ECANCELED);
    }
    CHECK_EQ(stats().timers_armed, 0);
}

static intptr_t polls(void *arg)
{
    return pica_poll_fd(*(const int *)arg, POLLIN, PICA_NEVER);
}

static void descriptors(void)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    CHECK_FATAL(fd >= 0);
    CHECK_EQ(stats().descriptors_open, 0);
    pica_task *task = body_spawn(polls, &fd);
    BODY_WAITS(task);
    CHECK_EQ(write(fd, &(uint64_t){1}, 8), 8);
    CHECK_EQ(body_end(task), POLLIN);
    CHECK_EQ(stats().descriptors_open, 0);
    pica_addr any;
    pica_listener *listener = NULL;
    CHECK_FATAL_OK(pica_addr_parse(&any, "127.0.0.1", 0));
    CHECK_FATAL_OK(pica_tcp_listen(&listener, &any, NULL));
    CHECK_LE(1, stats().descriptors_open);
    pica_listener_close(listener);
    CHECK_SOON(stats().descriptors_open == 0);
    close(fd);
}

/* --- What only grows ---------------------------------------------------------------------- */

/* Two that run at the same time, although one task spawned both: one was taken by a thief. */
static void steals(void)
{
    pica_stats before = stats();
    for (unsigned i = 0; i < 20; i++) {
        check_latch latches[2] = {{0}, {0}};
        pica_task *task = body_spawn(body_spins, latches);
        patience p = patience_of(PICA_SEC(10));
        while (check_hits(&latches[0]) == 0 && patience_lasts(&p)) {
        } /* this task does not suspend: somebody else has to come for the other */
        CHECK_EQ(check_hits(&latches[0]), 1);
        check_hit(&latches[1]);
        CHECK_EQ(body_end(task), 1);
    }
    CHECK_LE(before.steals + 20, stats().steals);
}

static void sleeps_and_wakes(void)
{
    pica_options options = check_options();
    pica_executor *ex = check_executor_open(&options);
    pica_stats s = {.size = sizeof(s)};
    uint64_t wakes = 0;
    for (unsigned i = 0; i < 100; i++) {
        pica_task *task = NULL;
        CHECK_SOON(pica_executor_stats(ex, &s) == 0 && s.sleeps >= pica_executor_workers(ex));
        CHECK_FATAL_OK(pica_executor_spawn(ex, &task, body_returns, NULL));
        CHECK_EQ(body_end(task), 0);
    }
    CHECK_FATAL_OK(pica_executor_stats(ex, &s));
    wakes = s.wakes;
    CHECK_LT(0, wakes);
    CHECK_LT(0, s.sleeps);
    check_executor_close(ex);
}

static void unguarded_stacks(void)
{
    CHECK_EQ(stats().stacks_unguarded, 0);
}

CHECK_MAIN
{
    check_run("sizes", sizes);
    check_run("tasks and stacks", tasks_and_stacks);
    check_run("timers", timers);
    check_run("descriptors", descriptors);
    check_run_in(CHECK_MANY & ~CHECK_MIGRATE, "steals", steals);
    check_plain_in(CHECK_ALL, "sleeps and wakes", sleeps_and_wakes);
    check_run("unguarded stacks", unguarded_stacks);
}
