/* SPDX-License-Identifier: MIT */
/* in_parallel.c: two tasks that wait at the same time take as long as the longer one.
 *
 * The same two calls as in in_sequence.c, now each in a task of its own: two seconds, not
 * three. pica_spawn_copy() copies a small structure into the task, so that the argument
 * may be gone before the task reads it.
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

static intptr_t main_task(void *arg)
{
    (void)arg;
    int64_t begin_ns = pica_now();
    struct say hello = {PICA_SEC(1), "hello"};
    struct say world = {PICA_SEC(2), "world"};
    pica_task *first = NULL, *second = NULL;

    int rc = pica_spawn_copy(&first, say_after, &hello);
    if (rc == 0)
        rc = pica_spawn_copy(&second, say_after, &world);
    if (rc == 0)
        rc = pica_await(first, NULL);
    if (rc == 0)
        rc = pica_await(second, NULL);
    pica_unref(second); /* NULL is fine, as for free() */
    pica_unref(first);
    if (rc < 0)
        return rc;

    printf("took %d s\n", (int)((pica_now() - begin_ns) / PICA_SEC(1)));
    return 0;
}

int main(void)
{
    return pica_run(main_task, NULL, NULL) < 0;
}
