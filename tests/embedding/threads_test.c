/* SPDX-License-Identifier: MIT */
/* threads_test.c: a host's plain threads use an executor, or two: they spawn, wait, join with a
 * deadline, cancel, share semaphores with tasks, close what tasks wait on, and are let go when
 * it shuts down. Tasks of one executor wait for tasks of another. */
#include "executor/base/atomics.h"
#include "tests/executor/bodies.h"

#include <pica/gather.h>
#include <pica/net.h>
#include <pica/scope.h>
#include <pica/sem.h>
#include <pthread.h>

#define THREADS 4

static void on_threads(unsigned n, void *(*fn)(void *arg), void *arg)
{
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < n; i++)
        CHECK_FATAL(pthread_create(&threads[i], NULL, fn, arg) == 0);
    for (unsigned i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
}

/* --- Everything that a plain thread may do ------------------------------------------------ */

struct shared {
    pica_executor *ex, *other;
    pica_sem permits; /* two */
    uint64_t inside;  /* [atomic] holders of a permit */
    uint64_t ran;     /* [atomic] */
    pica_sem given;   /* a permit says that `child` is there */
    pica_task *child; /* given by a task of `other` to one of `ex` */
};

static void hold_a_permit(struct shared *s)
{
    CHECK_LE(pi_add_acq_rel(&s->inside, UINT64_C(1)) + 1, 2);
    pi_add_relaxed(&s->ran, UINT64_C(1));
    pi_sub_acq_rel(&s->inside, UINT64_C(1));
}

static intptr_t holds_one(void *arg)
{
    struct shared *s = arg;
    CHECK_FATAL_OK(pica_sem_acquire(&s->permits));
    hold_a_permit(s);
    CHECK_EQ(pica_sem_release(&s->permits), 0);
    return 1;
}

static void one_round(struct shared *s, uint64_t round)
{
    pica_executor *ex = round % 2 ? s->ex : s->other;
    pica_task *tasks[3];
    intptr_t results[3] = {0, 0, 0};
    for (unsigned i = 0; i < 3; i++)
        tasks[i] = body_spawn_in(ex, i == 2 ? body_yields : holds_one, i == 2 ? body_arg(9) : s);
    if (round % 8 == 0) { /* the thread takes its turn among the tasks */
        CHECK_EQ(pica_sem_acquire(&s->permits), 0);
        hold_a_permit(s);
        CHECK_EQ(pica_sem_release(&s->permits), 0);
    }
    CHECK_EQ(pica_gather(tasks, 3, results, 0), 0);
    CHECK_EQ(results[0] + results[1] + results[2], 11);
    for (unsigned i = 0; i < 3; i++)
        pica_unref(tasks[i]);

    pica_task *sleeper = body_spawn_in(ex, body_sleeps, NULL);
    intptr_t result = 0;
    CHECK_EQ(pica_join_until(sleeper, &result, pica_after(PICA_US(20))), -ETIMEDOUT);
    CHECK_EQ(pica_task_result(sleeper, &result), -EINPROGRESS);
    CHECK_EQ(pica_cancel(sleeper), 0);
    CHECK_EQ(pica_join(sleeper, &result), 0);
    CHECK_EQ(result, -ECANCELED);
    CHECK_EQ(pica_cancel(sleeper), -EALREADY);
    pica_unref(sleeper);
}

static void *thread_uses_both(void *arg)
{
    struct shared *s = arg;
    for (uint64_t i = check_rounds(300); i > 0; i--)
        one_round(s, i);
    CHECK_EQ(pica_yield(), -EPERM);
    CHECK_EQ(pica_sleep(1), -EPERM);
    CHECK_EQ(pica_spawn(NULL, body_returns, NULL), -EPERM);
    CHECK_EQ(pica_self(), NULL);
    return NULL;
}

static void threads_use_two_executors(void)
{
    struct shared s = {.permits = PICA_SEM_INIT(2)};
    pica_options options = check_options();
    s.ex = check_executor_open(&options);
    options.driver = PICA_DRIVER_FUTEX;
    options.workers = 1;
    s.other = check_executor_open(&options);
    on_threads(THREADS, thread_uses_both, &s);
    uint64_t rounds = check_rounds(300);
    CHECK_EQ(pi_load_relaxed(&s.ran), THREADS * (rounds * 2 + rounds / 8));
    check_executor_close(s.ex);
    check_executor_close(s.other);
}

