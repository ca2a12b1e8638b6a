/* SPDX-License-Identifier: MIT */
/* executor_faults.c: an executor that can't be made, at each call that may fail: the right
 * code, nothing left over, and the next attempt succeeds. A whole program under faults is in
 * tests/fault_test.c. */
#include "executor/base/futex.h"
#include "tests/executor/bodies.h"
#include "tests/fault.h"

#include <pthread.h>

struct expected {
    fault_call call;
    int error; /* what the system says */
    int code;  /* what pica says */
};

/* k = 1, 2, ... until the k-th call is no longer made. @return how many there were */
static uint64_t create_fails(const struct expected *e)
{
    pica_options options = check_options();
    unsigned strange = 0;
    for (uint64_t k = 1;; k++) {
        pica_executor *ex = NULL;
        fault_arm(e->call, k, 0, e->error);
        int rc = pica_executor_create(&ex, &options);
        uint64_t failed = fault_failed(e->call);
        fault_disarm();
        /* Where the machine is busy its workers are about already, and may call for help. */
        bool theirs = rc == 0 && failed && e->call != FAULT_MALLOC; /* not all is needed at once */
        CHECK_FATAL(!theirs || ++strange < 20);
        if (rc == 0) {
            check_watch(ex);
            pica_task *task = NULL;
            CHECK_FATAL_OK(pica_executor_spawn(ex, &task, body_yields, body_arg(1)));
            CHECK_EQ(body_end(task), 1);
            check_executor_close(ex);
        }
        if (!failed)
            return k - 1;
        k -= theirs; /* once more */
        if (rc < 0) {
            CHECK_EQ(rc, e->code);
            CHECK_EQ(ex, NULL);
        }
    }
}

static intptr_t ran;

static intptr_t notes_that_it_runs(void *arg)
{
    ran = 1;
    return (intptr_t)arg;
}

/* pica_run() says it before the function runs, or runs it and returns its value. */
static uint64_t run_fails(const struct expected *e)
{
    pica_options options = check_options();
    for (uint64_t k = 1;; k++) {
        ran = 0;
        fault_arm(e->call, k, 0, e->error);
        intptr_t rc = pica_run(notes_that_it_runs, body_arg(77), &options);
        uint64_t failed = fault_failed(e->call);
        fault_disarm();
        if (rc != 77) {
            CHECK_EQ(rc, e->code);
            CHECK_EQ(ran, 0);
        }
        if (!failed) {
            CHECK_EQ(rc, 77);
            return k - 1;
        }
    }
}

static void each(const struct expected *e, uint64_t at_least)
{
    uint64_t n = create_fails(e);
    if (n < at_least)
        check_fail(__FILE__, __LINE__, "create: %s is called %llu times, not %llu",
                   fault_name(e->call), (unsigned long long)n, (unsigned long long)at_least);
    n = run_fails(e);
    CHECK_LE(1, n + (at_least <= 1));
}

static unsigned workers(void)
{
    return check_options().workers;
}

static void *returns_its_argument(void *arg)
{
    return arg;
}

/* The door: a code, or a thread that runs. */
static void no_thread(void)
{
    pthread_t thread;
    void *result = NULL;
    fault_arm(FAULT_THREAD, 1, 0, EAGAIN);
    CHECK_FATAL(pi_thread_start(&thread, returns_its_argument, &thread) == -EAGAIN);
    CHECK_FATAL_OK(pi_thread_start(&thread, returns_its_argument, &thread));
    fault_disarm();
    CHECK_EQ(pthread_join(thread, &result), 0);
    CHECK_EQ(result, &thread);
}

static void threads(void)
{
    /* pica_run() needs no thread for its first worker, but one for the monitor. */
    struct expected e = {FAULT_THREAD, EAGAIN, -EAGAIN};
    each(&e, workers());
}

