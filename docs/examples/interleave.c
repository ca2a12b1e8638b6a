/* SPDX-License-Identifier: MIT */
/* interleave.c: tasks take turns where they suspend, and nowhere else.
 *
 * With one worker a task that never suspends runs to its end before the next one starts.
 * A sleep of 0 lets the others that are ready run first, in their order. With several
 * workers the two tasks would run side by side in either case: see
 * docs/coming-from-asyncio.md for what that means.
 */
#include <pica/pica.h>

#include <stdbool.h>
#include <stdio.h>

struct counter {
    char name;
    bool suspends;
};

static intptr_t count(void *arg)
{
    const struct counter *counter = arg;
    for (int i = 0; i < 3; i++) {
        printf(" %c%d", counter->name, i);
        int rc = counter->suspends ? pica_sleep(0) : 0;
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int count_twice(const char *title, bool suspends)
{
    struct counter a = {'A', suspends}, b = {'B', suspends};
    pica_task *tasks[2] = {NULL, NULL};
    intptr_t results[2];

    printf("%s:", title);
    int rc = pica_spawn_copy(&tasks[0], count, &a);
    if (rc == 0)
        rc = pica_spawn_copy(&tasks[1], count, &b);
    if (rc == 0)
        rc = pica_gather(tasks, 2, results, 0);
    if (rc == 0)
        printf("\nresults: %d %d\n", (int)results[0], (int)results[1]);
    pica_unref(tasks[1]);
    pica_unref(tasks[0]);
    return rc;
}

static intptr_t main_task(void *arg)
{
    (void)arg;
    int rc = count_twice("without a suspension", false);
    return rc < 0 ? rc : count_twice("with a sleep of 0", true);
}

int main(void)
{
    pica_options options = PICA_OPTIONS_INIT;
    options.workers = 1;
    options.flags = PICA_NO_SPARE; /* nor anybody in its place, should it be held up */
    return pica_run(main_task, NULL, &options) < 0;
}
