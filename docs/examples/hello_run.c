/* SPDX-License-Identifier: MIT */
/* hello_run.c: the smallest program. pica_run() is asyncio.run().
 *
 * A task's function takes one pointer and returns a value >= 0 (or a pointer), or a
 * negative error code. pica_run() starts one worker thread per CPU, runs the function as
 * the main task, ends whatever it left behind, and returns what it returned.
 */
#include <pica/pica.h>

#include <stdio.h>

static intptr_t hello(void *arg)
{
    (void)arg;
    puts("hello from a task");
    return 0;
}

int main(void)
{
    return pica_run(hello, NULL, NULL) < 0;
}
