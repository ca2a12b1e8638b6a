/* SPDX-License-Identifier: MIT */
/* group_options_test.c: groups that collect, and races (pica/group.h). The limit is in
 * limit_test.c. */
#include "tests/executor/bodies.h"

#include <pica/group.h>
#include <pica/scope.h>

static void begin_with(pica_group *group, uint32_t flags, int64_t deadline_ns)
{
    pica_group_options options = PICA_GROUP_OPTIONS_INIT;
    options.flags = flags;
    options.deadline_ns = deadline_ns;
    CHECK_FATAL_OK(pica_group_begin_with(group, &options));
}

static intptr_t succeeds_when_hit(void *arg)
{
    CHECK_HITS((check_latch *)arg, 1);
    return 42;
}

static void options(void)
{
    pica_group group;
    pica_group_options o = PICA_GROUP_OPTIONS_INIT;
    CHECK_EQ(pica_group_begin_with(NULL, &o), -EINVAL);
    CHECK_EQ(pica_group_begin_with(&group, NULL), -EINVAL);
    o.flags = PICA_GROUP_COLLECT | PICA_GROUP_FIRST_SUCCESS;
    CHECK_EQ(pica_group_begin_with(&group, &o), -EINVAL);
    o.flags = 1u << 7;
    CHECK_EQ(pica_group_begin_with(&group, &o), -EINVAL);
    o.flags = 0;
    o.size = 0;
    CHECK_EQ(pica_group_begin_with(&group, &o), -EINVAL);
    o.size = sizeof(size_t); /* of an older version: the rest is the default */
    o.flags = 1u << 7;
    CHECK_EQ(pica_group_begin_with(&group, &o), 0);
    CHECK_EQ(pica_group_end(&group, 3), 3);
    begin_with(&group, 0, pica_after(PICA_MS(2)));
    CHECK_EQ(pica_group_spawn(&group, body_sleeps, NULL), 0);
    CHECK_EQ(pica_group_end(&group, 0), -ETIMEDOUT);
    o = (pica_group_options)PICA_GROUP_OPTIONS_INIT;
    o.limit = UINT32_MAX; /* as good as none */
    CHECK_EQ(pica_group_begin_with(&group, &o), 0);
    CHECK_EQ(pica_group_spawn(&group, body_returns, NULL), 0);
    CHECK_EQ(pica_group_end(&group, 0), 0);
    begin_with(&group, 0, PICA_NEVER); /* plain: a failure cancels */
    CHECK_EQ(pica_group_spawn(&group, body_sleeps, NULL), 0);
    CHECK_EQ(pica_group_spawn(&group, body_returns, body_arg(-EIO)), 0);
    CHECK_EQ(pica_group_end(&group, 0), -EIO);
    pica_group_deinit(&group);
}

/* --- COLLECT ------------------------------------------------------------------------------ */

static void collect_cancels_nobody(void)
{
    check_latch go = {0}, done = {0};
    pica_group group;
    begin_with(&group, PICA_GROUP_COLLECT, 0);
    CHECK_EQ(pica_group_spawn(&group, body_returns, body_arg(-EDOM)), 0);
    CHECK_EQ(pica_group_spawn(&group, body_fails_when_hit, &go), 0);
    for (unsigned i = 0; i < 5; i++)
        CHECK_EQ(pica_group_spawn(&group, body_hits_late, &done), 0);
    CHECK_SOON(pi_load_relaxed(&group.errors_count) == 1);
    CHECK_OK(pica_yield()); /* nor the body */
    CHECK_EQ(pica_group_spawn(&group, body_hits_late, &done), 0);
    check_hit(&go);
    CHECK_EQ(pica_group_end(&group, -EPIPE), -EDOM); /* nor does the body's failure cancel */
    CHECK_EQ(check_hits(&done), 6);
    const intptr_t *errors = NULL;
    CHECK_FATAL(pica_group_errors(&group, &errors) == 3);
    CHECK_EQ(errors[0], -EDOM);
    CHECK_EQ(errors[1] + errors[2], -EIO - EPIPE);
    pica_group_deinit(&group);
    CHECK_OK(pica_yield());
}

static void collect_without_failures(void)
{
    pica_group group;
    begin_with(&group, PICA_GROUP_COLLECT, 0);
    for (unsigned i = 0; i < 20; i++)
        CHECK_EQ(pica_group_spawn(&group, body_yields, body_arg(i)), 0);
    CHECK_EQ(pica_group_end(&group, 9), 9);
}

