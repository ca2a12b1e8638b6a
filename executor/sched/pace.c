/* SPDX-License-Identifier: MIT */
/* pace.c: see pace.h; the letters refer to it. */
#include "executor/sched/pace.h"

#include "executor/base/futex.h"

/* One that gets out of bed to rest, or comes from its rest and lies down, may be counted twice
 * here. In between it notices, and so ends a wait that is founded on that. */
bool pi_pace_all_sleep(pica_executor *ex)
{
    uint32_t seats = pi_executor_seats(ex), still = pi_idle_asleep(&ex->idle);
    for (uint32_t i = 0; i < seats; i++)
        still += pi_load_relaxed(&ex->workers[i].at_rest);
    return still >= seats;
}

static bool still_holds(pica_executor *ex, pi_pace pace)
{
    return pace == PI_PACE_SLEEPS ? pi_pace_all_sleep(ex) : pi_idle_asleep(&ex->idle) == 0;
}

bool pi_pace_wait(pica_executor *ex, pi_pace pace, int64_t deadline_ns)
{
    uint32_t word = PI_PACE_TICKS;
    if (pace == PI_PACE_TICKS) {
        (void)pi_futex_wait(&ex->monitor_pace, word, deadline_ns);
    } else if (pi_cas_relaxed(&ex->monitor_pace, &word, (uint32_t)pace)) {
        pi_fence_after_rmw(); /* (A) */
        if (still_holds(ex, pace))
            (void)pi_futex_wait(&ex->monitor_pace, (uint32_t)pace, deadline_ns);
        word = (uint32_t)pace;
        (void)pi_cas_relaxed(&ex->monitor_pace, &word, (uint32_t)PI_PACE_TICKS);
    }
    return pi_load_relaxed(&ex->monitor_pace) != PI_PACE_STOPS;
}

__attribute__((noinline)) void pi_pace_hurry_slow(pica_executor *ex, pi_pace pace)
{
    uint32_t word = (uint32_t)pace;
    if (pi_cas_relaxed(&ex->monitor_pace, &word, (uint32_t)PI_PACE_TICKS))
        pi_futex_wake(&ex->monitor_pace, 1);
}

void pi_pace_stop(pica_executor *ex)
{
    pi_store_relaxed(&ex->monitor_pace, (uint32_t)PI_PACE_STOPS);
    pi_futex_wake(&ex->monitor_pace, 1);
}
