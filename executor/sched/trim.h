/* SPDX-License-Identifier: MIT */
/* trim.h: when the pages of free stacks go back to the system (docs/decisions/memory.md).
 *
 * A stack that was used deeply keeps its pages while it lies free. It loses all but those that
 * hold its fiber
 *   - when it has lain in the depot for one to two periods (pica_options.trim_after_ns), and a
 *     worker has nothing to run; caches of workers shed what is beyond their warm part first;
 *   - when pica_trim() asks for it.
 *
 *   1. Only free stacks that the trimmer has taken out of the depot's lists are trimmed, in
 *      batches; meanwhile nobody else finds them. No lock is held then.
 *   2. The depot keeps three lists: free since the last turn, free since before it, trimmed.
 *      They are used in this order, so what is in use stays warm.
 *   3. A worker touches its own cache alone. Others are asked: trim_asked counts requests,
 *      and each worker answers at its next look around, or when it is woken for it.
 */
#ifndef PI_TRIM_H
#define PI_TRIM_H

#include "executor/sched/executor.h"

/** Free stacks in the depot worth waking up for. */
#define PI_TRIM_LEAST ((size_t)4 << 20)

/** What pica_options.trim_after_ns means. @return 0: never */
uint32_t pi_trim_period_ms(int64_t after_ns);

/** A worker begins. */
void pi_trim_begin(pi_worker *worker);

/** What a worker keeps at hand. */
#define PI_TRIM_WARM 32u

/** Has somebody asked since this worker answered last? Owner. */
static inline bool pi_trim_asked(const pi_worker *worker)
{
    return PI_UNLIKELY(pi_load_relaxed(&worker->ex->trim_asked) != worker->trim_answered);
}

void pi_trim_answer_slow(pi_worker *worker);
bool pi_trim_idle_slow(pi_worker *worker);

/** To be called at each look around, and by who would have slept: answers who asked. Owner. */
static inline void pi_trim_answer(pi_worker *worker)
{
    if (pi_trim_asked(worker))
        pi_trim_answer_slow(worker);
}

/** To be called by a worker that has nothing to run, and is not counted as searching.
 *  @return true: a batch is done and more may be to do; look at the queues first */
static inline bool pi_trim_idle(pi_worker *worker)
{
    return (int32_t)(worker->now_ms - worker->trim_ms) >= 0 && pi_trim_idle_slow(worker);
}

/** Until when a worker may sleep, as far as trimming goes. Owner. */
int64_t pi_trim_deadline_slow(const pi_worker *worker);
static inline int64_t pi_trim_deadline(const pi_worker *worker)
{
    return PI_LIKELY(worker->fibers_count <= PI_TRIM_WARM && !worker->arena.number &&
                     pi_load_relaxed(&worker->ex->pool.untrimmed) < PI_TRIM_LEAST)
               ? PICA_NEVER
               : pi_trim_deadline_slow(worker);
}

#endif
