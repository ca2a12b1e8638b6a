/* SPDX-License-Identifier: MIT */
/* group_cancel_test.c: cancels that reach a group from outside, and groups in scopes in groups
 * (pica/group.h). Deadlines are in group_deadline_test.c, what happens inside in group_test.c. */
#include "executor/task/members.h"
#include "tests/executor/bodies.h"

#include <pica/group.h>
#include <pica/scope.h>

#include <pthread.h>

/* --- A cancel from outside ---------------------------------------------------------------- */

struct grouping {
    check_latch asleep;
    unsigned members;
    pica_fn member;
    intptr_t expected;
    intptr_t body;
};

static intptr_t has_a_group(void *arg)
{
    struct grouping *g = arg;
    pica_group group;
    pica_group_begin(&group);
    for (unsigned i = 0; i < g->members; i++)
        CHECK_EQ(pica_group_spawn(&group, g->member, &g->asleep), 0);
    CHECK_EQ(pica_group_end(&group, g->body), g->expected);
    pica_group_deinit(&group);
    CHECK_EQ(pica_yield(), -ECANCELED); /* stays pending */
    return pica_cancelling();
}

static void cancelled_from_outside(const struct grouping *like)
{
    for (unsigned n = 1; n <= 9; n += 4) {
        struct grouping g = *like;
        g.members = n;
        pica_task *owner = body_spawn(has_a_group, &g);
        CHECK_HITS(&g.asleep, n);
        BODY_WAITS(owner);
        CHECK_EQ(pica_cancel(owner), 0);
        CHECK_EQ(body_end(owner), 1);
    }
}

static void outer_cancel(void)
{
    struct grouping g = {.member = body_sleeps, .expected = -ECANCELED};
    cancelled_from_outside(&g);
}

static void outer_cancel_that_members_swallow(void)
{
    struct grouping g = {.member = body_swallows, .expected = -ECANCELED};
    cancelled_from_outside(&g);
}

static intptr_t has_no_cancel_of_its_own(void *arg)
{
    check_hit(arg);
    CHECK_EQ(pica_sleep(PICA_NEVER), -ECANCELED);
    CHECK_EQ(pica_cancelling(), 0);
    return 0;
}

/* It is their group's, on whatever stack they run. */
static void outer_cancel_is_not_a_members(void)
{
    struct grouping g = {.member = has_no_cancel_of_its_own, .expected = -ECANCELED};
    cancelled_from_outside(&g);
}

static void errors_beat_an_outer_cancel(void)
{
    struct grouping g = {.member = body_sleeps_then_fails, .expected = -EIO};
    cancelled_from_outside(&g);
}

/* An owner that is cancelled before it comes to the end cancels its members there, whether or not
 * one of them ever looks; but not if they have ended all. (One worker: nobody else starts them.) */
static intptr_t comes_cancelled(void *arg)
{
    pica_group group;
    int unfinished = arg != NULL;
    CHECK_EQ(pica_cancel(pica_self()), 0);
    pica_group_begin(&group);
    pica_task *first = body_spawn_member(&group, body_returns, body_arg(5));
    if (!unfinished) {
        pica_scope shield;
        pica_shield_begin(&shield, PICA_NEVER);
        CHECK_OK(pica_join(first, NULL));
        CHECK_EQ(pica_scope_end(&shield, 0), 0);
    }
    pica_unref(first);
    CHECK_EQ(pica_group_end(&group, 3), unfinished ? -ECANCELED : 3);
    CHECK_EQ(pica_yield(), -ECANCELED); /* stays pending */
    return pica_cancelling();
}

static void cancelled_on_entry(void)
{
    CHECK_EQ(body_end(body_spawn(comes_cancelled, "unfinished")), 1);
    CHECK_EQ(body_end(body_spawn(comes_cancelled, NULL)), 1);
}

/* The first member cancels the owner while it runs on its stack; the next finds its group so. */
static intptr_t cancels_what_it_gets(void *task)
{
    CHECK_EQ(pica_cancel(task), 0);
    return 0;
}

static intptr_t is_cancelled_among_members(void *arg)
{
    (void)arg;
    pica_group group;
    intptr_t result = 0;
    pica_group_begin(&group);
    pica_unref(body_spawn_member(&group, cancels_what_it_gets, pica_self()));
    pica_task *next = body_spawn_member(&group, body_is_refused, &group);
    CHECK_EQ(pica_group_end(&group, 0), -ECANCELED);
    CHECK_OK(pica_task_result(next, &result));
    CHECK_EQ(result, 8);
    pica_unref(next);
    return pica_cancelling();
}

