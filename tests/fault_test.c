/* SPDX-License-Identifier: MIT */
/* fault_test.c: a small program that uses everything, while the k-th call of a system
 * function fails, for every k. It has to come to an end with an error that says so, or
 * succeed in spite of it; nothing is leaked, and afterwards all works again. */
#include "tests/fault.h"

#include "tests/check.h"

#include <pica/gather.h>
#include <pica/group.h>
#include <pica/net.h>
#include <pica/sem.h>
#include <pica/task.h>

#define TASKS 12

/* --- The program --------------------------------------------------------------------------- */

static intptr_t naps(void *arg)
{
    (void)arg;
    int rc = pica_yield();
    return rc < 0 ? rc : pica_sleep(PICA_US(200));
}

static int gathers(void)
{
    pica_task *tasks[TASKS];
    size_t n = 0;
    int rc = 0;
    while (n < TASKS && (rc = pica_spawn(&tasks[n], naps, NULL)) == 0)
        n++;
    /* Also after a failed spawn: what was spawned has to be waited for. */
    intptr_t results[TASKS] = {0};
    int waited = pica_gather(tasks, n, results, PICA_GATHER_COLLECT);
    for (size_t i = 0; i < n; i++) {
        if (waited < 0 && pica_await(tasks[i], &results[i]) < 0)
            rc = -ECANCELED;
        if (rc == 0 && results[i] < 0)
            rc = (int)results[i];
        pica_unref(tasks[i]);
    }
    return rc < 0 ? rc : waited;
}

static int groups(void)
{
    pica_group group;
    pica_group_begin(&group);
    int rc = 0;
    for (unsigned i = 0; i < TASKS && rc == 0; i++)
        rc = pica_group_spawn(&group, naps, NULL);
    rc = (int)pica_group_end(&group, rc);
    pica_group_deinit(&group);
    return rc;
}

static intptr_t serves(void *arg)
{
    pica_listener *listener = arg;
    pica_stream *stream;
    int rc = pica_accept(listener, &stream, NULL);
    if (rc < 0)
        return rc;
    char bytes[16];
    ssize_t n = pica_read(stream, bytes, sizeof(bytes));
    rc = n < 0 ? (int)n : pica_write_all(stream, bytes, (size_t)n, NULL);
    pica_close(stream);
    return rc;
}

static int asks(pica_listener *listener)
{
    pica_addr at;
    pica_stream *stream;
    int rc = pica_listener_addr(listener, &at);
    if (rc == 0)
        rc = pica_tcp_connect(&stream, &at);
    if (rc < 0)
        return rc;
    char bytes[16] = "";
    ssize_t n = pica_write(stream, "hello", 5);
    if (n == 5)
        n = pica_read(stream, bytes, sizeof(bytes));
    if (n == 5)
        CHECK_STR(bytes, "hello");
    pica_close(stream);
    return n < 0 ? (int)n : n == 5 ? 0 : -ECONNRESET;
}

/* @param limit_ns  for a server that waits for ever: a call that it needs fails each time */
static int echoes(int64_t limit_ns)
{
    pica_addr any;
    pica_listener *listener;
    int rc = pica_addr_parse(&any, "127.0.0.1", 0);
    if (rc == 0)
        rc = pica_tcp_listen(&listener, &any, NULL);
    if (rc < 0)
        return rc;
    pica_group group;
    pica_group_begin_until(&group, pica_after(limit_ns));
    rc = pica_group_spawn(&group, serves, listener);
    if (rc == 0)
        rc = asks(listener);
    rc = (int)pica_group_end(&group, rc);
    pica_group_deinit(&group);
    pica_listener_close(listener);
    return rc;
}

static intptr_t main_task(void *arg)
{
    int rc = gathers();
    if (rc == 0)
        rc = groups();
    return rc < 0 ? rc : echoes(*(const int64_t *)arg);
}

static intptr_t program(int64_t limit_ns)
{
    pica_options options = check_options();
    pica_executor *ex;
    int rc = pica_executor_create(&ex, &options);
    if (rc < 0) {
        fault_disarm();
        return rc;
    }
    check_watch(ex);
    pica_task *task;
    intptr_t result = 0;
    rc = pica_executor_spawn(ex, &task, main_task, &limit_ns);
    if (rc == 0) {
        CHECK_OK(pica_join(task, &result));
        pica_unref(task);
    }
    fault_disarm();
    check_executor_close(ex);
    return rc < 0 ? rc : result;
}

