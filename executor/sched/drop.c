/* SPDX-License-Identifier: MIT */
/* drop.c: see drop.h. */
#include "executor/sched/drop.h"

#include "executor/sched/exception.h"
#include "executor/sched/scope.h"
#include "executor/sched/worker.h"

/* Outside of any task, also where a task's fiber happens to be: what waits must not find one. */
static void release(void (*on_drop)(void *), void *arg)
{
    pi_fiber *fiber = pi_hook_begin();
    PI_NO_EXCEPTION_PASSES();
    on_drop(arg);
    pi_hook_end(fiber);
}

static intptr_t start_or_drop(void *arg)
{
    pi_fiber *fiber = pi_worker_self()->fiber;
    pica_task *task = fiber->current;
    pica_fn fn = task->starts;
    void (*on_drop)(void *) = task->on_drop;
    task->result = 0;
    task->scope = NULL;
    if (!pi_scopes_cancelled(fiber))
        return fn(arg);
    release(on_drop, arg);
    return -ECANCELED;
}

void pi_drop_prepare(pica_task *task, void (*on_drop)(void *arg))
{
    task->starts = task->fn;
    task->on_drop = on_drop;
    task->fn = start_or_drop;
}

bool pi_drop_is_due(const pica_task *task)
{
    return task->fn == start_or_drop &&
           (pi_load_relaxed(&task->cancels) || pi_scope_group_cancelled(task));
}

void pi_drop_unstarted(pica_task *task)
{
    if (task->fn == start_or_drop)
        release(task->on_drop, task->arg);
}
