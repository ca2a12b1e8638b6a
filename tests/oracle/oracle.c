/* SPDX-License-Identifier: MIT */
/* oracle.c: see oracle.h. */
#include "tests/oracle/oracle.h"

#include <stdio.h>

#define SPANS_MAX 3000

world w;
static node nodes[NODES_MAX];
static span spans[SPANS_MAX];

bool group_may_be_cancelled(const span *group, int64_t now)
{
    return group && (pi_load_acquire(&group->begun) || pi_load_acquire(&group->gives_up) ||
                     (pi_load_acquire(&group->ending) && may_be_cancelled(group, now)));
}

/* By how many of those that wait for it may a task have been cancelled? */
static uint32_t inherited(const node *n, int64_t now)
{
    uint32_t count = 0, links = pi_load_acquire(&n->links_count);
    for (uint32_t i = 0; i < links && i < LINKS; i++) {
        const span *from = pi_load_acquire(&n->links[i]);
        count += from && may_be_cancelled(from, now);
    }
    return count;
}

bool may_be_cancelled(const span *s, int64_t now)
{
    for (; s->outer; s = s->outer) {
        if (pi_load_acquire(&s->begun) || pi_load_acquire(&s->deadline_ns) <= now)
            return true;
        if (s->shield)
            return false;
    }
    return cancels_most(s->node) > 0 || group_may_be_cancelled(s->node->member_of, now);
}

bool must_be_cancelled(const span *s)
{
    int64_t now = pica_now();
    for (; s->outer; s = s->outer) {
        if (s->sticky || pi_load_acquire(&s->done) || s->deadline_ns <= now)
            return true;
        if (s->shield)
            return false;
    }
    const span *group = s->node->member_of;
    return s->sticky || cancels_least(s->node) > 0 || (group && pi_load_acquire(&group->done));
}

int64_t visible_deadline(const span *s)
{
    int64_t earliest = PICA_NEVER;
    for (; s->outer; s = s->outer) {
        if (s->deadline_ns < earliest)
            earliest = s->deadline_ns;
        if (s->shield)
            break;
    }
    return earliest;
}

void saw_cancel(span *s)
{
    int64_t now = pica_now();
    CHECK(may_be_cancelled(s, now));
    s->sticky = true;
    if (s->deadline_ns <= now && !pi_load_acquire(&s->begun) &&
        (s->shield || !may_be_cancelled(s->outer, now)))
        s->alone = true;
}

int waited(span *s, bool must, int rc)
{
    CHECK(rc == 0 || rc == -ECANCELED);
    CHECK(!must || rc == -ECANCELED);
    if (rc == -ECANCELED)
        saw_cancel(s);
    return rc;
}

int look(span *s)
{
    bool must = must_be_cancelled(s);
    return waited(s, must, pica_check_cancel());
}

int64_t cancels_least(const node *n)
{
    int64_t left = (int64_t)pi_load_acquire(&n->root.done) - pi_load_relaxed(&n->root.taken);
    return left > 0 ? left : 0;
}

int64_t cancels_most(const node *n)
{
    int64_t now = pica_now();
    if (pi_load_acquire(&w.closing[n->ex])) /* each worker may come once */
        return INT32_MAX;
    int64_t passed_on = inherited(n, now);
    const span *group = n->member_of; /* run on its owner's stack: passed on, too */
    passed_on += group && pi_load_acquire(&group->ending) && may_be_cancelled(group, now);
    return pi_load_acquire(&n->root.begun) + passed_on - pi_load_relaxed(&n->root.taken);
}

bool in_turns(const node *a, const node *b)
{
    return check_mode() == CHECK_ONE && a->ex == b->ex;
}

/* --- Making them --------------------------------------------------------------------------------- */

static span *span_init(span *s, span *outer, node *n, int64_t deadline_ns, bool shield)
{
    *s = (span){.outer = outer, .node = n, .shield = shield, .deadline_ns = deadline_ns};
    return s;
}

span *span_new(span *outer, int64_t deadline_ns, bool shield)
{
    uint32_t number = pi_add_relaxed(&w.spans, 1u);
    return number < SPANS_MAX ? span_init(&spans[number], outer, outer->node, deadline_ns, shield)
                              : NULL;
}

node *node_new(check_rng *rng, kind what, uint32_t depth, uint32_t ex)
{
    uint32_t number = pi_add_relaxed(&w.nodes, 1u);
    if (number >= NODES_MAX)
        return NULL;
    node *n = &nodes[number];
    *n = (node){.seed = check_rng_next(rng),
                .kind = what,
                .number = number,
                .depth = depth,
                .ex = ex,
                .result = UNTOUCHED};
    (void)snprintf(n->name, sizeof(n->name), "n%u", (unsigned)number);
    n->arg = (given){n, {number, number + 1, number + 2}};
    span_init(&n->root, NULL, n, PICA_NEVER, false);
    return n;
}

int link_to(node *n, span *s)
{
    uint32_t link = pi_add_acq_rel(&n->links_count, 1u);
    if (link >= LINKS)
        return -1;
    pi_store_release(&n->links[link], s);
    return (int)link;
}

void unlink_from(node *n, int link)
{
    pi_store_release(&n->links[link], NULL);
}

/* --- What has become of them ---------------------------------------------------------------------- */

void check_ended(node *n, intptr_t result)
{
    CHECK_EQ(pica_task_status(n->task), PICA_DONE);
    CHECK_EQ(result, n->result);
    CHECK_EQ(pi_load_relaxed(&n->runs) + pi_load_relaxed(&n->drops), 1);
    CHECK_EQ(n->deferred, 0);
    pi_store_relaxed(&n->looked, 1u);
}

void on_lost(void *unused, const pica_lost_error *error)
{
    (void)unused;
    node *n = (node *)(uintptr_t)(const void *)error->name;
    CHECK(n >= nodes && n < nodes + NODES_MAX);
    CHECK_EQ(error->error, n->result);
    pi_add_relaxed(&n->lost, 1u);
}

void oracle_begin(void)
{
    w = (world){.nodes = 0};
}

void oracle_end(void)
{
    for (uint32_t i = 0; i < w.nodes && i < NODES_MAX; i++) {
        const node *n = &nodes[i];
        CHECK_EQ(n->runs + n->drops, !n->refused);
        CHECK(!n->drops || n->may_drop);
        bool lost = n->runs && n->result < 0 && n->result != -ECANCELED && !n->member_of;
        CHECK_EQ(n->lost, lost && !n->looked);
    }
}
