/* SPDX-License-Identifier: MIT */
/* audit.h: what was left when an executor ended (PICA_REPORT_LEFT, pica_options.on_left).
 *
 *   tasks        those that closing the executor had to cancel: told by whoever cancels them,
 *                which a worker may do, too (closing.h)
 *   handles      references to tasks that nobody dropped    } told at the very end, when no task
 *   descriptors  that nobody closed                         } lives and the threads are joined
 *
 * Permits of semaphores are not known to any executor: a semaphore is the user's memory. That a
 * task waited for one is told with the task. Nothing is counted for the audit: it looks. */
#ifndef PI_AUDIT_H
#define PI_AUDIT_H

#include "executor/base/line.h"
#include "executor/sched/executor.h"

static inline bool pi_audit_wanted(const pica_executor *ex)
{
    return ex->on_left || ex->flags & PICA_REPORT_LEFT;
}

/** A task that may be about to get its first cancel, because its executor closes. It is looked at
 *  before: once it has a cancel, whoever gave it or another one wakes it. */
typedef struct pi_audited {
    pica_left left;
    pi_line waits;
} pi_audited;

/** @return whether it lives, and *of tells of it */
bool pi_audit_look(pi_audited *of, pica_task *task);

/** That cancel was the caller's. By now the object may be another task's. */
void pi_audit_tell(pica_executor *ex, pi_audited *of);

/** The executor is at rest; before anything of it is freed. */
void pi_audit_end(pica_executor *ex);

#endif
