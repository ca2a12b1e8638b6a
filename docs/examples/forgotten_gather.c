/* SPDX-License-Identifier: MIT */
/* forgotten_gather.c: nothing outlives pica_run().
 *
 * The main task starts a gather in a task of its own and returns without waiting for it.
 * As in asyncio, the end of run cancels what is left; the gather passes the cancel on to
 * its two tasks and returns when they have ended. "hello" and "world" are never said.
 */
#include <pica/pica.h>

#include <stdio.h>

struct say {
    int64_t delay_ns;
    const char *what;
};

static intptr_t say_after(void *arg)
{
    const struct say *say = arg;
    int rc = pica_sleep(say->delay_ns);
    if (rc < 0)
        return rc;
    puts(say->what);
    return 0;
}

static intptr_t gather_both(void *arg)
{
    (void)arg;
    struct say hello = {PICA_SEC(1), "hello"};
    struct say world = {PICA_SEC(2), "world"};
    pica_task *tasks[2] = {NULL, NULL};
    intptr_t results[2] = {0, 0};

    int rc = pica_spawn_copy(&tasks[0], say_after, &hello);
    if (rc == 0)
        rc = pica_spawn_copy(&tasks[1], say_after, &world);
    if (rc == 0)
        rc = pica_gather(tasks, 2, results, 0);
    if (rc == -ECANCELED && results[0] == -ECANCELED && results[1] == -ECANCELED)
        puts("gather: cancelled, and both tasks with it");
    pica_unref(tasks[1]);
    pica_unref(tasks[0]);
    return rc;
}

static intptr_t main_task(void *arg)
{
    (void)arg;
    puts("main: starts a gather and goes");
    return pica_spawn(NULL, gather_both, NULL); /* NULL: keeps no handle */
}

int main(void)
{
    intptr_t rc = pica_run(main_task, NULL, NULL);
    puts("run: nothing is left");
    return rc < 0;
}
