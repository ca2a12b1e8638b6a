/* SPDX-License-Identifier: MIT */
/* join_test.c: a join waits and leaves the task alone, whatever happens to the caller. */
#include "tests/executor/bodies.h"

#include <pica/scope.h>

static void results_arrive(void)
{
    intptr_t result = 0;
    pica_task *task = body_spawn(body_yields, body_arg(3));
    CHECK_EQ(pica_join(task, &result), 0);
    CHECK_EQ(result, 3);
    CHECK_EQ(pica_join(task, NULL), 0);
    pica_unref(task);
    task = body_spawn(body_returns, body_arg(-ENOENT));
    CHECK_EQ(pica_join_until(task, &result, PICA_NEVER), 0); /* its error is its result */
    CHECK_EQ(result, -ENOENT);
    pica_unref(task);
}

static void deadline_passes(void)
{
    check_latch asleep = {0};
    pica_task *task = body_spawn(body_swallows, &asleep);
    intptr_t result = 55;
    CHECK_EQ(pica_join_until(task, &result, 0), -ETIMEDOUT);
    CHECK_EQ(pica_join_until(task, &result, pica_now()), -ETIMEDOUT);
    int64_t until = pica_after(PICA_MS(3));
    CHECK_EQ(pica_join_until(task, &result, until), -ETIMEDOUT);
    CHECK_LE(until, pica_now()); /* not too early */
    CHECK_EQ(result, 55);
    CHECK_HITS(&asleep, 1);
    BODY_WAITS(task); /* it goes on, uncancelled */
    CHECK_EQ(pica_cancel(task), 0);
    CHECK_EQ(pica_join_until(task, &result, pica_after(PICA_SEC(10))), 0);
    CHECK_EQ(result, 7);
    CHECK_EQ(pica_join_until(task, &result, 0), 0); /* it has ended: no matter when */
    pica_unref(task);
}

struct joining {
    pica_task *task;
    check_latch ready;
    int rc;
};

static intptr_t joins(void *arg)
{
    struct joining *j = arg;
    intptr_t result = 55;
    check_hit(&j->ready);
    j->rc = pica_join(j->task, &result);
    if (j->rc < 0)
        CHECK_EQ(result, 55);
    pica_unref(j->task);
    return j->rc < 0 ? j->rc : result;
}

static void caller_is_cancelled(void)
{
    check_latch asleep = {0};
    pica_task *task = body_spawn(body_swallows, &asleep);
    CHECK_HITS(&asleep, 1);
    BODY_WAITS(task);
    struct joining j[5];
    pica_task *joiners[5];
    memset(j, 0, sizeof(j));
    for (unsigned i = 0; i < 5; i++) {
        j[i].task = pica_ref(task);
        joiners[i] = body_spawn(joins, &j[i]);
        CHECK_HITS(&j[i].ready, 1);
        BODY_WAITS(joiners[i]);
    }
    /* Out of the middle, from both ends of the list of those that wait. */
    static const unsigned order[] = {2, 4, 0};
    for (unsigned i = 0; i < 3; i++) {
        CHECK_EQ(pica_cancel(joiners[order[i]]), 0);
        CHECK_EQ(body_end(joiners[order[i]]), -ECANCELED);
    }
    CHECK_EQ(pica_task_status(task), PICA_WAITING);
    CHECK_EQ(pica_cancel(task), 0);
    CHECK_EQ(body_end(joiners[1]), 7);
    CHECK_EQ(body_end(joiners[3]), 7);
    CHECK_EQ(body_end(task), 7);
}

struct in_line {
    pica_task *task;
    check_latch *told;
    uint64_t number;
};

static intptr_t joins_in_line(void *arg)
{
    const struct in_line *me = arg;
    CHECK_EQ(pica_join(me->task, NULL), 0);
    CHECK_EQ(check_hits(me->told), me->number);
    check_hit(me->told);
    return 0;
}

/* Who joined first goes on first. */
static void in_order_of_arrival(void)
{
    check_latch told = {0};
    pica_task *task = body_spawn(body_swallows, NULL), *joiners[5];
    for (unsigned i = 0; i < 5; i++) {
        struct in_line me = {task, &told, i};
        CHECK_FATAL_OK(pica_spawn_copy(&joiners[i], joins_in_line, &me));
        BODY_WAITS(joiners[i]);
    }
    CHECK_EQ(pica_cancel(task), 0);
    for (unsigned i = 0; i < 5; i++)
        CHECK_EQ(body_end(joiners[i]), 0);
    CHECK_EQ(body_end(task), 7);
}

static void a_scope_expires(void)
{
    pica_task *task = body_spawn(body_swallows, NULL);
    pica_scope scope;
    pica_scope_begin(&scope, pica_after(PICA_MS(3)));
    intptr_t result = 55;
    int rc = pica_join(task, &result);
    CHECK_EQ(rc, -ECANCELED); /* -ETIMEDOUT is for the call's own deadline */
    CHECK_EQ(pica_scope_end(&scope, rc), -ETIMEDOUT);
    CHECK_EQ(result, 55);
    pica_scope_begin(&scope, pica_after(PICA_SEC(50)));
    rc = pica_join_until(task, &result, pica_after(PICA_MS(3)));
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(pica_scope_end(&scope, rc), -ETIMEDOUT);
    CHECK_OK(pica_yield());
    CHECK_EQ(pica_cancel(task), 0);
    CHECK_EQ(body_end(task), 7);
}

/* An end, a deadline and a cancel at about the same time: one of them wins, and the result
 * says which. */
static intptr_t ends_in_a_moment(void *arg)
{
    for (intptr_t i = (intptr_t)arg; i > 0; i--)
        (void)!pica_yield();
    return 9;
}

static intptr_t joins_for_a_moment(void *arg)
{
    pica_task *task = arg;
    intptr_t result = 55;
    int rc = pica_join_until(task, &result, pica_after(PICA_US(20)));
    CHECK_EQ(result, rc == 0 ? 9 : 55);
    CHECK(rc == 0 || rc == -ETIMEDOUT || rc == -ECANCELED);
    pica_unref(task);
    return 0;
}

static void races(void)
{
    check_rng rng = check_rng_make(2);
    for (uint64_t i = check_rounds(4000); i > 0; i--) {
        pica_task *task =
            body_spawn(ends_in_a_moment, body_arg((intptr_t)check_rng_below(&rng, 30)));
        pica_task *joiners[3];
        for (unsigned k = 0; k < 3; k++)
            joiners[k] = body_spawn(joins_for_a_moment, pica_ref(task));
        for (uint64_t k = check_rng_below(&rng, 10); k > 0; k--)
            CHECK_OK(pica_yield());
        (void)pica_cancel(joiners[check_rng_below(&rng, 3)]);
        for (unsigned k = 0; k < 3; k++)
            CHECK_EQ(body_end(joiners[k]), 0);
        CHECK_EQ(body_end(task), 9);
    }
}

CHECK_MAIN
{
    check_run("results arrive", results_arrive);
    check_run("a deadline passes", deadline_passes);
    check_run("the caller is cancelled", caller_is_cancelled);
    check_run_in(CHECK_ONE, "in order of arrival", in_order_of_arrival);
    check_run("a scope expires", a_scope_expires);
    check_run("races", races);
}