static void collect_many(void)
{
    pica_group group;
    begin_with(&group, PICA_GROUP_COLLECT, 0);
    for (intptr_t i = 1; i <= 100; i++)
        CHECK_EQ(pica_group_spawn(&group, i % 2 ? body_yields : body_returns, body_arg(-1000 - i)),
                 0);
    intptr_t rc = pica_group_end(&group, 0), sum = 0;
    const intptr_t *errors = NULL;
    CHECK_FATAL(pica_group_errors(&group, &errors) == 100);
    CHECK_EQ(rc, errors[0]);
    for (unsigned i = 0; i < 100; i++)
        sum += errors[i];
    CHECK_EQ(sum, -100 * 1000 - 5050);
    pica_group_deinit(&group);
}

/* A cancel of the body, unlike a failure, and the group's deadline reach everybody. */
static void collect_is_cancelled(void)
{
    pica_group group;
    begin_with(&group, PICA_GROUP_COLLECT, 0);
    CHECK_EQ(pica_group_spawn(&group, body_swallows, NULL), 0);
    CHECK_EQ(pica_group_end(&group, -ECANCELED), -ECANCELED);
    begin_with(&group, PICA_GROUP_COLLECT, pica_after(PICA_MS(2)));
    CHECK_EQ(pica_group_spawn(&group, body_sleeps, NULL), 0);
    CHECK_EQ(pica_group_end(&group, 0), -ETIMEDOUT);
    begin_with(&group, PICA_GROUP_COLLECT, 0);
    CHECK_EQ(pica_group_spawn(&group, body_sleeps, NULL), 0);
    pica_group_cancel(&group);
    CHECK_EQ(pica_group_spawn(&group, body_sleeps, NULL), -ESHUTDOWN);
    CHECK_EQ(pica_group_end(&group, 0), -ECANCELED);
    CHECK_OK(pica_yield());
}

/* --- FIRST_SUCCESS ------------------------------------------------------------------------ */

static void first_success_cancels_the_rest(void)
{
    for (unsigned with_body = 0; with_body < 2; with_body++) {
        check_latch asleep = {0}, go = {0};
        pica_group group;
        pica_task *loser = NULL;
        begin_with(&group, PICA_GROUP_FIRST_SUCCESS, 0);
        CHECK_FATAL_OK(
            pica_group_spawn_at(&group, &loser, body_swallows, &asleep, NULL, PICA_SITE));
        CHECK_EQ(pica_group_spawn(&group, body_sleeps, &asleep), 0);
        CHECK_EQ(pica_group_spawn(&group, body_returns, body_arg(-EIO)), 0); /* no matter */
        CHECK_EQ(pica_group_spawn(&group, succeeds_when_hit, &go), 0);
        CHECK_HITS(&asleep, 2);
        CHECK_OK(pica_yield());
        check_hit(&go);
        int rc = 0;
        if (with_body) {
            rc = pica_sleep(PICA_NEVER); /* the body is out of the race as well */
            CHECK_EQ(rc, -ECANCELED);
            CHECK_EQ(pica_group_spawn(&group, body_returns, NULL), -ESHUTDOWN);
        }
        CHECK_EQ(pica_group_end(&group, rc), 42);
        CHECK_OK(pica_yield());
        CHECK_EQ(body_end(loser), 7); /* its value came too late */
        pica_group_deinit(&group);
    }
}

/* Zero and pointers are successes. */
static void values_of_races(void)
{
    static int object;
    pica_group group;
    begin_with(&group, PICA_GROUP_FIRST_SUCCESS, 0);
    CHECK_EQ(pica_group_spawn(&group, body_returns, NULL), 0);
    CHECK_EQ(pica_group_end(&group, 5), 0); /* not the body's */
    begin_with(&group, PICA_GROUP_FIRST_SUCCESS, 0);
    CHECK_EQ(pica_group_spawn(&group, body_yields, &object), 0);
    CHECK(pica_group_end(&group, -EIO) == (intptr_t)&object); /* the body has failed */
    const intptr_t *errors = NULL;
    CHECK_FATAL(pica_group_errors(&group, &errors) == 1);
    CHECK_EQ(errors[0], -EIO);
    pica_group_deinit(&group);
}