/* --- The faults ---------------------------------------------------------------------------- */

/* What a fault may come to: its own error, no memory, or what a peer sees of it. */
static bool says_so(intptr_t rc, int error)
{
    return rc == 0 || rc == -error || rc == -ENOMEM || rc == -ECANCELED || rc == -ETIMEDOUT ||
           rc == -ECONNRESET || rc == -EPIPE;
}

/* One that meets no fault may be late all the same, and then gets longer.
 * @return how many calls have failed */
static uint64_t run_with(fault_call call, uint64_t k, int again, int error, intptr_t *rc)
{
    uint64_t failed = 0;
    for (int64_t limit_ns = PICA_SEC(1); limit_ns < PICA_SEC(60); limit_ns *= 2) {
        fault_arm(call, k, again, error);
        *rc = program(limit_ns);
        failed = fault_failed(call);
        if (failed > 0 || *rc != -ETIMEDOUT)
            break;
    }
    return failed;
}

static void each_call(fault_call call, int again, int error)
{
    for (uint64_t k = 1;; k++) {
        intptr_t rc = 0;
        uint64_t failed = run_with(call, k, again, error, &rc);
        if (!says_so(rc, error))
            check_fail(__FILE__, __LINE__, "%s, the %llu. call with errno %d: %lld (%s)",
                       fault_name(call), (unsigned long long)k, error, (long long)rc,
                       pica_strerror(rc));
        if (failed == 0) {
            CHECK_EQ(rc, 0);
            CHECK(k > 1); /* or the call is never made, and nothing has been tested */
            break;
        }
    }
    check_lost_errors(); /* whoever never got a stack reports it so */
}

static void accepting(void)
{
    each_call(FAULT_ACCEPT, 0, EMFILE);
    each_call(FAULT_ACCEPT, 0, ECONNABORTED);
    each_call(FAULT_ACCEPT, 1, ENFILE);
}

static void reactor(void)
{
    each_call(FAULT_EPOLL_CREATE, 0, EMFILE);
    each_call(FAULT_EPOLL_CTL, 0, ENOMEM);
    each_call(FAULT_EPOLL_CTL, 1, ENOSPC);
    each_call(FAULT_EVENTFD, 0, EMFILE);
    each_call(FAULT_EVENTFD, 1, ENFILE);
}

static void sockets(void)
{
    each_call(FAULT_SOCKET, 0, EMFILE);
    each_call(FAULT_SOCKET, 1, ENFILE);
}

static void threads(void)
{
    each_call(FAULT_THREAD, 0, EAGAIN);
}

static void heap(void)
{
    each_call(FAULT_MALLOC, 0, ENOMEM);
    each_call(FAULT_MALLOC, 1, ENOMEM);
}

static void maps(void)
{
    each_call(FAULT_MMAP, 0, ENOMEM);
    each_call(FAULT_MMAP, 1, ENOMEM);
}

static bool has_no_guards(unsigned pace, void *arg)
{
    bool *denied = arg; /* mprotect(), too */
    fault_arm(FAULT_MADVISE, 1, 1, EINVAL);
    if (*denied)
        fault_arm(FAULT_MPROTECT, 1, 1, ENOMEM); /* without guards, and counted */
    intptr_t rc = program(PICA_SEC(pace));
    CHECK_LT(0, fault_failed(*denied ? FAULT_MPROTECT : FAULT_MADVISE));
    return rc != -ETIMEDOUT && CHECK_EQ(rc, 0);
}

static void guards_denied(void)
{
    CHECK_PACED(has_no_guards, &(bool){false});
    CHECK_PACED(has_no_guards, &(bool){true});
}

CHECK_MAIN
{
    check_timeout(60);
    check_plain_in(CHECK_TWO, "accept fails", accepting);
    check_plain_in(CHECK_TWO, "the reactor's calls fail", reactor);
    check_plain_in(CHECK_TWO, "socket fails", sockets);
    check_plain_in(CHECK_TWO, "pthread_create fails", threads);
    check_plain_in(CHECK_ONE | CHECK_TWO, "malloc fails", heap);
    check_plain_in(CHECK_ONE | CHECK_TWO, "mmap fails", maps);
    check_plain_in(CHECK_TWO, "guards are denied", guards_denied);
}
