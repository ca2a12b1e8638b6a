/* SPDX-License-Identifier: MIT */
/* gather_test.c: each rule of pica/gather.h, in both modes of the call. */
#include "tests/executor/bodies.h"

#include <pica/gather.h>
#include <pica/scope.h>
#include <pica/sem.h>

#define UNTOUCHED 0x5151

static void fill(intptr_t *results, size_t n)
{
    for (size_t i = 0; i < n; i++)
        results[i] = UNTOUCHED;
}

static void unref_all(pica_task **tasks, size_t n)
{
    for (size_t i = 0; i < n; i++)
        pica_unref(tasks[i]);
}

/* --- Results ------------------------------------------------------------------------------ */

/* Ends in the reverse of the arguments' order, where that can be told. */
static intptr_t ends_late(void *arg)
{
    for (intptr_t i = 20 - (intptr_t)arg; i > 0; i--) {
        int rc = pica_yield();
        if (rc < 0)
            return rc;
    }
    return (intptr_t)arg;
}

static void order_of_arguments(void)
{
    for (unsigned flags = 0; flags <= PICA_GATHER_COLLECT; flags++) {
        for (size_t n = 1; n <= 20; n += 3) { /* on the stack and on the heap */
            pica_task *tasks[20];
            intptr_t results[20];
            fill(results, 20);
            for (size_t i = 0; i < n; i++)
                tasks[i] = body_spawn(i % 4 == 3 ? body_returns : ends_late, body_arg((intptr_t)i));
            CHECK_EQ(pica_gather(tasks, n, results, flags), 0);
            for (size_t i = 0; i < 20; i++)
                CHECK_EQ(results[i], i < n ? (intptr_t)i : UNTOUCHED);
            CHECK_EQ(pica_gather(tasks, n, NULL, flags), 0); /* all done; results not wanted */
            unref_all(tasks, n);
        }
    }
}

static void empty(void)
{
    CHECK_EQ(pica_gather(NULL, 0, NULL, 0), 0);
    CHECK_EQ(pica_gather(NULL, 0, NULL, PICA_GATHER_COLLECT), 0);
    CHECK_EQ(pica_cancel(pica_self()), 0);
    CHECK_EQ(pica_gather(NULL, 0, NULL, 0), 0);
    CHECK_EQ(pica_uncancel(), 0);
}

static intptr_t counts_runs(void *arg)
{
    check_hit(arg);
    int rc = pica_yield();
    return rc < 0 ? rc : 6;
}

static void the_same_task_twice(void)
{
    for (unsigned flags = 0; flags <= PICA_GATHER_COLLECT; flags++) {
        check_latch runs = {0};
        pica_task *task = body_spawn(counts_runs, &runs);
        pica_task *other = body_spawn(body_returns, body_arg(1));
        pica_task *tasks[4] = {task, other, task, task};
        intptr_t results[4];
        fill(results, 4);
        CHECK_EQ(pica_gather(tasks, 4, results, flags), 0);
        CHECK_EQ(check_hits(&runs), 1);
        CHECK_EQ(results[0], 6);
        CHECK_EQ(results[1], 1);
        CHECK_EQ(results[2], 6);
        CHECK_EQ(results[3], 6);
        pica_unref(task);
        pica_unref(other);
    }
}

/* --- Refusals: before any effect ---------------------------------------------------------- */

static void refusals(void)
{
    check_latch asleep = {0};
    pica_task *task = body_spawn(body_sleeps, &asleep);
    intptr_t results[3];
    fill(results, 3);
    pica_task *with_null[3] = {task, NULL, task};
    pica_task *with_self[2] = {task, pica_self()};
    CHECK_EQ(pica_cancel(pica_self()), 0); /* not even a cancel takes effect first */
    for (unsigned flags = 0; flags <= PICA_GATHER_COLLECT; flags++) {
        CHECK_EQ(pica_gather(with_null, 3, results, flags), -EINVAL);
        CHECK_EQ(pica_gather(NULL, 3, results, flags), -EINVAL);
        CHECK_EQ(pica_gather(with_self, 2, results, flags), -EDEADLK);
    }
    CHECK_EQ(pica_gather(with_null, 1, results, 1u << 7), -EINVAL);
    CHECK_EQ(pica_gather(NULL, 0, NULL, 1u << 7), -EINVAL);
    CHECK_EQ(pica_uncancel(), 0);
    for (unsigned i = 0; i < 3; i++)
        CHECK_EQ(results[i], UNTOUCHED);
    CHECK_HITS(&asleep, 1);
    BODY_WAITS(task); /* it was not cancelled */
    CHECK_EQ(pica_cancel(task), 0);
    CHECK_EQ(body_end(task), -ECANCELED);
}

