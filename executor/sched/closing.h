/* SPDX-License-Identifier: MIT */
/* closing.h: how an executor ends, and how it is known that no task lives.
 *
 *   RUNNING   spawns are welcome.
 *   CLOSING   set once: foreign spawns are refused, live tasks are cancelled, tasks that
 *             they still spawn start cancelled.
 *   STOPPED   no task lives; workers leave their loops.
 *
 * No counter is shared by all spawns: each worker counts what it spawned and what it ended, and
 * for strangers the executor does.
 *
 * Protocol
 *
 *   count     a task is counted as spawned before it is queued, and as ended after its end has
 *             been published, release. Who sees it counted as ended sees it, and all that it
 *             spawned, counted as spawned.
 *   (A) sum   what ended, acquire; a fence; what was spawned. If they are equal no task lived at
 *             some moment in between: none that is known of has not ended, and what has ended
 *             left none behind that is not known of.
 *   (B) end   a worker counts, then reads `draining`: without a fence, because this is the way of
 *             every task. So it looks again when it has lain down, after that fence (idle.h), or
 *             while it rests, after one of its own.                        } one of the two
 *   (C) wait  whoever waits sets `draining`, fences, and sums.             } sees the other
 *   (D) last  who finds `draining` fences and sums, and of two who end the last two tasks one sees
 *             both. It reads the phase before the sums: see (F).
 *   (E) close the phase, a fence, then a cancel for each task that exists (the word of task.h).
 *             A worker that spawns writes the word, then reads the phase, without a fence; so
 *             each worker, when it first sees CLOSING, cancels once more what has no cancel yet:
 *             what it has spawned itself it finds, and what it spawns from now on is born so.
 *             A task may take it back: then no wait of it ends by it that began after that
 *             (pi_scope_interrupt_cancelled()).
 *   (F) strangers count, fence, read the phase. If that is not RUNNING they count as ended what
 *             they do not spawn. So a sum that misses one was made by who read the phase before:
 *             that stranger reads the same, and is refused.
 *   Proof     tests/executor/sched/closing_model.c.
 */
#ifndef PI_CLOSING_H
#define PI_CLOSING_H

#include "executor/sched/executor.h"

/** (E) Begin closing: refuse foreign spawns, cancel every live task. Any thread; again: no-op. */
void pi_executor_close(pica_executor *ex);

/** Tell the workers that no task lives, and all who wait for that. */
void pi_executor_stop(pica_executor *ex);

/** (D) A task has ended. If somebody waits for the last one, look whether this was it. */
void pi_executor_drained_slow(pica_executor *ex);
static inline void pi_executor_task_ended(pica_executor *ex)
{
    if (PI_UNLIKELY(pi_load_relaxed(&ex->draining)))
        pi_executor_drained_slow(ex);
}

/** (E) Once per worker: the executor closes; its own spawns may have been missed. Owner. */
void pi_worker_notice_closing_slow(pi_worker *worker);
static inline void pi_worker_notice_closing(pi_worker *worker)
{
    if (PI_UNLIKELY(pi_load_relaxed(&worker->ex->phase) == PI_CLOSING))
        pi_worker_notice_closing_slow(worker);
}

#endif
