/* SPDX-License-Identifier: MIT */
/* two_groups.c: what one gather waits for runs at once; two gathers run one after the other.
 *
 * Each function takes two seconds, each gather takes two seconds, both take four. The
 * second gather has the functions the other way round, and so are its results.
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
    return (intptr_t) "from one";
}

static intptr_t two(void *arg)
{
    (void)arg;
    puts("3");
    int rc = pica_sleep(PICA_SEC(2));
    if (rc < 0)
        return rc;
    puts("4");
    return (intptr_t) "from two";
}

static int run_both(pica_fn first, pica_fn second, intptr_t results[2])
{
    pica_task *tasks[2] = {NULL, NULL};
    int rc = pica_spawn(&tasks[0], first, NULL);
    if (rc == 0)
        rc = pica_spawn(&tasks[1], second, NULL);
    if (rc == 0)
        rc = pica_gather(tasks, 2, results, 0);
    pica_unref(tasks[1]);
    pica_unref(tasks[0]);
    return rc;
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

    printf("first group: %s, %s\n", (const char *)a[0], (const char *)a[1]);
    printf("second group: %s, %s\n", (const char *)b[0], (const char *)b[1]);
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
