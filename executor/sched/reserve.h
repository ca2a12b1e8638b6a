/* SPDX-License-Identifier: MIT */
/* reserve.h: workers that come and go, behind those that an executor begins with.
 *
 * An executor has room for options.workers_max workers and one more. A seat is made, and its
 * thread started, when it is first needed. Two things need it:
 *
 * - pica_executor_resize() adds workers, and takes them away again.
 * - Where every worker computes without a break (with one worker, that is one task), nobody is
 *   left to rescue anybody. Then the monitor puts the spare to work, the seat behind the last
 *   worker: it steals from the stuck ones and serves their drivers and timers. As soon as one of
 *   them turns again it rests. PICA_NO_SPARE does without.
 *
 * A worker that is to rest ends the task it runs, hands over what it has queued, by the inject
 * queue, takes no new task, and lies in no bed (idle.h). But it goes on to serve its own driver
 * and timers: whatever that wakes it hands over, too.
 *
 *   1. Seats are made in order and stay until the executor dies; pi_executor_seats() counts them.
 *   2. `rests`, `seats` and `workers_count` change under ex->reserve_mutex. A worker looks at its
 *      `rests` at each look around, when it finds nothing to run, and between lying down and
 *      sleeping, when a fence stands between the two; partner: reserve.c, send_to_rest().
 *   3. The workers that an executor begins with never rest, so tasks can be pinned to them.
 */
#ifndef PI_RESERVE_H
#define PI_RESERVE_H

#include "executor/sched/executor.h"

/** The worker behind the last one, or NULL: it was never needed. Where: anywhere. */
static inline pi_worker *pi_spare_of(pica_executor *ex)
{
    uint32_t spare = pi_load_relaxed(&ex->workers_count);
    return pi_executor_seats(ex) > spare ? &ex->workers[spare] : NULL;
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

/** What a worker does before it works: rests, if it is to. Returns when it is to work again, or the
 *  executor has stopped. */
void pi_reserve_rest(pi_worker *worker);

#endif
