/* SPDX-License-Identifier: MIT */
/* sem_weighted_test.c: several permits at once, and a bound (pica/sem.h). */
#include "tests/executor/sync/served.h"

#include <pica/scope.h>
#include <pthread.h>

static void values(void)
{
    pica_sem sem = PICA_SEM_INIT(10);
    CHECK_EQ(pica_sem_acquire_n(&sem, 4), 0);
    CHECK_EQ(pica_sem_value(&sem), 6);
    CHECK_EQ(pica_sem_try_acquire_n(&sem, 7), -EAGAIN); /* all or none */
    CHECK_EQ(pica_sem_value(&sem), 6);
    CHECK_EQ(pica_sem_try_acquire_n(&sem, 6), 0);
    CHECK_EQ(pica_sem_acquire_n_until(&sem, 1, pica_now()), -ETIMEDOUT);
    CHECK_EQ(pica_sem_value(&sem), 0);
    CHECK_EQ(pica_sem_release_n(&sem, 3), 0);
    CHECK_EQ(pica_sem_acquire_n_until(&sem, 5, pica_after(PICA_MS(2))), -ETIMEDOUT);
    CHECK_EQ(pica_sem_value(&sem), 3); /* what it had been given is back */
    CHECK_EQ(pica_sem_acquire_n_until(&sem, 3, 0), 0);
    CHECK_EQ(pica_sem_release_n(&sem, 10), 0);
    CHECK_EQ(pica_sem_value(&sem), 10);
    CHECK_EQ(pica_sem_destroy(&sem), 0);
}

static void refusals(void)
{
    pica_sem sem = PICA_SEM_INIT(5);
    static const int64_t wrong[] = {0, -1, INT64_MIN, (int64_t)PICA_SEM_MAX + 1, INT64_MAX};
    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        CHECK_EQ(pica_sem_acquire_n(&sem, wrong[i]), -EINVAL);
        CHECK_EQ(pica_sem_try_acquire_n(&sem, wrong[i]), -EINVAL);
        CHECK_EQ(pica_sem_release_n(&sem, wrong[i]), -EINVAL);
        CHECK_EQ(pica_sem_init_bounded(&sem, 0, wrong[i]), -EINVAL);
    }
    CHECK_EQ(pica_sem_init_bounded(&sem, 3, 2), -EINVAL);
    CHECK_EQ(pica_sem_init_bounded(&sem, -1, 2), -EINVAL);
    CHECK_EQ(pica_sem_init_bounded(NULL, 1, 2), -EINVAL);
    CHECK_EQ(pica_sem_value(&sem), 5); /* nothing has happened */
    CHECK_EQ(pica_sem_try_acquire_n(&sem, PICA_SEM_MAX), -EAGAIN);
    CHECK_EQ(pica_sem_release_n(&sem, PICA_SEM_MAX), -EOVERFLOW);
    CHECK_EQ(pica_sem_release_n(&sem, PICA_SEM_MAX - 5), 0);
    CHECK_EQ(pica_sem_release(&sem), -EOVERFLOW);
    CHECK_EQ(pica_sem_acquire_n(&sem, PICA_SEM_MAX), 0);
    CHECK_EQ(pica_sem_value(&sem), 0);
}

/* Nothing is taken by a cancelled task, nor in a scope that has expired, although enough is there;
 * what does not wait goes on. */
static void refused_on_entry(pica_sem *sem)
{
    CHECK_EQ(pica_sem_acquire(sem), -ECANCELED);
    CHECK_EQ(pica_sem_acquire_until(sem, PICA_NEVER), -ECANCELED);
    CHECK_EQ(pica_sem_acquire_n(sem, 2), -ECANCELED);
    CHECK_EQ(pica_sem_acquire_n_until(sem, 2, pica_now()), -ECANCELED);
    CHECK_EQ(pica_sem_value(sem), 2);
    CHECK_OK(pica_sem_try_acquire_n(sem, 2));
    CHECK_OK(pica_sem_release_n(sem, 2));
}

static void cancelled_on_entry(void)
{
    pica_sem sem = PICA_SEM_INIT(2);
    pica_scope scope;
    CHECK_EQ(pica_cancel(pica_self()), 0);
    refused_on_entry(&sem);
    CHECK_EQ(pica_uncancel(), 0);
    pica_scope_begin(&scope, pica_now());
    refused_on_entry(&sem);
    CHECK_EQ(pica_scope_end(&scope, -ECANCELED), -ETIMEDOUT);
    CHECK_OK(pica_sem_acquire_n(&sem, 2));
}

