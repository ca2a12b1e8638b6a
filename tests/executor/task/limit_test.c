/* SPDX-License-Identifier: MIT */
/* limit_test.c: groups in which only so many members run at a time (limit.c, pica/group.h). */
#include "tests/executor/bodies.h"

#include <pica/group.h>
#include <pica/scope.h>

static void begin_limited(pica_group *group, uint32_t limit, uint32_t flags)
{
    pica_group_options options = PICA_GROUP_OPTIONS_INIT;
    options.limit = limit;
    options.flags = flags;
    CHECK_FATAL_OK(pica_group_begin_with(group, &options));
}

struct counting {
    uint32_t inside, most, done; /* [atomic] */
};

static intptr_t counts(void *arg)
{
    struct counting *c = arg;
    uint32_t inside = pi_add_acq_rel(&c->inside, 1u) + 1;
    uint32_t most = pi_load_relaxed(&c->most);
    while (inside > most && !pi_cas_relaxed(&c->most, &most, inside)) {
    }
    for (unsigned i = 0; i < 3; i++)
        CHECK_OK(pica_yield());
    pi_sub_acq_rel(&c->inside, 1u);
    pi_add_relaxed(&c->done, 1u);
    return 0;
}

static void never_more_than_the_limit(void)
{
    for (uint32_t limit = 1; limit <= 8; limit *= 2) {
        struct counting c = {0, 0, 0};
        pica_group group;
        begin_limited(&group, limit, 0);
        for (unsigned i = 0; i < 100; i++)
            CHECK_EQ(pica_group_spawn(&group, counts, &c), 0);
        CHECK_EQ(pica_group_end(&group, 0), 0);
        CHECK_EQ(c.done, 100);
        CHECK_LE(c.most, limit);
        if (check_mode() == CHECK_ONE) /* with several a member may end before the next comes */
            CHECK_EQ(c.most, limit);
        CHECK_EQ(group.running, 0);
    }
}

static void try_spawn(void)
{
    check_latch asleep = {0};
    struct counting c = {0, 0, 0};
    pica_group group;
    begin_limited(&group, 2, 0);
    pica_task *members[2];
    for (unsigned i = 0; i < 2; i++)
        CHECK_FATAL_OK(
            pica_group_try_spawn_with(&group, &members[i], body_swallows, &asleep, NULL));
    pica_task *out = NULL;
    CHECK_EQ(pica_group_try_spawn_with(&group, &out, counts, &c, NULL), -EAGAIN);
    CHECK_EQ(out, NULL);
    CHECK_HITS(&asleep, 2);
    CHECK_OK(pica_cancel(members[0]));
    CHECK_EQ(body_end(members[0]), 7);
    CHECK_SOON(pica_group_try_spawn(&group, counts, &c) == 0); /* a place is free again */
    CHECK_EQ(pica_group_try_spawn(&group, NULL, &c), -EINVAL);
    CHECK_EQ(pica_group_try_spawn(NULL, counts, &c), -EINVAL);
    CHECK_OK(pica_cancel(members[1]));
    CHECK_EQ(pica_group_end(&group, 0), 0);
    CHECK_EQ(body_end(members[1]), 7);
    CHECK_EQ(c.done, 1);
    CHECK_EQ(pica_group_try_spawn(&group, counts, &c), -ESHUTDOWN);
    pica_group_begin(&group); /* without a limit it is a spawn */
    CHECK_EQ(pica_group_try_spawn(&group, counts, &c), 0);
    CHECK_EQ(pica_group_end(&group, 0), 0);
    CHECK_EQ(c.done, 2);
}

/* A spawn that fails gives its place back. */
static void a_spawn_that_fails(void)
{
    struct counting c = {0, 0, 0};
    pica_group group;
    pica_attr attr = PICA_ATTR_INIT;
    attr.copy_size = PICA_COPY_MAX + 1;
    begin_limited(&group, 1, 0);
    for (unsigned i = 0; i < 3; i++) {
        CHECK_EQ(pica_group_spawn_with(&group, NULL, counts, &c, &attr), -EINVAL);
        CHECK_EQ(pica_group_try_spawn_with(&group, NULL, counts, &c, &attr), -EINVAL);
    }
    CHECK_EQ(group.running, 0);
    CHECK_EQ(pica_group_try_spawn(&group, counts, &c), 0);
    CHECK_EQ(pica_group_end(&group, 0), 0);
    CHECK_EQ(c.done, 1);
}

