/* SPDX-License-Identifier: MIT */
/* ignored_test.c: who goes on although it is cancelled is reported, once; who does not, is not. See
 * pica_options.on_ignored_cancel. */
#include "tests/executor/bodies.h"
#include "tests/executor/death.h"

#include <pica/group.h>
#include <pica/scope.h>
#include <pica/sem.h>

enum { MANY = 300 };

static struct {
    uint32_t count;             /* [atomic] */
    pica_ignored_cancel latest; /* by the hook; read after count */
    pica_task *self;
    int64_t begun_ns; /* when its executor did */
} reports;

static void on_ignored_cancel(void *arg, const pica_ignored_cancel *report)
{
    CHECK_EQ(arg, &reports);
    CHECK_EQ(report->size, sizeof(*report));
    reports.latest = *report;
    reports.self = pica_self();
    pi_add_release(&reports.count, 1u);
}

static unsigned reported(void)
{
    return pi_load_acquire(&reports.count);
}

/* The case as the main task of an executor with the hook. */
static intptr_t runs(void *fn)
{
    (*(void (**)(void))fn)();
    return 0;
}

static void with_hook(void (*fn)(void))
{
    memset(&reports, 0, sizeof(reports));
    reports.begun_ns = pica_now();
    pica_options options = check_options();
    options.on_ignored_cancel = on_ignored_cancel;
    options.hook_arg = &reports;
    CHECK_EQ(pica_run(runs, &fn, &options), 0);
}

/* --- Reported --------------------------------------------------------------------------------- */

static intptr_t never_looks(void *arg)
{
    patience p = patience_of(PICA_SEC(20));
    unsigned waits = 0;
    while (pica_cancelling() == 0) /* it is about to be, perhaps by who waits for this worker */
        waits += pica_yield() == -ECANCELED;
    while (reported() < (unsigned)(uintptr_t)arg && patience_lasts(&p)) {
        CHECK_EQ(pica_sleep(PICA_MS(1)), -ECANCELED);
        waits++;
    }
    CHECK_LT(64, waits);
    CHECK_EQ(reports.self, pica_self());
    CHECK_EQ(reports.latest.id, pica_task_id(pica_self()));
    CHECK_STR(reports.latest.name, "deaf");
    CHECK(strstr(reports.latest.site, "ignored_test.c:") != NULL);
    CHECK_EQ(reports.latest.returns, waits);
    CHECK_LE(PICA_MS(100), reports.latest.duration_ns);
    CHECK_LE(reports.latest.duration_ns, pica_now() - reports.begun_ns);
    int64_t until = pica_after(PICA_MS(120));
    for (unsigned i = 0; i < MANY || pica_now() < until; i++)
        CHECK_EQ(pica_yield(), -ECANCELED); /* once is enough */
    return 0;
}

static void ends_deaf_ones(void)
{
    pica_attr attr = PICA_ATTR_INIT;
    attr.name = "deaf";
    for (unsigned i = 1; i <= 2; i++) {
        pica_task *task;
        CHECK_FATAL_OK(pica_spawn_with(&task, never_looks, body_arg(i), &attr));
        CHECK_EQ(pica_cancel(task), 0);
        CHECK_EQ(body_end(task), 0);
        CHECK_EQ(reported(), i);
    }
}

static void who_never_looks(void)
{
    with_hook(ends_deaf_ones);
}

/* What it waits for is no matter; a shield in between does not end the row. */
static intptr_t waits_in_many_ways(void *arg)
{
    pica_sem sem = PICA_SEM_INIT(1);
    pica_task *other = body_spawn(body_sleeps, NULL);
    patience p = patience_of(PICA_SEC(20));
    CHECK_SOON(pica_cancelling() == 1); /* it may have started first */
    while (!reported() && patience_lasts(&p)) {
        pica_scope shield;
        CHECK_EQ(pica_sem_acquire(&sem), -ECANCELED);
        CHECK_EQ(pica_join(other, NULL), -ECANCELED);
        pica_task *child = body_spawn(body_returns, arg);
        CHECK_LE(pica_await(child, NULL), 0);
        pica_unref(child);
        pica_shield_begin(&shield, PICA_NEVER);
        CHECK_OK(pica_sleep(PICA_US(10)));
        CHECK_OK(pica_yield());
        CHECK_EQ(pica_scope_end(&shield, 0), 0);
    }
    CHECK_EQ(reported(), 1);
    CHECK_EQ(reports.self, pica_self());
    (void)pica_cancel(other);
    CHECK_LE(pica_await(other, NULL), 0);
    pica_unref(other);
    return 0;
}

