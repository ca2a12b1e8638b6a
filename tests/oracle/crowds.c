/* SPDX-License-Identifier: MIT */
/* crowds.c: groups, and what their ends may come to. See oracle.h. */
#include "tests/oracle/oracle.h"

#define BODY_FAILS (FAILURE - NODES_MAX) /* less the number of its node */

void crowd_comes(span *group)
{
    uint32_t others = pi_add_acq_rel(&group->running, 1u);
    CHECK(!group->limit || others < group->limit);
}

void crowd_goes(span *group, intptr_t result)
{
    pi_sub_acq_rel(&group->running, 1u);
    bool race = group->mode == PICA_GROUP_FIRST_SUCCESS;
    if (race ? result >= 0 : !group->mode && result < 0 && result != -ECANCELED)
        pi_add_acq_rel(&group->begun, 1u); /* this end will cancel it */
}

int cancel_crowd(span *group)
{
    pi_add_acq_rel(&group->begun, 1u);
    pica_group_cancel(group->group);
    pi_add_acq_rel(&group->done, 1u);
    return 0;
}

int join_crowd(span *s, span *group, check_rng *rng, unsigned depth, kind what)
{
    node *n = node_new(rng, what, depth, s->node->ex);
    if (!n)
        return 0;
    n->member_of = group;
    n->next_member = pi_load_relaxed(&group->members);
    while (!pi_cas_acq_rel(&group->members, &n->next_member, n)) {
    }
    pica_attr attr;
    given copy;
    void *arg = node_attr(rng, n, &attr, &copy);
    bool waits = one_in(rng, 2), must = must_be_cancelled(s);
    bool gone = pi_load_acquire(&group->done);
    pica_task *task = NULL, **out = one_in(rng, 2) ? &task : NULL;
    int rc = waits ? pica_group_spawn_with(group->group, out, node_runs, arg, &attr)
                   : pica_group_try_spawn_with(group->group, out, node_runs, arg, &attr);
    memset(&copy, 0, sizeof(copy));
    pi_store_relaxed(&n->refused, (uint32_t)(rc < 0));
    CHECK(!gone || rc == -ESHUTDOWN);
    if (rc == 0) {
        CHECK(!n->eager || pi_load_relaxed(&n->runs) + pi_load_relaxed(&n->drops) == 1);
        CHECK(!must || !group->limit || !waits);
        pi_store_release(&n->task, task);
        return 0;
    }
    if (rc == -ESHUTDOWN) { /* or it was cancelled by its end, for what lies around it */
        CHECK(group_may_be_cancelled(group, pica_now()));
        return 0;
    }
    CHECK(group->limit);
    if (rc == -ECANCELED) {
        CHECK(waits);
        saw_cancel(s);
        return rc;
    }
    CHECK(waits ? rc == -EDEADLK && s->node->member_of == group : rc == -EAGAIN);
    return 0;
}

/* --- The end -------------------------------------------------------------------------------------- */

/* What the members have come to. */
typedef struct tally {
    unsigned failed, cancelled;
    node *first_success; /* by the stamps */
    bool ordered;        /* the stamps say who ended first */
} tally;

static tally count_members(const span *group, check_rng *rng)
{
    tally t = {.ordered = in_turns(group->node, group->node)};
    for (node *n = group->members; n; n = n->next_member) {
        if (n->refused)
            continue;
        CHECK_EQ(pi_load_relaxed(&n->runs) + pi_load_relaxed(&n->drops), 1);
        CHECK_EQ(n->deferred, 0);
        t.ordered &= n->stamp != UNORDERED;
        t.cancelled += n->result == -ECANCELED;
        t.failed += n->result < 0 && n->result != -ECANCELED;
        if (n->result >= 0 && (!t.first_success || n->stamp < t.first_success->stamp))
            t.first_success = n;
        if (n->task && one_in(rng, 2)) {
            intptr_t result;
            CHECK_EQ(pica_task_result(n->task, &result), 0);
            check_ended(n, result);
        }
        pica_unref(n->task);
    }
    return t;
}

static const node *member_of_error(const span *group, intptr_t error)
{
    const node *n = group->members;
    while (n && (n->refused || n->result != error))
        n = n->next_member;
    return n;
}

/* Each failure once, and none else; in order, where that is known. */
static void check_errors(const span *group, const tally *t, const intptr_t *errors, size_t n,
                         intptr_t body)
{
    const node *last = NULL;
    bool in_order = t->ordered || group->limit == 1;
    bool body_fails = body < 0 && body != -ECANCELED, body_seen = false;
    CHECK_EQ(n, t->failed + body_fails);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < i; k++)
            CHECK_NE(errors[i], errors[k]);
        const node *m = member_of_error(group, errors[i]);
        if (!m) {
            CHECK(body_fails && errors[i] == body && !body_seen);
            body_seen = true;
            continue;
        }
        CHECK(!last || !in_order || last->stamp == UNORDERED || last->stamp < m->stamp);
        last = m;
    }
}

