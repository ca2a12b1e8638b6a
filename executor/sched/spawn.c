/* SPDX-License-Identifier: MIT */
/* spawn.c: the rarer ways to make a task. See spawn.h. */
#include "executor/sched/spawn.h"

#include "executor/base/assert.h"
#include "executor/base/sized.h"
#include "executor/sched/closing.h"
#include "executor/sched/drop.h"
#include "executor/sched/scope.h"

#define IDS 4096 /* numbers that a worker takes at a time */

static uint64_t next_id(pica_executor *ex, pi_worker *worker)
{
    if (!worker)
        return 1 + pi_add_relaxed(&ex->next_ids, UINT64_C(1));
    if (worker->next_id == worker->last_id) {
        worker->next_id = pi_add_relaxed(&ex->next_ids, (uint64_t)IDS);
        worker->last_id = worker->next_id + IDS;
    }
    return ++worker->next_id;
}

static int check_attr(const pica_executor *ex, const pica_attr *attr, pica_attr *out)
{
    if (pi_sized_copy(out, sizeof(*out), attr) < 0 || out->copy_size > PICA_COPY_MAX ||
        out->stack_size > PI_STACK_MAX || pi_stack_class(out->stack_size) >= PI_STACK_CLASSES ||
        out->pin > ex->workers_min || out->reserved)
        return -EINVAL;
    return 0;
}

/* Queue it. Counted first: it may have ended before the push has returned. */
static int enqueue(pica_executor *ex, pi_worker *worker, pica_task *task)
{
    if (worker) {
        int rc = 0;
        pi_store_relaxed(&worker->spawned, worker->spawned + 1);
        if (task->pin)
            pi_worker_push_pinned(worker, task);
        else
            rc = pi_worker_push(worker, task);
        if (rc < 0)
            pi_store_release(&worker->ended, worker->ended + 1);
        return rc < 0 ? rc : pi_spawn_done(worker);
    }
    pi_add_relaxed(&ex->foreign_spawned, UINT64_C(1));
    pi_fence_after_rmw(); /* (F) of closing.h */
    if (pi_load_acquire(&ex->phase) != PI_RUNNING) {
        pi_add_release(&ex->foreign_undone, UINT64_C(1));
        pi_executor_task_ended(ex);
        return -ESHUTDOWN;
    }
    pi_worker_inject(ex, task);
    return 0;
}

static int spawn(pica_executor *ex, pi_worker *worker, pica_scope *group, pica_task **place,
                 pica_task **out, pica_fn fn, void *arg, const pica_attr *attr, const char *site,
                 unsigned flags)
{
    pi_task_cache *cache = worker ? &worker->tasks : NULL;
    unsigned kind = attr->copy_size ? 1 : 0;
    pica_task *task = pi_task_alloc(&ex->pool, cache, kind);
    if (!task)
        return -ENOMEM;
    unsigned class = attr->stack_size ? pi_stack_class(attr->stack_size) : ex->stack_class;
    flags |= class << PI_TASK_CLASS_SHIFT | (group ? PI_TASK_MEMBER : 0u) |
             (kind ? PI_TASK_COPIES : 0u);
    pi_store_relaxed(&task->id, next_id(ex, worker));
    task->parent = worker && worker->fiber ? worker->fiber->current->id : 0;
    if (kind)
        arg = memcpy(pi_task_copy(task), arg, attr->copy_size);
    pi_spawn_fill(task, group, place, fn, arg, site, flags, out ? 2 : 1);
    if (attr->on_drop)
        pi_drop_prepare(task, attr->on_drop);
    task->name = attr->name;
    task->pin = (uint16_t)attr->pin;
    if (pi_load_relaxed(&ex->phase) != PI_RUNNING) /* after word: (E) of closing.h */
        pi_store_relaxed(&task->cancels, 1u);
    if (attr->eager && worker && worker->fiber && (!task->pin || task->pin - 1u == worker->index) &&
        pi_worker_start_eagerly(worker, task, out))
        return 0;
    int rc = enqueue(ex, worker, task);
    if (rc < 0)
        pi_task_free(&ex->pool, cache, task, kind);
    else if (out)
        *out = task;
    return rc;
}

int pi_spawn(pica_executor *ex, pi_worker *worker, pica_scope *group, pica_task **place,
             pica_task **out, pica_fn fn, void *arg, const pica_attr *attr, const char *site)
{
    pica_attr checked;
    if (!fn)
        return -EINVAL;
    int rc = check_attr(ex, attr, &checked);
    if (rc < 0)
        return rc;
    if (checked.copy_size && !arg)
        return -EINVAL;
    return spawn(ex, worker, group, place, out, fn, arg, &checked, site, 0);
}

int pi_spawn_main(pica_executor *ex, pica_task **out, pica_fn fn, void *arg)
{
    pica_attr attr = PICA_ATTR_INIT;
    attr.name = "main";
    return spawn(ex, NULL, NULL, NULL, out, fn, arg, &attr, "pica_run()", PI_TASK_MAIN);
}
