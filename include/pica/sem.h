/* SPDX-License-Identifier: MIT */
/** @file
 * A counting semaphore for tasks and plain threads alike.
 *
 *     static pica_sem slots = PICA_SEM_INIT(3);
 *
 *     int rc = pica_sem_acquire(&slots);
 *     if (rc < 0)
 *         return rc;
 *     ...
 *     pica_sem_release(&slots);
 *
 * Strictly first come, first served: a permit that is released while somebody waits is
 * handed to the one that waits longest, and nobody overtakes. At every instant permits
 * free + held + handed over = the initial number + releases - acquires. A waiter that
 * gives up leaves the queue and holds nothing.
 */
#ifndef PICA_SEM_H
#define PICA_SEM_H

#include <pica/base.h>

PICA_BEGIN_DECLS

/** A semaphore in the caller's memory; every member is private. Zeroed: no permit. Do not
 *  copy one that has been used. */
typedef struct pica_sem {
    int64_t value;    /* [atomic] permits; negative: that many wait */
    uint32_t lock;    /* [atomic] guards what follows */
    uint32_t owed;    /* [lock] released to acquirers that have not queued yet */
    uint32_t orphans; /* [lock] waiters that gave up while a release was on its way to them */
    uint32_t reserved0;
    void *head; /* [lock] the one that waits longest */
    void *tail; /* [lock] the one that came last */
    void *reserved[3];
} pica_sem;

/** A semaphore with n permits, 0 <= n <= PICA_SEM_MAX. */
#ifdef __cplusplus
#define PICA_SEM_INIT(n) {(n), 0, 0, 0, 0, NULL, NULL, {NULL, NULL, NULL}}
#else
#define PICA_SEM_INIT(n) {.value = (n)}
#endif

/** The most permits. */
#define PICA_SEM_MAX INT32_MAX

/** Set up a semaphore. @return 0; -EINVAL: n < 0 or n > PICA_SEM_MAX. Where: anywhere. */
PICA_API PICA_NODISCARD int pica_sem_init(pica_sem *sem, int64_t n);

/**
 * Take one permit; sleep until there is one.
 *
 * @return 0; -ECANCELED (no permit was taken)
 * Where:  a task (suspends; a cancellation point) or a plain thread (blocks).
 * Order:  what ran before the release that fed it happens before the return.
 */
PICA_API PICA_NODISCARD int pica_sem_acquire(pica_sem *sem);

/** pica_sem_acquire() with a deadline: -ETIMEDOUT when it passes. */
PICA_API PICA_NODISCARD int pica_sem_acquire_until(pica_sem *sem, int64_t deadline_ns);

/** Take one permit if one is free and nobody waits. @return 0; -EAGAIN. Where: anywhere.
 *  Never suspends, is no cancellation point. */
PICA_API PICA_NODISCARD int pica_sem_try_acquire(pica_sem *sem);

/** Give one permit back, or hand it to the one that waits longest. @return 0; -EOVERFLOW:
 *  there would be more than PICA_SEM_MAX. Where: anywhere. Never suspends, is no
 *  cancellation point. Order: what ran before happens before the acquire it feeds. */
PICA_API int pica_sem_release(pica_sem *sem);

/** How many permits are free; 0 while somebody waits. Out of date when it is read. */
PICA_API int64_t pica_sem_value(const pica_sem *sem);

/** End a semaphore's life. @return 0; -EBUSY: somebody waits. Where: anywhere. */
PICA_API PICA_NODISCARD int pica_sem_destroy(pica_sem *sem);

PICA_END_DECLS

#endif
