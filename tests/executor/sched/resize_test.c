/* SPDX-License-Identifier: MIT */
/* resize_test.c: workers that come and go while tasks run, and workers with CPUs of their own. */
#include "executor/base/futex.h"
#include "tests/executor/asleep.h"
#include "tests/executor/bodies.h"

#include <pica/net.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define MOST 4

static pica_executor *open_small(unsigned flags)
{
    pica_options options = check_options();
    options.flags |= flags;
    options.workers = 1;
    options.workers_max = MOST;
    options.trim_after_ns = PICA_NEVER; /* nobody gets up for it */
    return check_executor_open(&options);
}

/* ---- more ---- */

/* All sleep, and so does the monitor. Workers that have rested get up from no bed, and tell it all
 * the same. */
static void the_monitor_learns_of_it(void)
{
    pica_executor *ex = open_small(0);
    CHECK_OK(pica_executor_resize(ex, MOST));
    CHECK_OK(pica_executor_resize(ex, 2));
    CHECK_SOON(asleep(ex));
    int64_t before = pi_thread_cpu_ns(ex->monitor);
    CHECK_OK(pica_executor_resize(ex, MOST));
    CHECK_SOON(pi_thread_cpu_ns(ex->monitor) > before);
    check_executor_close(ex);
}

struct crowd {
    uint32_t here;   /* [atomic] */
    uint32_t wanted; /* [const] */
};

/* Ends only when as many run at the same time. */
static intptr_t meets(void *arg)
{
    struct crowd *c = arg;
    patience p = patience_of(PICA_SEC(10));
    pi_add_seq_cst(&c->here, 1u);
    while (pi_load_seq_cst(&c->here) < c->wanted && patience_lasts(&p)) {
    }
    return pi_load_seq_cst(&c->here) == c->wanted;
}

static void as_many_run_at_once(void)
{
    pica_executor *ex = open_small(0);
    for (unsigned n = 1; n <= MOST; n++) {
        struct crowd crowd = {.wanted = n};
        pica_task *tasks[MOST];
        CHECK_OK(pica_executor_resize(ex, n));
        CHECK_EQ(pica_executor_workers(ex), n);
        for (unsigned i = 0; i < n; i++)
            tasks[i] = body_spawn_in(ex, meets, &crowd);
        for (unsigned i = 0; i < n; i++)
            CHECK_EQ(body_end(tasks[i]), 1);
    }
    check_executor_close(ex);
}

/* ---- fewer ---- */

struct guest {
    int fd;           /* -1: a timer */
    uint32_t release; /* [atomic] */
    int began, ended; /* workers */
    check_latch waits;
};

/* Waits where it is while all the other workers are held up, so each guest has one. */
static intptr_t stays(void *arg)
{
    struct guest *g = arg;
    g->began = pica_worker_index();
    check_hit(&g->waits);
    while (!pi_load_acquire(&g->release)) {
    }
    int rc = g->fd < 0 ? pica_sleep(PICA_MS(50)) : pica_poll_fd(g->fd, POLLIN, PICA_NEVER);
    g->ended = pica_worker_index();
    return rc < 0 ? rc : 0;
}

/* Those that are stuck on a worker that goes end there; those that wait there go on elsewhere. */
static void who_waits_goes_on(void)
{
    pica_executor *ex = open_small(0);
    struct guest g[MOST];
    pica_task *tasks[MOST];
    CHECK_OK(pica_executor_resize(ex, MOST));
    for (unsigned i = 0; i < MOST; i++) {
        g[i] = (struct guest){.fd = i % 2 ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1};
        tasks[i] = body_spawn_in(ex, stays, &g[i]);
    }
    for (unsigned i = 0; i < MOST; i++)
        CHECK_HITS(&g[i].waits, 1);
    CHECK_OK(pica_executor_resize(ex, 1));
    CHECK_EQ(pica_executor_workers(ex), 1);
    for (unsigned i = 0; i < MOST; i++)
        pi_store_release(&g[i].release, 1u);
    for (unsigned i = 0; i < MOST; i++)
        CHECK_SOON(pica_task_status(tasks[i]) == PICA_WAITING ||
                   pica_task_status(tasks[i]) == PICA_DONE);
    for (unsigned i = 0; i < MOST; i++)
        if (g[i].fd >= 0)
            CHECK_EQ(write(g[i].fd, &(uint64_t){1}, sizeof(uint64_t)), (ssize_t)sizeof(uint64_t));
    int elsewhere = 0;
    for (unsigned i = 0; i < MOST; i++) {
        CHECK_EQ(body_end(tasks[i]), 0);
        CHECK_LE(g[i].ended, 1); /* the worker, or its spare where others want the CPUs */
        elsewhere += g[i].began > 1;
        if (g[i].fd >= 0)
            close(g[i].fd);
    }
    CHECK_LE(2, elsewhere);
    check_executor_close(ex);
}

