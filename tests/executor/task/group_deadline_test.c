/* SPDX-License-Identifier: MIT */
/* group_deadline_test.c: deadlines that pass around a group, while it spawns, waits and ends
 * (pica/group.h). Cancels from outside are in group_cancel_test.c. */
#include "executor/sched/scope.h"
#include "executor/sched/worker.h"
#include "tests/executor/bodies.h"

#include <pica/group.h>
#include <pica/scope.h>

static void deadline(pica_fn member, unsigned n, int64_t deadline_ns)
{
    pica_group group;
    pica_group_begin_until(&group, deadline_ns);
    for (unsigned i = 0; i < n; i++)
        CHECK_EQ(pica_group_spawn(&group, member, NULL), 0);
    CHECK_EQ(pica_group_end(&group, 0), -ETIMEDOUT);
    CHECK_OK(pica_yield());
}

static void deadline_passes(void)
{
    for (unsigned n = 1; n <= 9; n += 4) {
        deadline(body_sleeps, n, pica_after(PICA_MS(3)));
        deadline(body_swallows, n, pica_after(PICA_MS(3)));
        deadline(body_sleeps, n, pica_now()); /* has passed from the start */
    }
}

/* The same where no member looks. (One worker: nobody else starts them.) */
static void deadline_has_passed(void)
{
    for (unsigned n = 1; n <= 9; n += 4)
        deadline(body_returns, n, pica_now());
}

static void go_on_until(int64_t ns)
{
    while (pica_now() <= ns) {
    }
}

static intptr_t goes_on_until(void *ns)
{
    go_on_until(*(const int64_t *)ns);
    return 0;
}

/* No member looks; it passes while the n-th of them runs. Nor does the worker look around. */
static void deadline_passes_beside(unsigned nth, unsigned of)
{
    pica_group group;
    int64_t deadline_ns = pica_after(PICA_MS(1));
    pica_group_begin_until(&group, deadline_ns);
    for (unsigned i = 1; i <= of; i++)
        CHECK_EQ(pica_group_spawn(&group, i == nth ? goes_on_until : body_returns, &deadline_ns), 0);
    pi_worker *worker = pi_worker_self();
    pi_store_relaxed(&worker->look_at, worker->turns + of + 2);
    CHECK_EQ(pica_group_end(&group, 0), -ETIMEDOUT);
    CHECK_OK(pica_yield());
}

static void deadline_passes_beside_each(void)
{
    for (unsigned of = 1; of <= 9; of += 4)
        for (unsigned nth = 1; nth <= of; nth++)
            deadline_passes_beside(nth, of);
    deadline_passes_beside(500, 500);
    deadline_passes_beside(1, 500);
}

struct passing {
    pica_group group;
    int64_t deadline_ns;
    unsigned passed, heard; /* members that have run since it passed; and how many had then */
};

static intptr_t counts_passed(void *arg)
{
    struct passing *p = arg;
    if (pi_load_relaxed(&p->group.scope.flags) & PI_SCOPE_CANCELLED && !p->heard)
        p->heard = p->passed;
    go_on_until(p->deadline_ns);
    p->passed++;
    return 0;
}

/* The clock is not read for each of those that run on the owner's stack, but often enough. */
static void deadline_is_heard_of_soon(void)
{
    struct passing p = {.deadline_ns = pica_after(PICA_MS(1))};
    pica_group_begin_until(&p.group, p.deadline_ns);
    for (unsigned i = 0; i < 4 * PI_BUDGET; i++)
        CHECK_EQ(pica_group_spawn(&p.group, counts_passed, &p), 0);
    CHECK_EQ(pica_group_end(&p.group, 0), -ETIMEDOUT);
    CHECK_EQ(p.passed, 4 * PI_BUDGET);
    CHECK(1 <= p.heard && p.heard <= PI_BUDGET);
}

/* One that has passed by then is heard of before the first of them. */
static void deadline_is_heard_of_before_all(void)
{
    pica_group group;
    intptr_t result = 0;
    pica_group_begin_until(&group, pica_now());
    pica_task *first = body_spawn_member(&group, body_is_refused, &group);
    CHECK_EQ(pica_group_end(&group, 0), -ETIMEDOUT);
    CHECK_OK(pica_task_result(first, &result));
    CHECK_EQ(result, 8);
    pica_unref(first);
}

