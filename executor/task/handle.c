/* SPDX-License-Identifier: MIT */
/* handle.c: what a task's handle tells, and cancelling through it. */
#include "executor/base/assert.h"
#include "executor/sched/executor.h"
#include "executor/sched/ignored.h"
#include "executor/sched/scope.h"
#include "executor/sched/worker.h"

pica_task *pica_self(void)
{
    return pi_task_self();
}

uint64_t pica_task_id(const pica_task *task)
{
    return task->id;
}

const char *pica_task_name(const pica_task *task)
{
    return pi_task_name(task);
}

pica_status pica_task_status(const pica_task *task)
{
    if (pi_task_done(task))
        return PICA_DONE;
    pi_fiber *fiber = pi_load_acquire(&task->fiber);
    if (!fiber)
        return PICA_READY;
    switch (PI_WAIT_STATE(pi_load_relaxed(&fiber->wait.word))) {
    case PI_PARKED:
        return PICA_WAITING;
    case PI_WOKEN:
    case PI_TIMEOUT:
    case PI_CANCEL:
    case PI_CLOSED:
        return PICA_READY;
    default:
        return PICA_RUNNING;
    }
}

int pica_task_result(pica_task *task, intptr_t *result)
{
    if (!task)
        return -EINVAL;
    uint32_t word = pi_load_acquire(&task->word);
    pi_require(word, "pica_task_result() of a task that nobody holds");
    if (!(word & PI_TASK_DONE))
        return -EINPROGRESS;
    pi_store_relaxed(&task->observed, (uint8_t)1);
    if (result)
        *result = task->result;
    return 0;
}

pica_task *pica_ref(pica_task *task)
{
    if (task)
        pi_task_ref(task);
    return task;
}

static __attribute__((noinline)) pica_task *unref_slow(pica_task *task)
{
    if (task)
        pi_task_unref_slow(task);
    return NULL;
}

pica_task *pica_unref(pica_task *task)
{
    pi_worker *worker = pi_worker_self();
    if (PI_UNLIKELY(!task || !worker) ||
        PI_UNLIKELY(pi_load_acquire(&task->word) != (PI_TASK_DONE | PI_TASK_REF)) ||
        PI_UNLIKELY(pi_task_executor(task) != worker->ex) || PI_UNLIKELY(task->result < 0))
        return unref_slow(task);
    /* Ended, no error, and nobody else can hold it. */
    unsigned kind = task->flags & PI_TASK_COPIES;
    if (PI_UNLIKELY(worker->tasks.count[kind] + 1 >= 2 * PI_POOL_BATCH))
        return unref_slow(task);
    (void)pi_task_cache_put(&worker->tasks, task, kind);
    return NULL;
}

pica_task *pica_detach(pica_task *task)
{
    if (task) {
        pi_store_relaxed(&task->observed, (uint8_t)1);
        pi_task_unref_slow(task);
    }
    return NULL;
}

int pica_cancel(pica_task *task)
{
    if (!task)
        return -EINVAL;
    uint32_t word = pi_load_acquire(&task->word);
    pi_require(word, "pica_cancel() of a task that nobody holds");
    if (word & PI_TASK_DONE)
        return -EALREADY;
    pi_scope_cancel(task);
    return 0;
}

int pica_uncancel(void)
{
    pica_task *task = pi_task_self();
    if (!task)
        return -EPERM;
    uint32_t n = pi_load_relaxed(&task->cancels);
    do {
        if (n == 0)
            return -EINVAL;
    } while (!pi_cas_acq_rel(&task->cancels, &n, n - 1));
    for (unsigned rounds = 0; pi_load_acquire(&task->cancelling); rounds++)
        pi_spin_wait(rounds);
    pi_ignored_forget(task->fiber);
    return (int)(n - 1);
}

int pica_cancelling(void)
{
    pica_task *task = pi_task_self();
    return task ? (int)pi_load_relaxed(&task->cancels) : -EPERM;
}

int pica_check_cancel(void)
{
    pi_worker *worker = pi_worker_self();
    if (!worker || !worker->fiber)
        return -EPERM;
    return pi_scopes_cancelled(worker->fiber) ? -ECANCELED : 0;
}
