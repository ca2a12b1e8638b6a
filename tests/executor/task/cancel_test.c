/* SPDX-License-Identifier: MIT */
/* cancel_test.c: cancelling counts, sticks, and starves nobody. See pica/task.h. What it does
 * to await, gather and groups is in their tests. */
#include "tests/executor/bodies.h"

#include <pica/scope.h>
#include <pica/sem.h>
#include <pthread.h>
#include <sched.h>

static void counts(void)
{
    CHECK_EQ(pica_cancelling(), 0);
    CHECK_EQ(pica_check_cancel(), 0);
    CHECK_EQ(pica_uncancel(), -EINVAL);
    for (int i = 1; i <= 5; i++) {
        CHECK_EQ(pica_cancel(pica_self()), 0);
        CHECK_EQ(pica_cancelling(), i);
        CHECK_EQ(pica_check_cancel(), -ECANCELED);
    }
    for (int i = 4; i >= 0; i--) {
        CHECK_EQ(pica_check_cancel(), -ECANCELED);
        CHECK_EQ(pica_uncancel(), i);
        CHECK_EQ(pica_cancelling(), i);
    }
    CHECK_EQ(pica_check_cancel(), 0);
    CHECK_OK(pica_yield());
    CHECK_EQ(pica_uncancel(), -EINVAL);
    CHECK_EQ(pica_cancelling(), 0);
    CHECK_EQ(pica_cancel(NULL), -EINVAL);
}

/* Every suspension point, on entry; what gives nothing is not taken; what never suspends is
 * no cancellation point. */
static void sticks(void)
{
    pica_sem full = PICA_SEM_INIT(3), none = PICA_SEM_INIT(0);
    pica_task *done = body_spawn(body_returns, body_arg(2));
    pica_task *asleep = body_spawn(body_sleeps, NULL);
    CHECK_SOON(pica_task_status(done) == PICA_DONE);
    BODY_WAITS(asleep);
    CHECK_EQ(pica_cancel(pica_self()), 0);
    for (unsigned i = 0; i < 3; i++) {
        intptr_t result = 77;
        CHECK_EQ(pica_yield(), -ECANCELED);
        CHECK_EQ(pica_sleep(0), -ECANCELED);
        CHECK_EQ(pica_sleep(PICA_SEC(100)), -ECANCELED);
        CHECK_EQ(pica_sleep(PICA_NEVER), -ECANCELED);
        CHECK_EQ(pica_sleep_until(0), -ECANCELED);
        CHECK_EQ(pica_sleep_until(PICA_NEVER), -ECANCELED);
        CHECK_EQ(pica_sem_acquire(&full), -ECANCELED);
        CHECK_EQ(pica_sem_acquire(&none), -ECANCELED);
        CHECK_EQ(pica_sem_acquire_until(&full, PICA_NEVER), -ECANCELED);
        CHECK_EQ(pica_sem_acquire_until(&none, 0), -ECANCELED);
        CHECK_EQ(pica_join(asleep, &result), -ECANCELED);
        CHECK_EQ(pica_join_until(asleep, &result, 0), -ECANCELED);
        CHECK_EQ(result, 77);
        CHECK_EQ(pica_sem_value(&full), 3);
        CHECK_EQ(pica_sem_try_acquire(&full), 0);
        CHECK_EQ(pica_sem_release(&full), 0);
        CHECK_EQ(pica_task_result(done, &result), 0);
        CHECK_EQ(result, 2);
        CHECK_EQ(pica_await(done, &result), 0);
    }
    CHECK_EQ(pica_task_status(asleep), PICA_WAITING); /* a join has left it alone */
    pica_task *child = NULL;
    CHECK_EQ(pica_spawn(&child, body_returns, body_arg(8)), 0);
    CHECK_EQ(pica_uncancel(), 0);
    CHECK_EQ(body_end(child), 8);
    CHECK_EQ(pica_cancel(asleep), 0);
    CHECK_EQ(body_end(asleep), -ECANCELED);
    pica_unref(done);
}

