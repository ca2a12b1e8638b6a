/* SPDX-License-Identifier: MIT */
/* futex_test.c: a wait on a word ends when it is woken, when the word is another, or when its time
 * has come; then also if the thread was held up on its way into the system call, which the linker
 * leads through here. */
#include "executor/base/futex.h"

#include "executor/base/atomics.h"
#include "tests/executor/bodies.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

static int64_t held_until; /* [the test] how long to hold up a call of SYS_futex */

/* Its caller takes it for one of any number of arguments; these are passed alike. */
long __real_syscall(long number, long a, long b, long c, long d, long e, long f);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);

long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f)
{
    if (number == SYS_futex)
        check_let_pass(held_until - pica_now());
    return __real_syscall(number, a, b, c, d, e, f);
}

static void another_word(void)
{
    uint32_t word = 1;
    CHECK_EQ(pi_futex_wait(&word, 0, PICA_NEVER), -EAGAIN);
}

static void its_time(void)
{
    static const int64_t past[] = {INT64_MIN, -1, 0, 1};
    uint32_t word = 0;
    for (unsigned i = 0; i < sizeof(past) / sizeof(past[0]); i++)
        CHECK_EQ(pi_futex_wait(&word, 0, past[i]), -ETIMEDOUT);
    int64_t until = pica_after(PICA_MS(5));
    int rc;
    while ((rc = pi_futex_wait(&word, 0, until)) == -EINTR) {
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_LE(until, pica_now());
}

static void *wakes(void *arg)
{
    uint32_t *word = arg;
    pi_store_release(word, 1u);
    pi_futex_wake(word, 1);
    return NULL;
}

static void a_wake(void)
{
    uint32_t word = 0;
    pthread_t thread;
    CHECK_FATAL(pi_thread_start(&thread, wakes, &word) == 0);
    while (!pi_load_acquire(&word))
        (void)pi_futex_wait(&word, 0, PICA_NEVER);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

/* One that sleeps on by what was left to it is late by all of that, however long it was. Others want
 * the CPU as well, and that does not grow with it: so a longer one is tried if it was late. */
static bool returns_in_time(int64_t (*wait)(int64_t until))
{
    bool in_time = false;
    for (int64_t ns = PICA_MS(100); ns < PICA_SEC(4) && !in_time; ns *= 2) {
        int64_t until = pica_after(ns);
        held_until = until;
        in_time = wait(until) < until + ns / 2;
        held_until = 0;
    }
    return in_time;
}

static int64_t waits(int64_t until)
{
    uint32_t word = 0;
    CHECK_EQ(pi_futex_wait(&word, 0, until), -ETIMEDOUT);
    return pica_now();
}

static intptr_t sleeps(void *until)
{
    CHECK_OK(pica_sleep_until(*(int64_t *)until));
    *(int64_t *)until = pica_now();
    return 0;
}

static int64_t worker_waits(int64_t until)
{
    pica_options options = PICA_OPTIONS_INIT;
    options.workers = 1;
    options.driver = PICA_DRIVER_FUTEX;
    options.flags = PICA_NO_SPARE;
    CHECK_EQ(pica_run(sleeps, &until, &options), 0);
    return until;
}

static void held_up(void)
{
    CHECK(returns_in_time(waits));
    CHECK(returns_in_time(worker_waits));
}

CHECK_MAIN
{
    check_plain("another word", another_word);
    check_plain("its time", its_time);
    check_plain("a wake", a_wake);
    check_plain("held up", held_up);
}