/* One that is to rest, but computes, while all others sleep: somebody gets up for what it spawns. */
static void who_computes_is_helped(void)
{
    pica_executor *ex = open_small(0);
    check_latch first[2] = {{0}}, late = {0};
    pica_attr attr = PICA_ATTR_INIT;
    pica_task *spins = NULL;
    attr.pin = 1;
    CHECK_OK(pica_executor_resize(ex, 2));
    CHECK_FATAL_OK(pica_executor_spawn_with(ex, &spins, body_spins, first, &attr));
    CHECK_HITS(&first[0], 1);
    pica_task *spawns = body_spawn_in(ex, body_spawns_late, &late);
    CHECK_HITS(&late, 1); /* on the second worker */
    CHECK_OK(pica_executor_resize(ex, 1));
    check_hit(&first[1]);
    CHECK_EQ(body_end(spins), 1);
    CHECK_EQ(body_end(spawns), 1);
    check_executor_close(ex);
}

/* Keeps the first worker: from all others until the first latch is hit, from sleep until the
 * second. */
static intptr_t keeps_busy(void *latches)
{
    check_latch *two = latches;
    while (check_hits(&two[0]) == 0)
        pi_spin_wait(1);
    while (check_hits(&two[1]) == 0)
        CHECK_OK(pica_yield());
    return 1;
}

/* Takes its own worker away, whose budget is used up by that, here in the middle of the task. */
static intptr_t gives_way_once(void *latches)
{
    CHECK_EQ(pica_worker_index(), 1);
    check_hit(latches);
    CHECK_OK(pica_executor_resize(pica_executor_self(), 1));
    CHECK_EQ(body_end(body_spawn(body_returns, body_arg(1))), 1);
    return pica_worker_index();
}

/* The budget of one that is to rest may always be used up in the middle of a task. */
static void who_is_busy_inline_goes(void)
{
    pica_executor *ex = open_small(PICA_NO_SPARE); /* which would have that worker's number */
    check_latch latches[2] = {{0}};
    pica_attr attr = PICA_ATTR_INIT;
    pica_task *keeps = NULL;
    attr.pin = 1;
    CHECK_OK(pica_executor_resize(ex, 2));
    CHECK_FATAL_OK(pica_executor_spawn_with(ex, &keeps, keeps_busy, latches, &attr));
    CHECK_SOON(pica_task_status(keeps) == PICA_RUNNING);
    CHECK_EQ(body_end(body_spawn_in(ex, gives_way_once, latches)), 0);
    check_hit(&latches[1]);
    CHECK_EQ(body_end(keeps), 1);
    check_executor_close(ex);
}

/* ---- to and fro ---- */

struct load {
    pica_executor *ex;
    uint32_t stop; /* [atomic] */
};

static intptr_t leaf(void *arg)
{
    intptr_t value = (intptr_t)arg;
    int rc = value % 3 == 0 ? pica_yield() : value % 3 == 1 ? pica_sleep(PICA_US(50)) : 0;
    return rc < 0 ? rc : value;
}

static intptr_t tree(void *arg)
{
    intptr_t rounds = (intptr_t)arg, sum = 0;
    for (intptr_t i = 0; i < rounds; i++) {
        pica_task *tasks[8];
        for (intptr_t k = 0; k < 8; k++)
            tasks[k] = body_spawn(leaf, body_arg(k));
        for (intptr_t k = 0; k < 8; k++)
            sum += body_end(tasks[k]);
    }
    return sum;
}

