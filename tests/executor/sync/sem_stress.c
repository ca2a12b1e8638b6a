/* SPDX-License-Identifier: MIT */
/* sem_stress.c: tasks and threads on one semaphore; three of ten attempts are cancelled or time
 * out. Never are there more permits inside than there are, never does a release give one too
 * many (the weighted one is bounded), and whenever all stand still, with some permits held,
 * value + held = initial. */
#include "tests/executor/bodies.h"

#include <pica/sem.h>
#include <pthread.h>

#define PERMITS 3u
#define TASKS 16u
#define THREADS 2u

struct stress {
    pica_sem sem;
    uint32_t inside;  /* [atomic] permits that are held */
    uint32_t over;    /* [atomic] more were inside than there are permits */
    uint32_t plain;   /* guarded by the permits, where there is one permit */
    uint64_t done[3]; /* [atomic, relaxed] acquired, timed out, cancelled */
    uint64_t rounds;
    uint32_t permits;
    uint32_t weights; /* a request is for 1 to so many */
    bool stopping;    /* [atomic] */
    bool refused;     /* [atomic] a close is expected */
};

/* Take n in one of the ways there are. */
static int acquire(struct stress *s, check_rng *rng, uint64_t choice, int64_t n)
{
    int64_t deadline_ns = choice < 3 ? pica_now() + (int64_t)check_rng_below(rng, 4000) : 0;
    if (n == 1 && choice % 2)
        return choice < 3   ? pica_sem_acquire_until(&s->sem, deadline_ns)
               : choice < 5 ? pica_sem_try_acquire(&s->sem)
                            : pica_sem_acquire(&s->sem);
    return choice < 3   ? pica_sem_acquire_n_until(&s->sem, n, deadline_ns)
           : choice < 5 ? pica_sem_try_acquire_n(&s->sem, n)
                        : pica_sem_acquire_n(&s->sem, n);
}

static void take_one(struct stress *s, check_rng *rng)
{
    uint64_t choice = check_rng_below(rng, 20);
    uint32_t n = 1 + (uint32_t)check_rng_below(rng, s->weights);
    int rc = acquire(s, rng, choice, n);
    if (rc < 0) {
        CHECK_FATAL(rc == -ETIMEDOUT || rc == -ECANCELED || rc == -EAGAIN ||
                    (rc == -ESHUTDOWN && pi_load_acquire(&s->refused)));
        pi_add_relaxed(&s->done[rc == -ECANCELED ? 2 : 1], UINT64_C(1));
        return;
    }
    if (pi_add_acq_rel(&s->inside, n) + n > s->permits)
        pi_add_relaxed(&s->over, 1u);
    if (s->permits == 1)
        s->plain++; /* the thread sanitizer looks */
    if (pica_self() && choice % 4 == 0)
        (void)!pica_yield();
    pi_sub_acq_rel(&s->inside, n);
    if (n == 1 || choice == 7) /* one by one is the same */
        for (uint32_t i = 0; i < n; i++)
            CHECK_FATAL(pica_sem_release(&s->sem) == 0);
    else
        CHECK_FATAL(pica_sem_release_n(&s->sem, n) == 0);
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

/* All players play to their end. */
static void play(struct stress *s, pica_executor *ex, uint64_t salt)
{
    struct cancelling c = {.stress = s};
    pthread_t threads[THREADS];
    struct player players[TASKS + THREADS];
    pi_store_release(&s->stopping, false);
    for (unsigned i = 0; i < TASKS + THREADS; i++)
        players[i] = (struct player){s, salt * 1000 + i};
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
    pi_store_release(&s->stopping, true);
    CHECK_EQ(body_end(canceller), 0);
    for (unsigned i = 0; i < TASKS; i++)
        CHECK_EQ(body_end(c.tasks[i]), 0);
    CHECK_EQ(s->over, 0);
}

/* Nobody plays: what is not held is there. */
static void stands_still(struct stress *s, uint32_t held)
{
    CHECK_EQ(s->inside, held);
    CHECK_EQ(pica_sem_value(&s->sem), s->permits - held);
    CHECK_EQ(s->sem.owed, 0);
    CHECK_EQ(s->sem.orphans, 0);
}

static void stress_with(uint32_t permits)
{
    pica_options options = check_options();
    pica_executor *ex = check_executor_open(&options);
    struct stress s = {.sem = PICA_SEM_INIT(permits), .permits = permits, .weights = 1};
    s.rounds = check_rounds(40000);
    play(&s, ex, permits);
    stands_still(&s, 0);
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

static void weighted_and_bounded(void)
{
    pica_options options = check_options();
    pica_executor *ex = check_executor_open(&options);
    struct stress s = {.permits = 12, .weights = 7, .rounds = check_rounds(1000)};
    CHECK_OK(pica_sem_init_bounded(&s.sem, s.permits, s.permits));
    for (uint32_t held = 0; held < 6; held++) { /* so many stay out of the game; 7 always fit */
        for (unsigned i = 0; i < 3; i++) {
            play(&s, ex, 10 * held + i);
            stands_still(&s, held);
        }
        if (held == 5)
            break;
        CHECK_OK(pica_sem_acquire(&s.sem));
        s.inside++;
    }
    CHECK_EQ(pica_sem_release_n(&s.sem, 5), 0);
    CHECK_EQ(pica_sem_release(&s.sem), -EOVERFLOW);
    CHECK_EQ(pica_sem_destroy(&s.sem), 0);
    CHECK_LT(0, s.done[0]);
    CHECK_LT(0, s.done[1]);
    check_executor_close(ex);
}

/* Each game ends with a close in the midst of it; all that is held comes back. */
struct closing {
    struct stress *stress;
    uint64_t after;
};

static void *closes(void *arg)
{
    const struct closing *c = arg;
    while (pi_load_relaxed(&c->stress->done[0]) < c->after)
        pi_spin_wait(100);
    pi_store_release(&c->stress->refused, true);
    pica_sem_close(&c->stress->sem);
    return NULL;
}

static void closed_under_load(void)
{
    pica_options options = check_options();
    pica_executor *ex = check_executor_open(&options);
    for (uint64_t i = 0; i < check_rounds(100); i++) {
        struct stress s = {.permits = 9, .weights = 5, .rounds = 200};
        s.sem = (pica_sem)PICA_SEM_INIT(s.permits);
        struct closing c = {&s, i};
        pthread_t thread;
        CHECK_FATAL(pthread_create(&thread, NULL, closes, &c) == 0);
        play(&s, ex, i);
        pthread_join(thread, NULL);
        CHECK_EQ(pica_sem_value(&s.sem), s.permits);
        CHECK_EQ(s.inside, 0);
        CHECK_EQ(s.sem.leaving, 0);
        CHECK_EQ(pica_sem_destroy(&s.sem), 0);
    }
    check_executor_close(ex);
}

CHECK_MAIN
{
    check_timeout(120);
    check_plain_in(CHECK_ALL, "one permit", one_permit);
    check_plain_in(CHECK_ALL, "a few permits", a_few_permits);
    check_plain_in(CHECK_ALL, "weighted and bounded", weighted_and_bounded);
    check_plain_in(CHECK_ALL, "closed under load", closed_under_load);
}