static void cancelled_among_members(void)
{
    CHECK_EQ(body_end(body_spawn(is_cancelled_among_members, NULL)), 1);
}

/* Cleans up only once a sibling, whom the same cancel has to reach, has ended. */
struct siblings {
    pica_task *first, *second;
    bool deadline;
    check_latch asleep, spawned;
};

static intptr_t ends_after_its_sibling(void *arg)
{
    struct siblings *s = arg;
    check_hit(&s->asleep);
    CHECK_EQ(pica_sleep(PICA_NEVER), -ECANCELED);
    pica_scope shield;
    intptr_t result = 0;
    pica_shield_begin(&shield, pica_after(PICA_SEC(12)));
    CHECK_HITS(&s->spawned, 1); /* the deadline may pass before */
    int rc = pica_join(s->second, &result);
    rc = (int)pica_scope_end(&shield, rc);
    CHECK_EQ(rc, 0);
    CHECK_EQ(result, 7);
    return 7;
}

static intptr_t has_siblings(void *arg)
{
    struct siblings *s = arg;
    pica_group group;
    pica_group_begin_until(&group, s->deadline ? pica_after(PICA_MS(10)) : PICA_NEVER);
    s->first = body_spawn_member(&group, ends_after_its_sibling, s);
    s->second = body_spawn_member(&group, body_swallows, &s->asleep);
    check_hit(&s->spawned);
    intptr_t rc = pica_group_end(&group, 0);
    pica_unref(s->first);
    pica_unref(s->second);
    return rc;
}

/* All members hear of it at once, also if one of them runs on the owner's stack. */
static void outer_cancel_reaches_all_at_once(void)
{
    struct siblings s = {.deadline = false};
    pica_task *owner = body_spawn(has_siblings, &s);
    CHECK_HITS(&s.asleep, 2);
    BODY_WAITS(owner);
    CHECK_EQ(pica_cancel(owner), 0);
    CHECK_EQ(body_end(owner), -ECANCELED);
}

static void deadline_reaches_all_at_once(void)
{
    struct siblings s = {.deadline = true};
    CHECK_EQ(body_end(body_spawn(has_siblings, &s)), -ETIMEDOUT);
}

/* --- Nesting ------------------------------------------------------------------------------ */

static void scope_around_a_group(void)
{
    pica_scope scope;
    pica_group group;
    pica_scope_begin(&scope, pica_after(PICA_MS(3)));
    pica_group_begin(&group);
    for (unsigned i = 0; i < 3; i++)
        CHECK_EQ(pica_group_spawn(&group, body_sleeps, NULL), 0);
    intptr_t rc = pica_group_end(&group, 0);
    CHECK_EQ(rc, -ECANCELED); /* the group did not expire */
    CHECK_EQ(pica_scope_end(&scope, rc), -ETIMEDOUT);
    CHECK_OK(pica_yield());
}

static void group_around_a_scope(void)
{
    pica_scope scope;
    pica_group group;
    check_latch done = {0};
    pica_group_begin(&group);
    CHECK_EQ(pica_group_spawn(&group, body_hits_late, &done), 0);
    pica_scope_begin(&scope, pica_after(PICA_MS(3)));
    intptr_t rc = pica_sleep(PICA_NEVER);
    CHECK_EQ(rc, -ECANCELED);
    CHECK_EQ(pica_scope_end(&scope, rc), -ETIMEDOUT);
    CHECK_OK(pica_yield());
    CHECK_EQ(pica_group_end(&group, 0), 0);
    CHECK_EQ(check_hits(&done), 1);
}

/* The outer group is cancelled: members of the inner one are, too, in any depth. */
static intptr_t nests(void *arg)
{
    struct grouping *g = arg;
    pica_group outer, inner;
    pica_scope scope, shield;
    pica_group_begin(&outer);
    CHECK_EQ(pica_group_spawn(&outer, g->member, &g->asleep), 0);
    pica_scope_begin(&scope, pica_after(PICA_SEC(100)));
    pica_group_begin(&inner);
    CHECK_EQ(pica_group_spawn(&inner, g->member, &g->asleep), 0);
    CHECK_EQ(pica_group_spawn(&outer, g->member, &g->asleep), 0);
    CHECK_EQ(pica_sleep(PICA_NEVER), -ECANCELED);
    pica_shield_begin(&shield, PICA_NEVER);
    CHECK_OK(pica_yield());
    CHECK_EQ(pica_scope_end(&shield, 0), 0);
    CHECK_EQ(pica_group_end(&inner, 0), -ECANCELED);
    CHECK_EQ(pica_scope_end(&scope, -ECANCELED), -ECANCELED);
    CHECK_EQ(pica_group_end(&outer, 0), -ECANCELED);
    return pica_cancelling();
}

