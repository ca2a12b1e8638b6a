/* SPDX-License-Identifier: MIT */
/* group_test.c: each rule of pica/group.h. */
#include "tests/executor/bodies.h"
#include "tests/executor/death.h"

#include <pica/group.h>
#include <pica/scope.h>

/* --- Success ------------------------------------------------------------------------------ */

static void waits_for_all(void)
{
    for (unsigned n = 0; n < 40; n += 3) {
        check_latch done = {0};
        pica_group group;
        pica_group_begin(&group);
        for (unsigned i = 0; i < n; i++)
            CHECK_EQ(pica_group_spawn(&group, i % 2 ? body_hits : body_hits_late, &done), 0);
        CHECK_EQ(pica_group_end(&group, 5), 5); /* the body's value */
        CHECK_EQ(check_hits(&done), n);
        const intptr_t *errors;
        CHECK_EQ(pica_group_errors(&group, &errors), 0);
    }
}

static void waits_for_those_that_run_already(void)
{
    check_latch done = {0}, asleep = {0};
    pica_group group;
    pica_group_begin(&group);
    pica_task *sleeper = body_spawn_member(&group, body_swallows, &asleep);
    for (unsigned i = 0; i < 10; i++)
        CHECK_EQ(pica_group_spawn(&group, body_hits_late, &done), 0);
    CHECK_HITS(&asleep, 1);
    CHECK_HITS(&done, 10);
    CHECK_EQ(pica_cancel(sleeper), 0);
    CHECK_EQ(pica_group_end(&group, 0), 0);
    CHECK_EQ(pica_task_status(sleeper), PICA_DONE);
    pica_unref(sleeper);
}

struct spawning {
    pica_group *group;
    check_latch *done;
    unsigned depth;
};

static intptr_t spawns_members(void *arg)
{
    const struct spawning *here = arg;
    if (here->depth) {
        struct spawning below = {here->group, here->done, here->depth - 1};
        pica_attr attr = PICA_ATTR_INIT;
        attr.copy_size = sizeof(below);
        for (unsigned i = 0; i < 3; i++)
            CHECK_EQ(
                pica_group_spawn_with(here->group, NULL, spawns_members, &below, &attr),
                0);
        if (here->depth % 2)
            CHECK_OK(pica_yield());
    }
    check_hit(here->done);
    return 0;
}

static void members_spawn_members(void)
{
    check_latch done = {0};
    pica_group group;
    pica_group_begin(&group);
    struct spawning top = {&group, &done, 5};
    pica_attr attr = PICA_ATTR_INIT;
    attr.copy_size = sizeof(top);
    CHECK_EQ(pica_group_spawn_with(&group, NULL, spawns_members, &top, &attr), 0);
    CHECK_EQ(pica_group_end(&group, 0), 0);
    CHECK_EQ(check_hits(&done), 1 + 3 + 9 + 27 + 81 + 243);
}

/* --- Failure ------------------------------------------------------------------------------ */

/* The first failure cancels the siblings, and the body where it waits. */
static void failure_cancels_siblings_and_body(void)
{
    check_latch asleep = {0}, go = {0};
    pica_group group;
    pica_group_begin(&group);
    pica_task *siblings[10];
    for (unsigned i = 0; i < 10; i++)
        siblings[i] = body_spawn_member(&group, body_swallows, &asleep);
    CHECK_EQ(pica_group_spawn(&group, body_fails_when_hit, &go), 0);
    CHECK_HITS(&asleep, 10);
    for (unsigned i = 0; i < 10; i++)
        BODY_WAITS(siblings[i]);
    check_hit(&go);
    int rc = pica_sleep(PICA_NEVER);
    CHECK_EQ(rc, -ECANCELED);
    CHECK_EQ(pica_yield(), -ECANCELED); /* sticky */
    CHECK_EQ(pica_cancelling(), 0);     /* the group, not the task */
    CHECK_EQ(pica_group_end(&group, rc), -EIO);
    CHECK_OK(pica_yield()); /* over with the group */
    const intptr_t *errors = NULL;
    CHECK_FATAL(pica_group_errors(&group, &errors) == 1);
    CHECK_EQ(errors[0], -EIO);
    pica_group_deinit(&group);
    for (unsigned i = 0; i < 10; i++) {
        intptr_t result = 0;
        CHECK_EQ(pica_task_result(siblings[i], &result), 0);
        CHECK_EQ(result, 7);
        pica_unref(siblings[i]);
    }
}

