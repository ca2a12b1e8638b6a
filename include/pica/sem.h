/* SPDX-License-Identifier: MIT */
/** @file
 * A semaphore for tasks and plain threads alike: counting, weighted, bounded, with a close.
 *
 *     static pica_sem slots = PICA_SEM_INIT(3);
 *
 *     int rc = pica_sem_acquire(&slots);
 *     if (rc < 0)
 *         return rc;
 *     ...
 *     pica_sem_release(&slots);
 *
 * Strictly first come, first served: permits that are released while somebody waits are
 * kept for the one that waits longest, and nobody overtakes, also where a small request
 * stands behind a big one. At every instant permits free + on their way to a waiter = the
 * initial number + releases - acquires. A waiter that gives up leaves the queue and holds nothing;
 * who stands behind it is looked at at once.
 *
 * After pica_sem_close() nobody gets a permit any more: waiters and later ones are refused.
 * What is held is released as ever.
 */
#ifndef PICA_SEM_H
#define PICA_SEM_H

#include <pica/base.h>

PICA_BEGIN_DECLS

/** A semaphore in the caller's memory; every member is private. Zeroed: no permit. Do not copy one
 *  that has been used; using the copy of one that had waiters aborts. */
typedef struct pica_sem {
    int64_t value;    /* [atomic] permits; negative: those that waiters lack; see sem.c */
    int64_t most;     /* [atomic] PICA_SEM_MAX; below zero: it is bounded; 0: not set */
    uint32_t lock;    /* [atomic] guards what follows */
    uint32_t leaving; /* [lock] waiters that a close has turned out and that have not left */
    int64_t owed;     /* [lock] permits kept for waiters */
    int64_t orphans;  /* [lock] permits on their way to waiters that gave up */
    void *head;       /* [lock] the one that waits longest */
    void *tail;       /* [lock] the one that came last */
    void *self;       /* [lock] where it lies, while somebody waits */
    void *reserved[2];
} pica_sem;

/** The most permits. */
#define PICA_SEM_MAX INT32_MAX

/** A semaphore with n permits, 0 <= n <= PICA_SEM_MAX. */
#ifdef __cplusplus
#define PICA_SEM_INIT(n)                                                                           \
    {                                                                                              \
        (n), PICA_SEM_MAX, 0, 0, 0, 0, NULL, NULL, NULL, {NULL, NULL}                              \
    }
#else
#define PICA_SEM_INIT(n)                                                                           \
    {                                                                                              \
        .value = (n), .most = PICA_SEM_MAX                                                         \
    }
#endif

/** Set up a semaphore. @return 0; -EINVAL: NULL, n < 0 or n > PICA_SEM_MAX. Where: anywhere. */
PICA_API PICA_NODISCARD int pica_sem_init(pica_sem *sem, int64_t n);

/**
 * Set up a bounded semaphore: one that never has more permits free than its bound.
 *
 * @param n      permits at the beginning
 * @param bound  the most that may be free, 1 <= bound <= PICA_SEM_MAX; a release beyond them gives
 *               -EOVERFLOW. A release costs about as much as of one without bound
 * @return 0; -EINVAL: NULL, n < 0, n > bound, or a bound that is out of range
 * Where: anywhere.
 */
PICA_API PICA_NODISCARD int pica_sem_init_bounded(pica_sem *sem, int64_t n, int64_t bound);

/**
 * Take one permit; sleep until there is one.
 *
 * @return 0; -ECANCELED; -ESHUTDOWN: it is closed (both: no permit was taken)
 * Where:  a task (suspends; a cancellation point) or a plain thread (blocks).
 * Order:  what ran before the release that fed it happens before the return.
 */
PICA_API PICA_NODISCARD int pica_sem_acquire(pica_sem *sem);

/** pica_sem_acquire() with a deadline: -ETIMEDOUT when it passes. A permit that is free at once is
 *  taken, whatever the deadline. */
