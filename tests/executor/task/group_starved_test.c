/* SPDX-License-Identifier: MIT */
/* group_starved_test.c: the end of a group whose members find no stack (executor/sched/starved.h):
 * its owner runs them on its own, whether they starve before the end or while it waits there. */
#include "executor/sched/starved.h"
#include "executor/task/members.h"
#include "tests/executor/no_stacks.h"

enum { FEW = 20, OWNERS = 5 };

static void spawn_member_in_class(pica_group *group, pica_fn fn, void *arg)
{
    pica_attr attr = of_class();
    CHECK_FATAL_OK(pica_group_spawn_with(group, NULL, fn, arg, &attr));
}

/* What is there no stack for: on another's it counts itself, and waits for a while. */
static intptr_t runs_inline(void *ran)
{
    nobody_gives_up();
    CHECK(pica_self()->outer != NULL);
    CHECK_OK(pica_yield());
    check_hit(ran);
    return 0;
}

/* --- Before the end --------------------------------------------------------------------------- */

/* FEW members, some noted in the group, some in its room, find no stack; their owner runs them. */
static void ends_a_group_of(pica_fn member)
{
    check_latch ran = {0};
    pica_group group;
    hold_all_and_one();
    pica_group_begin(&group);
    for (unsigned i = 0; i < FEW; i++)
        spawn_member_in_class(&group, member, &ran);
    CHECK_SOON(starved() == FEW);
    nobody_gives_up();
    CHECK_EQ(pica_group_end(&group, 0), 0);
    CHECK_EQ(check_hits(&ran), FEW);
    CHECK_EQ(starved(), 0);
    give_all_back();
}

static intptr_t ends_a_group(void *arg)
{
    ends_a_group_of(runs_inline);
    return (intptr_t)arg;
}

static intptr_t takes_its_time(void *ran)
{
    starve_for(PICA_MS(PI_STARVED_PATIENCE_MS / 8)); /* all of them: more than twice of it */
    check_hit(ran);
    return 0;
}

static intptr_t ends_a_slow_group(void *arg)
{
    ends_a_group_of(takes_its_time);
    return (intptr_t)arg;
}

/* The others are not given up, as long as one after the other gets a stack: its owner's. */
static void none_is_given_up_meanwhile(void)
{
    run_in_a_larger_one(ends_a_slow_group);
}

static void run_by_their_owner(void)
{
    run_in_a_larger_one(ends_a_group);
}

/* There are stacks for owners, whatever comes; nobody holds any yet. */
static pica_attr owners_attr(void)
{
    pica_attr attr = PICA_ATTR_INIT;
    pica_task *first = NULL;
    attr.stack_size = pi_stack_class_size(CLASS + 1);
    CHECK_FATAL_OK(pica_spawn_with(&first, body_yields, body_arg(1), &attr));
    CHECK_OK(pica_join(first, NULL)); /* on a stack of its own: of a new slab, if need be */
    CHECK_EQ(body_end(first), 1);
    return attr;
}

/* Each waits for its own alone, and leaves the others'. */
static intptr_t owns_some(void *all_starve)
{
    check_latch ran = {0};
    pica_group group;
    pica_group_begin(&group);
    for (unsigned i = 0; i < FEW; i++)
        spawn_member_in_class(&group, runs_inline, &ran);
    CHECK_HITS((check_latch *)all_starve, 1);
    CHECK_EQ(pica_group_end(&group, 0), 0);
    CHECK_EQ(check_hits(&ran), FEW);
    return 0;
}

static void each_group_by_its_owner(void)
{
    check_latch all_starve = {0};
    pica_task *owners[OWNERS];
    pica_attr attr = owners_attr();
    hold_all_and_one();
    for (unsigned i = 0; i < OWNERS; i++)
        CHECK_FATAL_OK(pica_spawn_with(&owners[i], owns_some, &all_starve, &attr));
    CHECK_SOON((nobody_gives_up(), starved() == OWNERS * FEW));
    check_hit(&all_starve);
    for (unsigned i = 0; i < OWNERS; i++)
        CHECK_EQ(body_end(owners[i]), 0);
    CHECK_EQ(starved(), 0);
    give_all_back();
}

/* --- Many at a time --------------------------------------------------------------------------- */

static intptr_t does_something(void *arg)
{
    nobody_gives_up();
    switch ((uintptr_t)arg % 4) {
    case 0:
        return 0;
    case 1:
        return pica_yield();
    case 2:
        return pica_sleep(PICA_US(100));
    default: /* refused, if the deadline has passed */
        (void)!pica_group_spawn((pica_group *)((uintptr_t)arg & ~(uintptr_t)3), body_returns, NULL);
        return 0;
    }
}

/* Groups one after the other, each with a deadline that may pass or not, of members that start or
 * starve as it comes. */