/* --- The wait for a place ----------------------------------------------------------------- */

struct waiting {
    pica_group *group;
    uint32_t *order; /* [atomic] */
    int expected;
};

static intptr_t says_when(void *arg)
{
    return (intptr_t)pi_add_acq_rel((uint32_t *)arg, 1u);
}

/* A task of the owner that is no member waits for a place. */
static intptr_t spawns_one(void *arg)
{
    const struct waiting *w = arg;
    pica_task *member = NULL;
    int rc = pica_group_spawn_with(w->group, &member, says_when, w->order, NULL);
    CHECK_EQ(rc, w->expected);
    return rc < 0 ? rc : body_end(member);
}

/* One after the other they wait for a place. */
static void line_up(pica_task **waiting, unsigned n, struct waiting *w)
{
    for (unsigned i = 0; i < n; i++) {
        waiting[i] = body_spawn(spawns_one, w);
        BODY_WAITS(waiting[i]);
    }
}

static void first_come_first_served(void)
{
    check_latch asleep = {0};
    uint32_t order = 0;
    pica_group group;
    begin_limited(&group, 1, 0);
    pica_task *member = NULL, *waiting[10];
    CHECK_FATAL_OK(pica_group_spawn_with(&group, &member, body_swallows, &asleep, NULL));
    struct waiting w = {&group, &order, 0};
    line_up(waiting, 10, &w);
    CHECK_EQ(pica_group_try_spawn(&group, says_when, &order), -EAGAIN);
    CHECK_OK(pica_cancel(member));
    for (unsigned i = 0; i < 10; i++)
        CHECK_EQ(body_end(waiting[i]), i);
    CHECK_EQ(pica_group_end(&group, 0), 0);
    pica_unref(member);
}

/* Who gives up leaves the queue; its place goes to the next. */
static void cancelled_spawners(void)
{
    check_latch asleep = {0};
    uint32_t order = 0;
    pica_group group;
    begin_limited(&group, 1, 0);
    pica_task *member = NULL, *waiting[9];
    CHECK_FATAL_OK(pica_group_spawn_with(&group, &member, body_swallows, &asleep, NULL));
    struct waiting serves = {&group, &order, 0}, leaves = {&group, NULL, -ECANCELED};
    for (unsigned i = 0; i < 9; i++) {
        waiting[i] = body_spawn(spawns_one, i % 3 ? &leaves : &serves);
        BODY_WAITS(waiting[i]);
    }
    for (unsigned i = 0; i < 9; i++) {
        if (i % 3 == 0)
            continue;
        CHECK_OK(pica_cancel(waiting[i]));
        CHECK_EQ(body_end(waiting[i]), -ECANCELED);
    }
    CHECK_OK(pica_cancel(member));
    for (unsigned i = 0; i < 9; i += 3)
        CHECK_EQ(body_end(waiting[i]), i / 3);
    CHECK_EQ(pica_group_end(&group, 0), 0);
    CHECK_EQ(group.running, 0);
    pica_unref(member);
}

/* The first has been cancelled and has not left the queue yet: the place goes to the second. */
static intptr_t returns_when_hit(void *arg)
{
    CHECK_HITS((check_latch *)arg, 1);
    return 0;
}

