/* SPDX-License-Identifier: MIT */
/* case_yield.c: a trip through the scheduler. 64 tasks yield in turn, either all from one
 * call site, which the CPU predicts best, or from eight of them. */
#include "perf/bench/cases.h"
#include "perf/common/clock.h"

#define TASKS 64
#define YIELDS 10000

/* A function of its own for each, or the compiler would make one call site of them. */
#define YIELDER(n)                                                                                 \
    static intptr_t yielder_##n(void *arg)                                                         \
    {                                                                                              \
        (void)arg;                                                                                 \
        for (int i = 0; i < YIELDS; i++)                                                           \
            if (pica_yield() < 0)                                                                  \
                return -ECANCELED - (n);                                                           \
        return n;                                                                                  \
    }
YIELDER(0)
YIELDER(1)
YIELDER(2)
YIELDER(3)
YIELDER(4)
YIELDER(5)
YIELDER(6)
YIELDER(7)

static const pica_fn yielders[] = {yielder_0, yielder_1, yielder_2, yielder_3,
                                   yielder_4, yielder_5, yielder_6, yielder_7};

/* arg: how many different call sites */
static double yields(void *arg)
{
    size_t sites = *(const size_t *)arg;
    pica_task *tasks[TASKS];
    int64_t start = pb_now();
    for (size_t i = 0; i < TASKS; i++) {
        int rc = pica_spawn(&tasks[i], yielders[i % sites], NULL);
        if (rc < 0)
            return rc;
    }
    for (size_t i = 0; i < TASKS; i++) { /* join: each runs on a stack of its own */
        int rc = pica_join(tasks[i], NULL);
        if (rc < 0)
            return rc;
        pica_unref(tasks[i]);
    }
    return (double)(pb_now() - start) / ((double)TASKS * YIELDS);
}

int pb_case_yield(const pb_settings *s)
{
    static size_t one = 1, several = 8;
    unsigned workers = pb_workers(s, 1);
    const pb_probe probes[] = {
        {.variant = "one call site", .workers = workers, .round = yields, .arg = &one},
        {.variant = "several call sites", .workers = workers, .round = yields, .arg = &several}};
    return pb_measure(s, "yield", probes, 2);
}