static void ends_a_busy_one(void)
{
    pica_task *task = body_spawn(waits_in_many_ways, NULL);
    CHECK_EQ(pica_cancel(task), 0);
    CHECK_EQ(body_end(task), 0);
}

static void whatever_it_waits_for(void)
{
    with_hook(ends_a_busy_one);
}

/* Its children are cancelled with it, and hear it on its stack: that does not end the row,
 * either. */
static intptr_t awaits_for_ever(void *arg)
{
    patience p = patience_of(PICA_SEC(20));
    while (!reported() && patience_lasts(&p)) {
        pica_task *child = body_spawn(body_yields, arg);
        CHECK_LE(pica_await(child, NULL), 0);
        pica_unref(child);
    }
    CHECK_EQ(reported(), 1);
    CHECK_EQ(reports.latest.id, pica_task_id(pica_self()));
    CHECK_LE(PICA_MS(100), reports.latest.duration_ns);
    return 0;
}

/* A deaf child of such a one is reported by itself. */
static intptr_t awaits_a_deaf_one(void *arg)
{
    pica_attr attr = PICA_ATTR_INIT;
    attr.name = "deaf";
    pica_task *child;
    CHECK_EQ(pica_cancel(pica_self()), 0);
    CHECK_EQ(pica_yield(), -ECANCELED);
    CHECK_FATAL_OK(pica_spawn_with(&child, never_looks, arg, &attr));
    CHECK_LE(pica_await(child, NULL), 0);
    pica_unref(child);
    return 0;
}

static void ends_those_who_await(void)
{
    pica_task *task = body_spawn(awaits_for_ever, NULL);
    CHECK_EQ(pica_cancel(task), 0);
    CHECK_EQ(body_end(task), 0);
    CHECK_EQ(body_end(body_spawn(awaits_a_deaf_one, body_arg(2))), 0);
    CHECK_EQ(reported(), 2);
}

static void whoever_it_awaits(void)
{
    with_hook(ends_those_who_await);
}

/* --- Not reported ----------------------------------------------------------------------------- */

/* @return when it has been looked at for long enough to see a report */
static bool long_enough(int64_t since, unsigned rounds)
{
    return rounds >= MANY && pica_now() - since >= PICA_MS(150);
}

static void timeouts_in_a_row(void)
{
    int64_t since = pica_now();
    for (unsigned i = 0; !long_enough(since, i); i++) {
        pica_scope scope;
        pica_scope_begin(&scope, 0);
        int rc = pica_yield();
        CHECK_EQ(rc, -ECANCELED);
        if (i % 2)
            CHECK_EQ(pica_scope_end(&scope, rc), -ETIMEDOUT);
        else
            CHECK_EQ(pica_scope_end(&scope, 0), 0); /* it looked, and thinks nothing of it */
    }
    since = pica_now();
    for (unsigned i = 0; !long_enough(since, i); i++) {
        pica_group group;
        pica_group_begin(&group);
        pica_group_cancel(&group);
        int rc = pica_yield();
        CHECK_EQ(pica_group_end(&group, rc), -ECANCELED);
    }
    since = pica_now();
    for (unsigned i = 0; !long_enough(since, i); i++) {
        CHECK_EQ(pica_cancel(pica_self()), 0);
        CHECK_EQ(pica_yield(), -ECANCELED);
        CHECK_EQ(pica_uncancel(), 0);
    }
    CHECK_EQ(reported(), 0);
}

static void who_times_out_in_a_row(void)
{
    with_hook(timeouts_in_a_row);
}

/* Many cancelled children on one stack, each of which looks once. */
static void children_in_a_row(void)
{
    int64_t since = pica_now();
    for (unsigned i = 0; !long_enough(since, i); i++) {
        pica_task *task = body_spawn(body_sleeps, NULL);
        CHECK_EQ(pica_cancel(task), 0);
        CHECK_EQ(body_end(task), -ECANCELED);
    }
    CHECK_EQ(reported(), 0);
}

static void whose_children_end(void)
{
    with_hook(children_in_a_row);
}

