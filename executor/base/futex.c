/* SPDX-License-Identifier: MIT */
/* futex.c: see futex.h. */
#include "executor/base/futex.h"

#include "executor/base/clock.h"

#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel gets the deadline itself: a thread that is stopped or preempted on its way into the
 * call would sleep that much longer by a time that is still left. FUTEX_WAIT knows no other. */
__attribute__((noinline)) int pi_futex_wait(uint32_t *at, uint32_t value, int64_t deadline_ns)
{
    struct timespec until = pi_timespec_of(deadline_ns);
    const struct timespec *timeout = deadline_ns == PICA_NEVER ? NULL : &until;
    long rc = syscall(SYS_futex, at, FUTEX_WAIT_BITSET_PRIVATE, value, timeout, NULL,
                      FUTEX_BITSET_MATCH_ANY);
    return rc < 0 ? -errno : 0;
}

__attribute__((noinline)) void pi_futex_wake(uint32_t *at, int n)
{
    syscall(SYS_futex, at, FUTEX_WAKE_PRIVATE, n, NULL, NULL, 0);
}

int pi_thread_start(pthread_t *out, void *(*fn)(void *), void *arg)
{
    sigset_t all, old;
    sigfillset(&all);
    /* What a fault raises must reach its own thread. */
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGILL);
    sigdelset(&all, SIGTRAP); /* a breakpoint */
    sigdelset(&all, SIGSYS);  /* a seccomp filter that traps */
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int rc = pthread_create(out, NULL, fn, arg);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return rc ? -EAGAIN : 0;
}

int64_t pi_thread_cpu_ns(pthread_t thread)
{
    clockid_t clock;
    struct timespec t;
    if (pthread_getcpuclockid(thread, &clock) != 0 || clock_gettime(clock, &t) != 0)
        return 0;
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}