/* --- Failures ----------------------------------------------------------------------------- */

static intptr_t fails_after(void *arg)
{
    for (intptr_t i = (intptr_t)arg; i > 0; i--)
        CHECK_OK(pica_yield());
    return -EIO;
}

static void first_failure_returns_at_once(void)
{
    for (size_t n = 3; n <= 12; n += 9) {
        check_latch asleep = {0};
        pica_task *tasks[12];
        intptr_t results[12];
        fill(results, n);
        for (size_t i = 0; i < n; i++)
            tasks[i] = body_spawn(body_swallows, &asleep);
        CHECK_HITS(&asleep, n);
        pica_task *sleeper = tasks[1];
        tasks[1] = body_spawn(fails_after, body_arg(3));
        CHECK_EQ(pica_gather(tasks, n, results, 0), -EIO);
        for (size_t i = 0; i < n; i++)
            CHECK_EQ(results[i], i == 1 ? -EIO : UNTOUCHED);
        pica_unref(tasks[1]);
        tasks[1] = sleeper;
        for (size_t i = 0; i < n; i++) { /* the others go on, uncancelled */
            BODY_WAITS(tasks[i]);
            CHECK_EQ(pica_cancel(tasks[i]), 0);
        }
        CHECK_EQ(pica_gather(tasks, n, results, 0), 0);
        for (size_t i = 0; i < n; i++)
            CHECK_EQ(results[i], 7);
        unref_all(tasks, n);
    }
}

struct failing {
    check_latch *go;
    intptr_t error;
};

static intptr_t fails_when_told(void *arg)
{
    const struct failing *failing = arg;
    CHECK_HITS(failing->go, 1);
    return failing->error;
}

/* The first one by completion, not by its place among the arguments. */
static void first_is_by_completion(void)
{
    for (unsigned round = 0; round < 20; round++) {
        check_latch late = {0}, soon = {0};
        struct failing first = {&soon, -EPIPE}, second = {&late, -EIO};
        pica_task *tasks[2];
        CHECK_FATAL_OK(pica_spawn_copy(&tasks[0], fails_when_told, &second));
        CHECK_FATAL_OK(pica_spawn_copy(&tasks[1], fails_when_told, &first));
        check_hit(&soon);
        CHECK_EQ(pica_gather(tasks, 2, NULL, 0), -EPIPE);
        CHECK_EQ(pica_task_status(tasks[1]), PICA_DONE);
        check_hit(&late);
        CHECK_EQ(body_end(tasks[0]), -EIO);
        pica_unref(tasks[1]);
    }
}

/* Both have failed before the gathering task runs again; it still knows which one was first. */
static intptr_t fails_late(void *arg)
{
    (void)arg;
    return pica_yield() < 0 ? -ECANCELED : -EIO;
}

static void first_of_two_that_failed(void)
{
    pica_task *tasks[2] = {body_spawn(fails_late, NULL),
                           body_spawn(body_returns, body_arg(-EPIPE))};
    intptr_t results[2];
    fill(results, 2);
    CHECK_EQ(pica_gather(tasks, 2, results, 0), -EPIPE);
    CHECK_EQ(results[0], -EIO);
    CHECK_EQ(results[1], -EPIPE);
    unref_all(tasks, 2);
}

static void all_failed_before(void)
{
    pica_task *tasks[3] = {body_spawn(body_returns, body_arg(1)),
                           body_spawn(body_returns, body_arg(-EIO)),
                           body_spawn(body_returns, body_arg(2))};
    for (unsigned i = 0; i < 3; i++)
        CHECK_SOON(pica_task_status(tasks[i]) == PICA_DONE);
    intptr_t results[3];
    fill(results, 3);
    CHECK_EQ(pica_gather(tasks, 3, results, 0), -EIO);
    CHECK_EQ(results[0], 1);
    CHECK_EQ(results[1], -EIO);
    CHECK_EQ(results[2], 2);
    CHECK_EQ(pica_gather(tasks, 3, results, PICA_GATHER_COLLECT), 0);
    unref_all(tasks, 3);
}