/* --- Tasks of one executor and tasks of another --------------------------------------------- */

static intptr_t tells_where(void *unused)
{
    (void)unused;
    return (intptr_t)pica_executor_self();
}

/* Leaves a child in its worker's queue for a moment, for the other executor to wait for. */
static intptr_t gives_a_child(void *arg)
{
    struct shared *s = arg;
    s->child = body_spawn(tells_where, NULL);
    CHECK_EQ(pica_sem_release(&s->given), 0);
    for (int64_t until = pica_after(PICA_US(20)); pica_now() < until;) {
    }
    return 0;
}

/* It runs where it was spawned, never on its waiter's stack. */
static void awaits_a_child_of_the_other(struct shared *s)
{
    pica_task *parent = body_spawn_in(s->other, gives_a_child, s);
    CHECK_EQ(pica_sem_acquire(&s->given), 0);
    CHECK_EQ(body_end(s->child), (intptr_t)s->other);
    CHECK_EQ(body_end(parent), 0);
}

static intptr_t asks_the_other(void *arg)
{
    struct shared *s = arg;
    CHECK_EQ(pica_executor_self(), s->ex);
    for (uint64_t i = check_rounds(200); i > 0; i--) {
        pica_task *there = body_spawn_in(s->other, holds_one, s);
        CHECK_EQ(body_end(there), 1);
        CHECK_EQ(pica_executor_self(), s->ex);
        awaits_a_child_of_the_other(s);
    }
    pica_scope scope;
    pica_task *there = body_spawn_in(s->other, body_sleeps, NULL);
    intptr_t result = 0;
    pica_scope_begin(&scope, pica_after(PICA_MS(1)));
    int rc = pica_await(there, &result); /* hands the cancel on, across */
    CHECK_EQ(pica_scope_end(&scope, rc), -ETIMEDOUT);
    CHECK_EQ(result, -ECANCELED);
    pica_unref(there);
    return 2;
}

static void tasks_of_two_executors(void)
{
    struct shared s = {.permits = PICA_SEM_INIT(2)}, back;
    pica_options options = check_options();
    s.ex = check_executor_open(&options);
    s.other = check_executor_open(&options);
    back = (struct shared){.ex = s.other, .other = s.ex, .permits = PICA_SEM_INIT(2)};
    pica_task *one = body_spawn_in(s.ex, asks_the_other, &s);
    pica_task *two = body_spawn_in(s.other, asks_the_other, &back);
    CHECK_EQ(body_end(one), 2);
    CHECK_EQ(body_end(two), 2);
    check_executor_close(s.ex);
    check_executor_close(s.other);
}

/* An executor that lives inside a task of another. */
static intptr_t keeps_an_executor(void *unused)
{
    pica_options options = check_options();
    pica_executor *inner = NULL;
    (void)unused;
    CHECK_FATAL_OK(pica_executor_create(&inner, &options));
    CHECK_EQ(body_end(body_spawn_in(inner, body_yields, body_arg(8))), 8);
    CHECK_FATAL_OK(pica_executor_spawn(inner, NULL, body_sleeps, NULL));
    CHECK_EQ(pica_executor_shutdown(inner, pica_after(PICA_MS(1))), 1);
    CHECK_EQ(pica_executor_destroy(inner), NULL);
    return 4;
}

static void one_inside_the_other(void)
{
    pica_options options = check_options();
    pica_executor *ex = check_executor_open(&options);
    CHECK_EQ(body_end(body_spawn_in(ex, keeps_an_executor, NULL)), 4);
    check_executor_close(ex);
}

/* --- Closing what tasks wait on ------------------------------------------------------------- */

struct sockets {
    pica_listener *listener;
    pica_stream *ends[2];
};