static void a_cancelled_head(void)
{
    check_latch go = {0};
    uint32_t order = 0;
    pica_group group;
    begin_limited(&group, 1, 0);
    CHECK_EQ(pica_group_spawn(&group, returns_when_hit, &go), 0);
    struct waiting serves = {&group, &order, 0}, leaves = {&group, NULL, -ECANCELED};
    pica_task *first = body_spawn(spawns_one, &leaves);
    BODY_WAITS(first);
    pica_task *second = body_spawn(spawns_one, &serves);
    BODY_WAITS(second);
    CHECK_OK(pica_cancel(first));
    check_hit(&go); /* with one worker the member runs before the first one */
    CHECK_EQ(body_end(second), 0);
    CHECK_EQ(body_end(first), -ECANCELED);
    CHECK_EQ(pica_group_end(&group, 0), 0);
    CHECK_EQ(group.running, 0);
}

/* The body waits for a place: its scopes, its cancel and the group's own end that. */
static void ends_of_the_wait(void)
{
    pica_group group;
    pica_scope scope;
    int touched = 1;
    begin_limited(&group, 1, 0);
    CHECK_EQ(pica_group_spawn(&group, body_swallows, NULL), 0);
    pica_scope_begin(&scope, pica_after(PICA_MS(2)));
    int rc = pica_group_spawn(&group, body_returns, &touched);
    CHECK_EQ(rc, -ECANCELED);
    CHECK_EQ(pica_group_spawn(&group, body_returns, &touched), -ECANCELED);  /* on entry, too */
    CHECK_EQ(pica_group_try_spawn(&group, body_returns, &touched), -EAGAIN); /* never */
    CHECK_EQ(pica_scope_end(&scope, rc), -ETIMEDOUT);
    CHECK_OK(pica_yield());
    pica_group_cancel(&group);
    CHECK_EQ(pica_group_spawn(&group, body_returns, &touched), -ESHUTDOWN);
    CHECK_EQ(pica_group_end(&group, 0), -ECANCELED);
    CHECK_EQ(touched, 1);

    begin_limited(&group, 2, 0); /* on entry, also where it would not have to wait */
    CHECK_EQ(pica_cancel(pica_self()), 0);
    CHECK_EQ(pica_group_spawn(&group, body_returns, NULL), -ECANCELED);
    CHECK_EQ(pica_group_try_spawn(&group, body_returns, NULL), 0);
    CHECK_EQ(pica_uncancel(), 0);
    CHECK_EQ(pica_group_end(&group, 0), 0);
}

/* A failure of a member refuses all who wait, behind a shield, too. */
static void a_failure_refuses_who_waits(void)
{
    check_latch go = {0};
    pica_group group;
    pica_scope shield;
    begin_limited(&group, 1, 0);
    CHECK_EQ(pica_group_spawn(&group, body_fails_when_hit, &go), 0);
    struct waiting w = {&group, NULL, -ESHUTDOWN};
    pica_task *waiting[5];
    line_up(waiting, 5, &w);
    pica_shield_begin(&shield, PICA_NEVER);
    check_hit(&go);
    int rc = pica_group_spawn(&group, body_returns, NULL);
    rc = (int)pica_scope_end(&shield, rc);
    CHECK_EQ(rc, -ESHUTDOWN);
    for (unsigned i = 0; i < 5; i++) {
        intptr_t result = 0;
        (void)!pica_await(waiting[i], &result); /* -ECANCELED, if it has to wait */
        CHECK_EQ(result, -ESHUTDOWN);
        pica_unref(waiting[i]);
    }
    CHECK_EQ(pica_group_end(&group, rc), -EIO);
    CHECK_EQ(group.running, 0);
    pica_group_deinit(&group);
}

/* At once, not when a place gets free. */
static intptr_t ends_when_hit(void *arg)
{
    pica_scope shield;
    pica_shield_begin(&shield, PICA_NEVER);
    CHECK_HITS((check_latch *)arg, 1);
    return pica_scope_end(&shield, 0);
}

static void a_cancel_refuses_who_waits(void)
{
    check_latch go = {0};
    pica_group group;
    pica_scope shield;
    begin_limited(&group, 1, 0);
    CHECK_EQ(pica_group_spawn(&group, ends_when_hit, &go), 0);
    struct waiting w = {&group, NULL, -ESHUTDOWN};
    pica_task *waiting[5];
    line_up(waiting, 5, &w);
    pica_group_cancel(&group);
    pica_shield_begin(&shield, PICA_NEVER); /* so that they are not cancelled by the await */
    for (unsigned i = 0; i < 5; i++)
        CHECK_EQ(body_end(waiting[i]), -ESHUTDOWN);
    CHECK_EQ(pica_scope_end(&shield, 0), 0);
    check_hit(&go);
    CHECK_EQ(pica_group_end(&group, 0), -ECANCELED);
}