static intptr_t wakes_twice(void *arg)
{
    check_latch *latch = arg;
    check_hit(latch);
    CHECK_EQ(pica_sleep(PICA_NEVER), -ECANCELED);
    CHECK_EQ(pica_uncancel(), 0);
    CHECK_OK(pica_yield());
    check_hit(latch);
    CHECK_EQ(pica_sleep(PICA_NEVER), -ECANCELED);
    return pica_cancelling();
}

static void an_uncancelled_task_can_be_cancelled_again(void)
{
    check_latch latch = {0};
    pica_task *task = body_spawn(wakes_twice, &latch);
    for (unsigned i = 1; i <= 2; i++) {
        CHECK_HITS(&latch, i);
        BODY_WAITS(task);
        CHECK_EQ(pica_cancel(task), 0);
    }
    CHECK_EQ(body_end(task), 1);
}

static intptr_t starts_cancelled(void *arg)
{
    check_hit(arg);
    CHECK_EQ(pica_cancelling(), 2);
    CHECK_EQ(pica_check_cancel(), -ECANCELED);
    CHECK_EQ(pica_sleep(PICA_NEVER), -ECANCELED);
    return 4;
}

/* Pinned to a worker that a busy task holds, it can't have started when it is cancelled. */
static void cancelled_before_it_starts(void)
{
    check_latch started = {0};
    pica_task *task = body_spawn_on(body_pin_here() - 1, starts_cancelled, &started);
    CHECK_EQ(pica_cancel(task), 0);
    CHECK_EQ(pica_cancel(task), 0);
    CHECK_EQ(check_hits(&started), 0); /* this task has not suspended */
    CHECK_EQ(body_end(task), 4);
    CHECK_EQ(check_hits(&started), 1);
}

static void ended(void)
{
    pica_task *task = body_spawn(body_returns, body_arg(1));
    CHECK_EQ(pica_await(task, NULL), 0);
    CHECK_EQ(pica_cancel(task), -EALREADY);
    intptr_t result = 0;
    CHECK_EQ(pica_task_result(task, &result), 0);
    CHECK_EQ(result, 1);
    pica_unref(task);
}

/* A value returned after a cancel is kept. */
static void a_value_after_a_cancel(void)
{
    check_latch asleep = {0};
    pica_task *task = body_spawn(body_swallows, &asleep);
    CHECK_HITS(&asleep, 1);
    CHECK_EQ(pica_cancel(task), 0);
    CHECK_EQ(body_end(task), 7);
}

/* --- One that ignores its cancel ---------------------------------------------------------- */

struct ignoring {
    uint32_t stop; /* [atomic] */
    unsigned kind;
    check_latch rounds;
    pica_sem none;
};

static intptr_t ignores(void *arg)
{
    struct ignoring *i = arg;
    CHECK_SOON(pica_cancelling() == 1); /* it may have started first */
    while (!pi_load_acquire(&i->stop)) {
        int rc = i->kind == 0   ? pica_yield()
                 : i->kind == 1 ? pica_sleep(PICA_MS(1))
                 : i->kind == 2 ? pica_sem_acquire(&i->none)
                                : pica_sleep_until(PICA_NEVER);
        CHECK_EQ(rc, -ECANCELED);
        check_hit(&i->rounds);
    }
    return 0;
}

static intptr_t stops(void *arg)
{
    struct ignoring *i = arg;
    CHECK_OK(pica_yield());
    CHECK_OK(pica_sleep(PICA_MS(1)));
    CHECK_HITS(&i->rounds, 1);
    pi_store_release(&i->stop, 1u);
    return 0;
}

