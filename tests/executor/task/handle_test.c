/* SPDX-License-Identifier: MIT */
/* handle_test.c: what a handle tells, how long it lives, and errors that nobody looks at. */
#include "tests/executor/bodies.h"
#include "tests/executor/death.h"

#include <pica/gather.h>
#include <pica/group.h>
#include <stdio.h>

/* --- Status and result -------------------------------------------------------------------- */

static void status(void)
{
    check_latch latches[2] = {{0}, {0}};
    pica_task *task = body_spawn_on(body_pin_here() - 1, body_sleeps, NULL);
    intptr_t result = 66;
    CHECK_EQ(pica_task_status(task), PICA_READY); /* this task has the worker */
    CHECK_EQ(pica_task_result(task, &result), -EINPROGRESS);
    CHECK_SOON(pica_task_status(task) == PICA_WAITING);
    CHECK_EQ(pica_task_result(task, &result), -EINPROGRESS);
    CHECK_EQ(result, 66);
    CHECK_EQ(pica_cancel(task), 0);
    CHECK_SOON(pica_task_status(task) == PICA_DONE);
    CHECK_EQ(pica_task_result(task, &result), 0);
    CHECK_EQ(result, -ECANCELED);
    CHECK_EQ(pica_task_result(task, NULL), 0);
    CHECK_EQ(pica_task_result(NULL, &result), -EINVAL);
    pica_unref(task);
    CHECK_EQ(pica_task_status(pica_self()), PICA_RUNNING);
    /* Not where this task might be moved to the very worker that is busy. */
    if (pica_executor_workers(check_executor()) > 1 && check_mode() != CHECK_MIGRATE) {
        task = body_spawn(body_spins, latches);
        CHECK_HITS(&latches[0], 1);
        CHECK_EQ(pica_task_status(task), PICA_RUNNING);
        check_hit(&latches[1]);
        CHECK_EQ(body_end(task), 1);
    }
}

/* Both are pinned to the same worker: the other one can't run before this one suspends. */
static intptr_t wakes_one(void *arg)
{
    pica_task *other = arg;
    BODY_WAITS(other);
    CHECK_EQ(pica_cancel(other), 0);
    CHECK_EQ(pica_task_status(other), PICA_READY);
    return body_end(other);
}

static void woken_but_not_running(void)
{
    pica_task *sleeper = body_spawn_on(0, body_sleeps, NULL);
    CHECK_EQ(body_end(body_spawn_on(0, wakes_one, sleeper)), -ECANCELED);
}

static void references(void)
{
    pica_task *task = body_spawn(body_yields, body_arg(4));
    for (unsigned i = 0; i < 1000; i++)
        CHECK_EQ(pica_ref(task), task);
    for (unsigned i = 0; i < 500; i++)
        CHECK_EQ(pica_unref(task), NULL);
    CHECK_EQ(pica_await(task, NULL), 0);
    for (unsigned i = 0; i < 500; i++)
        CHECK_EQ(pica_unref(task), NULL);
    intptr_t result = 0;
    CHECK_EQ(pica_task_result(task, &result), 0); /* the last one still holds */
    CHECK_EQ(result, 4);
    pica_unref(task);
    CHECK_EQ(pica_unref(NULL), NULL);
    CHECK_EQ(pica_detach(NULL), NULL);
    CHECK_EQ(pica_ref(NULL), NULL);
}

static intptr_t keeps_itself(void *arg)
{
    pi_store_release((pica_task **)arg, pica_ref(pica_self()));
    return 21;
}

static void a_task_may_hold_itself(void)
{
    pica_task *task = NULL;
    CHECK_OK(pica_spawn(NULL, keeps_itself, &task));
    CHECK_SOON(pi_load_acquire(&task) != NULL);
    CHECK_EQ(body_end(task), 21);
}

/* --- Misuse is said ----------------------------------------------------------------------- */

static intptr_t unrefs_too_often(void *arg)
{
    pica_task *task = body_spawn(body_sleeps, NULL);
    (void)arg;
    pica_unref(task);
    pica_unref(task); /* the run's reference is not the caller's */
    return 0;
}

static intptr_t unrefs_what_is_gone(void *arg)
{
    pica_task *task = body_spawn(body_returns, NULL);
    (void)arg;
    CHECK_EQ(pica_await(task, NULL), 0);
    pica_unref(task);
    pica_unref(task);
    return 0;
}

/* Whatever is done with a handle that nobody holds any more. */
static pica_task *gone(void)
{
    pica_task *task = body_spawn(body_returns, NULL);
    CHECK_EQ(pica_await(task, NULL), 0);
    pica_unref(task);
    return task;
}

