/* SPDX-License-Identifier: MIT */
/* atomics.h: the one door to atomic operations (law 4).
 *
 * C11 semantics, the memory order in the name. The operations work on plain integer and
 * pointer objects, so that structures shared with users stay plain C and C++. An object
 * that is accessed through here while others may is accessed through here everywhere.
 *
 * Read-modify-writes return the old value; pi_cas_* returns whether it changed the object
 * and otherwise stores what it saw in *expected (acquire where the name has acquire).
 *
 * pi_fence_seq_cst() orders a store before a later load; it costs what a locked add does.
 * pi_fence_after_rmw() is the same where a read-modify-write just preceded it: free on
 * x86-64, a real fence elsewhere.
 *
 * A build with PICA_MODEL takes all of this from the model checker (tests/model/).
 */
#ifndef PI_ATOMICS_H
#define PI_ATOMICS_H

#include <stdbool.h>
#include <stdint.h>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define PI_TSAN 1
#endif
#if __has_feature(address_sanitizer)
#define PI_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__) && !defined(PI_TSAN)
#define PI_TSAN 1
#endif
#if defined(__SANITIZE_ADDRESS__) && !defined(PI_ASAN)
#define PI_ASAN 1
#endif

#define PI_CACHE_LINE 64
#define PI_LIKELY(x) __builtin_expect(!!(x), 1)
#define PI_UNLIKELY(x) __builtin_expect(!!(x), 0)

#ifdef PICA_MODEL
#include "model_atomics.h"
#else

/* A build with PI_PERTURB gives way at random before what others may see (tests/perturb/). */
#ifdef PI_PERTURB
#include "perturb.h"
#define PI_POINT(operation) (pi_perturb(), (operation))
#else
#define PI_POINT(operation) (operation)
#endif

#define pi_load_relaxed(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define pi_load_acquire(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define pi_load_seq_cst(p) __atomic_load_n((p), __ATOMIC_SEQ_CST)

#define pi_store_relaxed(p, v) PI_POINT(__atomic_store_n((p), (v), __ATOMIC_RELAXED))
#define pi_store_release(p, v) PI_POINT(__atomic_store_n((p), (v), __ATOMIC_RELEASE))
#define pi_store_seq_cst(p, v) PI_POINT(__atomic_store_n((p), (v), __ATOMIC_SEQ_CST))

#define pi_xchg_relaxed(p, v) PI_POINT(__atomic_exchange_n((p), (v), __ATOMIC_RELAXED))
#define pi_xchg_acquire(p, v) PI_POINT(__atomic_exchange_n((p), (v), __ATOMIC_ACQUIRE))
#define pi_xchg_release(p, v) PI_POINT(__atomic_exchange_n((p), (v), __ATOMIC_RELEASE))
#define pi_xchg_acq_rel(p, v) PI_POINT(__atomic_exchange_n((p), (v), __ATOMIC_ACQ_REL))
#define pi_xchg_seq_cst(p, v) PI_POINT(__atomic_exchange_n((p), (v), __ATOMIC_SEQ_CST))

#define pi_cas_relaxed(p, expected, v)                                                             \
    PI_POINT(__atomic_compare_exchange_n((p), (expected), (v), false, __ATOMIC_RELAXED,            \
                                         __ATOMIC_RELAXED))
#define pi_cas_acquire(p, expected, v)                                                             \
    PI_POINT(__atomic_compare_exchange_n((p), (expected), (v), false, __ATOMIC_ACQUIRE,            \
                                         __ATOMIC_ACQUIRE))
#define pi_cas_release(p, expected, v)                                                             \
    PI_POINT(__atomic_compare_exchange_n((p), (expected), (v), false, __ATOMIC_RELEASE,            \
                                         __ATOMIC_RELAXED))
#define pi_cas_acq_rel(p, expected, v)                                                             \
    PI_POINT(__atomic_compare_exchange_n((p), (expected), (v), false, __ATOMIC_ACQ_REL,            \
                                         __ATOMIC_ACQUIRE))