static void nobody_wins(void)
{
    check_latch go = {0};
    pica_group group;
    begin_with(&group, PICA_GROUP_FIRST_SUCCESS, 0);
    CHECK_EQ(pica_group_spawn(&group, body_returns, body_arg(-EDOM)), 0);
    CHECK_SOON(pi_load_relaxed(&group.errors_count) == 1);
    CHECK_EQ(pica_group_spawn(&group, body_fails_when_hit, &go), 0);
    check_hit(&go);
    CHECK_EQ(pica_group_end(&group, 0), -EDOM); /* the first failure */
    const intptr_t *errors = NULL;
    CHECK_EQ(pica_group_errors(&group, &errors), 2);
    pica_group_deinit(&group);

    begin_with(&group, PICA_GROUP_FIRST_SUCCESS, 0);
    pica_task *member = NULL;
    CHECK_FATAL_OK(pica_group_spawn_at(&group, &member, body_sleeps, NULL, NULL, PICA_SITE));
    CHECK_OK(pica_cancel(member)); /* by itself: that is no failure, but no success either */
    CHECK_EQ(pica_group_end(&group, 0), -ECANCELED);
    CHECK_OK(pica_yield());
    pica_unref(member);

    begin_with(&group, PICA_GROUP_FIRST_SUCCESS, 0);
    CHECK_EQ(pica_group_end(&group, 3), 3); /* nobody ran */

    begin_with(&group, PICA_GROUP_FIRST_SUCCESS, pica_after(PICA_MS(2)));
    CHECK_EQ(pica_group_spawn(&group, body_sleeps, NULL), 0);
    CHECK_EQ(pica_group_end(&group, 0), -ETIMEDOUT);
    CHECK_OK(pica_yield());
}

/* A success counts, although a cancel from outside has come before. */
static intptr_t races(void *arg)
{
    pica_group group;
    begin_with(&group, PICA_GROUP_FIRST_SUCCESS, 0);
    CHECK_EQ(pica_group_spawn(&group, body_swallows, arg), 0);
    CHECK_EQ(pica_group_end(&group, 0), 7);
    CHECK_EQ(pica_yield(), -ECANCELED);
    return 1;
}

static void success_beats_an_outer_cancel(void)
{
    check_latch asleep = {0};
    pica_task *task = body_spawn(races, &asleep);
    CHECK_HITS(&asleep, 1);
    BODY_WAITS(task);
    CHECK_OK(pica_cancel(task));
    CHECK_EQ(body_end(task), 1);
}

/* One winner, whoever it is; all others are awaited. */
static intptr_t runs(void *arg)
{
    intptr_t n = (intptr_t)arg;
    for (intptr_t i = n % 5; i > 0; i--)
        if (pica_yield() < 0)
            break;
    return n % 3 ? n : -n;
}

static void stress(void)
{
    check_rng rng = check_rng_make(5);
    for (uint64_t round = check_rounds(1500); round > 0; round--) {
        pica_group group;
        bool race = check_rng_below(&rng, 2);
        begin_with(&group, race ? PICA_GROUP_FIRST_SUCCESS : PICA_GROUP_COLLECT, 0);
        pica_task *members[16];
        unsigned n = 0, failed = 0;
        bool won = false;
        intptr_t numbers[16];
        for (uint64_t k = check_rng_below(&rng, 16); k > 0; k--) {
            numbers[n] = 1 + (intptr_t)check_rng_below(&rng, 30);
            int rc = pica_group_spawn_at(&group, &members[n], runs, body_arg(numbers[n]), NULL,
                                         PICA_SITE);
            if (rc < 0) {
                CHECK_EQ(rc, -ESHUTDOWN);
                CHECK(race);
                break;
            }
            n++;
        }
        intptr_t rc = pica_group_end(&group, 0);
        for (unsigned k = 0; k < n; k++) {
            intptr_t result = 0;
            CHECK_EQ(pica_task_result(members[k], &result), 0); /* none was left behind */
            CHECK_EQ(result, numbers[k] % 3 ? numbers[k] : -numbers[k]);
            failed += result < 0;
            won |= result == rc;
            pica_unref(members[k]);
        }
        const intptr_t *errors;
        CHECK_EQ(pica_group_errors(&group, &errors), failed);
        CHECK(won || rc == 0);
        CHECK_EQ(rc > 0, race && failed < n);
        CHECK_EQ(rc<0, failed> 0 && (!race || failed == n));
        pica_group_deinit(&group);
    }
}

CHECK_MAIN
{
    check_run("options", options);
    check_run("collect cancels nobody", collect_cancels_nobody);
    check_run("collect without failures", collect_without_failures);
    check_run("collect many", collect_many);
    check_run("collect is cancelled", collect_is_cancelled);
    check_run("the first success cancels the rest", first_success_cancels_the_rest);
    check_run("values of races", values_of_races);
    check_run("nobody wins", nobody_wins);
    check_run("a success beats an outer cancel", success_beats_an_outer_cancel);
    check_run("stress", stress);
}
