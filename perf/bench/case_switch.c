/* SPDX-License-Identifier: MIT */
/* case_switch.c: what leaving one stack and entering another costs. Two contexts hand the
 * CPU to and fro; no executor, no queue. */
#include "executor/coro/switch.h"
#include "perf/bench/cases.h"
#include "perf/common/clock.h"

#include <stdlib.h>

#define TRIPS 500000
#define STACK ((size_t)64 << 10)

static pi_context here, there;

static void partner(pi_context *from, pi_context *self)
{
    pi_switch_arrived(self, from);
    for (;;)
        pi_switch(&there, &here);
}

static double one_way(void *stack)
{
    pi_context_init(&there, stack, STACK, partner);
    pi_switch(&here, &there);
    int64_t start = pb_now();
    for (int i = 0; i < TRIPS; i++)
        pi_switch(&here, &there);
    double ns = (double)(pb_now() - start) / (2.0 * TRIPS);
    pi_context_deinit(&there);
    return ns;
}

int pb_case_switch(const pb_settings *s)
{
    void *stack = malloc(STACK);
    if (stack == NULL)
        return -ENOMEM;
    pb_probe probe = {.variant = "one way", .round = one_way, .arg = stack};
    int rc = pb_measure(s, "switch", &probe, 1);
    free(stack);
    return rc;
}
