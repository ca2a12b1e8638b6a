/* SPDX-License-Identifier: MIT */
/* nest_test.c: scopes, shields and groups (plain, limited, collecting) in each other, in random
 * order, and one thing that happens to one of them, or to the task: who hears of it, what does
 * each end return, and is everything outside of it as before (pica/scope.h, pica/group.h)? */
#include "executor/sched/scope.h"
#include "tests/executor/bodies.h"

#include <pica/group.h>
#include <pica/scope.h>

#define DEPTH_MAX 7

enum kind { SCOPE, GROUP, LIMITED, COLLECTING, SHIELD, KINDS };
enum cause { DEADLINE, GROUP_CANCEL, FAILURE, TASK_CANCEL, CAUSES };

struct nest {
    enum kind kinds[DEPTH_MAX];
    unsigned depth;
    enum cause cause;
    unsigned where; /* the level that it happens to; not of TASK_CANCEL */
    check_latch asleep, go;
    pica_group *group; /* at that level */
    int64_t due_ns;    /* of a DEADLINE */
};

static bool is_group(enum kind kind)
{
    return kind != SCOPE && kind != SHIELD;
}

/* Is there a shield between the cause and the innermost of so many levels? */
static bool hidden_within(const struct nest *n, unsigned depth)
{
    for (unsigned i = n->cause == TASK_CANCEL ? 0 : n->where + 1; i < depth; i++)
        if (n->kinds[i] == SHIELD)
            return true;
    return false;
}

static bool hidden(const struct nest *n)
{
    return hidden_within(n, n->depth);
}

/* Is level i cancelled, sooner or later? */
static bool affected(const struct nest *n, unsigned i)
{
    return (n->cause == TASK_CANCEL || i >= n->where) && !hidden_within(n, i + 1);
}

struct member {
    struct nest *nest;
    bool affected;
};

/* One that is not to be cancelled ends when all is over. */
static intptr_t waits(void *arg)
{
    const struct member *m = arg;
    check_hit(&m->nest->asleep);
    if (m->affected)
        return pica_sleep(PICA_NEVER);
    while (!check_hits(&m->nest->go))
        CHECK_OK(pica_sleep(PICA_MS(1)));
    return 0;
}

static intptr_t member_that_acts(void *arg)
{
    struct nest *n = arg;
    CHECK_HITS(&n->asleep, 1);
    if (n->cause == FAILURE)
        return -EIO;
    pica_group_cancel(n->group);
    return 0;
}

static void begin(struct nest *n, unsigned i, pica_scope *scope, pica_group *group)
{
    bool expires = n->cause == DEADLINE && n->where == i;
    int64_t deadline_ns = expires ? pica_after(PICA_MS(2)) : PICA_NEVER;
    if (expires)
        n->due_ns = deadline_ns;
    if (n->kinds[i] == SCOPE) {
        pica_scope_begin(scope, deadline_ns);
    } else if (n->kinds[i] == SHIELD) {
        pica_shield_begin(scope, deadline_ns);
    } else {
        pica_group_options options = PICA_GROUP_OPTIONS_INIT;
        options.deadline_ns = deadline_ns;
        options.limit = n->kinds[i] == LIMITED ? 2 : 0;
        options.flags = n->kinds[i] == COLLECTING ? PICA_GROUP_COLLECT : 0;
        CHECK_FATAL_OK(pica_group_begin_with(group, &options));
        /* Not a cancellation point: what is to happen may have happened. */
        struct member member = {n, affected(n, i)};
        pica_attr attr = PICA_ATTR_INIT;
        attr.copy_size = sizeof(member);
        CHECK_EQ(pica_group_try_spawn_at(group, NULL, waits, &member, &attr, PICA_SITE), 0);
        if (n->where == i && (n->cause == GROUP_CANCEL || n->cause == FAILURE)) {
            n->group = group;
            CHECK_EQ(pica_group_try_spawn(group, member_that_acts, n), 0);
        }
    }
}

