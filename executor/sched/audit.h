/* SPDX-License-Identifier: MIT */
/* audit.h: what was left when an executor ended (PICA_REPORT_LEFT, pica_options.on_left).
 *
 *   tasks        those that closing the executor had to cancel: told by whoever closes, when the
 *                task is marked and before it is woken, so that it still says what it waits for
 *   handles      references to tasks that nobody dropped    } told at the very end, when no task
 *   descriptors  that nobody closed                         } lives and the threads are joined
 *
 * Permits of semaphores are not known to any executor: a semaphore is the user's memory. That a
 * task waited for one is told with the task. Nothing is counted for the audit: it looks. */
#ifndef PI_AUDIT_H
#define PI_AUDIT_H

#include "executor/sched/executor.h"

static inline bool pi_audit_wanted(const pica_executor *ex)
{
    return ex->on_left || ex->flags & PICA_REPORT_LEFT;
}

/** A live task gets its first cancel, because its executor closes.
 *  @param id  what it was before it got it: by now the object may be another task's */
void pi_audit_cancelled(pica_executor *ex, pica_task *task, uint64_t id);

/** The executor is at rest; before anything of it is freed. */
void pi_audit_end(pica_executor *ex);

#endif
