/* SPDX-License-Identifier: MIT */
/* case_spawn.c: the price of a task that does nothing: spawned and awaited one by one; and
 * a million spawned first and awaited afterwards, by their handles or as a group. */
#include "perf/bench/cases.h"
#include "perf/common/clock.h"

#include <stdlib.h>

#define TASKS 1000000

static intptr_t nothing(void *arg)
{
    (void)arg;
    return 0;
}

static double one_by_one(void *arg)
{
    (void)arg;
    int64_t start = pb_now();
    for (int i = 0; i < TASKS; i++) {
        pica_task *task;
        intptr_t result;
        int rc = pica_spawn(&task, nothing, NULL);
        if (rc == 0)
            rc = pica_await(task, &result);
        if (rc < 0)
            return rc;
        pica_unref(task);
    }
    return (double)(pb_now() - start) / TASKS;
}

static double then_await(void *arg)
{
    pica_task **tasks = arg;
    int64_t start = pb_now();
    for (int i = 0; i < TASKS; i++) {
        int rc = pica_spawn(&tasks[i], nothing, NULL);
        if (rc < 0)
            return rc;
    }
    for (int i = 0; i < TASKS; i++) {
        int rc = pica_await(tasks[i], NULL);
        if (rc < 0)
            return rc;
        pica_unref(tasks[i]);
    }
    return (double)(pb_now() - start) / TASKS;
}

static double as_group(void *arg)
{
    (void)arg;
    pica_group group;
    int64_t start = pb_now();
    pica_group_begin(&group);
    int rc = 0;
    for (int i = 0; rc == 0 && i < TASKS; i++)
        rc = pica_group_spawn(&group, nothing, NULL);
    rc = (int)pica_group_end(&group, rc);
    pica_group_deinit(&group);
    return rc < 0 ? rc : (double)(pb_now() - start) / TASKS;
}

int pb_case_spawn(const pb_settings *s)
{
    pica_task **tasks = calloc(TASKS, sizeof *tasks);
    if (tasks == NULL)
        return -ENOMEM;
    unsigned workers = pb_workers(s, 1);
    const pb_probe probes[] = {
        {.variant = "spawn + await", .workers = workers, .round = one_by_one},
        {.variant = "10^6, then await", .workers = workers, .round = then_await, .arg = tasks},
        {.variant = "10^6 in a group", .workers = workers, .round = as_group}};
    int rc = pb_measure(s, "spawn", probes, 3);
    free(tasks);
    return rc;
}