/* The owner waits in the end already; siblings that have not started start cancelled. */
static void failure_while_the_end_waits(void)
{
    for (unsigned round = 0; round < 20; round++) {
        pica_group group;
        pica_group_begin(&group);
        for (unsigned i = 0; i < 5; i++)
            CHECK_EQ(pica_group_spawn(&group, body_swallows, NULL), 0);
        CHECK_EQ(pica_group_spawn(&group, body_returns, body_arg(-EPIPE)), 0);
        for (unsigned i = 0; i < 5; i++) /* refused, if it has failed by now */
            (void)!pica_group_spawn(&group, body_swallows, NULL);
        CHECK_EQ(pica_group_end(&group, 0), -EPIPE);
        pica_group_deinit(&group);
        CHECK_OK(pica_yield());
    }
}

struct failing {
    check_latch *go;
    intptr_t error;
};

static intptr_t fails_after_cancel(void *arg)
{
    const struct failing *f = arg;
    check_hit(f->go);
    CHECK_EQ(pica_sleep(PICA_NEVER), -ECANCELED);
    return f->error;
}

static void all_errors_are_kept(void)
{
    check_latch asleep = {0};
    pica_group group;
    pica_group_begin(&group);
    pica_attr attr = PICA_ATTR_INIT;
    for (unsigned i = 0; i < 20; i++) {
        struct failing f = {&asleep, i % 4 == 3 ? -ECANCELED : -100 - (intptr_t)i};
        attr.copy_size = sizeof(f);
        CHECK_EQ(pica_group_spawn_with(&group, NULL, fails_after_cancel, &f, &attr), 0);
    }
    CHECK_HITS(&asleep, 20);
    CHECK_EQ(pica_group_end(&group, -EIO), -EIO); /* the body's is the first */
    const intptr_t *errors = NULL;
    size_t n = pica_group_errors(&group, &errors);
    CHECK_FATAL(n == 16); /* the body's and fifteen members'; cancels are no failures */
    CHECK_EQ(errors[0], -EIO);
    unsigned seen[20] = {0};
    for (size_t i = 1; i < n; i++) {
        intptr_t which = -100 - errors[i];
        if (CHECK(which >= 0 && which < 20))
            seen[which]++;
    }
    for (unsigned i = 0; i < 20; i++)
        CHECK_EQ(seen[i], i % 4 != 3);
    pica_group_deinit(&group);
    pica_group_deinit(&group); /* again: nothing */
}

/* A member that is cancelled, by itself, is no failure, and cancels nobody. */
static void a_cancelled_member_is_no_failure(void)
{
    check_latch asleep = {0}, done = {0};
    pica_group group;
    pica_group_begin(&group);
    pica_task *member = body_spawn_member(&group, body_sleeps, &asleep);
    CHECK_EQ(pica_group_spawn(&group, body_hits_late, &done), 0);
    CHECK_HITS(&asleep, 1);
    CHECK_EQ(pica_cancel(member), 0);
    CHECK_SOON(pica_task_status(member) == PICA_DONE);
    CHECK_OK(pica_yield());
    CHECK_EQ(pica_group_spawn(&group, body_hits_late, &done), 0);
    CHECK_EQ(pica_group_end(&group, 0), 0);
    CHECK_EQ(check_hits(&done), 2);
    pica_unref(member);
}

static void the_body_fails(void)
{
    check_latch asleep = {0};
    pica_group group;
    pica_group_begin(&group);
    pica_task *member = body_spawn_member(&group, body_swallows, &asleep);
    CHECK_HITS(&asleep, 1);
    CHECK_EQ(pica_group_end(&group, -EPROTO), -EPROTO);
    CHECK_EQ(body_end(member), 7);
    pica_group_deinit(&group);
}