/* Neither a thread nor a descriptor for one worker more: as many as before, and again later. */
static void resizing(void)
{
    pica_options options = check_options();
    options.workers_max = options.workers + 2;
    pica_executor *ex = check_executor_open(&options);
    fault_arm(FAULT_EPOLL_CREATE, 2, 0, EMFILE);
    CHECK_EQ(pica_executor_resize(ex, options.workers_max), -EMFILE);
    CHECK_EQ(pica_executor_workers(ex), options.workers);
    fault_disarm();
    fault_arm(FAULT_THREAD, 1, 0, EAGAIN);
    CHECK_EQ(pica_executor_resize(ex, options.workers_max), -EAGAIN);
    CHECK_EQ(pica_executor_workers(ex), options.workers);
    fault_disarm();
    CHECK_OK(pica_executor_resize(ex, options.workers_max));
    CHECK_EQ(pica_executor_workers(ex), options.workers_max);
    check_executor_close(ex);
}

static void descriptors(void)
{
    struct expected e = {FAULT_EPOLL_CREATE, EMFILE, -EMFILE};
    each(&e, workers());
    e = (struct expected){FAULT_EPOLL_CREATE, ENFILE, -ENFILE};
    each(&e, workers());
    e = (struct expected){FAULT_EVENTFD, EMFILE, -EMFILE};
    each(&e, workers());
    e = (struct expected){FAULT_EVENTFD, ENFILE, -ENFILE};
    each(&e, workers());
    e = (struct expected){FAULT_EPOLL_CTL, ENOMEM, -ENOMEM};
    each(&e, workers());
}

static void memory(void)
{
    struct expected e = {FAULT_MALLOC, ENOMEM, -ENOMEM};
    each(&e, 3);
}

/* The driver's table, so that nothing is created; then the first stack of all: whoever is
 * spawned gets -ENOMEM as its result, nothing hangs. */
static void maps(void)
{
    pica_options options = check_options();
    pica_executor *ex = NULL;
    fault_arm(FAULT_MMAP, 1, 0, ENOMEM);
    CHECK_EQ(pica_executor_create(&ex, &options), -ENOMEM);
    CHECK_EQ(ex, NULL);
    options.driver = PICA_DRIVER_FUTEX; /* has no table */
    fault_arm(FAULT_MMAP, 1, 1, ENOMEM);
    CHECK_EQ(pica_run(notes_that_it_runs, NULL, &options), -ENOMEM);
    CHECK_LT(0, fault_failed(FAULT_MMAP));
    fault_disarm();
    CHECK_EQ(pica_run(body_returns, body_arg(1), &options), 1);
}

/* No guards to be had: stacks without, and counted; or, where that was asked for, none. */
static intptr_t counts_unguarded(void *arg)
{
    (void)arg;
    pica_stats s = {.size = sizeof(s)};
    CHECK_FATAL_OK(pica_executor_stats(pica_executor_self(), &s));
    return (intptr_t)s.stacks_unguarded;
}

static void guards(void)
{
    pica_options options = check_options();
    CHECK_EQ(pica_run(counts_unguarded, NULL, &options), 0);
    fault_arm(FAULT_MADVISE, 1, 1, EINVAL);
    CHECK_EQ(pica_run(counts_unguarded, NULL, &options), 0); /* by mprotect() */
    fault_arm(FAULT_MPROTECT, 1, 1, ENOMEM);
    CHECK_LE(1, pica_run(counts_unguarded, NULL, &options));
    options.flags |= PICA_STRICT_GUARDS;
    CHECK_EQ(pica_run(notes_that_it_runs, NULL, &options), -ENOMEM);
    fault_disarm();
    CHECK_EQ(pica_run(counts_unguarded, NULL, &options), 0);
}

CHECK_MAIN
{
    check_plain("no thread", no_thread);
    check_plain_in(CHECK_ALL, "threads", threads);
    check_plain_in(CHECK_ALL, "descriptors", descriptors);
    check_plain_in(CHECK_ALL, "resizing", resizing);
    check_plain_in(CHECK_ALL, "memory", memory);
    check_plain_in(CHECK_ALL, "maps", maps);
    check_plain_in(CHECK_ALL, "guards", guards);
}