static bool has_happened(const struct nest *n)
{
    if (n->cause == DEADLINE)
        return pica_now() > n->due_ns;
    if (n->cause == TASK_CANCEL)
        return pica_cancelling() == 1;
    return pi_load_relaxed(&n->group->scope.flags) & PI_SCOPE_CANCELLED;
}

/* What the innermost code hears. */
static int innermost(struct nest *n)
{
    check_hit(&n->asleep);
    if (!hidden(n)) {
        int rc = pica_sleep(PICA_NEVER);
        CHECK_EQ(rc, -ECANCELED);
        CHECK_EQ(pica_yield(), -ECANCELED); /* sticky */
        check_hit(&n->go);
        return rc;
    }
    CHECK_SOON(has_happened(n));
    CHECK_OK(pica_sleep(PICA_US(50)));
    check_hit(&n->go);
    return 0;
}

/* The end of a level: what has it come to, by the rules? */
static intptr_t expected(const struct nest *n, unsigned i, intptr_t rc)
{
    if (n->cause != TASK_CANCEL && i == n->where) {
        if (n->cause == DEADLINE)
            return rc == -ECANCELED || is_group(n->kinds[i]) ? -ETIMEDOUT : rc;
        return n->cause == FAILURE ? -EIO : -ECANCELED;
    }
    return is_group(n->kinds[i]) && affected(n, i) ? -ECANCELED : rc;
}

static intptr_t level(struct nest *n, unsigned i)
{
    if (i == n->depth)
        return innermost(n);
    pica_scope scope;
    pica_group group;
    begin(n, i, &scope, &group);
    intptr_t rc = level(n, i + 1);
    intptr_t should = expected(n, i, rc);
    if (is_group(n->kinds[i])) {
        rc = pica_group_end(&group, rc);
        pica_group_deinit(&group);
    } else {
        rc = pica_scope_end(&scope, rc);
    }
    CHECK_EQ(rc, should);
    if (n->cause != TASK_CANCEL && i == n->where) {
        CHECK_OK(pica_yield()); /* it is over with this one */
        rc = 0;
    }
    return rc;
}

static intptr_t nests(void *arg)
{
    struct nest *n = arg;
    intptr_t rc = level(n, 0);
    if (n->cause == TASK_CANCEL)
        CHECK_SOON(pica_cancelling() == 1);
    CHECK_EQ(pica_yield(), n->cause == TASK_CANCEL ? -ECANCELED : 0);
    if (n->cause == TASK_CANCEL && n->depth && !hidden(n))
        CHECK_EQ(rc, -ECANCELED);
    return 1;
}

/* A cause that fits: deadlines everywhere, the rest for groups that fail. */
static void choose(struct nest *n, check_rng *rng)
{
    n->depth = 1 + (unsigned)check_rng_below(rng, DEPTH_MAX);
    for (unsigned i = 0; i < n->depth; i++)
        n->kinds[i] = (enum kind)check_rng_below(rng, KINDS);
    do {
        n->cause = (enum cause)check_rng_below(rng, CAUSES);
        n->where = (unsigned)check_rng_below(rng, n->depth);
    } while ((n->cause == GROUP_CANCEL && !is_group(n->kinds[n->where])) ||
             (n->cause == FAILURE && n->kinds[n->where] != GROUP && n->kinds[n->where] != LIMITED));
}

static void in_any_order(void)
{
    check_rng rng = check_rng_make(3);
    for (uint64_t round = check_rounds(300); round > 0; round--) {
        struct nest n = {.depth = 0};
        choose(&n, &rng);
        pica_task *task = body_spawn(nests, &n);
        if (n.cause == TASK_CANCEL) {
            uint64_t sleepers = 1;
            for (unsigned i = 0; i < n.depth; i++)
                sleepers += is_group(n.kinds[i]);
            CHECK_HITS(&n.asleep, sleepers);
            CHECK_OK(pica_cancel(task));
        }
        CHECK_EQ(body_end(task), 1);
    }
}

CHECK_MAIN
{
    check_run("in any order", in_any_order);
}