#define pi_cas_seq_cst(p, expected, v)                                                             \
    PI_POINT(__atomic_compare_exchange_n((p), (expected), (v), false, __ATOMIC_SEQ_CST,            \
                                         __ATOMIC_ACQUIRE))

#define pi_add_relaxed(p, v) PI_POINT(__atomic_fetch_add((p), (v), __ATOMIC_RELAXED))
#define pi_add_acquire(p, v) PI_POINT(__atomic_fetch_add((p), (v), __ATOMIC_ACQUIRE))
#define pi_add_release(p, v) PI_POINT(__atomic_fetch_add((p), (v), __ATOMIC_RELEASE))
#define pi_add_acq_rel(p, v) PI_POINT(__atomic_fetch_add((p), (v), __ATOMIC_ACQ_REL))
#define pi_add_seq_cst(p, v) PI_POINT(__atomic_fetch_add((p), (v), __ATOMIC_SEQ_CST))
#define pi_sub_relaxed(p, v) PI_POINT(__atomic_fetch_sub((p), (v), __ATOMIC_RELAXED))
#define pi_sub_acquire(p, v) PI_POINT(__atomic_fetch_sub((p), (v), __ATOMIC_ACQUIRE))
#define pi_sub_release(p, v) PI_POINT(__atomic_fetch_sub((p), (v), __ATOMIC_RELEASE))
#define pi_sub_acq_rel(p, v) PI_POINT(__atomic_fetch_sub((p), (v), __ATOMIC_ACQ_REL))
#define pi_sub_seq_cst(p, v) PI_POINT(__atomic_fetch_sub((p), (v), __ATOMIC_SEQ_CST))
#define pi_or_relaxed(p, v) PI_POINT(__atomic_fetch_or((p), (v), __ATOMIC_RELAXED))
#define pi_or_release(p, v) PI_POINT(__atomic_fetch_or((p), (v), __ATOMIC_RELEASE))
#define pi_or_acq_rel(p, v) PI_POINT(__atomic_fetch_or((p), (v), __ATOMIC_ACQ_REL))
#define pi_or_seq_cst(p, v) PI_POINT(__atomic_fetch_or((p), (v), __ATOMIC_SEQ_CST))
#define pi_and_relaxed(p, v) PI_POINT(__atomic_fetch_and((p), (v), __ATOMIC_RELAXED))
#define pi_and_acquire(p, v) PI_POINT(__atomic_fetch_and((p), (v), __ATOMIC_ACQUIRE))
#define pi_and_release(p, v) PI_POINT(__atomic_fetch_and((p), (v), __ATOMIC_RELEASE))
#define pi_and_acq_rel(p, v) PI_POINT(__atomic_fetch_and((p), (v), __ATOMIC_ACQ_REL))
#define pi_and_seq_cst(p, v) PI_POINT(__atomic_fetch_and((p), (v), __ATOMIC_SEQ_CST))

#if defined(__x86_64__) && !defined(PI_TSAN)
#define pi_fence_seq_cst() __asm__ __volatile__("lock orl $0, (%%rsp)" ::: "memory", "cc")
#define pi_fence_after_rmw() __asm__ __volatile__("" ::: "memory")
#else
#define pi_fence_seq_cst() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define pi_fence_after_rmw() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#endif

/** What ran before, ahead of all later stores; free on x86-64. For stores that are not ours, as
 *  ck's; ours have their order in their name. */
#define pi_fence_release() __atomic_thread_fence(__ATOMIC_RELEASE)

/** Orders nothing but the compiler; the partner is a pi_membarrier(). */
#define pi_fence_compiler() __asm__ __volatile__("" ::: "memory")

/** Inside a loop that waits for another thread's store; rounds counts its turns. Bounded:
 *  after some turns it gives the processor away, so a preempted partner can go on. */
void pi_spin_wait_slow(void);
static inline void pi_spin_wait(unsigned rounds)
{
    if (rounds < 64) {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        __asm__ __volatile__("isb" ::: "memory");
#endif
    } else {
        pi_spin_wait_slow();
    }
}

#endif /* PICA_MODEL */

#endif
