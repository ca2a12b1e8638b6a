/* SPDX-License-Identifier: MIT */
/* defer.c: see defer.h; and pica_defer() of pica/task.h. */
#include "executor/sched/defer.h"

#include "executor/base/alloc.h"
#include "executor/base/assert.h"
#include "executor/sched/exception.h"
#include "executor/sched/scope.h"
#include "executor/sched/worker.h"

struct pi_deferred {
    struct pi_deferred *next;
    void (*fn)(void *arg);
    void *arg;
};

int pica_defer(void (*fn)(void *arg), void *arg)
{
    pica_task *task = pi_task_self();
    if (!fn)
        return -EINVAL;
    if (!task)
        return -EPERM;
    struct pi_deferred *handler = pi_malloc(sizeof(*handler));
    if (!handler)
        return -ENOMEM;
    *handler = (struct pi_deferred){task->deferred, fn, arg};
    if (!task->deferred)
        task->fiber->level++;
    task->deferred = handler;
    return 0;
}

void pi_task_unwind_slow(pi_fiber *fiber)
{
    pica_task *task = fiber->current;
    unsigned long long id = task->id;
    pi_require(!task->scope && task->deferred && fiber->level == task->level + 1,
               "task %llu (%s) returned inside a scope or group", id, task->site);
    pica_scope shield;
    pi_scope_open(fiber, &shield, PICA_NEVER, PI_SCOPE_SHIELD);
    for (struct pi_deferred *next; (next = task->deferred);) {
        struct pi_deferred handler = *next;
        task->deferred = handler.next;
        pi_free(next);
        PI_NO_EXCEPTION_PASSES();
        handler.fn(handler.arg);
        fiber->level = shield.level; /* the first one of those it may have added has raised it */
        pi_require(task->scope == &shield,
                   "a handler of pica_defer() in task %llu (%s) returned inside a scope or group",
                   id, task->site);
    }
    pi_scope_close(fiber, &shield);
}
