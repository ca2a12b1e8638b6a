/* SPDX-License-Identifier: MIT */
/* sem_close_test.c: the close of a semaphore (pica/sem.h). */
#include "tests/executor/bodies.h"

#include <pica/scope.h>
#include <pica/sem.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static void everything_is_refused(void)
{
    pica_sem sem = PICA_SEM_INIT(5);
    CHECK_EQ(pica_sem_acquire_n(&sem, 2), 0);
    pica_sem_close(&sem);
    pica_sem_close(&sem);
    CHECK_EQ(pica_sem_acquire(&sem), -ESHUTDOWN);
    CHECK_EQ(pica_sem_acquire_until(&sem, pica_now()), -ESHUTDOWN);
    CHECK_EQ(pica_sem_try_acquire(&sem), -ESHUTDOWN);
    CHECK_EQ(pica_sem_acquire_n(&sem, 4), -ESHUTDOWN);
    CHECK_EQ(pica_sem_try_acquire_n(&sem, 3), -ESHUTDOWN);
    CHECK_EQ(pica_sem_value(&sem), 3); /* nobody has taken any */
    CHECK_EQ(pica_sem_release(&sem), 0);
    CHECK_EQ(pica_sem_release_n(&sem, 1), 0);
    CHECK_EQ(pica_sem_value(&sem), 5);
    CHECK_EQ(pica_sem_acquire(&sem), -ESHUTDOWN);
    CHECK_EQ(pica_sem_release_n(&sem, PICA_SEM_MAX), -EOVERFLOW);
    CHECK_EQ(pica_sem_value(&sem), 5);
    CHECK_EQ(pica_sem_destroy(&sem), 0);
}

static intptr_t acquires(void *arg)
{
    return pica_sem_acquire(arg);
}

static intptr_t acquires_four(void *arg)
{
    return pica_sem_acquire_n_until(arg, 4, pica_after(PICA_SEC(100)));
}

static void *thread_acquires(void *arg)
{
    return (void *)(intptr_t)pica_sem_acquire(arg);
}

static void waiters_wake_up(void)
{
    pica_sem sem = PICA_SEM_INIT(3);
    pica_task *tasks[10];
    pthread_t thread;
    tasks[0] = body_spawn(acquires_four, &sem); /* so that nobody gets any of the three */
    BODY_WAITS(tasks[0]);
    for (unsigned i = 1; i < 10; i++)
        tasks[i] = body_spawn(i % 2 ? acquires : acquires_four, &sem);
    CHECK_SOON(pi_load_relaxed(&sem.value) <= 3 - 25);
    CHECK_FATAL(pthread_create(&thread, NULL, thread_acquires, &sem) == 0);
    CHECK_SOON(pi_load_relaxed(&sem.value) <= 3 - 26);
    for (unsigned i = 0; i < 10; i++)
        BODY_WAITS(tasks[i]);
    CHECK_EQ(pica_sem_destroy(&sem), -EBUSY);
    pica_sem_close(&sem);
    for (unsigned i = 0; i < 10; i++)
        CHECK_EQ(body_end(tasks[i]), -ESHUTDOWN);
    void *rc;
    pthread_join(thread, &rc);
    CHECK_EQ((intptr_t)rc, -ESHUTDOWN);
    CHECK_EQ(pica_sem_value(&sem), 3); /* what was kept for the first is back */
    CHECK_EQ(pica_sem_destroy(&sem), 0);
}

/* A permit handed over before the close is kept. */
static void handed_over_then_closed(void)
{
    for (unsigned i = 0; i < 100; i++) {
        pica_sem sem = PICA_SEM_INIT(0);
        pica_task *first = body_spawn(acquires, &sem);
        BODY_WAITS(first);
        pica_task *second = body_spawn(acquires, &sem);
        BODY_WAITS(second);
        CHECK_OK(pica_sem_release(&sem));
        pica_sem_close(&sem);
        CHECK_EQ(body_end(first), 0);
        CHECK_EQ(body_end(second), -ESHUTDOWN);
        CHECK_EQ(pica_sem_value(&sem), 0);
        CHECK_OK(pica_sem_release(&sem));
        CHECK_EQ(pica_sem_value(&sem), 1);
        CHECK_EQ(pica_sem_destroy(&sem), 0);
    }
}

/* A cancel that came first stays a cancel. */
static intptr_t is_cancelled(void *arg)
{
    CHECK_EQ(pica_sem_acquire(arg), -ECANCELED);
    CHECK_EQ(pica_sem_acquire(arg), -ECANCELED); /* the entry check comes before the close */
    (void)pica_uncancel();
    CHECK_EQ(pica_sem_acquire(arg), -ESHUTDOWN);
    return 1;
}

static void cancelled_then_closed(void)
{
    pica_sem sem = PICA_SEM_INIT(0);
    pica_task *task = body_spawn(is_cancelled, &sem);
    BODY_WAITS(task);
    CHECK_OK(pica_cancel(task));
    pica_sem_close(&sem);
    CHECK_EQ(body_end(task), 1);
    CHECK_EQ(pica_sem_value(&sem), 0);
    CHECK_EQ(pica_sem_destroy(&sem), 0);
}

/* After a close the memory is the caller's once destroy says so: nobody who was turned out
 * looks at it any more. The address sanitizer sees it if one does. */
static void freed_once_destroyed(void)
{
    for (uint64_t i = check_rounds(2000); i > 0; i--) {
        pica_sem *sem = malloc(sizeof(*sem));
        CHECK_FATAL(sem != NULL);
        CHECK_OK(pica_sem_init(sem, 2));
        pica_task *tasks[3];
        for (unsigned k = 0; k < 3; k++)
            tasks[k] = body_spawn(acquires_four, sem);
        CHECK_SOON(pi_load_relaxed(&sem->value) <= 2 - 12);
        for (unsigned k = 0; k < 3; k++)
            BODY_WAITS(tasks[k]);
        pica_sem_close(sem);
        CHECK_SOON(pica_sem_destroy(sem) == 0);
        CHECK_EQ(pica_sem_value(sem), 2);
        memset(sem, 0xee, sizeof(*sem));
        free(sem);
        for (unsigned k = 0; k < 3; k++)
            CHECK_EQ(body_end(tasks[k]), -ESHUTDOWN);
    }
}

CHECK_MAIN
{
    check_run("everything is refused", everything_is_refused);
    check_plain("everything is refused, on a thread", everything_is_refused);
    check_run("waiters wake up", waiters_wake_up);
    check_run("handed over, then closed", handed_over_then_closed);
    check_run("cancelled, then closed", cancelled_then_closed);
    check_run("freed once destroyed", freed_once_destroyed);
}
