/* SPDX-License-Identifier: MIT */
/* sem_stress.c: tasks and threads on one semaphore; three of ten attempts are cancelled or time
 * out. Never more inside than there are permits, and when all is over every permit is back:
 * value + held = initial. */
#include "tests/executor/bodies.h"

#include <pica/sem.h>
#include <pthread.h>

#define PERMITS 3u
#define TASKS 16u
#define THREADS 2u

struct stress {
    pica_sem sem;
    uint32_t inside;  /* [atomic] */
    uint32_t over;    /* [atomic] more were inside than there are permits */
    uint32_t plain;   /* guarded by the permits, where there is one permit */
    uint64_t done[3]; /* [atomic, relaxed] acquired, timed out, cancelled */
    uint64_t rounds;
    uint32_t permits;
    bool stopping; /* [atomic] */
};

static void take_one(struct stress *s, check_rng *rng)
{
    uint64_t choice = check_rng_below(rng, 20);
    int rc;
    if (choice < 3)
        rc = pica_sem_acquire_until(&s->sem, pica_now() + (int64_t)check_rng_below(rng, 4000));
    else if (choice < 5)
        rc = pica_sem_try_acquire(&s->sem);
    else
        rc = pica_sem_acquire(&s->sem);
    if (rc < 0) {
        CHECK_FATAL(rc == -ETIMEDOUT || rc == -ECANCELED || rc == -EAGAIN);
        pi_add_relaxed(&s->done[rc == -ECANCELED ? 2 : 1], UINT64_C(1));
        return;
    }
    if (pi_add_acq_rel(&s->inside, 1u) >= s->permits)
        pi_add_relaxed(&s->over, 1u);
    if (s->permits == 1)
        s->plain++; /* the thread sanitizer looks */
    if (pica_self() && choice % 4 == 0)
        (void)!pica_yield();
    pi_sub_acq_rel(&s->inside, 1u);
    CHECK_FATAL(pica_sem_release(&s->sem) == 0);
    pi_add_relaxed(&s->done[0], UINT64_C(1));
}

struct player {
    struct stress *stress;
    uint64_t salt;
};

static intptr_t plays(void *arg)
{
    const struct player *p = arg;
    check_rng rng = check_rng_make(p->salt);
    for (uint64_t i = 0; i < p->stress->rounds; i++) {
        take_one(p->stress, &rng);
        while (pica_cancelling() > 0)
            (void)pica_uncancel();
    }
    return 0;
}

static void *thread_plays(void *arg)
{
    const struct player *p = arg;
    check_rng rng = check_rng_make(p->salt);
    for (uint64_t i = 0; i < p->stress->rounds; i++)
        take_one(p->stress, &rng);
    return NULL;
}

struct cancelling {
    struct stress *stress;
    pica_task *tasks[TASKS];
};

/* Cancels whoever it meets, as fast as it can. */
static intptr_t cancels(void *arg)
{
    struct cancelling *c = arg;
    check_rng rng = check_rng_make(99);
    while (!pi_load_acquire(&c->stress->stopping)) {
        for (unsigned i = 0; i < 3; i++)
            (void)pica_cancel(c->tasks[check_rng_below(&rng, TASKS)]);
        CHECK_FATAL(pica_yield() == 0);
    }
    return 0;
}

static void stress_with(uint32_t permits)
{
    pica_options options = check_options();
    pica_executor *ex = check_executor_open(&options);
    struct stress s = {.sem = PICA_SEM_INIT(permits), .permits = permits};
    s.rounds = check_rounds(40000);
    struct cancelling c = {.stress = &s};
    pthread_t threads[THREADS];
    struct player players[TASKS + THREADS];
    for (unsigned i = 0; i < TASKS + THREADS; i++)
        players[i] = (struct player){&s, permits * 1000 + i};
    for (unsigned i = 0; i < TASKS; i++)
        CHECK_FATAL_OK(pica_executor_spawn(ex, &c.tasks[i], plays, &players[i]));
    pica_task *canceller;
    CHECK_FATAL_OK(pica_executor_spawn(ex, &canceller, cancels, &c));
    for (unsigned i = 0; i < THREADS; i++)
        CHECK_FATAL(pthread_create(&threads[i], NULL, thread_plays, &players[TASKS + i]) == 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < TASKS; i++)
        CHECK_EQ(pica_join(c.tasks[i], NULL), 0);
    pi_store_release(&s.stopping, true);
    CHECK_EQ(body_end(canceller), 0);
    for (unsigned i = 0; i < TASKS; i++)
        CHECK_EQ(body_end(c.tasks[i]), 0);
    CHECK_EQ(s.over, 0);
    CHECK_EQ(s.inside, 0);
    CHECK_EQ(pica_sem_value(&s.sem), permits);
    for (uint32_t i = 0; i < permits; i++)
        CHECK_EQ(pica_sem_try_acquire(&s.sem), 0);
    CHECK_EQ(pica_sem_try_acquire(&s.sem), -EAGAIN);
    CHECK_EQ(pica_sem_destroy(&s.sem), 0);
    CHECK_EQ(s.done[0] + s.done[1] + s.done[2], s.rounds * (TASKS + THREADS));
    CHECK_LT(0, s.done[0]);
    CHECK_LT(0, s.done[1]);
    if (permits == 1) {
        CHECK_EQ(s.plain, s.done[0]);
        CHECK_LT(0, s.done[2]);
    }
    check_executor_close(ex);
}

static void one_permit(void)
{
    stress_with(1);
}

static void a_few_permits(void)
{
    stress_with(PERMITS);
}

CHECK_MAIN
{
    check_timeout(120);
    check_plain_in(CHECK_ALL, "one permit", one_permit);
    check_plain_in(CHECK_ALL, "a few permits", a_few_permits);
}
