/* SPDX-License-Identifier: MIT */
/* idle_test.c: who is woken and what is counted, one thread playing all parts; then with
 * real threads that nothing is lost. All interleavings: idle_model.c. */
#include "executor/sched/idle.h"

#include "tests/check.h"

#include <pthread.h>
#include <semaphore.h>

static void check_counts(const pi_idle *idle, unsigned asleep, unsigned searching)
{
    CHECK_EQ(pi_idle_asleep(idle), asleep);
    CHECK_EQ(pi_idle_searching(idle), searching);
    CHECK_EQ(pi_idle_wanted(idle), asleep > 0 && searching == 0);
}

static void nobody_to_wake(void)
{
    pi_idle idle;
    pi_idle_init(&idle, 4);
    check_counts(&idle, 0, 0);
    CHECK_EQ(pi_idle_submitted(&idle), -1);
    CHECK_EQ(pi_idle_pick(&idle), -1);
    CHECK(!pi_idle_claim(&idle, 3));
    check_counts(&idle, 0, 0);
}

static void searchers_are_limited(void)
{
    pi_idle idle;
    pi_idle_init(&idle, 1);
    CHECK_EQ(idle.limit, 1);
    pi_idle_init(&idle, PI_IDLE_MAX);
    CHECK_LE(idle.limit, PI_IDLE_MAX / 2);
    idle.limit = 2;
    CHECK(pi_idle_search_begin(&idle));
    CHECK(pi_idle_search_begin(&idle));
    CHECK(!pi_idle_search_begin(&idle));
    check_counts(&idle, 0, 2);
    CHECK(!pi_idle_search_end(&idle));
    CHECK(pi_idle_search_end(&idle));
    check_counts(&idle, 0, 0);
}

static void one_is_woken_at_a_time(void)
{
    pi_idle idle;
    pi_idle_init(&idle, 200);
    const unsigned sleepers[] = {3, 31, 32, 199};
    for (unsigned i = 0; i < 4; i++)
        CHECK(!pi_idle_sleep_begin(&idle, sleepers[i], false));
    check_counts(&idle, 4, 0);
    for (unsigned i = 0; i < 4; i++) {
        CHECK_EQ(pi_idle_submitted(&idle), sleepers[i]);
        CHECK_EQ(pi_idle_submitted(&idle), -1); /* somebody searches now */
        CHECK(pi_idle_woken(&idle, sleepers[i]));
        check_counts(&idle, 3 - i, 1);
        CHECK(pi_idle_search_end(&idle));
    }
    check_counts(&idle, 0, 0);
}

static void sleeper_gets_up_itself(void)
{
    pi_idle idle;
    pi_idle_init(&idle, 2);
    CHECK(pi_idle_search_begin(&idle));
    CHECK(pi_idle_sleep_begin(&idle, 1, true)); /* the last that searched */
    check_counts(&idle, 1, 0);
    CHECK(pi_idle_sleep_abort(&idle, 1));
    check_counts(&idle, 0, 0);
    CHECK(!pi_idle_sleep_begin(&idle, 1, false));
    CHECK(!pi_idle_woken(&idle, 1));
    check_counts(&idle, 0, 0);
    CHECK_EQ(pi_idle_submitted(&idle), -1);
    /* Picked while it looked: it counts as searching. */
    CHECK(!pi_idle_sleep_begin(&idle, 1, false));
    CHECK_EQ(pi_idle_pick(&idle), 1);
    CHECK(!pi_idle_sleep_abort(&idle, 1));
    check_counts(&idle, 0, 1);
    CHECK(pi_idle_search_end(&idle));
}

static void mail_wakes_its_worker(void)
{
    pi_idle idle;
    pi_idle_init(&idle, 64);
    CHECK(!pi_idle_sleep_begin(&idle, 40, false));
    CHECK(!pi_idle_sleep_begin(&idle, 41, false));
    CHECK(!pi_idle_claim(&idle, 39));
    CHECK(pi_idle_claim(&idle, 41));
    CHECK(!pi_idle_claim(&idle, 41)); /* one waker is enough */
    CHECK_EQ(pi_idle_pick(&idle), 40);
    CHECK(!pi_idle_claim(&idle, 40));
    CHECK(!pi_idle_woken(&idle, 41)); /* called, not picked */
    CHECK(pi_idle_woken(&idle, 40));
    check_counts(&idle, 0, 1);
    /* Beds are as new. */
    CHECK(pi_idle_sleep_begin(&idle, 40, true));
    CHECK(!pi_idle_sleep_begin(&idle, 41, false));
    CHECK(pi_idle_claim(&idle, 40));
    CHECK(pi_idle_sleep_abort(&idle, 40));
    CHECK_EQ(pi_idle_pick(&idle), 41);
}

