/* SPDX-License-Identifier: MIT */
/* group_failure.c: a failure in a group ends the other members, a failure in a gather ends
 * only the waiting.
 *
 * A group (asyncio.TaskGroup) never leaves a task behind: its first failure cancels the
 * others, and pica_group_end() returns when all have ended. A gather returns the first
 * failure as well, but at once, and what it waited for goes on.
 */
#include <pica/pica.h>

#include <stdio.h>

static intptr_t slow(void *arg)
{
    (void)arg;
    int rc = pica_sleep(PICA_SEC(1));
    puts(rc < 0 ? "slow: cancelled" : "slow: done");
    return rc;
}

static intptr_t broken(void *arg)
{
    (void)arg;
    int rc = pica_sleep(PICA_MS(200));
    if (rc < 0)
        return rc;
    puts("broken: fails");
    return -EIO;
}

static void in_a_group(void)
{
    puts("-- group");
    pica_group group;
    pica_group_begin(&group);
    int rc = pica_group_spawn(&group, slow, NULL);
    if (rc == 0)
        rc = pica_group_spawn(&group, broken, NULL);
    intptr_t result = pica_group_end(&group, rc);
    printf("the group has ended: %s\n", pica_strerror(result));
    pica_group_deinit(&group);
}

static int in_a_gather(void)
{
    puts("-- gather");
    pica_task *tasks[2] = {NULL, NULL};
    int rc = pica_spawn(&tasks[0], slow, NULL);
    if (rc == 0)
        rc = pica_spawn(&tasks[1], broken, NULL);
    if (rc == 0) {
        rc = pica_gather(tasks, 2, NULL, 0);
        printf("the gather has returned: %s\n", pica_strerror(rc));
        rc = pica_await(tasks[0], NULL);
    }
    pica_unref(tasks[1]);
    pica_unref(tasks[0]);
    return rc;
}

static intptr_t main_task(void *arg)
{
    (void)arg;
    in_a_group();
    return in_a_gather();
}

int main(void)
{
    return pica_run(main_task, NULL, NULL) < 0;
}