/* It has been given a place, but before it goes on the group is cancelled: the place goes back. */
struct cancelling {
    pica_group group;
    check_latch go;
};

static intptr_t cancels_when_hit(void *arg)
{
    struct cancelling *c = arg;
    CHECK_HITS(&c->go, 1);
    pica_group_cancel(&c->group);
    return 0;
}

static void a_place_then_a_cancel(void)
{
    struct cancelling c = {.go = {0}};
    begin_limited(&c.group, 2, 0);
    CHECK_EQ(pica_group_spawn(&c.group, ends_when_hit, &c.go), 0);
    CHECK_EQ(pica_group_spawn(&c.group, cancels_when_hit, &c), 0);
    struct waiting w = {&c.group, NULL, -ESHUTDOWN};
    pica_task *waiting = body_spawn(spawns_one, &w);
    BODY_WAITS(waiting);
    check_hit(&c.go); /* the one ends, the other cancels, and only then the third one runs */
    pica_scope shield;
    pica_shield_begin(&shield, PICA_NEVER);
    CHECK_EQ(body_end(waiting), -ESHUTDOWN);
    CHECK_EQ(pica_scope_end(&shield, 0), 0);
    CHECK_EQ(pica_group_end(&c.group, 0), -ECANCELED);
    CHECK_EQ(c.group.running, 0);
}

/* --- Members that spawn members ----------------------------------------------------------- */

struct tree {
    pica_group *group;
    struct counting *counting;
    uint32_t *refused; /* [atomic] */
    unsigned depth;
};

static intptr_t grows(void *arg)
{
    const struct tree *here = arg;
    struct tree below = {here->group, here->counting, here->refused, here->depth - 1};
    pica_attr attr = PICA_ATTR_INIT;
    attr.copy_size = sizeof(below);
    for (unsigned i = 0; i < 2 && here->depth; i++) {
        int rc = pica_group_spawn_with(here->group, NULL, grows, &below, &attr);
        CHECK(rc == 0 || rc == -EDEADLK);
        if (rc < 0)
            pi_add_relaxed(here->refused, 1u);
    }
    return counts(here->counting);
}

/* All who hold a place would wait for one: the last of them is told so, and all come to their
 * end. */
static void the_last_is_told(void)
{
    for (uint32_t limit = 1; limit <= 4; limit++) {
        struct counting c = {0, 0, 0};
        uint32_t refused = 0;
        pica_group group;
        begin_limited(&group, limit, 0);
        struct tree top = {&group, &c, &refused, 6};
        pica_attr attr = PICA_ATTR_INIT;
        attr.copy_size = sizeof(top);
        CHECK_EQ(pica_group_spawn_with(&group, NULL, grows, &top, &attr), 0);
        CHECK_EQ(pica_group_end(&group, 0), 0);
        CHECK_LE(c.most, limit);
        CHECK_LT(0, refused);
        if (limit == 1) {
            CHECK_EQ(refused, 2);
            CHECK_EQ(c.done, 1);
        }
        CHECK_EQ(group.running, 0);
        CHECK_EQ(group.stuck, 0);
    }
}

/* A child that a member awaits stands for the member, also where it runs on its stack. */
static intptr_t spawns_into(void *arg)
{
    return pica_group_spawn((pica_group *)arg, body_returns, NULL);
}

static intptr_t awaits_a_spawner(void *arg)
{
    return body_end(body_spawn(spawns_into, arg));
}

static void a_child_of_the_last(void)
{
    pica_group group;
    begin_limited(&group, 1, PICA_GROUP_COLLECT);
    CHECK_EQ(pica_group_spawn(&group, awaits_a_spawner, &group), 0);
    CHECK_EQ(pica_group_end(&group, 0), -EDEADLK);
    pica_group_deinit(&group);
}