static intptr_t opens(void *arg)
{
    struct sockets *s = arg;
    pica_addr where;
    int pair[2];
    CHECK_FATAL_OK(pica_addr_parse(&where, "127.0.0.1:0", 0));
    CHECK_FATAL_OK(pica_tcp_listen(&s->listener, &where, NULL));
    CHECK_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    for (int i = 0; i < 2; i++)
        CHECK_FATAL_OK(pica_stream_adopt(&s->ends[i], pair[i]));
    return 0;
}

static intptr_t accepts(void *arg)
{
    const struct sockets *s = arg;
    pica_stream *stream;
    return pica_accept(s->listener, &stream, NULL);
}

static intptr_t reads(void *end)
{
    char byte;
    return pica_read(end, &byte, 1);
}

/* The threads that read, accept and close come in any order. */
static void threads_close(void)
{
    pica_options options = check_options();
    pica_executor *ex = check_executor_open(&options);
    for (uint64_t round = check_rounds(300); round > 0; round--) {
        struct sockets s = {.listener = NULL};
        CHECK_EQ(body_end(body_spawn_in(ex, opens, &s)), 0);
        pica_task *acceptor = body_spawn_in(ex, accepts, &s);
        pica_task *readers[2] = {body_spawn_in(ex, reads, s.ends[0]),
                                 body_spawn_in(ex, reads, s.ends[1])};
        if (round % 2)
            BODY_WAITS(acceptor);
        if (round % 3 == 0)
            BODY_WAITS(readers[1]);
        CHECK_EQ(pica_listener_close(s.listener), NULL);
        CHECK_EQ(body_end(acceptor), -EBADF);
        CHECK_OK(pica_shutdown(s.ends[0], SHUT_WR));
        CHECK_EQ(body_end(readers[1]), 0);
        CHECK_EQ(pica_close(s.ends[0]), NULL);
        CHECK_EQ(body_end(readers[0]), -EBADF);
        CHECK_LE(0, pica_stream_fd(s.ends[1]));
        CHECK_EQ(pica_close(s.ends[1]), NULL);
    }
    check_executor_close(ex);
}

/* --- Shutting down while threads wait ------------------------------------------------------- */

struct ending {
    pica_executor *ex;
    pica_task *sleeper;
    check_latch waiting, let_go;
};

static void *thread_waits(void *arg)
{
    struct ending *e = arg;
    intptr_t result = 0;
    check_hit(&e->waiting);
    CHECK_EQ(pica_await(e->sleeper, &result), 0);
    CHECK_EQ(result, -ECANCELED);
    check_hit(&e->let_go);
    return NULL;
}

/* The deadline ends the tasks, their ends let go who waits for them; refused is who comes late. */
static void shutdown_lets_go(void)
{
    for (uint64_t round = check_rounds(100); round > 0; round--) {
        struct ending e = {.ex = NULL};
        pica_options options = check_options();
        pthread_t threads[THREADS];
        CHECK_FATAL_OK(pica_executor_create(&e.ex, &options));
        e.sleeper = body_spawn_in(e.ex, body_sleeps, NULL);
        for (unsigned i = 0; i < THREADS; i++)
            CHECK_FATAL(pthread_create(&threads[i], NULL, thread_waits, &e) == 0);
        CHECK_HITS(&e.waiting, THREADS);
        int64_t deadline = pica_after(PICA_US((int64_t)(round % 3) * 200));
        CHECK_EQ(pica_executor_shutdown(e.ex, deadline), 1);
        CHECK_LE(deadline, pica_now());
        CHECK_EQ(pica_executor_spawn(e.ex, NULL, body_returns, NULL), -ESHUTDOWN);
        for (unsigned i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
        CHECK_EQ(check_hits(&e.let_go), THREADS);
        pica_unref(e.sleeper);
        CHECK_EQ(pica_executor_destroy(e.ex), NULL);
    }
}

CHECK_MAIN
{
    check_timeout(60);
    check_plain_in(CHECK_ALL, "threads use two executors", threads_use_two_executors);
    check_plain_in(CHECK_ALL, "tasks of two executors", tasks_of_two_executors);
    check_plain_in(CHECK_ALL, "one inside the other", one_inside_the_other);
    check_plain_in(CHECK_ALL, "threads close", threads_close);
    check_plain_in(CHECK_ALL, "shutdown lets go", shutdown_lets_go);
}