static void collect_waits_for_all(void)
{
    pica_task *tasks[4] = {body_spawn(fails_after, body_arg(0)), body_spawn(ends_late, body_arg(1)),
                           body_spawn(fails_after, body_arg(5)),
                           body_spawn(ends_late, body_arg(3))};
    intptr_t results[4];
    fill(results, 4);
    CHECK_EQ(pica_gather(tasks, 4, results, PICA_GATHER_COLLECT), 0);
    CHECK_EQ(results[0], -EIO);
    CHECK_EQ(results[1], 1);
    CHECK_EQ(results[2], -EIO);
    CHECK_EQ(results[3], 3);
    unref_all(tasks, 4);
}

/* A task that somebody else cancelled counts as failed; the gathering task goes on. */
static void a_child_is_cancelled_by_somebody(void)
{
    for (unsigned flags = 0; flags <= PICA_GATHER_COLLECT; flags++) {
        check_latch asleep = {0};
        pica_task *tasks[2] = {body_spawn(body_returns, body_arg(1)),
                               body_spawn(body_sleeps, &asleep)};
        CHECK_HITS(&asleep, 1);
        CHECK_SOON(pica_task_status(tasks[0]) == PICA_DONE);
        CHECK_EQ(pica_cancel(tasks[1]), 0);
        intptr_t results[2];
        fill(results, 2);
        CHECK_EQ(pica_gather(tasks, 2, results, flags), flags ? 0 : -ECANCELED);
        CHECK_EQ(results[0], 1);
        CHECK_EQ(results[1], -ECANCELED);
        CHECK_EQ(pica_cancelling(), 0);
        CHECK_OK(pica_yield());
        unref_all(tasks, 2);
    }
}

/* --- The caller is cancelled -------------------------------------------------------------- */

struct gathering {
    pica_task *tasks[10];
    size_t n;
    unsigned flags;
    intptr_t expected;
    check_latch ready;
};

static intptr_t gathers(void *arg)
{
    struct gathering *g = arg;
    intptr_t results[10];
    fill(results, 10);
    check_hit(&g->ready);
    CHECK_EQ(pica_gather(g->tasks, g->n, results, g->flags), -ECANCELED);
    for (size_t i = 0; i < g->n; i++) {
        CHECK_EQ(pica_task_status(g->tasks[i]), PICA_DONE);
        CHECK_EQ(results[i], g->expected);
    }
    CHECK_EQ(pica_yield(), -ECANCELED);
    return pica_cancelling();
}

static void cancel_reaches_all(void)
{
    for (unsigned flags = 0; flags <= PICA_GATHER_COLLECT; flags++) {
        for (size_t n = 1; n <= 10; n += 3) {
            check_latch asleep = {0};
            struct gathering g = {.n = n, .flags = flags, .expected = 7};
            for (size_t i = 0; i < n; i++)
                g.tasks[i] = body_spawn(body_swallows, &asleep);
            pica_task *gatherer = body_spawn(gathers, &g);
            CHECK_HITS(&asleep, n);
            CHECK_HITS(&g.ready, 1);
            BODY_WAITS(gatherer);
            CHECK_EQ(pica_cancel(gatherer), 0);
            CHECK_EQ(body_end(gatherer), 1);
            unref_all(g.tasks, n);
        }
    }
}

/* On entry, with children that nobody has started: they start, cancelled. */
static void cancelled_on_entry(void)
{
    for (unsigned flags = 0; flags <= PICA_GATHER_COLLECT; flags++) {
        struct gathering g = {.n = 5, .flags = flags, .expected = -ECANCELED};
        for (size_t i = 0; i < g.n; i++)
            g.tasks[i] = body_spawn(body_sleeps, NULL);
        CHECK_EQ(pica_cancel(pica_self()), 0);
        CHECK_EQ(gathers(&g), 1);
        CHECK_EQ(pica_uncancel(), 0);
        unref_all(g.tasks, g.n);
    }
}

/* Also with those that never wait: the cancel came before their ends, and their values stay. */
static void cancelled_before_they_run(void)
{
    for (unsigned flags = 0; flags <= PICA_GATHER_COLLECT; flags++) {
        struct gathering g = {.n = 3, .flags = flags, .expected = 8};
        for (size_t i = 0; i < g.n; i++)
            g.tasks[i] = body_spawn(body_returns, body_arg(8));
        CHECK_EQ(pica_cancel(pica_self()), 0);
        CHECK_EQ(gathers(&g), 1);
        CHECK_EQ(pica_uncancel(), 0);
        unref_all(g.tasks, g.n);
    }
}

