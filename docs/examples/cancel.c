/* SPDX-License-Identifier: MIT */
/* cancel.c: a task that is cancelled, cleans up and says so.
 *
 * A cancel is not an exception: the call that waits returns -ECANCELED, and so does every
 * other one that would wait, until the task has returned. Clean-up that has to wait
 * therefore stands in a shield, which hides the cancel, with a deadline of its own, so
 * that it cannot take for ever.
 */
#include <pica/pica.h>

#include <stdio.h>

static int say_goodbye(void)
{
    pica_scope shield;
    pica_shield_begin(&shield, pica_after(PICA_SEC(1)));
    int rc = pica_sleep(PICA_MS(100));
    if (rc == 0)
        puts("task: cleaned up");
    return (int)pica_scope_end(&shield, rc);
}

static intptr_t work(void *arg)
{
    (void)arg;
    puts("task: works for ten seconds");
    int rc = pica_sleep(PICA_SEC(10));
    if (rc < 0) {
        printf("task: interrupted (%s)\n", pica_strerror(rc));
        (void)say_goodbye();
        return rc;
    }
    puts("task: done");
    return 0;
}

static intptr_t main_task(void *arg)
{
    (void)arg;
    pica_task *task;
    int rc = pica_spawn(&task, work, NULL);
    if (rc < 0)
        return rc;

    rc = pica_sleep(PICA_SEC(1));
    if (rc == 0) {
        puts("main: one second is enough");
        pica_cancel(task);
    }

    intptr_t result = 0;
    rc = pica_await(task, &result);
    if (rc == 0 && result == -ECANCELED)
        puts("main: the task was cancelled");
    pica_unref(task);
    return rc;
}

int main(void)
{
    return pica_run(main_task, NULL, NULL) < 0;
}