/* --- Cancelling a group ------------------------------------------------------------------- */

static void cancel_is_idempotent(void)
{
    check_latch asleep = {0};
    pica_group group;
    pica_group_begin(&group);
    pica_task *members[5];
    for (unsigned i = 0; i < 5; i++)
        members[i] = body_spawn_member(&group, body_swallows, &asleep);
    CHECK_HITS(&asleep, 5);
    pica_group_cancel(&group);
    pica_group_cancel(&group);
    int touched = 1;
    pica_task *out = NULL;
    CHECK_EQ(pica_group_spawn_with(&group, &out, body_returns, &touched, NULL),
             -ESHUTDOWN);
    CHECK_EQ(out, NULL);
    CHECK_EQ(touched, 1); /* the argument is still the caller's */
    CHECK_EQ(pica_yield(), -ECANCELED);
    pica_group_cancel(&group);
    CHECK_EQ(pica_group_end(&group, 0), -ECANCELED);
    CHECK_OK(pica_yield());
    for (unsigned i = 0; i < 5; i++)
        CHECK_EQ(body_end(members[i]), 7);
    CHECK_EQ(pica_group_spawn(&group, body_returns, NULL), -ESHUTDOWN); /* it has ended */
}

/* A body that gives up because its spawn was refused has not failed. */
static void an_echo_of_the_cancel(void)
{
    pica_group group;
    pica_group_begin(&group);
    pica_group_cancel(&group);
    int rc = pica_group_spawn(&group, body_returns, NULL);
    CHECK_EQ(rc, -ESHUTDOWN);
    CHECK_EQ(pica_group_end(&group, rc), -ECANCELED);
    const intptr_t *errors = NULL;
    CHECK_EQ(pica_group_errors(&group, &errors), 0);
    pica_group_begin(&group); /* but in a group that is not cancelled it is any code */
    CHECK_EQ(pica_group_end(&group, -ESHUTDOWN), -ESHUTDOWN);
    pica_group_deinit(&group);
    CHECK_OK(pica_yield());
}

/* A cancel from outside beats the group's own deadline. */
static void expired_in_a_cancelled_task(void)
{
    pica_group group;
    pica_group_begin_until(&group, pica_after(PICA_MS(2)));
    CHECK_EQ(pica_group_spawn(&group, body_sleeps, NULL), 0);
    int rc = pica_sleep(PICA_NEVER);
    CHECK_EQ(rc, -ECANCELED);
    CHECK_EQ(pica_cancel(pica_self()), 0);
    CHECK_EQ(pica_group_end(&group, rc), -ECANCELED);
    CHECK_EQ(pica_yield(), -ECANCELED);
    CHECK_EQ(pica_uncancel(), 0);
    CHECK_OK(pica_yield());
}

static intptr_t cancels_its_group(void *arg)
{
    pica_group_cancel(arg);
    CHECK_EQ(pica_yield(), -ECANCELED); /* it is a member itself */
    CHECK_EQ(pica_group_spawn((pica_group *)arg, body_returns, NULL), -ESHUTDOWN);
    return 3;
}

static void a_member_cancels(void)
{
    pica_group group;
    pica_group_begin(&group);
    CHECK_EQ(pica_group_spawn(&group, body_swallows, NULL), 0);
    CHECK_EQ(pica_group_spawn(&group, cancels_its_group, &group), 0);
    CHECK_EQ(pica_group_end(&group, 0), -ECANCELED);
    CHECK_OK(pica_yield());
}

/* What never started is not forgotten: it starts, cancelled, because it owns its argument. */
static intptr_t starts_cancelled(void *arg)
{
    /* Another worker may have started it before the cancel. */
    if (pica_executor_workers(pica_executor_self()) == 1)
        CHECK_EQ(pica_check_cancel(), -ECANCELED);
    check_hit(arg);
    return 0;
}