static void *resizes(void *arg)
{
    struct load *l = arg;
    check_rng rng = check_rng_make(1);
    while (!pi_load_relaxed(&l->stop)) {
        CHECK_OK(pica_executor_resize(l->ex, 1 + (unsigned)check_rng_below(&rng, MOST)));
        check_let_pass(PICA_US((int64_t)check_rng_below(&rng, 300)));
    }
    return NULL;
}

static void to_and_fro(void)
{
    struct load l = {.ex = open_small(0)};
    intptr_t rounds = (intptr_t)check_rounds(300);
    pica_task *tasks[4];
    pthread_t threads[2];
    for (unsigned i = 0; i < 2; i++)
        CHECK_FATAL(pthread_create(&threads[i], NULL, resizes, &l) == 0);
    for (unsigned i = 0; i < 4; i++)
        tasks[i] = body_spawn_in(l.ex, tree, body_arg(rounds));
    for (unsigned i = 0; i < 4; i++)
        CHECK_EQ(body_end(tasks[i]), rounds * 28);
    pi_store_relaxed(&l.stop, 1u);
    for (unsigned i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    check_executor_close(l.ex);
}

static void misuse(void)
{
    pica_executor *ex = open_small(0);
    CHECK_EQ(pica_executor_resize(NULL, 1), -EINVAL);
    CHECK_EQ(pica_executor_resize(ex, 0), -EINVAL);
    CHECK_EQ(pica_executor_resize(ex, MOST + 1), -EINVAL);
    CHECK_OK(pica_executor_resize(ex, 2));
    CHECK_OK(pica_executor_resize(ex, 2));
    CHECK_EQ(pica_executor_shutdown(ex, 0), 0);
    CHECK_EQ(pica_executor_resize(ex, 1), -ESHUTDOWN);
    check_executor_close(ex);

    pica_options options = check_options();
    options.workers_max = 257;
    CHECK_EQ(pica_executor_create(&ex, &options), -EINVAL);
    options.size = offsetof(pica_options, workers_max); /* an older program's: not read */
    CHECK_OK(pica_executor_create(&ex, &options));
    CHECK_EQ(pica_executor_resize(ex, pica_executor_workers(ex) + 1), -EINVAL);
    pica_executor_destroy(ex);
}

/* ---- CPUs ---- */

static intptr_t stays_on_its_cpu(void *arg)
{
    cpu_set_t mine;
    (void)arg;
    for (unsigned i = 0; i < 50; i++) {
        CHECK_OK(pica_sleep(PICA_US(20)));
        CHECK_EQ(sched_getaffinity(0, sizeof(mine), &mine), 0);
        CHECK_EQ(CPU_COUNT(&mine), 1);
        CHECK(CPU_ISSET((size_t)sched_getcpu(), &mine));
    }
    return 0;
}

static intptr_t all_stay(void *unused)
{
    pica_task *tasks[4];
    (void)unused;
    unsigned workers = pica_executor_workers(pica_executor_self());
    for (unsigned i = 0; i < 4; i++)
        tasks[i] = body_spawn_on(i % workers, stays_on_its_cpu, NULL);
    for (unsigned i = 0; i < 4; i++)
        CHECK_EQ(body_end(tasks[i]), 0);
    return 3;
}

static void pinned_workers(void)
{
    cpu_set_t before, after;
    pica_options options = check_options();
    options.flags |= PICA_PIN_WORKERS;
    CHECK_EQ(sched_getaffinity(0, sizeof(before), &before), 0);
    CHECK_EQ(pica_run(all_stay, NULL, &options), 3);
    CHECK_EQ(sched_getaffinity(0, sizeof(after), &after), 0);
    CHECK(CPU_EQUAL(&before, &after));
}

CHECK_MAIN
{
    check_plain("as many run at once", as_many_run_at_once);
    check_plain("the monitor learns of it", the_monitor_learns_of_it);
    check_plain("who waits goes on", who_waits_goes_on);
    check_plain("who computes is helped", who_computes_is_helped);
    check_plain("who is busy inline goes", who_is_busy_inline_goes);
    check_plain("to and fro", to_and_fro);
    check_plain("misuse", misuse);
    check_plain_in(CHECK_ONE | CHECK_TWO | CHECK_FOUR, "pinned workers", pinned_workers);
}
