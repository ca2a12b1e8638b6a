/* SPDX-License-Identifier: MIT */
/* defer.c: clean-up that no return can forget, as with an AsyncExitStack.
 *
 * What is acquired is deferred to be released, at once, in the next line. The handlers run at the
 * end of the task, the last one first, before its result can be seen. They run in a shield: the
 * cancel that ended the task does not disturb them, so they may wait.
 */
#include <pica/pica.h>

#include <stdio.h>

static void close_it(void *arg)
{
    printf("close %s\n", (const char *)arg);
}

static void flush_and_close(void *arg)
{
    pica_scope scope;
    pica_scope_begin(&scope, pica_after(PICA_SEC(1))); /* a peer may be slow, but not that slow */
    int rc = pica_sleep(PICA_MS(100));
    rc = (int)pica_scope_end(&scope, rc);
    printf("flush %s: %s\n", (const char *)arg, rc == 0 ? "done" : pica_strerror(rc));
    close_it(arg);
}

static int open_it(const char *what, void (*end)(void *))
{
    printf("open %s\n", what);
    int rc = pica_defer(end, (void *)(uintptr_t)what);
    if (rc < 0)
        end((void *)(uintptr_t)what); /* no memory: it is still ours to close */
    return rc;
}

static intptr_t work(void *arg)
{
    (void)arg;
    int rc = open_it("the log", close_it);
    if (rc == 0)
        rc = open_it("the connection", flush_and_close);
    if (rc < 0)
        return rc;
    puts("work");
    return pica_sleep(PICA_NEVER);
}

static intptr_t main_task(void *arg)
{
    (void)arg;
    pica_task *task;
    int rc = pica_spawn(&task, work, NULL);
    if (rc < 0)
        return rc;
    rc = pica_sleep(PICA_MS(200));
    pica_cancel(task);

    intptr_t result = 0;
    if (rc == 0)
        rc = pica_await(task, &result);
    if (rc == 0)
        printf("the task: %s\n", pica_strerror(result));
    pica_unref(task);
    return rc;
}

int main(void)
{
    return pica_run(main_task, NULL, NULL) < 0;
}
