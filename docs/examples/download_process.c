/* SPDX-License-Identifier: MIT */
/* download_process.c: download two things one after the other, then process both at once.
 *
 * What depends on what decides between a call and a task: the downloads are called in
 * sequence, the two processings need nothing from each other and are spawned. A sleep
 * stands for the work, so the whole takes 1 + 1 seconds and then the longer of 2 and 1.
 *
 * One worker, so that the lines come in an order that can be compared.
 */
#include <pica/pica.h>

#include <stdio.h>

struct item {
    int number;
    int seconds; /* that processing it takes */
};

static int download(struct item *out, int number, int process_seconds)
{
    printf("download %d: begins\n", number);
    int rc = pica_sleep(PICA_SEC(1));
    if (rc < 0)
        return rc;
    *out = (struct item){.number = number, .seconds = process_seconds};
    printf("download %d: done\n", number);
    return 0;
}

static intptr_t process(void *arg)
{
    const struct item *item = arg;
    printf("process %d: begins, needs %d s\n", item->number, item->seconds);
    int rc = pica_sleep(PICA_SEC(item->seconds));
    if (rc < 0)
        return rc;
    printf("process %d: done\n", item->number);
    return 0;
}

static intptr_t main_task(void *arg)
{
    (void)arg;
    int64_t begin_ns = pica_now();
    struct item one, two;
    puts("main: begins");

    int rc = download(&one, 1, 2);
    if (rc == 0)
        rc = download(&two, 2, 1);
    if (rc < 0)
        return rc;

    pica_task *first = NULL, *second = NULL;
    rc = pica_spawn_copy(&first, process, &one);
    if (rc == 0)
        rc = pica_spawn_copy(&second, process, &two);
    if (rc == 0)
        rc = pica_await(first, NULL);
    if (rc == 0)
        rc = pica_await(second, NULL);
    pica_unref(second);
    pica_unref(first);
    if (rc < 0)
        return rc;

    printf("main: done after %d s\n", (int)((pica_now() - begin_ns) / PICA_SEC(1)));
    return 0;
}

int main(void)
{
    pica_options options = PICA_OPTIONS_INIT;
    options.workers = 1;
    options.flags = PICA_NO_SPARE; /* nor anybody in its place, should it be held up */
    return pica_run(main_task, NULL, &options) < 0;
}
