/* SPDX-License-Identifier: MIT */
/* pace.h: how the monitor waits for its next tick, and who ends that wait early.
 *
 * While some workers work and others sleep, the monitor ticks. While none sleeps there is nobody
 * to help, and while all do there is nothing to look for: then it waits for longer, or for ever,
 * until a worker lies down, or gets up. That one pays a load for it, and a system call only where
 * the monitor does wait so.
 *
 *   1. It does not go on waiting SLOWly once somebody sleeps, nor SLEEPS once somebody is up. Up is
 *      also who is to rest (reserve.h) but computes still.
 *   2. Whatever it waits for, a stop ends it.
 *
 * Callers: the monitor waits; any thread of the executor notices; who joins the monitor stops it.
 * Elsewhere: when the monitor chooses which pace (monitor.c).
 */
#ifndef PI_PACE_H
#define PI_PACE_H

#include "executor/sched/executor.h"

/* Protocol
 *
 *   word   ex->monitor_pace, a futex:
 *
 *              TICKS --wait--> SLOW or SLEEPS --hurry, or the time is over--> TICKS
 *              any of them --stop--> STOPS
 *
 *   (A) wait    the monitor: TICKS -> SLOW or SLEEPS, fence, look who sleeps.  } one of the two
 *   (B) notice  who changes that (the sleepers' count, its at_rest -> 0):      } sees the other
 *               change, fence, read the word.                                  }
 *   (C) hurry   SLOW or SLEEPS -> TICKS by compare-and-swap, then the futex is woken.
 *   (D) stop    STOPS by a store. It stays: all others swap what they expect, never STOPS.
 *   Orders      none but the fences: the word publishes nothing.
 *   Proof       tests/executor/sched/pace_model.c
 */
typedef enum pi_pace {
    PI_PACE_TICKS = 0, /**< for the time alone */
    PI_PACE_SLOW,      /**< no worker sleeps: who lies down ends it */
    PI_PACE_SLEEPS,    /**< all workers sleep: who gets up ends it */
    PI_PACE_STOPS      /**< it shall end */
} pi_pace;

/** Does everybody sleep, or rest? Anybody; may be out of date. */
bool pi_pace_all_sleep(pica_executor *ex);

/** Wait until the deadline, or somebody makes an end of the reason for this pace. The monitor.
 *  @param pace  TICKS, SLOW or SLEEPS
 *  @return false: it shall end */
bool pi_pace_wait(pica_executor *ex, pi_pace pace, int64_t deadline_ns)
    __attribute__((warn_unused_result));

/** (C) */
void pi_pace_hurry_slow(pica_executor *ex, pi_pace pace);

/** (B) The caller has just counted itself among the sleepers (SLOW), by pi_idle_sleep_begin(),
 *  which fences; or among them or those at rest no longer (SLEEPS), by a read-modify-write. */
static inline void pi_pace_notice(pica_executor *ex, pi_pace pace)
{
    if (pace == PI_PACE_SLEEPS)
        pi_fence_after_rmw();
    if (PI_UNLIKELY(pi_load_relaxed(&ex->monitor_pace) == (uint32_t)pace))
        pi_pace_hurry_slow(ex, pace);
}

/** (D) The monitor's wait ends, and each later one at once. */
void pi_pace_stop(pica_executor *ex);

#endif
