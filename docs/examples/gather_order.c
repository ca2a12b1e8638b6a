/* SPDX-License-Identifier: MIT */
/* gather_order.c: pica_gather() gives the results in the order of its arguments.
 *
 * Three tasks run at once; the one that was spawned last ends first. The results still
 * stand where their tasks stand in the array.
 *
 * One worker, so that the lines come in an order that can be compared.
 */
#include <pica/pica.h>

#include <stdio.h>

#define TASKS 3

static intptr_t square(void *arg)
{
    int number = *(const int *)arg;
    printf("task %d: begins\n", number);
    int rc = pica_sleep(PICA_MS(500) * (TASKS - number));
    if (rc < 0)
        return rc;
    printf("task %d: done\n", number);
    return number * number;
}

static intptr_t main_task(void *arg)
{
    (void)arg;
    pica_task *tasks[TASKS] = {NULL};
    intptr_t results[TASKS];
    int rc = 0;

    for (int i = 0; i < TASKS && rc == 0; i++)
        rc = pica_spawn_copy(&tasks[i], square, &i);
    if (rc == 0)
        rc = pica_gather(tasks, TASKS, results, 0);
    if (rc == 0)
        for (int i = 0; i < TASKS; i++)
            printf("result %d: %d\n", i, (int)results[i]);
    for (int i = 0; i < TASKS; i++)
        pica_unref(tasks[i]);
    return rc;
}

int main(void)
{
    pica_options options = PICA_OPTIONS_INIT;
    options.workers = 1;
    options.flags = PICA_NO_SPARE; /* nor anybody in its place, should it be held up */
    return pica_run(main_task, NULL, &options) < 0;
}