static void cancelled_before_they_start(void)
{
    check_latch started = {0};
    pica_group group;
    pica_group_begin(&group);
    pica_attr attr = PICA_ATTR_INIT;
    attr.pin = body_pin_here(); /* where this task runs, until it suspends */
    for (unsigned i = 0; i < 10; i++)
        CHECK_EQ(pica_group_spawn_with(&group, NULL, starts_cancelled, &started, &attr),
                 0);
    pica_group_cancel(&group);
    CHECK_EQ(check_hits(&started), 0);
    CHECK_EQ(pica_group_end(&group, 0), -ECANCELED);
    CHECK_EQ(check_hits(&started), 10);
}

static void refusals(void)
{
    pica_group group;
    pica_group_begin(&group);
    CHECK_EQ(pica_group_spawn(&group, NULL, NULL), -EINVAL);
    CHECK_EQ(pica_group_spawn(NULL, body_returns, NULL), -EINVAL);
    pica_attr attr = PICA_ATTR_INIT;
    attr.copy_size = PICA_COPY_MAX + 1;
    CHECK_EQ(pica_group_spawn_with(&group, NULL, body_returns, &group, &attr), -EINVAL);
    CHECK_EQ(pica_group_end(&group, 0), 0); /* and it waits for none of them */
    CHECK_EQ(pica_group_spawn(&group, body_returns, NULL), -ESHUTDOWN);
    CHECK_EQ(pica_group_try_spawn(&group, body_returns, NULL), -ESHUTDOWN);
    pica_group_cancel(&group); /* nobody is left to be told */
    pica_group_deinit(NULL);
}

static void on_a_thread(void)
{
    pica_group group = {.limit = 0};
    CHECK_EQ(pica_group_spawn(&group, body_returns, NULL), -EPERM);
    CHECK_EQ(pica_group_try_spawn(&group, body_returns, NULL), -EPERM);
}

/* --- Misuse is said ----------------------------------------------------------------------- */

static intptr_t ends(void *arg)
{
    return pica_group_end(arg, 0);
}

static intptr_t lets_a_child_end(void *arg)
{
    pica_group group;
    (void)arg;
    pica_group_begin(&group);
    return body_end(body_spawn(ends, &group));
}

static intptr_t ends_it_twice(void *arg)
{
    pica_group group;
    (void)arg;
    pica_group_begin(&group);
    return pica_group_end(&group, 0) + pica_group_end(&group, 0);
}

static intptr_t ends_the_outer_first(void *arg)
{
    pica_group group;
    pica_scope inner;
    (void)arg;
    pica_group_begin(&group);
    pica_scope_begin(&inner, PICA_NEVER);
    return pica_group_end(&group, 0);
}

static intptr_t begins_it_twice(void *arg)
{
    pica_group group;
    (void)arg;
    pica_group_begin(&group);
    pica_group_begin(&group);
    return 0;
}

static intptr_t begins_none(void *arg)
{
    pica_group_begin(arg);
    return 0;
}

static intptr_t cancels_none(void *arg)
{
    pica_group_cancel(arg);
    return 0;
}

static intptr_t deinits_an_open_one(void *arg)
{
    pica_group group;
    pica_group_begin(&group);
    pica_group_deinit(&group); /* members may be writing into the list */
    return pica_group_end(&group, (intptr_t)arg);
}

static intptr_t reads_errors_of_an_open_one(void *arg)
{
    pica_group group;
    const intptr_t *errors = NULL;
    pica_group_begin(&group);
    (void)pica_group_errors(&group, &errors);
    return pica_group_end(&group, (intptr_t)arg);
}

static void begins_on_a_thread(void *arg)
{
    pica_group_begin(arg);
}

static intptr_t spawns_into(void *arg)
{
    return pica_group_spawn(arg, body_returns, NULL);
}

