/* SPDX-License-Identifier: MIT */
/* lock.h: a lock for sections of a few instructions, which never suspend and never call
 * out. Spins within a bound, then gives the processor away (a preempted holder can go on).
 * Ranks, from outer to inner, are listed in docs/architecture.md. */
#ifndef PI_LOCK_H
#define PI_LOCK_H

#include "executor/base/atomics.h"

typedef struct pi_lock {
    uint32_t held; /* [atomic] */
} pi_lock;

static inline bool pi_lock_try(pi_lock *lock)
{
    return pi_xchg_acquire(&lock->held, 1u) == 0;
}

#ifdef PICA_MODEL
static inline
#endif
    void pi_lock_acquire_slow(pi_lock *lock);

static inline void pi_lock_acquire(pi_lock *lock)
{
    if (PI_UNLIKELY(!pi_lock_try(lock)))
        pi_lock_acquire_slow(lock);
}

#if defined(PICA_MODEL) || defined(PI_LOCK_DEFINE)
void pi_lock_acquire_slow(pi_lock *lock)
{
    for (unsigned rounds = 0; !pi_lock_try(lock); rounds++)
        while (pi_load_relaxed(&lock->held))
            pi_spin_wait(rounds++);
}
#endif

static inline void pi_lock_release(pi_lock *lock)
{
    pi_store_release(&lock->held, 0u);
}

#endif
