/* SPDX-License-Identifier: MIT */
/* starved.h: tasks that can't start because there is no stack for them
 * (docs/decisions/memory.md says why so).
 *
 *   1. They wait in their order, one queue for each class of stacks; the inject mutex guards all.
 *      No way through here looks at more of them than it takes out.
 *   2. A fiber that is put away goes to the first of its class, and is bound at once: a younger
 *      task, which is queued before it, would take the stack. (Of stacks that are new, or lie in
 *      its worker's cache, a younger one may take the first all the same: until the next try.)
 *   3. Besides, each worker tries for the first of each class every PI_STARVED_RETRY_NS, busy or
 *      idle, as memory may come back from others, and as free stacks lie in its own cache. Where
 *      there was one, it tries again at the next opportunity: so those who start and end at once
 *      need one stack in all, and not one each.
 *   4. When for PI_STARVED_PATIENCE_MS none of those of a class who wait has got a stack (or room
 *      on another's, see 5), who has waited for as long ends with -ENOMEM, its function never
 *      called. Of the time between two tries no more than PI_STARVED_HELD_NS counts: then all
 *      workers, or the process, were held up, and so was who would have given a stack back. The
 *      clock of it all stands still while nobody is starved.
 *   5. Two ways lead out without a stack of its own: who awaits such a task, or has come to the end
 *      of the group that it is a member of, and may, runs it inline, also if it has parked before;
 *      and one that may be dropped and is cancelled takes its turn, and ends.
 *   6. The user's on_drop runs while its worker counts neither as asleep nor as searching.
 *
 *   Protocol: a cancel against a task that finds no stack.
 *   (A) the task    is linked, its home says so, fence, look whether it is cancelled. All under
 *                   the mutex.
 *   (B) a canceller sets its flag, fences (pi_scope_fence()), finds no fiber, reads home; if that
 *                   says so, it looks again under the mutex.    One of the two sees the other.
 *
 *   Protocol: a member that finds no stack against its group's owner, who waits for all members.
 *   (C) the owner   begins its wait, fences, looks at its members' homes, parks.
 *   (A)             then, under the mutex still, as the group lives as long as the member can't be
 *                   taken out: is the owner's wait one for members of that group, it is ended,
 *                   PI_CLOSED. The owner looks again.           One of the two sees the other.
 *                   What a wait is for is written before its word, and its sequence moves on before
 *                   that is written anew: who ends the wait that it has read about ends no other.
 *
 * Callers: workers, outside of tasks; pi_starved_claim() and pi_starved_claim_member(): a task;
 * pi_starved_cancelled(): any thread.
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

/** Take a task out that the caller can run on a stack of its own; it holds a reference.
 *  @return false: it does not wait here (any more) */
bool pi_starved_claim(pica_task *task);

/** The same for a member of the caller's group, by who holds no reference: it may be another task
 *  by now, and then is left where it is. So is a pinned one.
 *  @param room  for so large a stack at most the caller has room */
bool pi_starved_claim_member(pica_task *task, const pica_scope *group, size_t room);

/** Does a task wait here? By who will look again under the mutex, or be told (C). */
static inline bool pi_is_starved(const pica_task *task)
{
    return PI_UNLIKELY(pi_load_relaxed(&task->home) == PI_HOME_STARVED);
}

/** (B) A task was cancelled that has not started; it may be another one by now. */
void pi_starved_cancelled_slow(pica_task *task);
static inline void pi_starved_cancelled(pica_task *task)
{
    if (pi_is_starved(task))
        pi_starved_cancelled_slow(task);
}

/** How much counts of the time that has passed since the last try, by whatever worker. */
static inline int64_t pi_starved_counts_ns(int64_t passed_ns)
{
    return passed_ns < 0 ? 0 : passed_ns < PI_STARVED_HELD_NS ? passed_ns : PI_STARVED_HELD_NS;
}

#endif
