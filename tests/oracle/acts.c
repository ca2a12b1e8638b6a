/* SPDX-License-Identifier: MIT */
/* acts.c: what the tasks of random programs do, and what each call may come to. See oracle.h. */
#include "tests/oracle/oracle.h"

#include <unistd.h>

/* --- Waits for time ------------------------------------------------------------------------------ */

int pass_time(span *s, check_rng *rng)
{
    bool must = must_be_cancelled(s);
    if (one_in(rng, 3))
        return waited(s, must, pica_yield());
    if (one_in(rng, 3))
        return waited(s, must, pica_check_cancel());
    int64_t until = soon(rng), scopes = visible_deadline(s);
    int rc = waited(s, must || scopes < until, pica_sleep_until(until));
    CHECK(rc < 0 || pica_now() >= until);
    return rc;
}

/* --- Other tasks ----------------------------------------------------------------------------------- */

static void cancel_task(node *n, pica_task *task)
{
    bool ended = pica_task_status(task) == PICA_DONE;
    pi_add_acq_rel(&n->root.begun, 1u);
    int rc = pica_cancel(task);
    if (rc == 0)
        pi_add_acq_rel(&n->root.done, 1u);
    CHECK(rc == 0 ? !ended : rc == -EALREADY && pica_task_status(task) == PICA_DONE);
}

void cancel_one(node *n)
{
    pica_task *task = n ? pi_load_acquire(&n->task) : NULL;
    if (task)
        cancel_task(n, task);
}

node *shared_one(check_rng *rng)
{
    node *n = w.shared[check_rng_below(rng, SHARED)];
    return pi_load_acquire(&n->task) ? n : NULL;
}

