/* SPDX-License-Identifier: MIT */
/* case_sem.c: a semaphore that nobody else wants; and one with a single permit that 64 tasks
 * hold over a yield in turn, per acquire + yield + release. */
#include "perf/bench/cases.h"
#include "perf/common/clock.h"

#define PAIRS 1000000
#define TASKS 64
#define TURNS 4000

static double uncontended(void *arg)
{
    (void)arg;
    pica_sem sem = PICA_SEM_INIT(1);
    int64_t start = pb_now();
    for (int i = 0; i < PAIRS; i++) {
        int rc = pica_sem_acquire(&sem);
        if (rc < 0)
            return rc;
        pica_sem_release(&sem);
    }
    return (double)(pb_now() - start) / PAIRS;
}

static intptr_t holder(void *arg)
{
    pica_sem *sem = arg;
    for (int i = 0; i < TURNS; i++) {
        int rc = pica_sem_acquire(sem);
        if (rc < 0)
            return rc;
        rc = pica_yield();
        pica_sem_release(sem);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static double held_over_a_yield(void *arg)
{
    (void)arg;
    pica_sem sem = PICA_SEM_INIT(1);
    pica_task *tasks[TASKS];
    int64_t start = pb_now();
    for (int i = 0; i < TASKS; i++) {
        int rc = pica_spawn(&tasks[i], holder, &sem);
        if (rc < 0)
            return rc;
    }
    for (int i = 0; i < TASKS; i++) {
        intptr_t result = 0;
        int rc = pica_join(tasks[i], &result);
        if (rc < 0 || result < 0)
            return rc < 0 ? rc : (double)result;
        pica_unref(tasks[i]);
    }
    double ns = (double)(pb_now() - start) / ((double)TASKS * TURNS);
    return pica_sem_value(&sem) == 1 ? ns : -EBADMSG;
}

int pb_case_sem(const pb_settings *s)
{
    unsigned workers = pb_workers(s, 1);
    const pb_probe probes[] = {
        {.variant = "uncontended", .workers = workers, .round = uncontended},
        {.variant = "held over a yield by 64", .workers = workers, .round = held_over_a_yield}};
    return pb_measure(s, "sem", probes, 2);
}