PICA_API PICA_NODISCARD int pica_sem_acquire_until(pica_sem *sem, int64_t deadline_ns);

/** Take one permit if one is free and nobody waits. @return 0; -EAGAIN; -ESHUTDOWN. Where:
 *  anywhere. Never suspends, is no cancellation point. */
PICA_API PICA_NODISCARD int pica_sem_try_acquire(pica_sem *sem);

/** Give one permit back; the one that waits longest gets it. @return 0; -EOVERFLOW: there would
 *  be more than the bound, or than PICA_SEM_MAX; nothing has happened. Where: anywhere, also
 *  after a close. Never suspends, is no cancellation point. Order: what ran before happens
 *  before the acquire it feeds. */
PICA_API int pica_sem_release(pica_sem *sem);

/**
 * Take n permits at once; sleep until there are so many.
 *
 * All or none: a call that fails has taken nothing. While it waits, permits that are released
 * are kept for it, and who comes later waits behind it.
 *
 * @param n  1 <= n <= the bound or PICA_SEM_MAX
 * @return as pica_sem_acquire(); -EINVAL: n is out of range
 * Where, order: as pica_sem_acquire().
 */
PICA_API PICA_NODISCARD int pica_sem_acquire_n(pica_sem *sem, int64_t n);

/** pica_sem_acquire_n() with a deadline: -ETIMEDOUT when it passes. */
PICA_API PICA_NODISCARD int pica_sem_acquire_n_until(pica_sem *sem, int64_t n, int64_t deadline_ns);

/** pica_sem_try_acquire() of n permits: all or none. @return as that; -EINVAL */
PICA_API PICA_NODISCARD int pica_sem_try_acquire_n(pica_sem *sem, int64_t n);

/** Give n permits back; those that wait longest get them, as far as they suffice. If that leaves a
 *  rest, the semaphore has to outlive the call; otherwise, as with pica_sem_release(), who was let
 *  in may free it at once. @return as pica_sem_release(); -EINVAL: n < 1 or n > PICA_SEM_MAX */
PICA_API int pica_sem_release_n(pica_sem *sem, int64_t n);

/**
 * Close a semaphore: who waits wakes up, and each acquire from now on gives -ESHUTDOWN.
 *
 * A permit that was handed over before stays with its acquirer, whose call gives 0. Again:
 * nothing more happens. Where: anywhere. Never suspends, is no cancellation point.
 */
PICA_API void pica_sem_close(pica_sem *sem);

/** How many permits are free, also of a closed one; 0 while somebody waits. Out of date when it
 *  is read. */
PICA_API int64_t pica_sem_value(const pica_sem *sem);

/** End a semaphore's life, once no call but pending waits can be under way. (Who was handed a
 *  permit waits no more, but its call is under way until it returns.) @return 0; -EBUSY: somebody
 *  waits, or has not yet noticed a close. Where: anywhere. */
PICA_API PICA_NODISCARD int pica_sem_destroy(pica_sem *sem);

/** For pica_sem_release() alone, which has added 1 to a value that was below zero, or the most. */
PICA_API int pica_sem_release_slow_(pica_sem *sem, int64_t before);

/* In line, because a call costs as much as half the addition (sem.c), but where PICA_CALLS_ONLY is
 * defined. The library has it, too; what the addition orders, and with which, is said there. */
#if defined(__GNUC__) && defined(__OPTIMIZE__) && !defined(PICA_CALLS_ONLY)
extern inline __attribute__((gnu_inline)) int pica_sem_release(pica_sem *sem)
{
    if (__atomic_load_n(&sem->most, __ATOMIC_RELAXED) <= 0) /* bounded, or not set */
        return pica_sem_release_n(sem, 1);
    int64_t before = __atomic_fetch_add(&sem->value, 1, __ATOMIC_RELEASE);
    return before >= 0 && before < PICA_SEM_MAX ? 0 : pica_sem_release_slow_(sem, before);
}
#endif

PICA_END_DECLS

#endif
