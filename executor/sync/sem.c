/* SPDX-License-Identifier: MIT */
/* sem.c: the semaphore. See pica/sem.h.
 *
 * Protocol: value is what is free less what waiters want (those about to wait included), so
 * below zero it says how much they lack. owed is what has been put aside for them: while
 * somebody waits, whatever is added to value below zero is brought there under the lock.
 *
 *   acquire  value - n, acquire. There were n: they are taken. Else lock; what there was of
 *            them is owed; queue; serve; sleep.
 *   release  value + n, release, but not across zero. It was >= 0: the permits lie there. Else
 *            lock; owed + what was added; serve; unlock; go on with the rest of n.
 *   serve    [lock] while the first in the queue wants no more than is owed: hand it over, if
 *            its wait can still be ended; if not, it gave up and will come for the lock.
 *   give up  lock; leave the queue; value + n, but not across zero. What is left of n waiters
 *            do not need: if it is owed, release it anew after the unlock; if it is not, it is
 *            on its way in a release that comes for the lock (orphans), which puts it back.
 *   close    [lock] value - CLOSED: nobody finds a permit, each release and acquire comes
 *            for the lock. owed and orphans are settled; who waits is turned out, and each
 *            adds to value again what it wanted.
 *   Always   (whenever the lock is free, leaving out permits in the hands of a call)
 *            value (+ CLOSED) + orphans = what is free - what waiters want;
 *            before a close, owed + on its way to it - orphans = what they want - what they lack.
 *
 * most: PICA_SEM_MAX; or bound - BOUNDED, below zero: a release into a bounded one looks before
 * it adds. Into another, one is added first, and taken back if there is one too many then.
 *
 * A waiter that was handed permits looks at the lock until it is free once: the releaser's
 * unlock is the last touch (law 6); so is an addition above zero, below PICA_SEM_MAX. One that
 * comes on top of so many looks again: who takes more than PICA_SEM_MAX in a row must not free it,
 * and of several that come at that moment one may be refused in vain.
 * After Dijkstra's P and V; the negative count as in Mitchell's and others' "benaphores"
 * (Schillings, Be Newsletter 1(26), 1996).
 * Cost: uncontended, a locked operation each and no other; a called one costs 1.4 times what it
 * does in a loop, since the return address has to leave the store buffer first, and so does one
 * whose word was read just before. So the header has the release in line, and it adds before it
 * looks. The acquire has to ask the worker's task whether it is cancelled, and stays here.
 * Proof: tests/executor/sync/sem_model.c.
 * Lock rank OBJECT; inside it waits may be ended; tasks are queued after it.
 */
#define PICA_CALLS_ONLY 1 /* the release is here */
#include <pica/sem.h>

#include "executor/base/assert.h"
#include "executor/base/lock.h"
#include "executor/sched/scope.h"
#include "executor/sched/winners.h"
#include "executor/sched/worker.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

/* Further below zero than waiters ever get: 2^28 of them want less than 2^59. */
#define CLOSED (INT64_C(1) << 61)
#define CLOSED_BELOW (-CLOSED / 2)
/* Further still. */
#define BOUNDED (INT64_C(1) << 62)

/* One that waits. waiter.data: NULL while it is queued, then DEALT or TURNED_OUT. */
typedef struct wanting {
    pi_waiter waiter;
    int64_t n; /* [const] */
} wanting;

#define DEALT(sem) ((void *)&(sem)->head)
#define TURNED_OUT(sem) ((void *)&(sem)->leaving)

/* self: a copy of one with waiters has them in its queue, too, and would serve what is gone. */
static void lock(pica_sem *sem)
{
    pi_lock_acquire((pi_lock *)&sem->lock);
    pi_require(!sem->head || sem->self == sem, "a semaphore was copied while somebody waited");
}

