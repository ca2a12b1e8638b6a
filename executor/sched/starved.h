/* SPDX-License-Identifier: MIT */
/* starved.h: tasks that can't start because there is no stack for them
 * (docs/decisions/memory.md says why so).
 *
 *   1. They wait in their order, one queue for each class of stacks; the inject mutex guards all.
 *      No way through here looks at more of them than it takes out, but the one after a cancel.
 *   2. A fiber that is put away goes to the first of its class, and is bound at once: a younger
 *      task, which is queued before it, would take the stack.
 *   3. Besides, each worker tries for the first of each class every PI_STARVED_RETRY_NS, busy or
 *      idle, as memory may come back from others, and as free stacks lie in its own cache. Where
 *      there was one, it tries again at the next opportunity: so those who start and end at once
 *      need one stack in all, and not one each.
 *   4. When for PI_STARVED_PATIENCE_MS nobody of a class has got a stack, who has waited for as
 *      long ends with -ENOMEM, its function never called. Of the time between two tries no more
 *      than PI_STARVED_HELD_NS counts: then all workers, or the process, were held up, and so was
 *      who would have given a stack back. The clock of it all stands still while nobody is starved.
 *      One that may be dropped and is cancelled needs no stack.
 *
 *   Protocol: a cancel against a task that finds no stack.
 *   (A) the task    counts among `starved`, fence, look whether it is cancelled; if not, linked.
 *                   All under the mutex.
 *   (B) a canceller sets its flag, fences (pi_scope_fence()), finds no fiber, reads `starved`;
 *                   if it is not 0: `starved_cancelled` = 1.    One of the two sees the other.
 *   (C) a retry     exchanges `starved_cancelled` for 0, then takes the mutex and looks at all.
 *   That it says so in vain, of a task that only waits for its turn, costs the walk of (C).
 *
 * Callers: workers, outside of tasks; pi_starved_cancelled(): any thread.
 */
#ifndef PI_STARVED_H
#define PI_STARVED_H

#include "executor/sched/executor.h"

#define PI_STARVED_RETRY_NS 10000000
#define PI_STARVED_PATIENCE_MS 1000u
#define PI_STARVED_HELD_NS 50000000

/** There is no stack for a task that was about to start. */
void pi_starved_add_slow(pi_worker *worker, pica_task *task);

/** A fiber of this class may be had: the first in the queue for one gets it.
 *  @return whether there was one who waited, and a fiber */
bool pi_starved_feed_slow(pi_worker *worker, unsigned class);

/** Try again, if it is time to. */
void pi_starved_retry_slow(pi_worker *worker);
static inline void pi_starved_retry(pi_worker *worker)
{
    if (PI_UNLIKELY(pi_load_relaxed(&worker->ex->starved)))
        pi_starved_retry_slow(worker);
}

/** (B) A task was cancelled that has not started. */
static inline void pi_starved_cancelled(pica_executor *ex)
{
    if (PI_UNLIKELY(pi_load_relaxed(&ex->starved)))
        pi_store_relaxed(&ex->starved_cancelled, 1u);
}

/** How much counts of the time that has passed since the last try, by whatever worker. */
static inline int64_t pi_starved_counts_ns(int64_t passed_ns)
{
    return passed_ns < 0 ? 0 : passed_ns < PI_STARVED_HELD_NS ? passed_ns : PI_STARVED_HELD_NS;
}

#endif
