/* SPDX-License-Identifier: MIT */
/* hello_await.c: asyncio's `await hello()` is an ordinary function call.
 *
 * In Python the call alone does nothing and `await` runs it. In C the call runs it. If
 * something inside has to wait, the whole task waits, however deep the calls are, and the
 * worker takes up another task meanwhile. So every function may suspend, and none needs
 * to be marked for it.
 */
#include <pica/pica.h>

#include <stdio.h>

static int hello(void)
{
    puts("hello, called");
    return 0;
}

static intptr_t main_task(void *arg)
{
    (void)arg;
    return hello();
}

int main(void)
{
    return pica_run(main_task, NULL, NULL) < 0;
}