static intptr_t awaits_what_is_gone(void *arg)
{
    (void)arg;
    return pica_await(gone(), NULL);
}

static intptr_t joins_what_is_gone(void *arg)
{
    (void)arg;
    return pica_join_until(gone(), NULL, pica_after(PICA_SEC(1)));
}

static intptr_t gathers_what_is_gone(void *arg)
{
    pica_task *task = gone();
    (void)arg;
    return pica_gather(&task, 1, NULL, 0);
}

static intptr_t cancels_what_is_gone(void *arg)
{
    (void)arg;
    return pica_cancel(gone());
}

static intptr_t asks_what_is_gone(void *arg)
{
    (void)arg;
    return pica_task_result(gone(), NULL);
}

static intptr_t refs_what_is_gone(void *arg)
{
    (void)arg;
    pica_ref(gone());
    return 0;
}

static void misuse(void)
{
    death_says_in_task(awaits_what_is_gone, "a wait for a task that nobody holds");
    death_says_in_task(joins_what_is_gone, "a wait for a task that nobody holds");
    death_says_in_task(gathers_what_is_gone, "a wait for a task that nobody holds");
    death_says_in_task(cancels_what_is_gone, "pica_cancel() of a task that nobody holds");
    death_says_in_task(asks_what_is_gone, "pica_task_result() of a task that nobody holds");
    death_says_in_task(refs_what_is_gone, "pica_ref() of a task that nobody holds");
    death_says_in_task(unrefs_too_often, "pica_unref()");
    death_says_in_task(unrefs_what_is_gone, "pica_unref()");
}

/* --- Errors that nobody looked at --------------------------------------------------------- */

static struct {
    check_latch calls;
    uint64_t id;
    intptr_t error;
    char name[32], site[64];
} lost;

static void on_lost(void *arg, const pica_lost_error *error)
{
    CHECK_EQ(arg, &lost);
    CHECK_EQ(error->size, sizeof(*error));
    lost.id = error->id;
    lost.error = error->error;
    snprintf(lost.name, sizeof(lost.name), "%s", error->name);
    snprintf(lost.site, sizeof(lost.site), "%s", error->site);
    check_hit(&lost.calls);
}

static intptr_t loses_some(void *arg)
{
    (void)arg;
    check_latch go = {0};
    pica_attr attr = PICA_ATTR_INIT;
    attr.name = "loser";
    CHECK_OK(pica_spawn_at(NULL, body_returns, body_arg(-EDOM), &attr, "here:1"));
    CHECK_HITS(&lost.calls, 1);
    CHECK_EQ(lost.error, -EDOM);
    CHECK_NE(lost.id, 0);
    CHECK_STR(lost.name, "loser");
    CHECK_STR(lost.site, "here:1");

    pica_task *task = body_spawn(body_yields, body_arg(-EIO)); /* released after its end */
    uint64_t id = pica_task_id(task);
    CHECK_SOON(pica_task_status(task) == PICA_DONE);
    CHECK_EQ(check_hits(&lost.calls), 1); /* somebody may still look */
    pica_unref(pica_ref(task));
    CHECK_EQ(check_hits(&lost.calls), 1);
    pica_unref(task);
    CHECK_HITS(&lost.calls, 2);
    CHECK_EQ(lost.id, id);
    CHECK_STR(lost.name, "task");
    CHECK(strstr(lost.site, "handle_test.c:") || strstr(lost.site, "bodies.h:"));

    task = body_spawn(body_fails_when_hit, &go); /* released before its end */
    pica_unref(task);
    CHECK_EQ(check_hits(&lost.calls), 2);
    check_hit(&go);
    CHECK_HITS(&lost.calls, 3);

    intptr_t result = 0;
    check_latch wait = {0};
    task = body_spawn(body_fails_when_hit, &wait);
    CHECK_EQ(pica_join_until(task, &result, 0), -ETIMEDOUT); /* waited, but saw nothing */
    check_hit(&wait);
    CHECK_SOON(pica_task_status(task) == PICA_DONE);
    pica_unref(task);
    CHECK_HITS(&lost.calls, 4);
    return 0;
}

