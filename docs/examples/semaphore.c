/* SPDX-License-Identifier: MIT */
/* semaphore.c: five visitors, three at a time.
 *
 * A semaphore of three lets three tasks in; the others wait in the order in which they
 * came. A permit that is released while somebody waits is handed over, nobody overtakes.
 * It may live in any memory that outlives its users, and plain threads may use it too.
 */
#include <pica/pica.h>

#include <stdio.h>

#define VISITORS 5

static pica_sem room = PICA_SEM_INIT(3);

static int visit(void)
{
    int rc = pica_sleep(PICA_MS(100)); /* take off the coat */
    if (rc < 0)
        return rc;
    puts("hello");
    rc = pica_sleep(PICA_SEC(1));
    if (rc < 0)
        return rc;
    puts("world");
    return 0;
}

static intptr_t visitor(void *arg)
{
    (void)arg;
    int rc = pica_sem_acquire(&room);
    if (rc < 0)
        return rc;
    rc = visit();
    pica_sem_release(&room);
    return rc;
}

static intptr_t main_task(void *arg)
{
    (void)arg;
    int64_t begin_ns = pica_now();
    pica_group group;
    int rc = 0;

    pica_group_begin(&group);
    for (int i = 0; i < VISITORS && rc == 0; i++)
        rc = pica_group_spawn(&group, visitor, NULL);
    intptr_t result = pica_group_end(&group, rc);
    pica_group_deinit(&group);

    printf("took %d s\n", (int)((pica_now() - begin_ns) / PICA_SEC(1)));
    return result;
}

int main(void)
{
    return pica_run(main_task, NULL, NULL) < 0;
}