static void nested(void)
{
    for (unsigned i = 0; i < 10; i++) {
        struct grouping g = {.member = body_sleeps};
        pica_task *task = body_spawn(nests, &g);
        CHECK_HITS(&g.asleep, 3);
        BODY_WAITS(task);
        CHECK_EQ(pica_cancel(task), 0);
        CHECK_EQ(body_end(task), 1);
    }
}

static intptr_t fails_in_an_inner_group(void *arg)
{
    (void)arg;
    pica_group inner;
    pica_group_begin(&inner);
    CHECK_EQ(pica_group_spawn(&inner, body_sleeps, NULL), 0);
    CHECK_EQ(pica_group_spawn(&inner, body_returns, body_arg(-EDOM)), 0);
    intptr_t rc = pica_group_end(&inner, 0);
    pica_group_deinit(&inner);
    return rc;
}

static void inner_failure_goes_outwards(void)
{
    pica_group outer;
    pica_group_begin(&outer);
    CHECK_EQ(pica_group_spawn(&outer, body_sleeps, NULL), 0);
    CHECK_EQ(pica_group_spawn(&outer, fails_in_an_inner_group, NULL), 0);
    CHECK_EQ(pica_group_end(&outer, 0), -EDOM);
    pica_group_deinit(&outer);
    CHECK_OK(pica_yield());
}

/* --- Whom a cancel finds ------------------------------------------------------------------ */

struct brood {
    pica_group *group;
    check_latch *asleep;
    unsigned n;
};

static intptr_t spawns_sleepers(void *arg)
{
    const struct brood *brood = arg;
    for (unsigned i = 0; i < brood->n; i++)
        CHECK_OK(pica_group_spawn(brood->group, body_sleeps, brood->asleep));
    return 0;
}

/* Members that sleep: some that the owner has spawned, after others that have ended, and some that
 * a member has. All are found, few or many; who is missed sleeps for ever. */
static void finds(unsigned ended, unsigned own, unsigned others)
{
    check_latch asleep = {0};
    pica_group group;
    pica_group_begin(&group);
    for (unsigned i = 0; i < ended; i++)
        CHECK_EQ(body_end(body_spawn_member(&group, body_returns, NULL)), 0);
    for (unsigned i = 0; i < own; i++)
        CHECK_OK(pica_group_spawn(&group, body_sleeps, &asleep));
    struct brood brood = {&group, &asleep, others};
    if (others)
        CHECK_OK(pica_group_spawn(&group, spawns_sleepers, &brood));
    CHECK_HITS(&asleep, own + others);
    CHECK_EQ(group.others, ended + own + others + (others > 0) > PI_PLACES); /* not by looking far */
    pica_group_cancel(&group);
    CHECK_EQ(pica_group_end(&group, 0), -ECANCELED);
}

static void whoever_spawned_them(void)
{
    for (unsigned own = 0; own <= 9; own++)
        for (unsigned others = 0; others <= 2; others++) {
            finds(0, own, others);
            finds(3, own, others);
        }
}

/* Those that are noted in a room, in the second one, and nowhere. */
static void however_many_there_are(void)
{
    static const unsigned edges[] = {PI_PLACES_HERE, PI_PLACES_FIRST, PI_PLACES};
    for (unsigned i = 0; i < 3; i++) {
        finds(edges[i] - 2, 2, 0);
        finds(edges[i] - 2, 3, 0);
        finds(edges[i] - 2, 1, 4);
        finds(0, edges[i] - 3, 6);
    }
    finds(1, 0, PI_PLACES);
}

/* Members that spawn members, at the same time, while others end. */
static intptr_t spawns_some(void *arg)
{
    struct brood *brood = arg;
    for (unsigned i = 0; i < brood->n; i++) {
        CHECK_OK(pica_group_spawn(brood->group, body_returns, NULL));
        CHECK_OK(pica_group_spawn(brood->group, body_sleeps, brood->asleep));
    }
    return 0;
}