static void done_before_the_cancel(void)
{
    for (unsigned flags = 0; flags <= PICA_GATHER_COLLECT; flags++) {
        pica_task *tasks[2] = {body_spawn(body_returns, body_arg(1)),
                               body_spawn(body_yields, body_arg(2))};
        for (unsigned i = 0; i < 2; i++)
            CHECK_SOON(pica_task_status(tasks[i]) == PICA_DONE);
        CHECK_EQ(pica_cancel(pica_self()), 0);
        intptr_t results[2];
        fill(results, 2);
        CHECK_EQ(pica_gather(tasks, 2, results, flags), 0);
        CHECK_EQ(results[0], 1);
        CHECK_EQ(results[1], 2);
        CHECK_EQ(pica_yield(), -ECANCELED); /* pending */
        CHECK_EQ(pica_uncancel(), 0);
        unref_all(tasks, 2);
    }
}

/* The cancel ends the wait, and the task ends before the gathering one runs again: whoever came
 * first counts. (One worker: the task that was woken first runs first.) */
static intptr_t acquires(void *sem)
{
    return pica_sem_acquire(sem) == 0 ? 8 : -EIO;
}

static void done_after_the_cancel(void)
{
    for (unsigned flags = 0; flags <= PICA_GATHER_COLLECT; flags++) {
        pica_sem sem = PICA_SEM_INIT(0);
        struct gathering g = {.n = 1, .flags = flags, .expected = 8};
        g.tasks[0] = body_spawn(acquires, &sem);
        BODY_WAITS(g.tasks[0]);
        pica_task *gatherer = body_spawn(gathers, &g);
        CHECK_HITS(&g.ready, 1);
        BODY_WAITS(gatherer);
        CHECK_OK(pica_sem_release(&sem));
        CHECK_EQ(pica_cancel(gatherer), 0);
        CHECK_EQ(body_end(gatherer), 1);
        unref_all(g.tasks, 1);
    }
}

/* Cleans up only once another one, whom the same cancel has to reach, has ended. */
static intptr_t ends_after(void *arg)
{
    pica_task *other = arg;
    CHECK_EQ(pica_sleep(PICA_NEVER), -ECANCELED);
    CHECK_EQ(pica_cancelling(), 1); /* once, however it comes */
    pica_scope shield;
    intptr_t result = 0;
    pica_shield_begin(&shield, pica_after(PICA_SEC(12)));
    int rc = pica_join(other, &result);
    rc = (int)pica_scope_end(&shield, rc);
    pica_unref(other);
    CHECK_EQ(rc, 0);
    CHECK_EQ(result, 7);
    return 7;
}

/* All are cancelled before any of them is awaited. */
static void all_are_cancelled_first(void)
{
    for (unsigned flags = 0; flags <= PICA_GATHER_COLLECT; flags++) {
        struct gathering g = {.n = 2, .flags = flags, .expected = 7};
        g.tasks[1] = body_spawn(body_swallows, NULL);
        g.tasks[0] = body_spawn(ends_after, pica_ref(g.tasks[1]));
        pica_task *gatherer = body_spawn(gathers, &g);
        for (unsigned i = 0; i < 2; i++)
            BODY_WAITS(g.tasks[i]);
        BODY_WAITS(gatherer);
        CHECK_EQ(pica_cancel(gatherer), 0);
        CHECK_EQ(body_end(gatherer), 1);
        unref_all(g.tasks, 2);
    }
}

/* The same with children that the gathering task may run on its own stack. */
static intptr_t spawns_and_gathers(void *arg)
{
    struct gathering *g = arg;
    g->tasks[1] = body_spawn(body_swallows, NULL);
    g->tasks[0] = body_spawn(ends_after, pica_ref(g->tasks[1]));
    intptr_t rc = gathers(g);
    unref_all(g->tasks, 2);
    return rc;
}

static void all_are_cancelled_first_inline(void)
{
    for (unsigned flags = 0; flags <= PICA_GATHER_COLLECT; flags++) {
        struct gathering g = {.n = 2, .flags = flags, .expected = 7};
        pica_task *gatherer = body_spawn(spawns_and_gathers, &g);
        CHECK_HITS(&g.ready, 1);
        for (unsigned i = 0; i < 2; i++)
            BODY_WAITS(g.tasks[i]);
        BODY_WAITS(gatherer);
        CHECK_EQ(pica_cancel(gatherer), 0);
        CHECK_EQ(body_end(gatherer), 1);
    }
}