static void ignored_cancels_starve_nobody(void)
{
    for (unsigned kind = 0; kind < 4; kind++) {
        struct ignoring i = {.kind = kind, .none = PICA_SEM_INIT(0)};
        unsigned n = pica_executor_workers(check_executor());
        pica_task *ignoring[8], *stopping;
        for (unsigned k = 0; k < n; k++) {
            ignoring[k] = body_spawn(ignores, &i);
            CHECK_EQ(pica_cancel(ignoring[k]), 0);
        }
        stopping = body_spawn(stops, &i);
        CHECK_EQ(pica_join(stopping, NULL), 0); /* by itself, or this case times out */
        pica_unref(stopping);
        for (unsigned k = 0; k < n; k++)
            CHECK_EQ(body_end(ignoring[k]), 0);
        CHECK_LT(0, check_hits(&i.rounds));
    }
}

/* --- From any thread, at any time --------------------------------------------------------- */

struct target {
    pica_task *task;
    uint32_t stop; /* [atomic] */
    uint64_t sent; /* [thread] */
    check_latch stopped;
};

static void *thread_cancels(void *arg)
{
    struct target *target = arg;
    check_rng rng = check_rng_make(77);
    while (!pi_load_acquire(&target->stop)) {
        if (pica_cancel(target->task) == 0)
            target->sent++;
        for (uint64_t i = check_rng_below(&rng, 200); i > 0; i--)
            __asm__ __volatile__("");
    }
    check_hit(&target->stopped);
    return NULL;
}

static intptr_t counts_what_comes(void *arg)
{
    struct target *target = arg;
    pica_sem sem = PICA_SEM_INIT(0);
    intptr_t seen = 0;
    for (uint64_t left = check_rounds(20000); left > 0;) {
        int rc = left % 3 == 0   ? pica_sleep(PICA_US(10))
                 : left % 3 == 1 ? pica_sem_acquire(&sem)
                                 : pica_yield();
        if (rc < 0) {
            CHECK_EQ(rc, -ECANCELED);
            CHECK_LE(0, pica_uncancel());
            seen++;
            left--;
        }
    }
    pi_store_release(&target->stop, 1u);
    pica_scope shield;
    pica_shield_begin(&shield, PICA_NEVER);
    CHECK_HITS(&target->stopped, 1);
    CHECK_EQ(pica_scope_end(&shield, 0), 0);
    while (pica_uncancel() >= 0)
        seen++;
    CHECK_OK(pica_yield());
    return seen;
}

/* No cancel is lost, none comes twice. */
static void none_is_lost(void)
{
    struct target target = {.task = NULL};
    pica_task *task = body_spawn(counts_what_comes, &target);
    target.task = task;
    pthread_t thread;
    CHECK_FATAL(pthread_create(&thread, NULL, thread_cancels, &target) == 0);
    intptr_t seen = 0;
    CHECK_EQ(pica_join(task, &seen), 0);
    pthread_join(thread, NULL);
    CHECK_EQ(seen, target.sent);
    pica_unref(task);
}

/* The cancel and the falling asleep at the same moment: one of the two sees the other. Nothing
 * but the cancel ends this sleep, so one that is lost is a case that times out. */
struct meeting {
    pica_task *task;
    uint64_t round; /* [atomic] the task is about to sleep in this one; OVER: no more */
};

#define OVER UINT64_MAX

static void *thread_meets(void *arg)
{
    struct meeting *m = arg;
    check_rng rng = check_rng_make(7);
    for (uint64_t round = 1;; round++) {
        uint64_t now;
        for (unsigned spins = 0; (now = pi_load_acquire(&m->round)) < round; spins++)
            if (spins > 10000)
                sched_yield(); /* one CPU for both */
        if (now == OVER)
            return NULL;
        for (uint64_t i = check_rng_below(&rng, 64); i > 0; i--)
            __asm__ __volatile__("");
        CHECK_FATAL(pica_cancel(m->task) == 0);
    }
}

