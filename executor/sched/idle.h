/* SPDX-License-Identifier: MIT */
/* idle.h: which workers sleep, and who wakes them.
 *
 * A worker out of work first searches the others' queues, then sleeps in its driver. A wake
 * costs a system call, so whoever brings work wakes a worker only when nobody searches; the
 * last searcher to find work wakes the next, and the last to find none looks again.
 *
 * Always true
 *   1. Work where sleepers look, and a worker asleep: somebody searches or has been woken to
 *      search, or someone is still inside a function of this file or owes the pick that its
 *      return value asked for. (Work on an awake worker's deque: until its next turn.)
 *   2. A worker's bed bit is set from pi_idle_sleep_begin() until exactly one of it and its
 *      wakers has cleared it; a waker that did wakes it through its driver, once.
 *   3. counts.searching >= the workers that search; more only while a waker is inside.
 *
 * Callers: any thread, worker functions by worker w itself. No lock.
 * Elsewhere: how a worker sleeps (driver.h), where work lies (loop.h).
 */
#ifndef PI_IDLE_H
#define PI_IDLE_H

#include "executor/base/atomics.h"

#define PI_IDLE_MAX 256 /* workers */

/* How a worker's loop uses it. "look" is: own mailbox, inject queue, every deque, timers.
 *
 *     for (;;) {
 *         run what the own queue, mailbox and inject give, and once per turn:
 *             after take's exchange pi_fence_after_rmw(), then
 *             if (pi_idle_wanted(idle) && own deque is not empty) wake(pi_idle_pick(idle))
 *         searching = searching || pi_idle_search_begin(idle);
 *         if (searching && (work = look)) {
 *             searching = false;
 *             if (pi_idle_search_end(idle)) wake(pi_idle_pick(idle));
 *             run work; continue;
 *         }
 *         last = pi_idle_sleep_begin(idle, w, searching);
 *         if (work = look) {
 *             if (!pi_idle_sleep_abort(idle, w)) last = pi_idle_search_end(idle);
 *             if (last) wake(pi_idle_pick(idle));     // also where it was so before the look
 *             searching = false;
 *             run work; continue;
 *         }
 *         driver->poll(...);                          // sleeps
 *         searching = pi_idle_woken(idle, w);
 *     }
 *
 * (wake(-1) does nothing.) Whoever puts work elsewhere:
 *
 *     inject:   push; wake(pi_idle_submitted(idle));
 *     mailbox:  push; if (pi_idle_claim(idle, w)) wake(w);
 */

/* Protocol
 *
 *   counts     {asleep:16, searching:16}. asleep is changed by the sleeper alone: from
 *              before its bit is set until it is up again; so it says where to look, and
 *              the bits are the truth. searching counts workers that search or were woken
 *              to search, and a waker while it looks for a bit.
 *   beds       two bits per worker: ASLEEP, and CALLED: woken to look into its mailbox, not
 *              counted as searching.
 *   (A) sleep  the sleeper: counts, ASLEEP set, fence, look.        } one of the two sees
 *   (B) bring  anybody: push, fence, read counts and bits.          } the other: no loss
 *   (C) to 0   who takes searching from 1 to 0 has a duty, because a bringer that saw 1
 *              relies on it: it looks after (A), or after a fence picks a sleeper.
 *   (D) pick   counts.searching 0 -> 1 by compare-and-swap, so that of many bringers one
 *              wakes; then ASLEEP cleared, release: the sleeper must see the 1 before it
 *              subtracts it. Pairs with (F). Acquire, as setting it is a release: the sleeper
 *              may be newer than what the picker knows of workers (reserve.h), and is woken.
 *              If every bed is empty: searching - 1, fence, and (C) again.
 *   (E) call   ASLEEP -> CALLED by compare-and-swap, release.       Pairs with (F).
 *   (F) up     the sleeper clears both bits, acquire; what it found tells who was first.
 *   Proof      tests/executor/sched/idle_model.c; of a new sleeper, reserve_model.c.
 */
typedef struct pi_idle {
    uint32_t counts;  /* [atomic] any thread */
    unsigned workers; /* [const] that there may be */
    unsigned cpus;    /* [const] that the process has */
    unsigned limit;   /* [atomic] of searchers */

    uint64_t beds[PI_IDLE_MAX / 32] __attribute__((aligned(PI_CACHE_LINE))); /* [atomic] */
} __attribute__((aligned(PI_CACHE_LINE))) pi_idle;

#define PI_IDLE_ONE_ASLEEP 0x10000u
#define PI_IDLE_SEARCHING 0xffffu

/** Everybody awake, nobody searching. @param workers  1 to PI_IDLE_MAX, which also is what
 *  pi_idle_limit() is given */
void pi_idle_init(pi_idle *idle, unsigned workers);

/** As many may search as half the workers, rounded up, and not more than the process has CPUs.
 *  @param workers  that work at present */
void pi_idle_limit(pi_idle *idle, unsigned workers);

/** A worker out of work wants to search. @return false: enough do; go to sleep_begin */
bool pi_idle_search_begin(pi_idle *idle) __attribute__((warn_unused_result));

/** It found work. @return true: it was the last that searched: pick, and wake that one */
bool pi_idle_search_end(pi_idle *idle) __attribute__((warn_unused_result));

/** Going to sleep. The caller looks once more at everything before it really does.
 *  @param searching  whether it counts as searching; it no longer does
 *  @return true: it was the last that searched: if it finds work now, it has to pick, too */
bool pi_idle_sleep_begin(pi_idle *idle, unsigned w, bool searching)
    __attribute__((warn_unused_result));

/** The last look found something.
 *  @return true: up again, not searching; false: a pick was first, the caller counts as
 *  searching. A wake of its driver may be on its way in either case; it does no harm. */
bool pi_idle_sleep_abort(pi_idle *idle, unsigned w) __attribute__((warn_unused_result));

/** The driver's poll returned, for whatever reason.
 *  @return true: picked, the caller counts as searching; false: up, not searching (an event,
 *  a timer, the mailbox) */
bool pi_idle_woken(pi_idle *idle, unsigned w) __attribute__((warn_unused_result));

/** After a push to a place where sleepers look. Any thread.
 *  @return the worker to wake, or -1 */
int pi_idle_submitted(pi_idle *idle) __attribute__((warn_unused_result));

/** The same without the fence: for whoever has just made one, and for who was last. */
int pi_idle_pick(pi_idle *idle) __attribute__((warn_unused_result));

/** After a push to worker w's mailbox. Any thread. @return true: it sleeps: wake it */
bool pi_idle_claim(pi_idle *idle, unsigned w) __attribute__((warn_unused_result));

/** Would a pick find somebody? Somebody sleeps and nobody searches. Nearly free. */
static inline bool pi_idle_wanted(const pi_idle *idle)
{
    uint32_t counts = pi_load_relaxed(&idle->counts);
    return counts >= PI_IDLE_ONE_ASLEEP && !(counts & PI_IDLE_SEARCHING);
}

/** How many sleep or are just getting up; how many search. For statistics. */
static inline unsigned pi_idle_asleep(const pi_idle *idle)
{
    return pi_load_relaxed(&idle->counts) / PI_IDLE_ONE_ASLEEP;
}

static inline unsigned pi_idle_searching(const pi_idle *idle)
{
    return pi_load_relaxed(&idle->counts) & PI_IDLE_SEARCHING;
}

#endif