/* --- With threads: each submission waits for its effect, so a lost wake-up is a hang. ---- */

enum { WORKERS = 3, SUBMITTERS = 2 };

static struct {
    pi_idle idle;
    sem_t driver[WORKERS];
    sem_t done[SUBMITTERS];
    uint32_t inject[SUBMITTERS]; /* [atomic] 1: a piece of work lies there */
    uint32_t mail[WORKERS];      /* [atomic] 1 + the submitter */
    uint32_t stop;               /* [atomic] */
    uint64_t slept;              /* [atomic] */
} w;

static bool look(unsigned self)
{
    uint32_t from = pi_xchg_acq_rel(&w.mail[self], 0u);
    bool found = from != 0;
    if (from)
        sem_post(&w.done[from - 1]);
    for (unsigned i = 0; i < SUBMITTERS; i++)
        if (pi_xchg_acq_rel(&w.inject[i], 0u)) {
            sem_post(&w.done[i]);
            found = true;
        }
    return found || pi_load_acquire(&w.stop);
}

static void wake(int worker)
{
    if (worker >= 0)
        sem_post(&w.driver[worker]);
}

static void *worker_main(void *arg)
{
    unsigned self = (unsigned)(uintptr_t)arg;
    bool searching = false;
    while (!pi_load_acquire(&w.stop)) {
        searching = searching || pi_idle_search_begin(&w.idle);
        if (searching && look(self)) {
            searching = false;
            if (pi_idle_search_end(&w.idle))
                wake(pi_idle_pick(&w.idle));
            continue;
        }
        bool last = pi_idle_sleep_begin(&w.idle, self, searching);
        searching = false;
        if (look(self)) {
            if (!pi_idle_sleep_abort(&w.idle, self))
                last = pi_idle_search_end(&w.idle);
            if (last)
                wake(pi_idle_pick(&w.idle));
            continue;
        }
        sem_wait(&w.driver[self]);
        pi_add_relaxed(&w.slept, 1u);
        searching = pi_idle_woken(&w.idle, self);
    }
    return NULL;
}

static void *submitter_main(void *arg)
{
    unsigned self = (unsigned)(uintptr_t)arg;
    uint64_t rounds = check_rounds(20000);
    for (uint64_t i = 0; i < rounds; i++) {
        if (i % 3) {
            pi_store_release(&w.inject[self], 1u);
            wake(pi_idle_submitted(&w.idle));
        } else {
            /* Each submitter has worker `self` to itself for its mail. */
            pi_store_release(&w.mail[self], self + 1);
            if (pi_idle_claim(&w.idle, self))
                wake((int)self);
        }
        sem_wait(&w.done[self]);
    }
    return NULL;
}

static void no_wake_is_lost(void)
{
    pthread_t workers[WORKERS], submitters[SUBMITTERS];
    pi_idle_init(&w.idle, WORKERS);
    for (unsigned i = 0; i < SUBMITTERS; i++)
        sem_init(&w.done[i], 0, 0);
    for (unsigned i = 0; i < WORKERS; i++)
        sem_init(&w.driver[i], 0, 0);
    for (unsigned i = 0; i < WORKERS; i++)
        CHECK_FATAL(!pthread_create(&workers[i], NULL, worker_main, (void *)(uintptr_t)i));
    for (unsigned i = 0; i < SUBMITTERS; i++)
        CHECK_FATAL(!pthread_create(&submitters[i], NULL, submitter_main, (void *)(uintptr_t)i));
    for (unsigned i = 0; i < SUBMITTERS; i++)
        pthread_join(submitters[i], NULL);
    pi_store_release(&w.stop, 1u);
    for (unsigned i = 0; i < WORKERS; i++)
        wake((int)i);
    for (unsigned i = 0; i < WORKERS; i++)
        pthread_join(workers[i], NULL);
    CHECK(pi_load_relaxed(&w.slept) > 0);
}

CHECK_MAIN
{
    check_plain("nobody to wake", nobody_to_wake);
    check_plain("searchers are limited", searchers_are_limited);
    check_plain("one is woken at a time", one_is_woken_at_a_time);
    check_plain("sleeper gets up itself", sleeper_gets_up_itself);
    check_plain("mail wakes its worker", mail_wakes_its_worker);
    check_timeout(60);
    check_plain("no wake is lost", no_wake_is_lost);
}