static intptr_t loses_none(void *arg)
{
    check_latch go = {1};
    (void)arg;
    intptr_t result;
    CHECK_EQ(body_end(body_spawn(body_returns, body_arg(-EIO))), -EIO);
    pica_task *task = body_spawn(body_returns, body_arg(-EIO)); /* awaited, result not wanted */
    CHECK_EQ(pica_await(task, NULL), 0);
    pica_unref(task);
    task = body_spawn(body_returns, body_arg(-EIO));
    CHECK_EQ(pica_join(task, NULL), 0);
    pica_unref(task);
    task = body_spawn(body_returns, body_arg(-EIO));
    CHECK_SOON(pica_task_result(task, &result) == 0);
    pica_unref(task);
    pica_detach(body_spawn(body_fails_when_hit, &go));
    task = body_spawn(body_yields, body_arg(-EIO));
    CHECK_SOON(pica_task_status(task) == PICA_DONE);
    pica_detach(task);
    task = body_spawn(body_sleeps, NULL); /* a cancel is no error */
    CHECK_EQ(pica_cancel(task), 0);
    pica_unref(task);
    CHECK_OK(pica_spawn(NULL, body_returns, body_arg(-ECANCELED)));
    CHECK_OK(pica_spawn(NULL, body_returns, &go)); /* a pointer is no error */
    pica_task *tasks[2] = {body_spawn(body_returns, body_arg(-EIO)),
                           body_spawn(body_yields, body_arg(-EIO))};
    CHECK_EQ(pica_gather(tasks, 2, NULL, PICA_GATHER_COLLECT), 0);
    pica_unref(tasks[0]);
    pica_unref(tasks[1]);
    pica_group group;
    pica_group_begin(&group);
    CHECK_OK(pica_group_spawn_at(&group, &task, body_returns, body_arg(-EIO), NULL, "there:2"));
    (void)!pica_group_spawn(&group, body_yields, body_arg(-EIO));
    CHECK_EQ(pica_group_end(&group, 0), -EIO);
    pica_group_deinit(&group);
    pica_unref(task);
    return 0;
}

static void lost_errors(void)
{
    memset(&lost, 0, sizeof(lost));
    pica_options options = check_options();
    options.on_lost_error = on_lost;
    options.hook_arg = &lost;
    pica_executor *ex = check_executor_open(&options);
    pica_task *task;
    CHECK_FATAL_OK(pica_executor_spawn(ex, &task, loses_some, NULL));
    CHECK_EQ(body_end(task), 0);
    CHECK_EQ(check_hits(&lost.calls), 4);
    CHECK_FATAL_OK(pica_executor_spawn(ex, &task, loses_none, NULL));
    CHECK_EQ(body_end(task), 0);
    check_executor_close(ex); /* nothing lives any more that could lose one */
    CHECK_EQ(check_hits(&lost.calls), 4);
}

static void counts_lost(void *arg, const pica_lost_error *error)
{
    CHECK_EQ(error->error, -EIO);
    check_hit(arg);
}

/* Exactly once each, however many there are and whoever drops them. */
static void each_lost_error_once(void)
{
    check_latch calls = {0};
    pica_options options = check_options();
    options.on_lost_error = counts_lost;
    options.hook_arg = &calls;
    pica_executor *ex = check_executor_open(&options);
    uint64_t n = check_rounds(5000);
    for (uint64_t i = 0; i < n; i++) {
        pica_task *task = NULL;
        pica_fn fn = i % 3 ? body_returns : body_yields;
        CHECK_FATAL_OK(pica_executor_spawn(ex, i % 2 ? &task : NULL, fn, body_arg(-EIO)));
        pica_unref(task);
    }
    check_executor_close(ex);
    CHECK_EQ(check_hits(&calls), n);
}

static void never_called(void *arg)
{
    (void)arg;
    CHECK(false);
}

static void tries_what_tasks_may(void *arg, const pica_lost_error *error)
{
    (void)error;
    CHECK_EQ(pica_self(), NULL);
    CHECK_EQ(pica_defer(never_called, NULL), -EPERM);
    CHECK_EQ(pica_sleep(1), -EPERM);
    CHECK_EQ(pica_yield(), -EPERM);
    check_hit(arg);
}

static intptr_t loses_two(void *arg)
{
    CHECK_OK(pica_spawn(NULL, body_returns, body_arg(-EIO))); /* by its own end */
    CHECK_HITS(arg, 1);
    pica_task *task = body_spawn(body_returns, body_arg(-EIO)); /* by who drops it */
    CHECK_SOON(pica_task_status(task) == PICA_DONE);
    pica_unref(task);
    CHECK_EQ(check_hits(arg), 2);
    CHECK_NE(pica_self(), NULL);
    return pica_yield();
}

/* A hook is outside of all tasks, on whatever stack it runs: perhaps on that of one that has ended,
 * where what suspends would find a task that is none any more. */