/* Nor one that looks often and ends soon, where another one ended long ago. */
static intptr_t looks_often(void *arg)
{
    CHECK_EQ(pica_cancel(pica_self()), 0);
    for (intptr_t i = (intptr_t)arg; i > 0; i--)
        CHECK_EQ(pica_yield(), -ECANCELED);
    return 0;
}

static void a_quick_one_later(void)
{
    int64_t since = 0;
    unsigned tries = 0;
    do { /* until it was quick, on whatever machine */
        CHECK_EQ(body_end(body_spawn(looks_often, body_arg(1))), 0);
        CHECK_OK(pica_sleep(PICA_MS(110)));
        since = pica_now();
        CHECK_EQ(body_end(body_spawn(looks_often, body_arg(100))), 0);
        since = pica_now() - since;
    } while (since > PICA_MS(50) && !reported() && ++tries < 50);
    CHECK(since > PICA_MS(50) || reported() == 0);
}

static void who_is_quick(void)
{
    with_hook(a_quick_one_later);
}

static void a_long_way_out(void)
{
    CHECK_EQ(pica_cancel(pica_self()), 0);
    for (unsigned i = 0; i < 63; i++)
        CHECK_EQ(pica_yield(), -ECANCELED);
    int64_t since = pica_now();
    while (pica_now() - since < PICA_MS(120))
        CHECK_EQ(pica_check_cancel(), -ECANCELED); /* a computation, no wait */
    CHECK_EQ(pica_yield(), -ECANCELED);
    CHECK_EQ(reported(), 0);
    CHECK_EQ(pica_yield(), -ECANCELED); /* one too many, for too long */
    CHECK_EQ(reported(), 1);
    CHECK_EQ(reports.latest.returns, 65);
    CHECK_EQ(pica_uncancel(), 0);
}

static void not_before_the_65th(void)
{
    with_hook(a_long_way_out);
}

/* --- Without a hook --------------------------------------------------------------------------- */

static intptr_t deaf(void *arg)
{
    int64_t until = pica_after(PICA_MS(200));
    (void)arg;
    (void)pica_cancel(pica_self());
    for (unsigned i = 0; i < MANY || pica_now() < until; i++)
        if (pica_yield() != -ECANCELED)
            return 1;
    return pica_yield() == 0; /* by now it has been long enough, however busy the machine is */
}

static void runs_deaf(void *options)
{
    (void)pica_run(deaf, NULL, options);
}

static void reported_on_stderr(void)
{
    pica_options options = PICA_OPTIONS_INIT;
    options.workers = 1;
    options.flags = PICA_NO_SPARE;
    death d = death_of(runs_deaf, &options);
    CHECK(WIFEXITED(d.state));
    CHECK(strstr(d.said, "(main, spawned at pica_run()) goes on although it is cancelled: "));
    const char *first = strstr(d.said, "goes on");
    CHECK(first && !strstr(first + 1, "goes on"));
}

/* A caller that was compiled against an older header has no such hook. */
static void hook_of_an_older_caller(void)
{
    memset(&reports, 0, sizeof(reports));
    pica_options options = PICA_OPTIONS_INIT;
    options.workers = 1;
    options.flags = PICA_NO_SPARE;
    options.size = offsetof(pica_options, on_ignored_cancel);
    memset((char *)&options + options.size, 0x55, sizeof(options) - options.size);
    death d = death_of(runs_deaf, &options);
    CHECK(WIFEXITED(d.state));
    CHECK(strstr(d.said, "goes on although") != NULL);
}

CHECK_MAIN
{
    check_plain_in(CHECK_ALL, "who never looks", who_never_looks);
    check_plain_in(CHECK_ALL, "whatever it waits for", whatever_it_waits_for);
    check_plain_in(CHECK_ALL, "whoever it awaits", whoever_it_awaits);
    check_plain_in(CHECK_ALL, "who times out in a row", who_times_out_in_a_row);
    check_plain_in(CHECK_ALL, "whose children end", whose_children_end);
    check_plain_in(CHECK_ALL, "who is quick", who_is_quick);
    check_plain_in(CHECK_ALL, "not before the 65th", not_before_the_65th);
    check_plain("reported on stderr", reported_on_stderr);
    check_plain("hook of an older caller", hook_of_an_older_caller);
}
