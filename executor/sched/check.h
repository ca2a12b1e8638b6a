/* SPDX-License-Identifier: MIT */
/* check.h: pi_wait_check_worker() inline, for the calls that are made most. */
#ifndef PI_CHECK_H
#define PI_CHECK_H

#include "executor/sched/scope.h"
#include "executor/sched/worker.h"

#include <errno.h>

/** Is the caller cancelled? @return 0; -ECANCELED; -EPERM: a plain thread */
static inline int pi_check_worker(void)
{
    pi_worker *worker = pi_worker_self();
    if (PI_UNLIKELY(!worker))
        return -EPERM;
    pi_fiber *fiber = worker->fiber;
    return fiber && pi_scopes_cancelled(fiber) ? pi_wait_refuse(fiber) : 0;
}

#endif