static void a_hook_is_no_task(void)
{
    check_latch calls = {0};
    pica_options options = check_options();
    options.on_lost_error = tries_what_tasks_may;
    options.hook_arg = &calls;
    CHECK_EQ(pica_run(loses_two, &calls, &options), 0);
    CHECK_EQ(check_hits(&calls), 2);
}

static intptr_t keeps_handles(void *arg)
{
    (void)arg;
    pica_task *seen = body_spawn(body_returns, body_arg(-EIO));
    CHECK_EQ(pica_await(seen, NULL), 0);
    pica_task *unseen = body_spawn(body_returns, body_arg(-EIO));
    CHECK_SOON(pica_task_status(unseen) == PICA_DONE);
    (void)body_spawn(body_returns, body_arg(5));
    (void)body_spawn(body_sleeps, NULL);
    return 0;
}

/* Handles that nobody drops go with their executor, and what nobody has seen is reported then. */
static void lost_with_the_executor(void)
{
    check_latch calls = {0};
    pica_options options = check_options();
    options.on_lost_error = counts_lost;
    options.hook_arg = &calls;
    CHECK_EQ(pica_run(keeps_handles, NULL, &options), 0);
    CHECK_EQ(check_hits(&calls), 1);
    pica_executor *ex;
    pica_task *task;
    CHECK_FATAL_OK(pica_executor_create(&ex, &options));
    CHECK_FATAL_OK(pica_executor_spawn(ex, &task, keeps_handles, NULL));
    CHECK_EQ(body_end(task), 0);
    CHECK_FATAL(pica_executor_shutdown(ex, 0) >= 0);
    CHECK_EQ(check_hits(&calls), 1); /* somebody may still look */
    pica_executor_destroy(ex);
    CHECK_EQ(check_hits(&calls), 2);
}

struct kept {
    pica_task *task;
    check_latch calls;
};

static void drops_the_handle(void *arg, const pica_lost_error *error)
{
    struct kept *kept = arg;
    pica_task *task = kept->task;
    (void)error;
    check_hit(&kept->calls);
    kept->task = NULL;
    pica_unref(task);
}

/* The hook may drop the very handle; that is no second loss. */
static void lost_and_dropped(void)
{
    struct kept kept = {0};
    pica_options options = check_options();
    options.on_lost_error = drops_the_handle;
    options.hook_arg = &kept;
    pica_executor *ex;
    CHECK_FATAL_OK(pica_executor_create(&ex, &options));
    CHECK_FATAL_OK(pica_executor_spawn(ex, &kept.task, body_returns, body_arg(-EIO)));
    CHECK_SOON(pica_task_status(kept.task) == PICA_DONE);
    pica_executor_destroy(ex);
    CHECK_EQ(check_hits(&kept.calls), 1);
}

static intptr_t loses_one_with_a_long_name(void *arg)
{
    (void)arg;
    static char name[500];
    memset(name, 'n', sizeof(name) - 1);
    pica_attr attr = PICA_ATTR_INIT;
    attr.name = name;
    return pica_spawn_at(NULL, body_returns, body_arg(-EDOM), &attr, "here:3");
}

static void loses_on_stderr(void *arg)
{
    (void)arg;
    (void)pica_run(loses_one_with_a_long_name, NULL, NULL);
}

/* Without a hook: a line on stderr, whole and ended, whatever it has to name. */
static void a_lost_error_without_a_hook(void)
{
    death d = death_of(loses_on_stderr, NULL);
    CHECK(WIFEXITED(d.state));
    CHECK(strstr(d.said, "nnn, spawned at here:3) failed and nobody looked: ") != NULL);
    const char *end = strchr(d.said, '\n');
    CHECK(end && end[1] == 0);
}

CHECK_MAIN
{
    check_run("status", status);
    check_run("woken but not running", woken_but_not_running);
    check_run("references", references);
    check_run("a task may hold itself", a_task_may_hold_itself);
    check_plain("misuse", misuse);
    check_plain_in(CHECK_ALL, "lost errors", lost_errors);
    if (!check_emulated())
        check_plain("a lost error without a hook", a_lost_error_without_a_hook);
    check_plain_in(CHECK_ALL, "each lost error once", each_lost_error_once);
    check_plain_in(CHECK_ALL, "lost with the executor", lost_with_the_executor);
    check_plain_in(CHECK_ALL, "lost and dropped", lost_and_dropped);
    check_plain_in(CHECK_ALL, "a hook is no task", a_hook_is_no_task);
}
