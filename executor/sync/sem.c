/* SPDX-License-Identifier: MIT */
/* sem.c: the counting semaphore. See pica/sem.h.
 *
 * Protocol: value counts permits; below zero, acquirers that wait or are about to.
 *
 *   acquire  value - 1, acquire. It was > 0: the permit is taken. Else: lock; a permit owed is
 *            taken; else queue and sleep.
 *   release  value + 1, release. It was >= 0: the permit lies there. Else one acquirer more
 *            than before has a claim: lock; hand over to the first in the queue whose wait can
 *            still be ended; if there is none, it is on its way (owed + 1), or one that was
 *            counted has given up since (orphans).
 *   give up  lock; leave the queue; then value + 1 by compare-and-swap while it is below zero:
 *            not waiting any more. If it is not below zero, a release has counted on this one
 *            and is coming for the lock: a permit owed already is passed on, else orphans + 1
 *            tells the release to put its permit back.
 *   Always   value + orphans - owed = initial + releases - acquires that succeeded - acquirers
 *            that wait, whenever the lock is free.
 *
 * A waiter that was handed a permit looks at the lock until it is free once: the releaser's
 * unlock is the last touch (law 6). After Dijkstra's P and V; the negative count as in
 * Mitchell's and others' "benaphores" (Schillings, Be Newsletter 1(26), 1996).
 * Lock rank SEM; inside it a wait may be ended, which queues a task.
 */
#include <pica/sem.h>

#include "executor/base/lock.h"
#include "executor/sched/scope.h"
#include "executor/sched/worker.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

static pi_lock *lock_of(pica_sem *sem)
{
    return (pi_lock *)&sem->lock;
}

/* [lock] */
static void enqueue(pica_sem *sem, pi_waiter *waiter)
{
    waiter->next = NULL;
    waiter->prev = sem->tail;
    if (waiter->prev)
        waiter->prev->next = waiter;
    else
        sem->head = waiter;
    sem->tail = waiter;
}

/* [lock] */
static void leave(pica_sem *sem, pi_waiter *waiter)
{
    if (waiter->prev)
        waiter->prev->next = waiter->next;
    else
        sem->head = waiter->next;
    if (waiter->next)
        waiter->next->prev = waiter->prev;
    else
        sem->tail = waiter->prev;
}

/* [lock] A release saw somebody waiting: give its permit to the next in line, whom the caller
 * sets going after the unlock.
 * @return true: the one that it was for has gone; the caller releases it anew, by adding to
 * value after the unlock */
static bool hand_over(pica_sem *sem, pi_won *won)
{
    pi_waiter *waiter = sem->head;
    while (waiter) {
        pi_waiter *next = waiter->next; /* gone once its wait has ended */
        pi_token token = waiter->token;
        leave(sem, waiter);
        waiter->data = sem; /* no longer queued */
        if (pi_wait_win(token, PI_WOKEN, won))
            return false;
        waiter = next; /* it gave up, and will come for the lock to say so */
    }
    if (!sem->orphans) {
        sem->owed++;
        return false;
    }
    sem->orphans--;
    return true;
}

static __attribute__((noinline)) void release_slow(pica_sem *sem)
{
    pi_won won = {NULL, NULL};
    bool again;
    do {
        pi_lock_acquire(lock_of(sem));
        again = hand_over(sem, &won);
        pi_lock_release(lock_of(sem));
        /* The add is the last touch: who takes this permit may free the semaphore. */
    } while (again && pi_add_release(&sem->value, INT64_C(1)) < 0);
    pi_wait_go(won);
}

/* [lock] A waiter that was not handed a permit stops waiting. @return true: a permit was on its
 * way to it, which the caller has to release after the unlock */
static bool give_up(pica_sem *sem)
{
    int64_t value = pi_load_relaxed(&sem->value);
    while (value < 0)
        if (pi_cas_relaxed(&sem->value, &value, value + 1))
            return false;
    if (!sem->owed) {
        sem->orphans++;
        return false;
    }
    sem->owed--;
    return true;
}

static __attribute__((noinline)) int acquire_slow(pica_sem *sem, int64_t deadline_ns)
{
    pi_waiter me;
    pi_wait_begin(&me);
    me.data = NULL;
    pi_lock_acquire(lock_of(sem));
    if (sem->owed) {
        sem->owed--;
        pi_lock_release(lock_of(sem));
        (void)pi_wait_abandon(&me);
        return 0;
    }
    enqueue(sem, &me);
    pi_lock_release(lock_of(sem));
    pi_how how = pi_wait_park(&me, deadline_ns);
    if (how == PI_WOKEN) {
        for (unsigned rounds = 0; pi_load_acquire(&sem->lock); rounds++)
            pi_spin_wait(rounds);
        return 0;
    }
    pi_lock_acquire(lock_of(sem));
    if (!me.data)
        leave(sem, &me);
    bool permit = give_up(sem);
    pi_lock_release(lock_of(sem));
    if (permit && pi_add_release(&sem->value, INT64_C(1)) < 0)
        release_slow(sem);
    return how == PI_TIMEOUT ? -ETIMEDOUT : -ECANCELED;
}

int pica_sem_init(pica_sem *sem, int64_t n)
{
    if (!sem || n < 0 || n > PICA_SEM_MAX)
        return -EINVAL;
    memset(sem, 0, sizeof(*sem));
    sem->value = n;
    return 0;
}

int pica_sem_acquire_until(pica_sem *sem, int64_t deadline_ns)
{
    int rc = pi_wait_check();
    if (rc < 0)
        return rc;
    return pi_dec_is_negative_acquire(&sem->value) ? acquire_slow(sem, deadline_ns) : 0;
}

static __attribute__((noinline)) int acquire_general(pica_sem *sem)
{
    return pica_sem_acquire_until(sem, PICA_NEVER);
}

int pica_sem_acquire(pica_sem *sem)
{
    pi_worker *worker = pi_worker_self();
    if (PI_UNLIKELY(!worker || !worker->fiber || !pi_scopes_quiet(worker->fiber)))
        return acquire_general(sem);
    if (PI_UNLIKELY(pi_dec_is_negative_acquire(&sem->value)))
        return acquire_slow(sem, PICA_NEVER);
    return 0;
}

int pica_sem_try_acquire(pica_sem *sem)
{
    int64_t value = pi_load_relaxed(&sem->value);
    while (value > 0)
        if (pi_cas_acquire(&sem->value, &value, value - 1))
            return 0;
    return -EAGAIN;
}

int pica_sem_release(pica_sem *sem)
{
    if (PI_UNLIKELY(pi_load_relaxed(&sem->value) >= PICA_SEM_MAX))
        return -EOVERFLOW;
    if (PI_UNLIKELY(pi_inc_is_not_positive_release(&sem->value)))
        release_slow(sem);
    return 0;
}

int64_t pica_sem_value(const pica_sem *sem)
{
    int64_t value = pi_load_relaxed(&sem->value);
    return value > 0 ? value : 0;
}

int pica_sem_destroy(pica_sem *sem)
{
    pi_lock_acquire(lock_of(sem));
    bool busy = sem->head != NULL;
    pi_lock_release(lock_of(sem));
    return busy ? -EBUSY : 0;
}