/* A task of another executor: the group could not find the member again, to cancel it. */
static intptr_t lets_a_stranger_spawn(void *arg)
{
    pica_group group;
    pica_executor *other;
    pica_task *task;
    (void)arg;
    pica_options options = PICA_OPTIONS_INIT;
    options.workers = 1;
    CHECK_FATAL_OK(pica_executor_create(&other, &options));
    pica_group_begin(&group);
    CHECK_FATAL_OK(pica_executor_spawn(other, &task, spawns_into, &group));
    CHECK_OK(pica_await(task, NULL));
    pica_unref(task);
    intptr_t rc = pica_group_end(&group, 0);
    pica_executor_destroy(other);
    return rc;
}

static void misuse(void)
{
    pica_group group;
    death_says_in_task(lets_a_child_end, "has not begun the group");
    death_says_in_task(ends_it_twice, "has not begun the group");
    death_says_in_task(ends_the_outer_first, "not the innermost");
    death_says_in_task(begins_it_twice, "begun again");
    death_says_in_task(begins_none, "is NULL");
    death_says_in_task(cancels_none, "is NULL");
    death_says_in_task(deinits_an_open_one, "has not ended");
    death_says_in_task(reads_errors_of_an_open_one, "has not ended");
    death_says(begins_on_a_thread, &group, "outside of a task");
    if (!check_emulated())
        death_says_in_task(lets_a_stranger_spawn, "by a task of another executor");
}

/* --- Under load --------------------------------------------------------------------------- */

static intptr_t random_member(void *arg)
{
    check_rng rng = check_rng_make((uint64_t)(uintptr_t)arg);
    for (uint64_t i = check_rng_below(&rng, 4); i > 0; i--) {
        int rc = check_rng_below(&rng, 8) ? pica_yield() : pica_sleep(PICA_US(20));
        if (rc < 0)
            return rc;
    }
    return check_rng_below(&rng, 16) ? 0 : -EIO;
}

static void stress(void)
{
    check_rng rng = check_rng_make(1);
    for (uint64_t i = check_rounds(1500); i > 0; i--) {
        pica_group group;
        pica_group_begin_until(&group, check_rng_below(&rng, 4)
                                           ? PICA_NEVER
                                           : pica_after((int64_t)check_rng_below(&rng, 100000)));
        pica_task *members[24];
        unsigned n = 0;
        for (uint64_t k = check_rng_below(&rng, 24); k > 0; k--) {
            int rc = pica_group_spawn_with(&group, &members[n], random_member,
                                           body_arg((intptr_t)check_rng_next(&rng)), NULL);
            if (rc < 0) {
                CHECK_EQ(rc, -ESHUTDOWN);
                break;
            }
            n++;
        }
        intptr_t rc = pica_group_end(&group, 0);
        CHECK(rc == 0 || rc == -EIO || rc == -ETIMEDOUT);
        const intptr_t *errors;
        size_t failures = pica_group_errors(&group, &errors), seen = 0;
        pica_group_deinit(&group);
        for (unsigned k = 0; k < n; k++) {
            intptr_t result = 1;
            CHECK_EQ(pica_task_result(members[k], &result), 0); /* none was left behind */
            seen += result == -EIO;
            pica_unref(members[k]);
        }
        CHECK_EQ(seen, failures);
        CHECK_EQ(rc == -EIO, failures > 0);
    }
}

CHECK_MAIN
{
    check_run("waits for all", waits_for_all);
    check_run("waits for those that run already", waits_for_those_that_run_already);
    check_run("members spawn members", members_spawn_members);
    check_run("a failure cancels siblings and body", failure_cancels_siblings_and_body);
    check_run("a failure while the end waits", failure_while_the_end_waits);
    check_run("all errors are kept", all_errors_are_kept);
    check_run("a cancelled member is no failure", a_cancelled_member_is_no_failure);
    check_run("the body fails", the_body_fails);
    check_run("cancel is idempotent", cancel_is_idempotent);
    check_run("an echo of the cancel", an_echo_of_the_cancel);
    check_run("expired in a cancelled task", expired_in_a_cancelled_task);
    check_run("a member cancels", a_member_cancels);
    check_run("cancelled before they start", cancelled_before_they_start);
    check_run("refusals", refusals);
    check_plain("on a thread", on_a_thread);
    check_plain("misuse", misuse);
    check_run("stress", stress);
}
