/* SPDX-License-Identifier: MIT */
/* generator.c: a bare coroutine, which needs no executor and no thread.
 *
 * It has a stack of its own and hands values to its caller one by one. Each resume runs it
 * up to its next yield; a resume that returns 0 says that it has returned.
 */
#include <pica/pica.h>

#include <stdio.h>

static intptr_t fibonacci(pica_co *self, void *arg)
{
    int count = *(const int *)arg;
    intptr_t a = 0, b = 1;
    for (int i = 0; i < count; i++) {
        pica_co_yield(self, a);
        intptr_t next = a + b;
        a = b;
        b = next;
    }
    return 0;
}

int main(void)
{
    int count = 10;
    pica_co *numbers;
    int rc = pica_co_create(&numbers, fibonacci, &count, 0);
    if (rc < 0)
        return 1;

    intptr_t number;
    while ((rc = pica_co_resume(numbers, 0, &number)) == 1)
        printf("%d\n", (int)number);
    pica_co_destroy(numbers);
    return rc < 0;
}