/* @param must     what lies around the group is surely cancelled. @param ret  what the end gave */
static void check_end(span *group, const tally *t, const intptr_t *errors, intptr_t body,
                      intptr_t ret, bool must, uint32_t begun, bool surely)
{
    int64_t now = pica_now();
    bool race = group->mode == PICA_GROUP_FIRST_SUCCESS;
    if (race && t->first_success) {
        const node *winner = member_of_error(group, ret);
        CHECK(winner && (!t->ordered || winner == t->first_success));
    } else if (t->failed || (body < 0 && body != -ECANCELED)) {
        CHECK(errors && ret == errors[0]);
    } else if (ret == -ETIMEDOUT) {
        CHECK(group->deadline_ns <= now && !must);
    } else if (ret == -ECANCELED) {
        CHECK(begun || may_be_cancelled(group->outer, now) || (race && t->cancelled) ||
              (body == -ECANCELED && !group->alone));
    } else {
        CHECK_EQ(ret, body);
        CHECK(!surely && !(race && t->cancelled));
    }
}

/* Is there a member that has not ended? Where tasks run in turns. */
static bool some_live(const span *group)
{
    const node *n = pi_load_acquire(&group->members);
    while (n && (pi_load_relaxed(&n->refused) || pi_load_relaxed(&n->stamp) ||
                 pi_load_relaxed(&n->drops)))
        n = n->next_member;
    return n;
}

static int end_crowd(span *group, check_rng *rng, intptr_t rc)
{
    span *s = group->outer;
    const intptr_t *errors;
    bool refusal = rc == -ESHUTDOWN, must = must_be_cancelled(s);
    bool surely = pi_load_acquire(&group->done) || rc == -ECANCELED;
    if (!group->mode && rc < 0 && rc != -ECANCELED && !refusal)
        pi_add_acq_rel(&group->begun, 1u);
    pi_store_release(&group->gives_up, (uint32_t)(rc == -ECANCELED));
    if (in_turns(group->node, group->node) && must_be_cancelled(group))
        surely |= some_live(group);
    pi_store_release(&group->ending, 1u);
    intptr_t ret = pica_group_end(group->group, rc);
    rc = refusal ? -ECANCELED : rc;
    size_t n = pica_group_errors(group->group, &errors);
    tally t = count_members(group, rng);
    check_errors(group, &t, errors, n, rc);
    check_end(group, &t, errors, rc, ret, must, pi_load_acquire(&group->begun), surely);
    CHECK_EQ(pica_group_spawn(group->group, node_runs, NULL), -ESHUTDOWN);
    pica_group_cancel(group->group);
    pica_group_deinit(group->group);
    return look(s);
}

int crowd(span *s, check_rng *rng, unsigned depth)
{
    static const uint32_t modes[] = {0, 0, PICA_GROUP_COLLECT, PICA_GROUP_FIRST_SUCCESS};
    pica_group g;
    pica_group_options options = PICA_GROUP_OPTIONS_INIT;
    bool timed = one_in(rng, 3), sleepers = one_in(rng, 2), cancel = false;
    span *group = span_new(s, timed ? soon(rng) : PICA_NEVER, false);
    if (!group)
        return 0;
    group->group = &g;
    group->mode = options.flags = modes[check_rng_below(rng, 4)];
    group->limit = options.limit = one_in(rng, 2) ? 1 + (uint32_t)check_rng_below(rng, 2) : 0;
    options.deadline_ns = group->deadline_ns;
    CHECK_FATAL_OK(pica_group_begin_with(&g, &options));
    if (sleepers && !timed) { /* then something has to cancel them */
        cancel = true;
        sleepers = !group->limit;
    }
    intptr_t rc = 0;
    if (one_in(rng, 6)) { /* the first member cancels the group, and so what the body waits for */
        rc = join_crowd(group, group, rng, 0, CANCELLER);
        if (rc == 0 && group->members && !group->members->refused)
            rc = rouse(group, rng);
    }
    for (unsigned i = 0, n = (unsigned)check_rng_below(rng, 6); i < n && rc == 0; i++)
        rc = join_crowd(group, group, rng, depth,
                        sleepers && one_in(rng, 2) ? SLEEPER
                        : depth                    ? ACTOR
                                                   : LEAF);
    if (rc == 0 && one_in(rng, 2))
        rc = act(group, rng, depth);
    if (rc == 0 && one_in(rng, 4) && (group->mode == 0 || timed || !sleepers)) {
        rc = BODY_FAILS - (intptr_t)(s->node->number);
    } else if (cancel || one_in(rng, 8)) {
        cancel_crowd(group);
        rc = one_in(rng, 2) ? -ESHUTDOWN : rc; /* as if of a spawn that was refused */
    } else if (rc == 0) {
        rc = 7;
    }
    return end_crowd(group, rng, rc);
}
