/* SPDX-License-Identifier: MIT */
/* spawn.c: see spawn.h. */
#include "executor/sched/spawn.h"

#include "executor/base/assert.h"
#include "executor/sched/scope.h"

#include <string.h>

#define IDS 4096 /* numbers that a worker takes at a time */

static uint64_t next_id(pica_executor *ex, pi_worker *worker)
{
    if (!worker)
        return 1 + pi_add_relaxed(&ex->next_ids, UINT64_C(1));
    if (PI_UNLIKELY(worker->next_id == worker->last_id)) {
        worker->next_id = pi_add_relaxed(&ex->next_ids, (uint64_t)IDS);
        worker->last_id = worker->next_id + IDS;
    }
    return ++worker->next_id;
}

static int check_attr(const pica_executor *ex, const pica_attr *attr, pica_attr *out)
{
    memset(out, 0, sizeof(*out));
    if (attr->size < sizeof(size_t) || attr->size > 4096)
        return -EINVAL;
    memcpy(out, attr, attr->size < sizeof(*out) ? attr->size : sizeof(*out));
    if (out->copy_size > PICA_COPY_MAX || out->stack_size > PI_STACK_MAX ||
        pi_stack_class(out->stack_size) >= PI_STACK_CLASSES || out->pin > ex->workers_count)
        return -EINVAL;
    return 0;
}

/* Queue it. Counted first: it may end before the push has returned. */
static int enqueue(pica_executor *ex, pi_worker *worker, pica_task *task)
{
    if (PI_LIKELY(worker != NULL)) {
        pi_store_release(&worker->spawned, worker->spawned + 1);
        if (PI_UNLIKELY(pi_worker_enqueue_new(worker, task) < 0)) {
            pi_store_release(&worker->ended, worker->ended + 1);
            return -ENOMEM;
        }
        return 0;
    }
    pi_add_seq_cst(&ex->foreign_spawned, UINT64_C(1));
    pi_fence_after_rmw(); /* counted before we look; partner: pica_executor_shutdown() */
    if (pi_load_seq_cst(&ex->phase) != PI_RUNNING) {
        pi_add_seq_cst(&ex->foreign_undone, UINT64_C(1));
        pi_executor_task_ended(ex);
        return -ESHUTDOWN;
    }
    pi_worker_inject(ex, task);
    return 0;
}

static inline __attribute__((always_inline)) int spawn(pica_executor *ex, pi_worker *worker,
                                                       pica_scope *group, pica_task **out,
                                                       pica_fn fn, void *arg,
                                                       const pica_attr *attr, const char *site,
                                                       uint8_t flags)
{
    pi_task_cache *cache = worker ? &worker->tasks : NULL;
    unsigned kind = attr && attr->copy_size ? 1 : 0;
    pica_task *task = pi_task_alloc(&ex->pool, cache, kind);
    if (PI_UNLIKELY(!task))
        return -ENOMEM;
    task->pin = attr ? (uint16_t)attr->pin : 0;
    task->fn = fn;
    task->arg = arg;
    if (kind)
        task->arg = memcpy(pi_task_copy(task), arg, attr->copy_size);
    task->result = 0;
    pi_store_relaxed(&task->fiber, (pi_fiber *)NULL);
    task->scope = NULL;
    task->waiters = NULL;
    task->next = NULL;
    pi_store_relaxed(&task->group, group);
    pi_store_relaxed(&task->cancels, 0u);
    pi_store_relaxed(&task->level, (uint16_t)0);
    task->flags = (uint8_t)(flags | (kind ? PI_TASK_COPIES : 0) | (group ? PI_TASK_MEMBER : 0));
    pi_store_relaxed(&task->observed, (uint8_t)0);
    task->id = next_id(ex, worker);
    task->parent = worker && worker->fiber ? worker->fiber->current->id : 0;
    task->site = site;
    task->name = attr ? attr->name : NULL;
    task->stack_class = (uint8_t)(attr && attr->stack_size ? pi_stack_class(attr->stack_size)
                                                           : ex->stack_class);
    task->outer_delivered = false;
    task->starved = 0;
    pi_store_release(&task->word, out ? 2 * PI_TASK_REF : PI_TASK_REF);
    pi_store_release(&task->live, (uint8_t)1); /* pairs with pi_pool_each() */
    if (PI_UNLIKELY(pi_load_relaxed(&ex->phase) != PI_RUNNING)) /* after live, see close_again */
        pi_add_relaxed(&task->cancels, 1u);
    int rc = enqueue(ex, worker, task);
    if (PI_UNLIKELY(rc < 0)) {
        pi_task_free(&ex->pool, cache, task, kind);
        return rc;
    }
    if (out)
        *out = task;
    return 0;
}

static __attribute__((noinline)) int spawn_slow(pica_executor *ex, pi_worker *worker,
                                                pica_scope *group, pica_task **out, pica_fn fn,
                                                void *arg, const pica_attr *attr, const char *site)
{
    pica_attr checked = PICA_ATTR_INIT;
    if (attr) {
        int rc = check_attr(ex, attr, &checked);
        if (rc < 0)
            return rc;
    }
    return spawn(ex, worker, group, out, fn, arg, &checked, site, 0);
}

int pi_spawn(pica_executor *ex, pi_worker *worker, pica_scope *group, pica_task **out, pica_fn fn,
             void *arg, const pica_attr *attr, const char *site)
{
    if (PI_UNLIKELY(!fn))
        return -EINVAL;
    if (PI_LIKELY(!attr && worker))
        return spawn(ex, worker, group, out, fn, arg, NULL, site, 0);
    return spawn_slow(ex, worker, group, out, fn, arg, attr, site);
}

int pi_spawn_main(pica_executor *ex, pica_task **out, pica_fn fn, void *arg)
{
    pica_attr attr = PICA_ATTR_INIT;
    attr.name = "main";
    return spawn(ex, NULL, NULL, out, fn, arg, &attr, "pica_run()", PI_TASK_MAIN);
}
