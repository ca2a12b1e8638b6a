/* SPDX-License-Identifier: MIT */
/* timer.h: deadlines of waits, one set per worker.
 *
 *   1. A timer is armed by the worker that its fiber runs on, in that worker's set, and only
 *      once the fiber really is about to park.
 *   2. Expiry ends the wait by its compare-and-swap under the set's lock, and disarming
 *      takes that lock: after pi_timer_disarm() nobody touches the timer any more.
 *   3. next_ns is the earliest deadline, or PICA_NEVER; written under the lock, read by
 *      anybody (the owner before it sleeps, a rescuer).
 *
 * A 4-ary heap in an array; an entry carries its deadline, so that sifting touches no timer
 * but those that move. Where the array can't grow, timers go to a list instead, which costs
 * time, not timeouts. After Johnson, "Priority queues with update and finding minimum
 * spanning trees" (IPL 4(3), 1975).
 *
 * Callers: any worker. Lock: pi_timers.lock [rank TIMERS].
 */
#ifndef PI_TIMER_H
#define PI_TIMER_H

#include "executor/base/lock.h"
#include "executor/sched/wait.h"

#include <stddef.h>

typedef struct pi_timers pi_timers;

/** One deadline. In a fiber (type-stable), whose runner knows whether it is armed. */
typedef struct pi_timer {
    pi_timers *set; /* [owner] where it was armed last */
    uint32_t index; /* [lock] its place in the heap, or one of the two below */
    pi_token token; /* [owner] the wait that it ends */
    int64_t deadline_ns;
    struct pi_timer *next, *prev; /* [lock] in the list of those without room in the heap */
} pi_timer;

#define PI_TIMER_EXPIRED UINT32_MAX
#define PI_TIMER_LISTED (UINT32_MAX - 1)

typedef struct pi_timer_entry {
    int64_t deadline_ns;
    pi_timer *timer;
} pi_timer_entry;

struct pi_timers {
    pi_lock lock;
    uint32_t count;    /* [lock] */
    uint32_t capacity; /* [lock] */
    uint32_t listed;   /* [lock] */
    pi_timer_entry *heap; /* [lock] */
    pi_timer *list;       /* [lock] */
    int64_t next_ns;      /* [lock writes, atomic] */
};

void pi_timers_init(pi_timers *set);
void pi_timers_deinit(pi_timers *set);

/** Let a timer end a wait at a deadline. The set's owner; the timer is not armed. */
void pi_timer_arm(pi_timers *set, pi_timer *timer, pi_token token, int64_t deadline_ns);

/** Take a timer back, whether it has expired or not. Any worker. */
void pi_timer_disarm(pi_timer *timer);

/** End the waits whose deadline is not after now. Any worker. @return how many it ended */
unsigned pi_timers_expire(pi_timers *set, int64_t now_ns);

/** The earliest deadline, or PICA_NEVER. Anybody; may be out of date. */
static inline int64_t pi_timers_next(const pi_timers *set)
{
    return pi_load_relaxed(&set->next_ns);
}

/** How many are armed. Anybody; may be out of date. */
static inline uint32_t pi_timers_armed(const pi_timers *set)
{
    return pi_load_relaxed(&set->count) + pi_load_relaxed(&set->listed);
}

#endif