/* --- With other options, and under load --------------------------------------------------- */

static void a_limited_race(void)
{
    struct counting c = {0, 0, 0};
    pica_group group;
    begin_limited(&group, 2, PICA_GROUP_FIRST_SUCCESS);
    int rc = 0;
    for (intptr_t i = 0; i < 100 && rc == 0; i++)
        rc = i == 10 ? pica_group_spawn(&group, body_returns, body_arg(5))
                     : pica_group_spawn(&group, body_yields, body_arg(-100 - i));
    CHECK(rc == 0 || rc == -ESHUTDOWN);
    CHECK_EQ(pica_group_end(&group, rc), 5);
    CHECK_EQ(c.done, 0);
    pica_group_deinit(&group);
}

struct mess {
    pica_group group;
    struct counting counting;
    uint32_t limit;
};

static intptr_t is_one_of_many(void *arg)
{
    struct mess *m = arg;
    uint32_t inside = pi_add_acq_rel(&m->counting.inside, 1u) + 1;
    CHECK_LE(inside, m->limit);
    (void)!pica_yield();
    pi_sub_acq_rel(&m->counting.inside, 1u);
    pi_add_relaxed(&m->counting.done, 1u);
    return 0;
}

static intptr_t spawns_many(void *arg)
{
    struct mess *m = arg;
    intptr_t n = 0;
    for (unsigned i = 0; i < 30; i++) {
        int rc = pica_group_spawn(&m->group, is_one_of_many, m);
        CHECK(rc == 0 || rc == -ECANCELED || rc == -ESHUTDOWN);
        n += rc == 0;
        while (pica_cancelling() > 0)
            (void)pica_uncancel();
    }
    return n;
}

static void stress(void)
{
    check_rng rng = check_rng_make(9);
    for (uint64_t round = check_rounds(60); round > 0; round--) {
        struct mess m = {.limit = 1 + (uint32_t)check_rng_below(&rng, 4)};
        pica_task *spawners[8];
        begin_limited(&m.group, m.limit, 0);
        for (unsigned i = 0; i < 8; i++)
            spawners[i] = body_spawn(spawns_many, &m);
        bool cancel = check_rng_below(&rng, 4) == 0;
        for (unsigned i = 0; i < 100; i++) {
            (void)pica_cancel(spawners[check_rng_below(&rng, 8)]);
            if (cancel && i == 50)
                pica_group_cancel(&m.group);
            else if (!cancel || i < 50)
                CHECK_OK(pica_yield());
        }
        intptr_t n = 0, result;
        for (unsigned i = 0; i < 8; i++) {
            (void)!pica_await(spawners[i], &result); /* -ECANCELED, where the group is */
            n += result;
            pica_unref(spawners[i]);
        }
        CHECK_EQ(pica_group_end(&m.group, 0), cancel ? -ECANCELED : 0);
        CHECK_EQ(m.counting.done, n);
        CHECK_EQ(m.group.running, 0);
        CHECK(!m.group.head && !m.group.tail);
    }
}

CHECK_MAIN
{
    check_run("never more than the limit", never_more_than_the_limit);
    check_run("try", try_spawn);
    check_run("a spawn that fails", a_spawn_that_fails);
    check_run("first come, first served", first_come_first_served);
    check_run("cancelled spawners", cancelled_spawners);
    check_run("a cancelled head", a_cancelled_head);
    check_run("ends of the wait", ends_of_the_wait);
    check_run("a failure refuses who waits", a_failure_refuses_who_waits);
    check_run("a cancel refuses who waits", a_cancel_refuses_who_waits);
    check_run_in(CHECK_ONE, "a place, then a cancel", a_place_then_a_cancel);
    check_run("the last is told", the_last_is_told);
    /* With more workers the child may run beside the member. */
    check_run_in(CHECK_ONE, "a child of the last", a_child_of_the_last);
    check_run("a limited race", a_limited_race);
    check_run("stress", stress);
}
