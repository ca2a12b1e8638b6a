/* SPDX-License-Identifier: MIT */
/* spare.h: one worker more, for when all are stuck.
 *
 * Where every worker computes without a break (with one worker, that is one task), nobody is
 * left to rescue anybody. Then the monitor puts a spare worker to work: a thread with a deque,
 * timers and a driver like the others, which steals from them and serves their drivers and
 * timers. As soon as one of them turns again the spare hands over what it has queued, by the
 * inject queue, and rests.
 *
 *   1. The seat behind the last worker is the spare's. It is made, and its thread started, when
 *      it is first needed; pi_executor_seats() counts it from then on.
 *   2. `rests` is written by the monitor, and by a worker that turns again; the spare looks at it
 *      at each look around and whenever it finds nothing to run.
 *   3. While it rests it takes no new task, is in no bed (idle.h) and cannot be called, but goes on
 *      to serve its own driver and timers: whatever that wakes, it hands over too.
 *
 * PICA_NO_SPARE does without.
 */
#ifndef PI_SPARE_H
#define PI_SPARE_H

#include "executor/sched/executor.h"

/** The executor's spare, or NULL: it was never needed. Where: anywhere. */
static inline pi_worker *pi_spare_of(pica_executor *ex)
{
    return pi_executor_seats(ex) > ex->workers_count ? &ex->workers[ex->workers_count] : NULL;
}

/** Is it at work? */
static inline bool pi_spare_works(pica_executor *ex)
{
    const pi_worker *spare = pi_spare_of(ex);
    return spare && !pi_load_relaxed(&spare->rests);
}

/** Put it to work, for a stuck worker. The monitor. Without memory, descriptors or threads
 *  for it nothing happens, and the next tick tries again. */
void pi_spare_work(pica_executor *ex, uint32_t stuck);

/** Let it rest. Any thread of the executor. */
void pi_spare_send_to_rest(pica_executor *ex);

/** What the spare does while it rests: returns when it is to work again, or the executor has
 *  stopped. For any other worker: returns at once. */
void pi_spare_rest(pi_worker *worker);

#endif
