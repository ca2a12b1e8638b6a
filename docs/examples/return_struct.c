/* SPDX-License-Identifier: MIT */
/* return_struct.c: a task that returns a structure.
 *
 * A result is as wide as a pointer, so a task can return the address of what it made. Who
 * awaits the task owns it from then on. (Where the waiter has room for the structure, the
 * other way is to pass its address as the argument: it stays valid, because an await does
 * not return before the task has ended.)
 */
#include <pica/pica.h>

#include <stdio.h>
#include <stdlib.h>

struct measurement {
    const char *station;
    int degrees;
};

static intptr_t measure(void *arg)
{
    puts("measure: begins");
    int rc = pica_sleep(PICA_SEC(1));
    if (rc < 0)
        return rc;

    struct measurement *m = malloc(sizeof *m);
    if (!m)
        return -ENOMEM;
    *m = (struct measurement){.station = arg, .degrees = 21};
    puts("measure: done");
    return (intptr_t)m;
}

static intptr_t main_task(void *arg)
{
    (void)arg;
    static char station[] = "roof";

    puts("main: waits for the measurement");
    pica_task *task;
    int rc = pica_spawn(&task, measure, station);
    if (rc < 0)
        return rc;

    intptr_t result = 0;
    rc = pica_await(task, &result);
    pica_unref(task);
    if (result < 0)
        return result;

    struct measurement *m = (struct measurement *)result;
    if (rc == 0)
        printf("main: %d degrees on the %s\n", m->degrees, m->station);
    free(m);
    return rc;
}

int main(void)
{
    return pica_run(main_task, NULL, NULL) < 0;
}
