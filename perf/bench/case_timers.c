/* SPDX-License-Identifier: MIT */
/* case_timers.c: arming a far timer and taking it back, among 10^5 that are armed, which is
 * what every timeout costs that does not expire. */
#include "executor/sched/timer.h"
#include "perf/bench/cases.h"
#include "perf/common/clock.h"

#include <stdlib.h>
#include <string.h>

#define ARMED 100000
#define PAIRS 1000000

typedef struct timers {
    pi_timers set;
    pi_wait wait; /* what they would wake; they never expire */
    pi_timer timer[ARMED];
} timers;

static double arm_and_disarm(void *arg)
{
    timers *t = arg;
    pi_token token = {.wait = &t->wait};
    pi_timer far;
    memset(&far, 0, sizeof far);
    int64_t deadline_ns = pica_after(PICA_SEC(7200));
    int64_t start = pb_now();
    for (int i = 0; i < PAIRS; i++) {
        pi_timer_arm(&t->set, &far, token, deadline_ns + i);
        pi_timer_disarm(&far);
    }
    return (double)(pb_now() - start) / PAIRS;
}

int pb_case_timers(const pb_settings *s)
{
    timers *t = calloc(1, sizeof *t);
    if (t == NULL)
        return -ENOMEM;
    pi_timers_init(&t->set);
    uint64_t random = 1;
    for (size_t i = 0; i < ARMED; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        pi_timer_arm(&t->set, &t->timer[i], (pi_token){.wait = &t->wait},
                     pica_after(PICA_SEC(3600)) + (int64_t)(random >> 24));
    }
    pb_probe probe = {.variant = "arm + disarm among 10^5", .round = arm_and_disarm, .arg = t};
    int rc = pb_measure(s, "timers", &probe, 1);
    for (size_t i = 0; i < ARMED; i++)
        pi_timer_disarm(&t->timer[i]);
    pi_timers_deinit(&t->set);
    free(t);
    return rc;
}