static void bounded(void)
{
    pica_sem sem;
    CHECK_EQ(pica_sem_init_bounded(&sem, 2, 3), 0);
    CHECK_EQ(pica_sem_acquire_n(&sem, 4), -EINVAL); /* never would there be so many */
    CHECK_EQ(pica_sem_try_acquire_n(&sem, 4), -EINVAL);
    CHECK_EQ(pica_sem_release_n(&sem, 2), -EOVERFLOW);
    CHECK_EQ(pica_sem_value(&sem), 2);
    CHECK_EQ(pica_sem_release(&sem), 0);
    CHECK_EQ(pica_sem_release(&sem), -EOVERFLOW);
    CHECK_EQ(pica_sem_value(&sem), 3);
    for (unsigned i = 0; i < 100; i++) {
        CHECK_EQ(pica_sem_acquire(&sem), 0);
        CHECK_EQ(pica_sem_acquire_n(&sem, 2), 0);
        CHECK_EQ(pica_sem_try_acquire(&sem), -EAGAIN);
        CHECK_EQ(pica_sem_release_n(&sem, 2), 0);
        CHECK_EQ(pica_sem_release_n(&sem, 2), -EOVERFLOW);
        CHECK_EQ(pica_sem_release(&sem), 0);
    }
    pica_sem_close(&sem);
    CHECK_EQ(pica_sem_release(&sem), -EOVERFLOW);
    CHECK_EQ(pica_sem_value(&sem), 3);
    CHECK_EQ(pica_sem_destroy(&sem), 0);
}

/* --- Tasks that wait ---------------------------------------------------------------------- */

/* A small request behind a big one waits, although there is a permit. */
static void nobody_overtakes_a_big_one(void)
{
    struct served served = {.sem = PICA_SEM_INIT(3)};
    pica_task *big = customer(&served, 5);
    pica_task *small = customer(&served, 1);
    CHECK_EQ(pica_sem_try_acquire(&served.sem), -EAGAIN); /* three are kept for the big one */
    CHECK_EQ(pica_sem_value(&served.sem), 0);
    CHECK_OK(pica_sem_release(&served.sem));
    for (unsigned i = 0; i < 5; i++)
        CHECK_OK(pica_yield());
    CHECK_EQ(pica_task_status(big), PICA_WAITING);
    CHECK_EQ(pica_task_status(small), PICA_WAITING);
    CHECK_OK(pica_sem_release(&served.sem));
    CHECK_EQ(body_end(big), 0);
    CHECK_EQ(pica_task_status(small), PICA_WAITING);
    CHECK_OK(pica_sem_release(&served.sem));
    CHECK_EQ(body_end(small), 1);
    CHECK_EQ(pica_sem_value(&served.sem), 0);
    CHECK_EQ(pica_sem_destroy(&served.sem), 0);
}

/* One release feeds several, in order, and what is left over lies there. */
static void one_release_for_many(void)
{
    struct served served = {.sem = PICA_SEM_INIT(0)};
    static const int64_t wants[] = {2, 1, 4, 1, 3};
    enum { N = sizeof(wants) / sizeof(wants[0]) };
    for (int64_t extra = 0; extra < 3; extra++) {
        pi_store_relaxed(&served.next, 0u);
        pica_task *tasks[N];
        for (unsigned i = 0; i < N; i++)
            tasks[i] = customer(&served, wants[i]);
        CHECK_OK(pica_sem_release_n(&served.sem, 11 + extra));
        CHECK_EQ(pica_sem_value(&served.sem), extra);
        uint32_t seen = 0;
        for (unsigned i = 0; i < N; i++) {
            intptr_t number = body_end(tasks[i]);
            if (check_mode() == CHECK_ONE) /* with several they run at once */
                CHECK_EQ(number, i);
            seen |= 1u << number;
        }
        CHECK_EQ(seen, (1u << N) - 1);
        for (int64_t i = 0; i < extra; i++)
            CHECK_EQ(pica_sem_try_acquire(&served.sem), 0);
        CHECK_EQ(pica_sem_try_acquire(&served.sem), -EAGAIN);
    }
}