static intptr_t owns_many(void *number)
{
    check_rng rng = check_rng_make((uint64_t)(uintptr_t)number);
    for (uint64_t round = 0; round < check_rounds(100); round++) {
        pica_group group;
        int64_t after_ns = (int64_t)check_rng_below(&rng, (uint64_t)PICA_MS(1));
        pica_group_begin_until(&group, round % 2 ? pica_after(after_ns) : PICA_NEVER);
        unsigned members = 1 + (unsigned)check_rng_below(&rng, FEW);
        for (unsigned i = 0; i < members; i++)
            spawn_member_in_class(&group, does_something,
                                  (char *)&group + check_rng_below(&rng, 4));
        if (check_rng_below(&rng, 2))
            (void)!pica_yield();
        nobody_gives_up();
        intptr_t rc = pica_group_end(&group, 0);
        CHECK(rc == 0 || (rc == -ETIMEDOUT && round % 2));
        pica_group_deinit(&group);
    }
    return 0;
}

static void in_a_crowd(void)
{
    pica_task *owners[OWNERS];
    pica_attr attr = owners_attr();
    hold_all_and_one();
    give_one_back(); /* so some start, and others starve meanwhile */
    for (unsigned i = 0; i < OWNERS; i++)
        CHECK_FATAL_OK(pica_spawn_with(&owners[i], owns_many, body_arg(i), &attr));
    for (unsigned i = 0; i < OWNERS; i++) {
        while (pica_task_status(owners[i]) != PICA_DONE) {
            nobody_gives_up(); /* though who has the stack may wait long for a CPU */
            CHECK_OK(pica_sleep(PICA_MS(1)));
        }
        CHECK_EQ(body_end(owners[i]), 0);
    }
    CHECK_EQ(starved(), 0);
    give_all_back();
}

static struct {
    pica_group group;
    pica_task *owner;
    check_latch started, ends, ran;
} own;

static void begin_own(void)
{
    memset(&own, 0, sizeof(own));
    own.owner = pica_ref(pica_self());
    pica_group_begin(&own.group);
}

static intptr_t sleeps_inline(void *arg)
{
    (void)arg;
    nobody_gives_up();
    check_hit(&own.started);
    CHECK(pica_self()->outer != NULL);
    return pica_sleep(PICA_NEVER);
}

static intptr_t cancels_the_owner(void *arg)
{
    (void)arg;
    CHECK_SOON((nobody_gives_up(), check_hits(&own.started) == 1));
    CHECK_EQ(starved(), FEW - 1); /* the first waits on its owner's stack */
    CHECK_EQ(pica_cancel(own.owner), 0);
    return 0;
}

static intptr_t is_cancelled_beside_them(void *arg)
{
    begin_own();
    pica_task *canceller = body_spawn(cancels_the_owner, NULL);
    hold_all_and_one();
    for (unsigned i = 0; i < FEW; i++)
        spawn_member_in_class(&own.group, sleeps_inline, NULL);
    CHECK_SOON(starved() == FEW);
    CHECK_EQ(pica_group_end(&own.group, 0), -ECANCELED);
    CHECK_EQ(check_hits(&own.started), FEW);
    CHECK_EQ(pica_uncancel(), 0);
    CHECK_EQ(body_end(canceller), 0);
    pica_unref(own.owner);
    give_all_back();
    return (intptr_t)arg;
}

/* A cancel reaches the one that runs, and those that wait for a stack. */
static void cancelled_beside_them(void)
{
    run_in_a_larger_one(is_cancelled_beside_them);
}

/* --- While the owner waits -------------------------------------------------------------------- */

/* Has a stack, and keeps it until those that have none have run. */
static intptr_t spawns_more(void *arg)
{
    check_hit(&own.started);
    CHECK_HITS(&own.ends, 1);
    BODY_WAITS(own.owner);
    for (unsigned i = 0; i < FEW; i++) {
        spawn_member_in_class(&own.group, runs_inline, &own.ran);
        if (i == 0) /* and parks again */
            CHECK_SOON((nobody_gives_up(), check_hits(&own.ran) == 1));
        CHECK_OK(pica_yield());
    }
    CHECK_SOON((nobody_gives_up(), check_hits(&own.ran) == FEW));
    return (intptr_t)arg;
}

static intptr_t waits_before_they_starve(void *arg)
{
    begin_own();
    CHECK_EQ(pica_group_spawn(&own.group, spawns_more, NULL), 0);
    CHECK_HITS(&own.started, 1);
    hold_all_and_one();
    check_hit(&own.ends);
    CHECK_EQ(pica_group_end(&own.group, 0), 0);
    CHECK_EQ(check_hits(&own.ran), FEW);
    pica_unref(own.owner);
    give_all_back();
    return (intptr_t)arg;
}

static void run_by_who_waits_already(void)
{
    run_in_a_larger_one(waits_before_they_starve);
}

CHECK_MAIN
{
    check_run_in(INLINE, "run by their owner", run_by_their_owner);
    check_run_in(INLINE, "none is given up meanwhile", none_is_given_up_meanwhile);
    check_run_in(INLINE, "each group by its owner", each_group_by_its_owner);
    check_run_in(INLINE, "in a crowd", in_a_crowd);
    check_run_in(INLINE, "cancelled beside them", cancelled_beside_them);
    check_run_in(INLINE, "run by who waits already", run_by_who_waits_already);
}