static void whoever_spawns_beside(void)
{
    for (uint64_t round = check_rounds(20); round > 0; round--) {
        enum { SPAWNERS = 8, EACH = 7 }; /* 120 in all */
        check_latch asleep = {0};
        pica_group group;
        pica_group_begin(&group);
        struct brood brood = {&group, &asleep, EACH};
        for (unsigned i = 0; i < SPAWNERS; i++)
            CHECK_OK(pica_group_spawn(&group, spawns_some, &brood));
        CHECK_HITS(&asleep, SPAWNERS * EACH);
        CHECK_EQ(group.others, 0);
        pica_group_cancel(&group);
        CHECK_EQ(pica_group_end(&group, 0), -ECANCELED);
    }
}

/* --- By strangers --------------------------------------------------------------------------- */

static void *cancels_on_a_thread(void *group)
{
    pica_group_cancel(group);
    return NULL;
}

/* The member that waits for it keeps the group there. */
static intptr_t lets_a_thread_cancel(void *group)
{
    pthread_t thread;
    CHECK_FATAL(pthread_create(&thread, NULL, cancels_on_a_thread, group) == 0);
    pthread_join(thread, NULL);
    return 0;
}

static intptr_t cancels_in_a_task(void *group)
{
    pica_group_cancel(group);
    return 0;
}

static intptr_t lets_another_executor_cancel(void *group)
{
    pica_executor *other;
    pica_task *task;
    pica_options options = PICA_OPTIONS_INIT;
    options.workers = 1;
    CHECK_FATAL_OK(pica_executor_create(&other, &options));
    CHECK_FATAL_OK(pica_executor_spawn(other, &task, cancels_in_a_task, group));
    pica_scope shield;
    pica_shield_begin(&shield, PICA_NEVER);
    CHECK_EQ(body_end(task), 0);
    CHECK_EQ(pica_scope_end(&shield, 0), 0);
    pica_executor_destroy(other);
    return 0;
}

static void cancelled_by(pica_fn stranger)
{
    for (unsigned limit = 0; limit <= 3; limit += 3) {
        check_latch asleep = {0};
        pica_group group;
        pica_group_options options = PICA_GROUP_OPTIONS_INIT;
        options.limit = limit;
        CHECK_FATAL_OK(pica_group_begin_with(&group, &options));
        CHECK_OK(pica_group_spawn(&group, body_sleeps, &asleep));
        CHECK_OK(pica_group_spawn(&group, body_sleeps, &asleep));
        CHECK_HITS(&asleep, 2);
        CHECK_OK(pica_group_spawn(&group, stranger, &group));
        if (limit)
            CHECK_EQ(pica_group_spawn(&group, body_sleeps, &asleep), -ESHUTDOWN);
        else
            CHECK_EQ(pica_sleep(PICA_NEVER), -ECANCELED);
        CHECK_EQ(pica_group_end(&group, 0), -ECANCELED);
    }
}

static void cancelled_by_strangers(void)
{
    for (uint64_t round = check_rounds(20); round > 0; round--) {
        cancelled_by(lets_a_thread_cancel);
        cancelled_by(lets_another_executor_cancel);
    }
}

CHECK_MAIN
{
    check_run("an outer cancel", outer_cancel);
    check_run("an outer cancel that members swallow", outer_cancel_that_members_swallow);
    check_run("an outer cancel is not a member's", outer_cancel_is_not_a_members);
    check_run("errors beat an outer cancel", errors_beat_an_outer_cancel);
    check_run_in(CHECK_ONE, "cancelled on entry", cancelled_on_entry);
    check_run_in(CHECK_ONE, "cancelled among members", cancelled_among_members);
    check_run("an outer cancel reaches all at once", outer_cancel_reaches_all_at_once);
    check_run("a deadline reaches all at once", deadline_reaches_all_at_once);
    check_run("a scope around a group", scope_around_a_group);
    check_run("a group around a scope", group_around_a_scope);
    check_run("nested", nested);
    check_run("an inner failure goes outwards", inner_failure_goes_outwards);
    check_run("whoever spawned them", whoever_spawned_them);
    check_run("however many there are", however_many_there_are);
    check_run("whoever spawns beside", whoever_spawns_beside);
    check_run("cancelled by strangers", cancelled_by_strangers);
}
