/* SPDX-License-Identifier: MIT */
/* case_skynet.c: a tree of tasks, ten children to a node, a million leaves that return their
 * number; every node adds up what its children return. Time per leaf. */
#include "perf/bench/cases.h"
#include "perf/common/clock.h"

#define LEAVES 1000000

typedef struct node {
    int64_t first, leaves;
} node;

static intptr_t skynet(void *arg)
{
    const node *me = arg;
    if (me->leaves == 1)
        return me->first;
    pica_task *children[10];
    intptr_t sum = 0;
    for (int i = 0; i < 10; i++) {
        node child = {me->first + i * (me->leaves / 10), me->leaves / 10};
        int rc = pica_spawn_copy(&children[i], skynet, &child);
        if (rc < 0)
            return rc;
    }
    for (int i = 0; i < 10; i++) {
        intptr_t part = 0;
        int rc = pica_await(children[i], &part);
        if (rc < 0 || part < 0)
            return rc < 0 ? rc : part;
        pica_unref(children[i]);
        sum += part;
    }
    return sum;
}

static double tree(void *arg)
{
    (void)arg;
    node root = {0, LEAVES};
    int64_t start = pb_now();
    intptr_t sum = skynet(&root);
    double ns = (double)(pb_now() - start) / LEAVES;
    if (sum < 0)
        return (double)sum;
    return sum == (intptr_t)LEAVES * (LEAVES - 1) / 2 ? ns : -EBADMSG;
}

int pb_case_skynet(const pb_settings *s)
{
    pb_probe probe = {.variant = "per leaf", .workers = pb_workers(s, 1), .round = tree};
    return pb_measure(s, "skynet", &probe, 1);
}
