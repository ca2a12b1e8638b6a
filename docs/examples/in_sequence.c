/* SPDX-License-Identifier: MIT */
/* in_sequence.c: two waits one after the other take the sum of their times.
 *
 * A direct call is asyncio's `await say_after(...)`: the second one begins when the first
 * has returned. in_parallel.c does the same work in two seconds.
 */
#include <pica/pica.h>

#include <stdio.h>

static int say_after(int64_t delay_ns, const char *what)
{
    int rc = pica_sleep(delay_ns);
    if (rc < 0)
        return rc;
    puts(what);
    return 0;
}

static intptr_t main_task(void *arg)
{
    (void)arg;
    int64_t begin_ns = pica_now();

    int rc = say_after(PICA_SEC(1), "hello");
    if (rc == 0)
        rc = say_after(PICA_SEC(2), "world");
    if (rc < 0)
        return rc;

    printf("took %d s\n", (int)((pica_now() - begin_ns) / PICA_SEC(1)));
    return 0;
}

int main(void)
{
    return pica_run(main_task, NULL, NULL) < 0;
}
