/* SPDX-License-Identifier: MIT */
/* membarrier_test.c: a process that may fence for others at first and not later must not go on as
 * if it could. The linker leads the library's syscall() through here. */
#include "executor/base/membarrier.h"

#include "tests/executor/death.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

static int refused;    /* what membarrier(2) says, */
static unsigned times; /* so often at first; */
static unsigned asked; /* and how often it was asked */

/* Its caller takes it for one of any number of arguments; these are passed alike. */
long __real_syscall(long number, long a, long b, long c, long d, long e, long f);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);

long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f)
{
    if (number == SYS_membarrier) { /* not the system's: some have none */
        if (asked++ >= times)
            return 0;
        errno = refused;
        return -1;
    }
    return __real_syscall(number, a, b, c, d, e, f);
}

static void fence_refused(void *arg)
{
    refused = *(int *)arg;
    times = asked + 1;
    pi_membarrier();
}

static void refused_later(void)
{
    static int errors[] = {EPERM, ENOSYS, EACCES, EINVAL};
    CHECK(pi_membarrier_ready());
    pi_membarrier();
    for (unsigned i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
        death_says(fence_refused, &errors[i], "membarrier(2) worked when this executor began");
}

static void short_of_memory(void)
{
    refused = ENOMEM;
    times = 3;
    asked = 0;
    pi_membarrier();
    CHECK_EQ(asked, 4);
}

CHECK_MAIN
{
    check_plain("refused later", refused_later);
    check_plain("short of memory", short_of_memory);
}
