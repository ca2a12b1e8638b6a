/* SPDX-License-Identifier: MIT */
/* timeout.c: a deadline over a piece of code, asyncio.timeout().
 *
 * When the scope expires, whatever waits inside it returns -ECANCELED, however deep the
 * calls are. None of them needs to know about the deadline; the end of the scope alone
 * turns the cancel into -ETIMEDOUT.
 */
#include <pica/pica.h>

#include <stdio.h>

static int ask_slow_peer(void)
{
    int rc = pica_sleep(PICA_SEC(10));
    if (rc < 0)
        printf("peer: given up (%s)\n", pica_strerror(rc));
    return rc;
}

static intptr_t main_task(void *arg)
{
    (void)arg;
    int64_t begin_ns = pica_now();

    pica_scope scope;
    pica_scope_begin(&scope, pica_after(PICA_SEC(1)));
    int answer = ask_slow_peer();
    intptr_t rc = pica_scope_end(&scope, answer);

    if (rc == -ETIMEDOUT)
        printf("main: no answer after %d s\n", (int)((pica_now() - begin_ns) / PICA_SEC(1)));
    return rc == -ETIMEDOUT ? 0 : rc;
}

int main(void)
{
    return pica_run(main_task, NULL, NULL) < 0;
}
