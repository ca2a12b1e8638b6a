/* SPDX-License-Identifier: MIT */
/* two_groups_collect.c: the two groups of two_groups.c, where a function fails.
 *
 * PICA_GATHER_COLLECT is return_exceptions=True: a failure does not end the wait, it
 * stands among the results in the place of its task. (group_failure.c shows what happens
 * without the flag.)
 *
 * One worker, so that the lines come in an order that can be compared.
 */
#include <pica/pica.h>

#include <stdio.h>

static intptr_t one(void *arg)
{
    (void)arg;
    puts("1");
    int rc = pica_sleep(PICA_SEC(2));
    if (rc < 0)
        return rc;
    puts("2");
    return -ENOENT;
}

static intptr_t two(void *arg)
{
    (void)arg;
    puts("3");
    int rc = pica_sleep(PICA_SEC(2));
    if (rc < 0)
        return rc;
    puts("4");
    return 2;
}

static int run_both(pica_fn first, pica_fn second, intptr_t results[2])
{
    pica_task *tasks[2] = {NULL, NULL};
    int rc = pica_spawn(&tasks[0], first, NULL);
    if (rc == 0)
        rc = pica_spawn(&tasks[1], second, NULL);
    if (rc == 0)
        rc = pica_gather(tasks, 2, results, PICA_GATHER_COLLECT);
    pica_unref(tasks[1]);
    pica_unref(tasks[0]);
    return rc;
}

static void show(const char *title, const intptr_t results[2])
{
    printf("%s:\n", title);
    for (int i = 0; i < 2; i++) {
        if (results[i] < 0)
            printf("    failed: %s\n", pica_strerror(results[i]));
        else
            printf("    returned %d\n", (int)results[i]);
    }
}

static intptr_t main_task(void *arg)
{
    (void)arg;
    int64_t begin_ns = pica_now();
    intptr_t a[2], b[2];

    int rc = run_both(one, two, a);
    if (rc == 0)
        rc = run_both(two, one, b);
    if (rc < 0)
        return rc;

    show("first group", a);
    show("second group", b);
    printf("took %d s\n", (int)((pica_now() - begin_ns) / PICA_SEC(1)));
    return 0;
}

int main(void)
{
    pica_options options = PICA_OPTIONS_INIT;
    options.workers = 1;
    options.flags = PICA_NO_SPARE; /* nor anybody in its place, should it be held up */
    return pica_run(main_task, NULL, &options) < 0;
}