static void unlock(pica_sem *sem)
{
    pi_lock_release((pi_lock *)&sem->lock);
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static bool is_closed(int64_t value)
{
    return value < CLOSED_BELOW;
}

/* What is free by this value; not above zero while somebody waits. */
static int64_t free_of(int64_t value)
{
    return is_closed(value) ? value + CLOSED : value;
}

static int64_t bound_of(const pica_sem *sem)
{
    int64_t most = pi_load_relaxed(&sem->most);
    return most < 0 ? most + BOUNDED : PICA_SEM_MAX;
}

/* ---- the queue ---- */

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
    sem->self = sem;
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

/* [lock] Take one out of the queue and end its wait. @return false: it has ended by itself */
static bool take_out(pica_sem *sem, pi_waiter *waiter, void *why, pi_how how, pi_winners *winners)
{
    pi_token token = waiter->token; /* the waiter is gone once its wait has ended */
    leave(sem, waiter);
    waiter->data = why;
    return pi_winners_win(winners, token, how);
}

/* [lock] */
static void serve(pica_sem *sem, pi_winners *winners)
{
    wanting *first;
    while ((first = sem->head) && first->n <= sem->owed) {
        int64_t n = first->n;
        if (take_out(sem, &first->waiter, DEALT(sem), PI_WOKEN, winners))
            sem->owed -= n;
    }
}

/* ---- giving ---- */

/* Add to value, release, but not across zero. *n: what is left to add
 * @return what was added below zero, and has to be brought to owed */
static int64_t add(pica_sem *sem, int64_t *n)
{
    int64_t value = pi_load_relaxed(&sem->value), part;
    do
        part = value < 0 ? least(*n, -value) : *n;
    while (!pi_cas_release(&sem->value, &value, value + part));
    *n -= part;
    return value < 0 ? part : 0;
}

/* Bring to owed what was added below zero, then add the rest, and so on. */
static void bring(pica_sem *sem, int64_t added, int64_t rest)
{
    pi_winners winners = PI_WINNERS_NONE;
    do {
        lock(sem);
        if (!is_closed(pi_load_relaxed(&sem->value))) {
            int64_t back = least(added, sem->orphans);
            sem->orphans -= back;
            sem->owed += added - back;
            rest += back;
            serve(sem, &winners);
        }
        unlock(sem);
        /* What is added above zero is the last touch: who takes it may free the semaphore. */
    } while (rest && (added = add(sem, &rest)));
    pi_winners_go(winners);
}

static void give(pica_sem *sem, int64_t n)
{
    int64_t added = add(sem, &n);
    if (added)
        bring(sem, added, n);
}

/* Would n more be too many, while somebody waits? Those put aside count. */
static bool too_many(pica_sem *sem, int64_t n, int64_t bound)
{
    lock(sem);
    bool yes = n > bound - sem->owed;
    unlock(sem);
    return yes;
}

static __attribute__((noinline)) int release_checked(pica_sem *sem, int64_t n)
{
    int64_t bound = bound_of(sem);
    if (!pi_load_relaxed(&sem->most)) /* was zeroed; who else comes stores the same */
        pi_store_relaxed(&sem->most, (int64_t)PICA_SEM_MAX);
    int64_t value = pi_load_relaxed(&sem->value);
    while (value >= 0) {
        if (n > bound - value)
            return -EOVERFLOW;
        if (pi_cas_release(&sem->value, &value, value + n))
            return 0;
    }
    if (is_closed(value) ? free_of(value) > bound - n : too_many(sem, n, bound))
        return -EOVERFLOW;
    give(sem, n);
    return 0;
}

/* ---- taking ---- */

/* [lock] A waiter that was not handed anything wants n no more.
 * @return what the caller has to give after the unlock */
static int64_t give_up(pica_sem *sem, int64_t n, pi_winners *winners)
{
    int64_t value = pi_load_relaxed(&sem->value), part;
    if (is_closed(value)) {
        pi_add_relaxed(&sem->value, n);
        return 0;
    }
    do
        part = value < 0 ? least(n, -value) : 0;
    while (part && !pi_cas_relaxed(&sem->value, &value, value + part));
    int64_t back = least(n - part, sem->owed);
    sem->owed -= back;
    sem->orphans += n - part - back;
    serve(sem, winners); /* it may have stood before one that wants less */
    return back;
}

static int how_it_ended(pi_how how)
{
    return how == PI_CLOSED ? -ESHUTDOWN : how == PI_TIMEOUT ? -ETIMEDOUT : -ECANCELED;
}

static int wait_for(pica_sem *sem, wanting *me, int64_t deadline_ns)
{
    pi_winners winners = PI_WINNERS_NONE;
    pi_how how = pi_wait_park(&me->waiter, deadline_ns);
    if (how == PI_WOKEN) {
        for (unsigned rounds = 0; pi_load_acquire(&sem->lock); rounds++)
            pi_spin_wait(rounds);
        return 0;
    }
    lock(sem);
    if (!me->waiter.data)
        leave(sem, &me->waiter);
    sem->leaving -= me->waiter.data == TURNED_OUT(sem);
    int64_t back = give_up(sem, me->n, &winners);
    unlock(sem);
    if (back)
        give(sem, back);
    pi_winners_go(winners);
    return how_it_ended(how);
}

/* n were subtracted and not all were there. @param found  how many were */
static __attribute__((noinline)) int acquire_slow(pica_sem *sem, int64_t n, int64_t found,
                                                  int64_t deadline_ns)
{
    wanting me = {.n = n};
    pi_winners winners = PI_WINNERS_NONE;
    pi_wait_begin_for(&me.waiter, PI_FOR_SEMAPHORE, (uintptr_t)sem);
    lock(sem);
    bool closed = is_closed(pi_load_relaxed(&sem->value));
    if (closed) {
        (void)give_up(sem, n, &winners);
    } else {
        sem->owed += found;
        enqueue(sem, &me.waiter);
        if (sem->owed)
            serve(sem, &winners); /* perhaps others too, who waited for what was found */
    }
    unlock(sem);
    pi_winners_go(winners);
    if (!closed)
        return wait_for(sem, &me, deadline_ns);
    (void)pi_wait_abandon(&me.waiter);
    return -ESHUTDOWN;
}

/* ---- public ---- */

int pica_sem_init(pica_sem *sem, int64_t n)
{
    if (!sem || n < 0 || n > PICA_SEM_MAX)
        return -EINVAL;
    *sem = (pica_sem)PICA_SEM_INIT(n);
    return 0;
}

int pica_sem_init_bounded(pica_sem *sem, int64_t n, int64_t bound)
{
    if (bound < 1 || bound > PICA_SEM_MAX || n > bound)
        return -EINVAL;
    int rc = pica_sem_init(sem, n);
    if (rc == 0)
        sem->most = bound - BOUNDED;
    return rc;
}

/* @return false: there was none, and the caller wants one now */
static inline bool took_one(pica_sem *sem)
{
    return pi_sub_acquire(&sem->value, 1) > 0;
}

int pica_sem_acquire_until(pica_sem *sem, int64_t deadline_ns)
{
    int rc = pi_wait_check();
    if (rc < 0)
        return rc;
    return took_one(sem) ? 0 : acquire_slow(sem, 1, 0, deadline_ns);
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
    return PI_LIKELY(took_one(sem)) ? 0 : acquire_slow(sem, 1, 0, PICA_NEVER);
}

int pica_sem_acquire_n_until(pica_sem *sem, int64_t n, int64_t deadline_ns)
{
    if (n < 1 || n > bound_of(sem))
        return -EINVAL;
    int rc = pi_wait_check();
    if (rc < 0)
        return rc;
    int64_t value = pi_sub_acquire(&sem->value, n);
    return value >= n ? 0 : acquire_slow(sem, n, value > 0 ? value : 0, deadline_ns);
}

int pica_sem_acquire_n(pica_sem *sem, int64_t n)
{
    return pica_sem_acquire_n_until(sem, n, PICA_NEVER);
}

static inline int try_acquire(pica_sem *sem, int64_t n)
{
    int64_t value = pi_load_relaxed(&sem->value);
    while (value >= n)
        if (pi_cas_acquire(&sem->value, &value, value - n))
            return 0;
    return is_closed(value) ? -ESHUTDOWN : -EAGAIN;
}

int pica_sem_try_acquire(pica_sem *sem)
{
    return try_acquire(sem, 1);
}

int pica_sem_try_acquire_n(pica_sem *sem, int64_t n)
{
    return n < 1 || n > bound_of(sem) ? -EINVAL : try_acquire(sem, n);
}

/* As in pica/sem.h. */
int pica_sem_release(pica_sem *sem)
{
    if (PI_UNLIKELY(pi_load_relaxed(&sem->most) <= 0))
        return release_checked(sem, 1);
    int64_t before = pi_add_release(&sem->value, 1);
    if (PI_UNLIKELY(before < 0 || before >= PICA_SEM_MAX))
        return pica_sem_release_slow_(sem, before);
    return 0;
}

int pica_sem_release_slow_(pica_sem *sem, int64_t before)
{
    if (before < 0 && !is_closed(before)) {
        bring(sem, 1, 0);
        return 0;
    }
    if (free_of(before) < PICA_SEM_MAX)
        return 0;
    int64_t value = pi_load_relaxed(&sem->value);
    while (free_of(value) > PICA_SEM_MAX) /* else an acquire has made room for it */
        if (pi_cas_relaxed(&sem->value, &value, value - 1))
            return -EOVERFLOW;
    return 0;
}

int pica_sem_release_n(pica_sem *sem, int64_t n)
{
    return n < 1 || n > PICA_SEM_MAX ? -EINVAL : release_checked(sem, n);
}

void pica_sem_close(pica_sem *sem)
{
    pi_winners winners = PI_WINNERS_NONE;
    pi_waiter *waiter;
    lock(sem);
    if (!is_closed(pi_load_relaxed(&sem->value))) {
        pi_add_relaxed(&sem->value, sem->orphans - CLOSED);
        sem->owed = sem->orphans = 0;
        while ((waiter = sem->head)) {
            sem->leaving++;
            (void)take_out(sem, waiter, TURNED_OUT(sem), PI_CLOSED, &winners);
        }
    }
    unlock(sem);
    pi_winners_go(winners);
}

int64_t pica_sem_value(const pica_sem *sem)
{
    int64_t value = free_of(pi_load_relaxed(&sem->value));
    return value > 0 ? value : 0;
}

int pica_sem_destroy(pica_sem *sem)
{
    lock(sem);
    bool busy = sem->head || sem->leaving;
    unlock(sem);
    return busy ? -EBUSY : 0;
}
