/* SPDX-License-Identifier: MIT */
/* sleep.c: giving way, and sleeping. */
#include "executor/base/clock.h"
#include "executor/sched/scope.h"
#include "executor/sched/worker.h"

int pica_yield(void)
{
    pi_worker *worker = pi_worker_self();
    if (PI_UNLIKELY(!worker || !worker->fiber))
        return -EPERM;
    pi_fiber *fiber = worker->fiber;
    if (PI_UNLIKELY(pi_scopes_cancelled(fiber)))
        return pi_wait_refuse(fiber);
    return pi_worker_yield(worker, fiber);
}

static int sleep_parked(int64_t deadline_ns)
{
    int rc = pi_wait_check();
    if (rc < 0)
        return rc;
    pi_waiter me;
    pi_wait_begin_for(&me, PI_FOR_TIME, 0);
    pi_fence_seq_cst(); /* nobody is told: see pi_wait_park() */
    return pi_wait_park(&me, deadline_ns) == PI_CANCEL ? -ECANCELED : 0;
}

int pica_sleep(int64_t duration_ns)
{
    if (duration_ns <= 0)
        return pica_yield();
    return pi_task_self() ? sleep_parked(pica_after(duration_ns)) : -EPERM;
}

int pica_sleep_until(int64_t deadline_ns)
{
    if (deadline_ns != PICA_NEVER && deadline_ns <= pi_now())
        return pica_yield();
    return pi_task_self() ? sleep_parked(deadline_ns) : -EPERM;
}