/* The big one at the head gives up: those behind it can be served with what was kept. */
static void a_cancelled_head(void)
{
    struct served served = {.sem = PICA_SEM_INIT(3)};
    pica_task *big = customer(&served, 9);
    pica_task *first = customer(&served, 2);
    pica_task *second = customer(&served, 1);
    pica_task *third = customer(&served, 2);
    CHECK_OK(pica_cancel(big));
    CHECK_EQ(body_end(big), -ECANCELED);
    CHECK_LE(body_end(first), 1); /* two became grantable at once */
    CHECK_LE(body_end(second), 1);
    CHECK_EQ(pica_task_status(third), PICA_WAITING);
    CHECK_EQ(pica_sem_value(&served.sem), 0);
    CHECK_OK(pica_cancel(third));
    CHECK_EQ(body_end(third), -ECANCELED);
    CHECK_EQ(pica_sem_value(&served.sem), 0);
    CHECK_OK(pica_sem_release_n(&served.sem, 3));
    CHECK_EQ(pica_sem_value(&served.sem), 3);
    CHECK_EQ(pica_sem_destroy(&served.sem), 0);
}

/* Permits that were kept for who gives up lie there again, more than anybody wants. */
static void kept_ones_come_back(void)
{
    struct served served = {.sem = PICA_SEM_INIT(6)};
    pica_task *big = customer(&served, 9);
    pica_task *small = customer(&served, 1);
    CHECK_OK(pica_cancel(big));
    CHECK_EQ(body_end(big), -ECANCELED);
    CHECK_EQ(body_end(small), 0);
    CHECK_EQ(pica_sem_value(&served.sem), 5);
    CHECK_EQ(pica_sem_try_acquire_n(&served.sem, 5), 0);
    CHECK_EQ(pica_sem_destroy(&served.sem), 0);
}

/* Also while somebody waits, there are never more than the bound. */
static void bounded_with_a_waiter(void)
{
    struct served served;
    served.next = 0;
    CHECK_EQ(pica_sem_init_bounded(&served.sem, 5, 5), 0);
    CHECK_EQ(pica_sem_acquire_n(&served.sem, 2), 0);
    pica_task *big = customer(&served, 5); /* three are kept for it */
    CHECK_EQ(pica_sem_release_n(&served.sem, 3), -EOVERFLOW);
    CHECK_EQ(pica_task_status(big), PICA_WAITING);
    CHECK_OK(pica_sem_release_n(&served.sem, 2));
    CHECK_EQ(body_end(big), 0);
    CHECK_EQ(pica_sem_value(&served.sem), 0);
    CHECK_OK(pica_sem_release_n(&served.sem, 5));
    CHECK_EQ(pica_sem_release(&served.sem), -EOVERFLOW);
    CHECK_EQ(pica_sem_destroy(&served.sem), 0);
}

/* Plain threads wait for several, too; one release wakes all of them. */
static void *thread_acquires(void *arg)
{
    CHECK_EQ(pica_sem_acquire_n_until(arg, 1, pica_now()), -ETIMEDOUT);
    CHECK_OK(pica_sem_acquire_n(arg, 3));
    return NULL;
}

static void threads_wait_for_several(void)
{
    pica_sem sem = PICA_SEM_INIT(0);
    pthread_t threads[3];
    for (unsigned i = 0; i < 3; i++)
        CHECK_FATAL(pthread_create(&threads[i], NULL, thread_acquires, &sem) == 0);
    CHECK_SOON(pi_load_relaxed(&sem.value) == -9);
    CHECK_OK(pica_sem_release_n(&sem, 11));
    for (unsigned i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(pica_sem_value(&sem), 2);
    CHECK_EQ(pica_sem_destroy(&sem), 0);
}

CHECK_MAIN
{
    check_run("values", values);
    check_run("refusals", refusals);
    check_run("cancelled on entry", cancelled_on_entry);
    check_run("bounded", bounded);
    check_run("nobody overtakes a big one", nobody_overtakes_a_big_one);
    check_run("one release for many", one_release_for_many);
    check_run("a cancelled head", a_cancelled_head);
    check_run("kept ones come back", kept_ones_come_back);
    check_run("bounded, with a waiter", bounded_with_a_waiter);
    check_plain("values, on a thread", values);
    check_plain("threads wait for several", threads_wait_for_several);
}