static intptr_t meets(void *arg)
{
    struct meeting *m = arg;
    int64_t enough = pica_after(PICA_SEC(1)); /* on a machine that is busy otherwise */
    uint64_t rounds = check_rounds(200000), round = 0;
    check_rng rng = check_rng_make(6);
    while (round == 0 || (round < rounds && pica_now() < enough)) {
        uint64_t delay = round % 2 ? check_rng_below(&rng, 100) : 0; /* either may be first */
        pi_store_release(&m->round, ++round);
        while (delay-- > 0)
            __asm__ __volatile__("");
        CHECK_FATAL(pica_sleep(PICA_NEVER) == -ECANCELED);
        CHECK_FATAL(pica_uncancel() == 0);
    }
    pi_store_release(&m->round, OVER);
    CHECK_LT(0, round);
    return 0;
}

static void cancel_meets_sleep(void)
{
    struct meeting m = {.round = 0};
    m.task = body_spawn(meets, &m);
    pthread_t thread;
    CHECK_FATAL(pthread_create(&thread, NULL, thread_meets, &m) == 0);
    CHECK_EQ(pica_join(m.task, NULL), 0);
    pthread_join(thread, NULL);
    CHECK_EQ(body_end(m.task), 0);
}

/* A cancel that races with the end is either counted or refused; it never hits another task
 * that got the same memory, or the same stack. */
static intptr_t must_not_be_cancelled(void *arg)
{
    for (unsigned i = 0; i < 3; i++)
        if (pica_yield() < 0 || pica_sleep(PICA_US(1)) < 0)
            check_hit(arg);
    return pica_cancelling();
}

struct race {
    uint32_t turn; /* [atomic] 0: the case's, 1: the thread's, 2: the end */
    pica_task *task;
};

static void *thread_cancels_as_they_end(void *arg)
{
    struct race *race = arg;
    for (;;) {
        uint32_t turn;
        while ((turn = pi_load_acquire(&race->turn)) == 0)
            sched_yield();
        if (turn == 2)
            return NULL;
        for (unsigned i = 0; i < 50 && pica_cancel(race->task) == 0; i++) {
        }
        pica_unref(race->task);
        pi_store_release(&race->turn, 0u);
    }
}

static intptr_t ends_soon(void *arg)
{
    (void)arg;
    (void)!pica_yield();
    return 0;
}

static void never_a_stranger(void)
{
    struct race race = {0, NULL};
    check_latch hit = {0};
    pthread_t thread;
    CHECK_FATAL(pthread_create(&thread, NULL, thread_cancels_as_they_end, &race) == 0);
    for (uint64_t i = check_rounds(4000); i > 0 && check_time_left(); i--) {
        pica_task *task = body_spawn(ends_soon, NULL);
        race.task = pica_ref(task);
        pi_store_release(&race.turn, 1u);
        CHECK_EQ(pica_join(task, NULL), 0);
        pica_unref(task);
        pica_task *next = body_spawn(must_not_be_cancelled, &hit);
        intptr_t result = 0;
        CHECK_EQ(pica_join(next, &result), 0);
        CHECK_EQ(result, 0);
        pica_unref(next);
        while (pi_load_acquire(&race.turn))
            CHECK_OK(pica_yield());
    }
    pi_store_release(&race.turn, 2u);
    pthread_join(thread, NULL);
    CHECK_EQ(check_hits(&hit), 0);
}

CHECK_MAIN
{
    check_run("counts", counts);
    check_run("sticks", sticks);
    check_run("uncancelled, it can be cancelled again", an_uncancelled_task_can_be_cancelled_again);
    check_run("cancelled before it starts", cancelled_before_it_starts);
    check_run("ended", ended);
    check_run("a value after a cancel", a_value_after_a_cancel);
    check_run("ignored cancels starve nobody", ignored_cancels_starve_nobody);
    check_run("none is lost", none_is_lost);
    check_run("a cancel meets a sleep", cancel_meets_sleep);
    check_run("never a stranger", never_a_stranger);
}
