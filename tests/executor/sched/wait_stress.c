/* SPDX-License-Identifier: MIT */
/* wait_stress.c: the wait and the idle protocol, ten million times, or for as long as a case may
 * take: between tasks of one worker and of several, and between tasks and threads, where a worker
 * really goes to sleep and is really woken. A wake-up that is lost is a case that times out, with a
 * dump of who waits. */
#include "tests/executor/bodies.h"

#include <pica/sem.h>
#include <pthread.h>

static uint64_t sleeps_of(const pica_executor *ex)
{
    pica_stats s = {.size = sizeof(s)};
    CHECK_FATAL_OK(pica_executor_stats(ex, &s));
    return s.sleeps;
}

/* --- Between tasks: a ring in which tokens go round --------------------------------------- */

#define RING 6u
#define PARTS 32u /* of all the cycles */

struct ring {
    pica_sem sems[RING];
    uint64_t rounds;
    uint64_t passed[RING]; /* guarded by the token */
};

struct seat {
    struct ring *ring;
    unsigned at;
};

static intptr_t passes_on(void *arg)
{
    const struct seat *seat = arg;
    struct ring *ring = seat->ring;
    for (uint64_t i = 0; i < ring->rounds; i++) {
        if (pica_sem_acquire(&ring->sems[seat->at]) != 0)
            return -EIO;
        ring->passed[seat->at]++;
        pica_sem_release(&ring->sems[(seat->at + 1) % RING]);
    }
    return 0;
}

static void rings(uint64_t cycles)
{
    struct ring ring = {.rounds = cycles / RING};
    struct seat seats[RING];
    pica_task *tasks[RING];
    for (unsigned i = 0; i < RING; i++)
        CHECK_OK(pica_sem_init(&ring.sems[i], i % 3 == 0)); /* two tokens */
    for (unsigned i = 0; i < RING; i++) {
        seats[i] = (struct seat){&ring, i};
        tasks[i] = body_spawn(passes_on, &seats[i]);
    }
    for (unsigned i = 0; i < RING; i++)
        CHECK_EQ(body_end(tasks[i]), 0);
    int64_t tokens = 0;
    for (unsigned i = 0; i < RING; i++) {
        CHECK_EQ(ring.passed[i], ring.rounds);
        tokens += pica_sem_value(&ring.sems[i]);
    }
    CHECK_EQ(tokens, 2);
}

static void a_ring_of_tasks(void)
{
    /* Together ten million; two workers on two CPUs are what matters most. */
    uint64_t cycles = check_rounds(check_mode() == CHECK_TWO ? 4000000 : 1500000);
    for (unsigned i = 0; i == 0 || (i < PARTS && check_time_left()); i++)
        rings(cycles / PARTS);
}

/* --- Between a thread and a task: the only worker awake goes to sleep each time ----------- */

struct pair {
    pica_sem to, fro;
    uint32_t stop; /* [atomic] */
};

static intptr_t answers(void *arg)
{
    struct pair *pair = arg;
    while (pica_sem_acquire(&pair->to) == 0) {
        if (pi_load_acquire(&pair->stop))
            return 0;
        pica_sem_release(&pair->fro);
    }
    return -EIO;
}

static uint64_t thread_and_task(unsigned driver, uint64_t rounds)
{
    pica_options options = check_options();
    options.driver = driver;
    pica_executor *ex = check_executor_open(&options);
    struct pair pair = {PICA_SEM_INIT(0), PICA_SEM_INIT(0), 0};
    pica_task *task = body_spawn_in(ex, answers, &pair);
    for (uint64_t i = 0; i < rounds && (i % 64 || check_time_left()); i++) {
        pica_sem_release(&pair.to);
        /* A task that could not start answers nothing. */
        CHECK_FATAL_OK(pica_sem_acquire_until(&pair.fro, pica_after(PICA_SEC(10))));
    }
    pi_store_release(&pair.stop, 1u);
    pica_sem_release(&pair.to);
    CHECK_EQ(body_end(task), 0);
    uint64_t sleeps = sleeps_of(ex);
    check_executor_close(ex);
    return sleeps;
}

/* How often workers sleep depends on how long they spin first, and on the machine: go on until
 * it has been often enough, or the time is over. */
static void a_thread_and_a_task(void)
{
    uint64_t wanted = check_rounds(3000), sleeps = 0;
    for (unsigned i = 0; i < 100 && sleeps < wanted && check_time_left(); i++)
        sleeps += thread_and_task(i % 2 ? PICA_DRIVER_FUTEX : PICA_DRIVER_EPOLL, 2 * wanted);
    CHECK_LE(check_time_left() ? wanted : 1, sleeps);
}

/* --- The idle protocol: work comes from outside, to whoever sleeps ------------------------ */

static intptr_t spawns_a_few(void *arg)
{
    pica_task *tasks[3];
    for (unsigned i = 0; i < 3; i++)
        tasks[i] = body_spawn(i % 2 ? body_yields : body_returns, arg);
    intptr_t sum = 0;
    for (unsigned i = 0; i < 3; i++)
        sum += body_end(tasks[i]);
    return sum;
}

static void *thread_spawns(void *arg)
{
    pica_executor *ex = arg;
    for (uint64_t i = check_rounds(8000); i > 0 && check_time_left(); i--) {
        pica_task *task = NULL;
        CHECK_FATAL_OK(pica_executor_spawn(ex, &task, spawns_a_few, body_arg(5)));
        intptr_t result = 0;
        CHECK_FATAL(pica_join(task, &result) == 0 && result == 15);
        pica_unref(task);
    }
    return NULL;
}

static void work_from_outside(void)
{
    pica_options options = check_options();
    pica_executor *ex = check_executor_open(&options);
    pthread_t threads[2];
    for (unsigned i = 0; i < 2; i++)
        CHECK_FATAL(pthread_create(&threads[i], NULL, thread_spawns, ex) == 0);
    for (unsigned i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    CHECK_LT(0, sleeps_of(ex));
    check_executor_close(ex);
}

/* --- Bursts: everybody is asleep, then there is much to do, then nothing again ------------ */

static intptr_t naps(void *arg)
{
    (void)arg;
    return pica_sleep(PICA_US(20));
}

static void bursts(void)
{
    for (uint64_t i = check_rounds(1500); i > 0 && check_time_left(); i--) {
        pica_task *tasks[12];
        for (unsigned k = 0; k < 12; k++)
            tasks[k] = body_spawn(k % 4 ? naps : body_yields, NULL);
        for (unsigned k = 0; k < 12; k++)
            CHECK_FATAL(body_end(tasks[k]) == 0);
    }
}

CHECK_MAIN
{
    check_timeout(60);
    check_run("a ring of tasks", a_ring_of_tasks);
    check_plain_in(CHECK_ALL, "a thread and a task", a_thread_and_a_task);
    check_plain_in(CHECK_ALL, "work from outside", work_from_outside);
    check_run("bursts", bursts);
}
