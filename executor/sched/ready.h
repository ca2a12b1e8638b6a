/* SPDX-License-Identifier: MIT */
/* ready.h: where ready tasks lie beside the deques, for the worker's loop. (How they get there
 * is pi_worker_ready(), pi_worker_inject() and pi_worker_push_pinned() of worker.h.)
 *
 *   pinned list    tasks that only this worker runs, in order; the owner's alone
 *   mailbox        the way into it for everybody else (ck.h)
 *   inject queue   from outside of the workers, for any of them; inject_mutex [rank INJECT]
 *
 * Elsewhere: unstarted tasks that found no stack (starved.h).
 */
#ifndef PI_READY_H
#define PI_READY_H

#include "executor/sched/worker.h"

/** The next pinned task, or NULL. Owner. */
pica_task *pi_ready_pop_pinned(pi_worker *worker);

/** Move what lies in the mailbox to the pinned list. Owner. */
void pi_ready_take_mailbox(pi_worker *worker);

/** One task from the inject queue, or NULL; a fair share of the rest goes to the own deque. */
pica_task *pi_ready_take_injected(pi_worker *worker);

#endif
