/* SPDX-License-Identifier: MIT */
/* hello_spawn.c: pica_spawn() is asyncio.create_task(), pica_await() is `await task`.
 *
 * A spawned task runs beside its parent, perhaps on another CPU. Awaiting it tells two
 * things apart: what pica_await() returns is about the waiting (0, or -ECANCELED if the
 * waiting task is itself cancelled), what it puts into `result` is what the task returned.
 */
#include <pica/pica.h>

#include <stdio.h>

static intptr_t hello(void *arg)
{
    (void)arg;
    puts("hello from a task of its own");
    return 42;
}

static intptr_t main_task(void *arg)
{
    (void)arg;
    pica_task *task;
    int rc = pica_spawn(&task, hello, NULL);
    if (rc < 0)
        return rc;

    intptr_t result;
    rc = pica_await(task, &result);
    if (rc == 0)
        printf("it returned %d\n", (int)result);

    pica_unref(task); /* spawn gave us a reference, await has not taken it */
    return rc;
}

int main(void)
{
    return pica_run(main_task, NULL, NULL) < 0;
}
