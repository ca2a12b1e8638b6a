/* SPDX-License-Identifier: MIT */
/* check_executor.c: cases that run on an executor, their modes, and the leak check.
 *
 * The executor is made by pica_executor_create(), not by pica_run(), so that the main thread
 * can look at its counters when the main task has ended and before it is destroyed. Linked
 * into a test only if it registers such a case or opens an executor by check.h. */
#include "executor/base/atomics.h"
#include "tests/check_private.h"

#include <pica/task.h>

#include <unistd.h>

#define MAX_WATCHED 8

static pica_executor *watched[MAX_WATCHED]; /* [atomic] the watchdog reads; NULL: free */
static pica_executor *current;              /* [atomic] of a check_run() case */
static unsigned lost;                       /* [atomic, relaxed] a counter */

static void on_lost_error(void *arg, const pica_lost_error *error)
{
    (void)arg;
    (void)error;
    pi_add_relaxed(&lost, 1u);
}

unsigned check_lost_errors(void)
{
    return pi_xchg_relaxed(&lost, 0u);
}

pica_options check_options(void)
{
    pica_options options = PICA_OPTIONS_INIT;
    options.on_lost_error = on_lost_error;
    switch (check_mode()) {
    case CHECK_ONE:
        options.workers = 1;
        options.flags = PICA_NO_SPARE;
        break;
    case CHECK_SPARE:
        options.workers = 1;
        break;
    case CHECK_FOUR:
        options.workers = 4;
        break;
    case CHECK_MIGRATE:
        options.workers = 3;
        options.flags = PICA_FORCE_MIGRATION;
        break;
    case CHECK_NO_INLINE:
        options.workers = 2;
        options.flags = PICA_NO_INLINE;
        break;
    default:
        options.workers = 2;
        break;
    }
    return options;
}

pica_executor *check_executor(void)
{
    return pi_load_acquire(&current);
}

/* --- Watching ------------------------------------------------------------------------------ */

static void watch(pica_executor *ex)
{
    unsigned i = 0;
    while (i < MAX_WATCHED && pi_load_relaxed(&watched[i]))
        i++;
    if (i == MAX_WATCHED)
        check_die("more executors than can be watched", __FILE__, __LINE__);
    pi_store_release(&watched[i], ex);
}

static void unwatch(pica_executor *ex)
{
    for (unsigned i = 0; i < MAX_WATCHED; i++)
        if (pi_load_relaxed(&watched[i]) == ex)
            pi_store_release(&watched[i], NULL);
}

void check_watch(pica_executor *ex)
{
    if (ex)
        watch(ex);
    else
        for (unsigned i = 0; i < MAX_WATCHED; i++)
            if (pi_load_relaxed(&watched[i]) != check_executor())
                pi_store_release(&watched[i], NULL);
}

static void dump(void)
{
    for (unsigned i = 0; i < MAX_WATCHED; i++) {
        pica_executor *ex = pi_load_acquire(&watched[i]);
        if (ex && pica_dump(ex, STDERR_FILENO) == 0 &&
            write(STDERR_FILENO, "(no task lives)\n", 16) < 0)
            return;
    }
}

static bool pause_task(bool yield)
{
    if (pica_worker_index() < 0)
        return false;
    int rc = yield ? pica_yield() : pica_sleep(PICA_US(100));
    return rc == 0; /* cancelled: the thread sleeps instead, so as not to spin */
}

/* --- The leak check ------------------------------------------------------------------------ */

/* Counters may fall a moment after the task's end could be seen, so each gets its time. */
static void expect_nothing_left(pica_executor *ex)
{
    pica_stats s = {.size = sizeof(s)};
    for (check_poll poll = {0};;) {
        if (pica_executor_stats(ex, &s) < 0)
            check_die("pica_executor_stats()", __FILE__, __LINE__);
        if (!(s.tasks_live | s.tasks_held | s.stacks_live | s.timers_armed | s.descriptors_open))
            return;
        if (!check_poll_again(&poll))
            break;
    }
    check_fail(__FILE__, __LINE__,
               "left over: %llu tasks, %llu handles, %llu stacks, %llu timers, %llu descriptors",
               (unsigned long long)s.tasks_live, (unsigned long long)s.tasks_held,
               (unsigned long long)s.stacks_live, (unsigned long long)s.timers_armed,
               (unsigned long long)s.descriptors_open);
    (void)!pica_dump(ex, STDERR_FILENO);
}

/* As CHECK, but not one of the case's: that it has some is looked for (check_call). */
static void expect(bool ok, const char *text, intptr_t got)
{
    if (!ok)
        check_fail(__FILE__, __LINE__, "%s: %lld", text, (long long)got);
}

static void run(void (*fn)(void));
static const check_hooks hooks = {
    .run = run, .dump = dump, .pause = pause_task, .take_lost = check_lost_errors};

pica_executor *check_executor_open(const pica_options *options)
{
    check_hook(&hooks);
    pica_executor *ex = NULL;
    int rc = pica_executor_create(&ex, options);
    if (rc < 0)
        check_die(pica_strerror(rc), __FILE__, __LINE__);
    watch(ex);
    return ex;
}

void check_executor_close(pica_executor *ex)
{
    expect_nothing_left(ex);
    int rc = pica_executor_shutdown(ex, pica_now());
    expect(rc == 0 || rc == 1, "pica_executor_shutdown()", rc); /* 1: the case has cancelled some */
    unwatch(ex);
    pica_executor_destroy(ex);
}

/* --- Running a case ------------------------------------------------------------------------ */

static intptr_t main_task(void *arg)
{
    void (*const *fn)(void) = arg;
    check_call(*fn);
    return 0;
}

static void run(void (*fn)(void))
{
    pica_options options = check_options();
    pica_executor *ex = check_executor_open(&options);
    pi_store_release(&current, ex);
    pica_task *task = NULL;
    pica_attr attr = PICA_ATTR_INIT;
    attr.name = "main";
    int rc = pica_executor_spawn_with(ex, &task, main_task, &fn, &attr);
    if (rc < 0)
        check_die(pica_strerror(rc), __FILE__, __LINE__);
    intptr_t result = -1;
    rc = pica_join(task, &result);
    expect(rc == 0, "pica_join() of the case", rc);
    expect(result == 0, "the case's result", result);
    pica_unref(task);
    pi_store_release(&current, NULL);
    check_executor_close(ex);
}

void check_run(const char *name, void (*fn)(void))
{
    check_run_in(CHECK_ALL, name, fn);
}

void check_run_in(unsigned modes, const char *name, void (*fn)(void))
{
    check_hook(&hooks);
    check_add(modes, name, fn, true);
}

void check_plain_in(unsigned modes, const char *name, void (*fn)(void))
{
    check_hook(&hooks);
    check_add(modes, name, fn, false);
}