struct last_elsewhere {
    pica_group group;
    check_latch started, ending;
    int64_t deadline_ns;
    unsigned delay;
    bool inlined;
};

static intptr_t ends_last(void *arg)
{
    struct last_elsewhere *l = arg;
    check_hit(&l->started);
    while (check_hits(&l->ending) == 0) {
    }
    for (volatile unsigned i = l->delay; i > 0; i--) {
    }
    return 0;
}

static intptr_t outlasts_the_deadline(void *arg)
{
    struct last_elsewhere *l = arg;
    l->inlined = pica_self()->outer != NULL;
    go_on_until(l->deadline_ns);
    check_hit(&l->ending);
    return 0;
}

/* It passes while one runs on the owner's stack; another one, elsewhere, ends a little later or
 * sooner, so sometimes in the few instructions before the owner waits for it. */
static void deadline_passes_before_the_last_elsewhere(void)
{
    for (unsigned round = 0; round < check_rounds(1000); round++) {
        struct last_elsewhere l = {.deadline_ns = pica_after(PICA_US(100)), .delay = round % 100};
        pica_attr attr = PICA_ATTR_INIT;
        attr.pin = body_pin_here() == 1 ? 2 : 1;
        pica_group_begin_until(&l.group, l.deadline_ns);
        CHECK_EQ(pica_group_spawn_with(&l.group, NULL, ends_last, &l, &attr), 0);
        while (check_hits(&l.started) == 0)
            pi_spin_wait(1);
        CHECK_EQ(pica_group_spawn(&l.group, outlasts_the_deadline, &l), 0);
        intptr_t rc = pica_group_end(&l.group, 0);
        if (l.inlined)
            CHECK_EQ(rc, -ETIMEDOUT);
    }
    CHECK_OK(pica_yield());
}

static void deadline_of_the_body(void)
{
    pica_group group;
    pica_group_begin_until(&group, pica_after(PICA_MS(3)));
    int rc = pica_sleep(PICA_NEVER);
    CHECK_EQ(rc, -ECANCELED);
    CHECK_EQ(pica_group_end(&group, rc), -ETIMEDOUT);
    CHECK_OK(pica_yield());
}

static void deadline_far_away(void)
{
    check_latch done = {0};
    pica_group group;
    pica_group_begin_until(&group, pica_after(PICA_SEC(3600)));
    for (unsigned i = 0; i < 10; i++)
        CHECK_EQ(pica_group_spawn(&group, body_hits_late, &done), 0);
    CHECK_EQ(pica_group_end(&group, 0), 0);
    CHECK_EQ(check_hits(&done), 10);
}

static void errors_beat_a_deadline(void)
{
    check_latch asleep = {0};
    pica_group group;
    pica_group_begin_until(&group, pica_after(PICA_MS(3)));
    CHECK_EQ(pica_group_spawn(&group, body_sleeps_then_fails, &asleep), 0);
    CHECK_EQ(pica_group_end(&group, 0), -EIO);
    pica_group_deinit(&group);
    CHECK_OK(pica_yield());
}

CHECK_MAIN
{
    check_run("a deadline passes", deadline_passes);
    check_run_in(CHECK_ONE, "a deadline has passed", deadline_has_passed);
    check_run_in(CHECK_ONE, "a deadline passes beside each", deadline_passes_beside_each);
    check_run_in(CHECK_ONE, "a deadline is heard of soon", deadline_is_heard_of_soon);
    check_run_in(CHECK_ONE, "a deadline is heard of before all", deadline_is_heard_of_before_all);
    check_run_in(CHECK_TWO, "a deadline passes before the last elsewhere",
                 deadline_passes_before_the_last_elsewhere);
    check_run("a deadline of the body", deadline_of_the_body);
    check_run("a deadline far away", deadline_far_away);
    check_run("errors beat a deadline", errors_beat_a_deadline);
}