int join_one(span *s, check_rng *rng, node *n)
{
    intptr_t result = UNTOUCHED;
    int64_t until = one_in(rng, 2) && n->kind != SLEEPER ? PICA_NEVER : soon(rng);
    int64_t scopes = s ? visible_deadline(s) : PICA_NEVER;
    bool ended = pica_task_status(n->task) == PICA_DONE, must = s && must_be_cancelled(s);
    int rc = pica_join_until(n->task, &result, until);
    if (rc == 0) {
        check_ended(n, result);
        CHECK(ended || !must || !in_turns(s->node, n));
        return 0;
    }
    CHECK(!ended);
    CHECK_EQ(result, UNTOUCHED);
    if (rc == -ECANCELED && s) {
        saw_cancel(s);
        return rc;
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK(!must && until <= scopes && until <= pica_now());
    return 0;
}

int await_one(span *s, node *n)
{
    intptr_t result = UNTOUCHED;
    bool ended = pica_task_status(n->task) == PICA_DONE, must = must_be_cancelled(s);
    int link = link_to(n, s);
    if (link < 0)
        return 0;
    int rc = pica_await(n->task, &result);
    check_ended(n, result);
    CHECK(!ended || rc == 0);
    if (rc == 0) {
        unlink_from(n, link);
        CHECK(ended || !must || !in_turns(s->node, n));
        CHECK(ended || n->kind != SLEEPER || cancels_most(n) > 0);
        return 0;
    }
    CHECK_EQ(rc, -ECANCELED);
    saw_cancel(s);
    return rc;
}

/* The slots of a gather that has returned rc. @return how many are set
 * @param found  set to whether rc is among them */
static unsigned check_slots(node **of, const bool *ended, const intptr_t *results, unsigned n,
                            int rc, bool *found)
{
    unsigned set = 0;
    *found = false;
    for (unsigned i = 0; i < n; i++) {
        CHECK(!ended[i] || results[i] != UNTOUCHED);
        if (results[i] == UNTOUCHED)
            continue;
        set++;
        check_ended(of[i], results[i]);
        *found |= results[i] == rc;
    }
    return set;
}

static int gather_some(span *s, node **of, unsigned n, unsigned flags)
{
    pica_task *tasks[GATHER_MAX];
    intptr_t results[GATHER_MAX];
    bool ended[GATHER_MAX], all_ended = true, turns = true, must = must_be_cancelled(s), found;
    bool collect = flags & PICA_GATHER_COLLECT;
    int links[GATHER_MAX];
    for (unsigned i = 0; i < n; i++) {
        if ((links[i] = link_to(of[i], s)) < 0)
            n = i; /* without it, and without those behind */
        tasks[i] = of[i]->task;
        results[i] = UNTOUCHED;
        ended[i] = pica_task_status(tasks[i]) == PICA_DONE;
        all_ended &= ended[i] || i == n;
        turns &= in_turns(s->node, of[i]) || i == n;
    }
    int rc = pica_gather(tasks, n, results, flags);
    unsigned set = check_slots(of, ended, results, n, rc, &found);
    if (rc == -ECANCELED && (collect || !found)) { /* the caller's */
        CHECK_EQ(set, n);
        CHECK(!all_ended);
        saw_cancel(s);
        return rc;
    }
    if (rc == -ECANCELED)
        return 0; /* perhaps a task's, perhaps the caller's */
    for (unsigned i = 0; i < n; i++) {
        unlink_from(of[i], links[i]);
        CHECK(rc < 0 || collect || results[i] >= 0);
    }
    CHECK(rc == 0 ? set == n : !collect && found);
    CHECK(all_ended || !must || !turns);
    return 0;
}

/* --- Spawning ------------------------------------------------------------------------------------ */

static void dropped(void *arg)
{
    node *n = ((given *)arg)->node;
    CHECK(pica_self() == NULL);
    CHECK_EQ(pi_add_relaxed(&n->drops, 1u), 0);
    CHECK(may_be_cancelled(&n->root, pica_now()));
    n->result = -ECANCELED;
    if (n->kind == TELLER)
        close(n->fd);
}

/* @param arg  filled; what to spawn it with, to be spoilt after it */
void *node_attr(check_rng *rng, node *n, pica_attr *attr, given *arg)
{
    *attr = (pica_attr)PICA_ATTR_INIT;
    *arg = n->arg;
    attr->name = n->name;
    attr->copy_size = one_in(rng, 2) ? sizeof(*arg) : 0;
    n->may_drop = one_in(rng, 4);
    attr->on_drop = n->may_drop ? dropped : NULL;
    n->eager = one_in(rng, 4);
    attr->eager = n->eager;
    if (!n->eager && one_in(rng, 8))
        n->pin = attr->pin = 1;
    return attr->copy_size ? arg : &n->arg;
}

bool node_spawn(check_rng *rng, span *s, node *n)
{
    pica_attr attr;
    given arg;
    void *given_arg = node_attr(rng, n, &attr, &arg);
    pica_task *task = NULL, **out = n->orphan ? NULL : &task;
    bool own = s && s->node->ex == n->ex;
    int rc = own ? pica_spawn_with(out, node_runs, given_arg, &attr)
                 : pica_executor_spawn_with(w.ex[n->ex], out, node_runs, given_arg, &attr);
    memset(&arg, 0, sizeof(arg));
    if (rc < 0) {
        CHECK_EQ(rc, -ESHUTDOWN);
        CHECK(!own && pi_load_acquire(&w.closing[n->ex]));
        n->refused = 1;
        return false;
    }
    CHECK(!own || !n->eager || pi_load_relaxed(&n->runs) + pi_load_relaxed(&n->drops) == 1);
    pi_store_release(&n->task, task);
    return true;
}

/* Some children, which are waited for in one way or another, or not at all. */
static int children(span *s, check_rng *rng, unsigned depth)
{
    node *of[GATHER_MAX];
    unsigned n = 0, wanted = 1 + (unsigned)check_rng_below(rng, GATHER_MAX - 1);
    int rc = 0;
    while (n < wanted) {
        uint32_t ex = one_in(rng, 6) ? !s->node->ex : s->node->ex;
        node *child = node_new(rng, depth ? ACTOR : LEAF, depth ? depth - 1 : 0, ex);
        if (!child)
            break;
        child->orphan = one_in(rng, 10);
        if (!node_spawn(rng, s, child) || child->orphan)
            break;
        of[n++] = child;
        if (one_in(rng, 8))
            cancel_one(child);
    }
    if (n && one_in(rng, 3))
        rc = pass_time(s, rng);
    unsigned listed = n;
    if (n && one_in(rng, 3))
        of[listed++] = of[0]; /* the same twice */
    if (n && rc == 0 && one_in(rng, 2))
        rc = gather_some(s, of, listed, one_in(rng, 2) ? PICA_GATHER_COLLECT : 0);
    for (unsigned i = 0; i < n; i++) {
        int own = one_in(rng, 3)   ? 0
                  : one_in(rng, 3) ? join_one(s, rng, of[i])
                                   : await_one(s, of[i]);
        rc = own < 0 ? own : rc;
        if (one_in(rng, 8)) {
            pi_store_relaxed(&of[i]->looked, 1u);
            pica_detach(of[i]->task);
        } else {
            pica_unref(of[i]->task);
        }
    }
    return rc;
}

int rouse(span *s, check_rng *rng)
{
    node *of[2];
    unsigned n = 0;
    while (n < 2 && (of[n] = node_new(rng, SLEEPER, 0, s->node->ex)))
        (void)node_spawn(rng, s, of[n++]);
    int rc = n == 2 && one_in(rng, 2) ? gather_some(s, of, n, PICA_GATHER_COLLECT) : 0;
    for (unsigned i = 0; i < n; i++) {
        int own = await_one(s, of[i]);
        rc = own < 0 ? own : rc;
        pica_unref(of[i]->task);
    }
    return rc;
}

/* The same, where nothing but a child's cancel need end it. */
static int be_cancelled(span *s, check_rng *rng)
{
    for (const span *in = s; in->outer; in = in->outer)
        if (in->shield)
            return 0;
    node *n = node_new(rng, CANCELLER, 0, s->node->ex);
    if (!n)
        return 0;
    n->target = s->node;
    n->target_task = pica_ref(pica_self());
    CHECK_FATAL(node_spawn(rng, s, n));
    int rc = rouse(s, rng), own = await_one(s, n);
    pica_unref(n->target_task);
    pica_unref(n->task);
    return own < 0 ? own : rc;
}

/* --- Scopes ---------------------------------------------------------------------------------------- */

static void move_deadline(span *in, check_rng *rng, pica_scope *scope)
{
    int64_t deadline_ns = one_in(rng, 2) ? PICA_NEVER : soon(rng);
    int rc = pica_scope_reschedule(scope, deadline_ns);
    if (rc == 0) {
        CHECK(!in->alone);
        pi_store_release(&in->deadline_ns, deadline_ns);
    } else {
        CHECK_EQ(rc, -EALREADY);
        CHECK(in->deadline_ns <= pica_now() && pica_scope_expired(scope));
    }
}

static void end_scope(span *in, pica_scope *scope, intptr_t rc)
{
    bool must = must_be_cancelled(in->outer);
    intptr_t ret = pica_scope_end(scope, rc);
    bool expired = pica_scope_expired(scope);
    int64_t now = pica_now();
    CHECK(!expired || in->deadline_ns <= now);
    CHECK(expired || !(in->alone || (in->sticky && in->shield)));
    if (rc != -ECANCELED) {
        CHECK_EQ(ret, rc);
    } else if (ret == -ETIMEDOUT) {
        CHECK(expired && !must);
    } else {
        CHECK_EQ(ret, -ECANCELED);
        CHECK(!expired || may_be_cancelled(in->outer, now));
        in->outer->sticky |= in->sticky || expired;
    }
}

static int in_scope(span *s, check_rng *rng, unsigned depth)
{
    pica_scope scope;
    span *in = span_new(s, one_in(rng, 3) ? PICA_NEVER : soon(rng), one_in(rng, 3));
    if (!in)
        return 0;
    if (in->shield)
        pica_shield_begin(&scope, in->deadline_ns);
    else
        pica_scope_begin(&scope, in->deadline_ns);
    int rc = in->deadline_ns != PICA_NEVER && one_in(rng, 2) ? rouse(in, rng) : 0;
    for (unsigned i = 0; i < 3 && (rc == 0 || one_in(rng, 2)); i++) {
        rc = act(in, rng, depth);
        if (one_in(rng, 3))
            move_deadline(in, rng, &scope);
    }
    end_scope(in, &scope, rc == 0 && one_in(rng, 3) ? -EIO : rc);
    return look(s);
}

/* --- Cancels that are counted ------------------------------------------------------------------------ */

static int take_back(span *s)
{
    node *n = s->node;
    int64_t least = cancels_least(n);
    int rc = pica_uncancel();
    if (rc < 0) {
        CHECK_EQ(rc, -EINVAL);
        CHECK_EQ(least, 0);
        return 0;
    }
    CHECK(least <= rc + 1 && rc + 1 <= cancels_most(n));
    pi_add_relaxed(&n->root.taken, 1u);
    for (; s; s = s->outer)
        s->sticky = false;
    return 0;
}

static int count_cancels(span *s)
{
    int64_t least = cancels_least(s->node);
    int rc = pica_cancelling();
    CHECK(least <= rc && rc <= cancels_most(s->node));
    return 0;
}

/* --- Handlers ------------------------------------------------------------------------------------------ */

static void handler(void *arg)
{
    later *l = arg;
    node *n = l->node;
    check_rng rng = {n->seed + l->number};
    span *shield = span_new(&n->root, PICA_NEVER, true);
    CHECK_EQ(n->deferred, l->number);
    CHECK_EQ(pica_check_cancel(), 0);
    if (shield) {
        CHECK_EQ(pass_time(shield, &rng), 0);
        CHECK_EQ(children(shield, &rng, 0), 0);
    }
    n->deferred = l->number - 1;
    CHECK_EQ(pica_task_status(pica_self()), PICA_RUNNING);
}

static int defers(node *n)
{
    if (n->deferred < LATER_MAX) {
        pi_store_relaxed(&n->stamp, UNORDERED);
        later *l = &n->later[n->deferred];
        *l = (later){n, ++n->deferred};
        CHECK_OK(pica_defer(handler, l));
    }
    return 0;
}

/* --- Tasks --------------------------------------------------------------------------------------------------- */

static int with_shared(span *s, check_rng *rng)
{
    node *n = shared_one(rng), *of[] = {n, n};
    if (!n)
        return 0;
    switch (check_rng_below(rng, n->kind == LEAF ? 4 : 2)) {
    case 0:
        cancel_one(n);
        return 0;
    case 1:
        return n == s->node || n->kind != LEAF ? 0 : join_one(s, rng, n);
    case 2:
        return await_one(s, n);
    default:
        return gather_some(s, of, 2, PICA_GATHER_COLLECT);
    }
}

static int with_group(span *s, check_rng *rng, unsigned depth)
{
    span *group = s->node->member_of;
    if (!group)
        return 0;
    if (one_in(rng, 4))
        return cancel_crowd(group);
    return join_crowd(s, group, rng, depth ? depth - 1 : 0, LEAF);
}

int act(span *s, check_rng *rng, unsigned depth)
{
    unsigned deeper = depth ? depth - 1 : 0;
    switch (check_rng_below(rng, depth ? 13 : 7)) {
    case 0:
        return defers(s->node);
    case 1:
        return take_back(s);
    case 2:
        return count_cancels(s);
    case 3:
        return with_shared(s, rng);
    case 4:
        return sem_act(s, rng);
    case 5:
        return with_group(s, rng, depth);
    case 6:
        return pass_time(s, rng);
    case 7:
        return talk(s, rng);
    case 8:
        return children(s, rng, deeper);
    case 9:
        return crowd(s, rng, deeper);
    case 10:
        return be_cancelled(s, rng);
    default:
        return in_scope(s, rng, deeper);
    }
}

intptr_t node_runs(void *arg)
{
    const given *g = arg;
    node *n = g->node;
    check_rng rng = {n->seed};
    int rc = 0;
    for (unsigned i = 0; i < 3; i++)
        CHECK_EQ(g->marks[i], n->number + i);
    CHECK_EQ(pi_add_relaxed(&n->runs, 1u), 0);
    if (n->member_of)
        crowd_comes(n->member_of);
    if (n->kind == SLEEPER)
        CHECK_EQ(rc = waited(&n->root, false, pica_sleep(PICA_NEVER)), -ECANCELED);
    if (n->kind == TELLER)
        rc = (int)tell(n, &rng);
    if (n->kind == CANCELLER) {
        rc = pass_time(&n->root, &rng);
        if (n->member_of)
            (void)cancel_crowd(n->member_of);
        else
            cancel_task(n->target, n->target_task);
    }
    unsigned steps = n->kind < SLEEPER ? (unsigned)check_rng_below(&rng, 6) : 0;
    for (unsigned i = 0; i < steps && (rc == 0 || one_in(&rng, 3)); i++) {
        rc = n->kind == LEAF ? pass_time(&n->root, &rng) : act(&n->root, &rng, n->depth);
        CHECK(!n->pin || pica_worker_index() == (int)n->pin - 1);
    }
    n->result = rc == -ECANCELED && !one_in(&rng, 4) ? rc
                : one_in(&rng, 4)                    ? FAILURE - (intptr_t)n->number
                                                     : (intptr_t)n->number;
    if (n->stamp != UNORDERED)
        pi_store_relaxed(&n->stamp, 1 + pi_add_relaxed(&w.stamps, UINT64_C(1)));
    if (n->member_of)
        crowd_goes(n->member_of, n->result);
    return n->result;
}