static intptr_t gathers_in_a_scope(void *arg)
{
    struct gathering *g = arg;
    pica_scope scope;
    pica_scope_begin(&scope, pica_after(PICA_MS(5)));
    intptr_t rc = pica_gather(g->tasks, g->n, NULL, g->flags);
    CHECK_EQ(rc, -ECANCELED);
    rc = pica_scope_end(&scope, rc);
    for (size_t i = 0; i < g->n; i++)
        CHECK_EQ(pica_task_status(g->tasks[i]), PICA_DONE);
    return rc;
}

static void a_scope_expires(void)
{
    for (unsigned flags = 0; flags <= PICA_GATHER_COLLECT; flags++) {
        struct gathering g = {.n = 4, .flags = flags};
        for (size_t i = 0; i < g.n; i++)
            g.tasks[i] = body_spawn(body_sleeps, NULL);
        CHECK_EQ(body_end(body_spawn(gathers_in_a_scope, &g)), -ETIMEDOUT);
        CHECK_OK(pica_yield());
        unref_all(g.tasks, g.n);
    }
}

/* --- Many, and from a plain thread -------------------------------------------------------- */

static void many(void)
{
    enum { MANY = 2000 };
    static pica_task *tasks[MANY];
    static intptr_t results[MANY];
    for (unsigned flags = 0; flags <= PICA_GATHER_COLLECT; flags++) {
        for (intptr_t i = 0; i < MANY; i++)
            tasks[i] = body_spawn(i % 2 ? body_yields : body_returns, body_arg(i));
        CHECK_EQ(pica_gather(tasks, MANY, results, flags), 0);
        unsigned wrong = 0;
        for (intptr_t i = 0; i < MANY; i++)
            wrong += results[i] != i;
        CHECK_EQ(wrong, 0);
        unref_all(tasks, MANY);
    }
}

static void from_a_thread(void)
{
    pica_options options = check_options();
    pica_executor *ex = check_executor_open(&options);
    for (unsigned flags = 0; flags <= PICA_GATHER_COLLECT; flags++) {
        pica_task *tasks[12];
        intptr_t results[12];
        fill(results, 12);
        for (intptr_t i = 0; i < 12; i++)
            CHECK_FATAL_OK(pica_executor_spawn(ex, &tasks[i], ends_late, body_arg(i)));
        CHECK_EQ(pica_gather(tasks, 12, results, flags), 0);
        for (intptr_t i = 0; i < 12; i++)
            CHECK_EQ(results[i], i);
        unref_all(tasks, 12);
        CHECK_FATAL_OK(pica_executor_spawn(ex, &tasks[0], body_sleeps, NULL));
        CHECK_FATAL_OK(pica_executor_spawn(ex, &tasks[1], fails_after, body_arg(2)));
        if (flags)
            CHECK_EQ(pica_cancel(tasks[0]), 0);
        CHECK_EQ(pica_gather(tasks, 2, results, flags), flags ? 0 : -EIO);
        CHECK_EQ(results[1], -EIO);
        if (!flags)
            CHECK_EQ(pica_cancel(tasks[0]), 0);
        CHECK_EQ(body_end(tasks[0]), -ECANCELED);
        pica_unref(tasks[1]);
    }
    check_executor_close(ex);
}

CHECK_MAIN
{
    check_run("order of the arguments", order_of_arguments);
    check_run("empty", empty);
    check_run("the same task twice", the_same_task_twice);
    check_run("refusals", refusals);
    check_run("the first failure returns at once", first_failure_returns_at_once);
    check_run("first is by completion", first_is_by_completion);
    check_run_in(CHECK_ONE, "the first of two that failed", first_of_two_that_failed);
    check_run("all failed before", all_failed_before);
    check_run("collect waits for all", collect_waits_for_all);
    check_run("a child is cancelled by somebody", a_child_is_cancelled_by_somebody);
    check_run("a cancel reaches all", cancel_reaches_all);
    check_run("cancelled on entry", cancelled_on_entry);
    check_run_in(CHECK_ONE, "cancelled before they run", cancelled_before_they_run);
    check_run("done before the cancel", done_before_the_cancel);
    check_run_in(CHECK_ONE, "done after the cancel", done_after_the_cancel);
    check_run("all are cancelled first", all_are_cancelled_first);
    check_run("all are cancelled first, also inline", all_are_cancelled_first_inline);
    check_run("a scope expires", a_scope_expires);
    check_run("many", many);
    check_plain_in(CHECK_ALL, "from a thread", from_a_thread);
}
