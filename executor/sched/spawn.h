/* SPDX-License-Identifier: MIT */
/* spawn.h: making a task. */
#ifndef PI_SPAWN_H
#define PI_SPAWN_H

#include "executor/sched/executor.h"
#include "executor/sched/scope.h"

#include <string.h>

/**
 * Make a task and queue it: every case.
 *
 * @param ex      where
 * @param worker  the caller's, of the same executor; NULL: the caller is a stranger to it
 * @param group   the scope of the group that it is a member of, or NULL
 * @param place   where to note the member before it is queued, or NULL
 * @param out     NULL, or where to put a handle with one reference
 * @return 0; -ENOMEM, -EINVAL, -ESHUTDOWN (strangers alone): nothing has happened
 */
int pi_spawn(pica_executor *ex, pi_worker *worker, pica_scope *group, pica_task **place,
             pica_task **out, pica_fn fn, void *arg, const pica_attr *attr, const char *site);

/** pica_run()'s task: its end closes the executor. */
int pi_spawn_main(pica_executor *ex, pica_task **out, pica_fn fn, void *arg);

/** Fill in a task but for id and parent. Its word comes last: then it exists. Fields that
 *  strangers may read by atomics (pi_pool_each() gives them tasks of the past, too) are zeroed
 *  in blocks with their neighbours; all that is read before the word says "exists" is
 *  re-checked after. */
static inline void pi_spawn_fill(pica_task *task, pica_scope *group, pica_task **place, pica_fn fn,
                                 void *arg, const char *site, unsigned flags, uint32_t references)
{
    memset(&task->result, 0, offsetof(pica_task, scope) - offsetof(pica_task, result));
    memset(&task->scope, 0, offsetof(pica_task, id) - offsetof(pica_task, scope));
    memset(&task->name, 0, offsetof(pica_task, cancelling) - offsetof(pica_task, name));
    task->pin = 0;
    task->fn = fn;
    pi_store_relaxed(&task->arg, arg);
    task->flags = (uint8_t)flags;
    if (group) {
        pi_store_relaxed(&task->group, group);
        if (place)
            pi_store_release(place, task); /* partner: interrupt_noted() */
    }
    task->site = site;
    pi_store_release(&task->word, references * PI_TASK_REF); /* pairs with pi_pool_each() */
}

/** Copy an argument of at most PICA_COPY_MAX bytes without a call. */
static inline void *pi_spawn_copy(pica_task *task, const void *arg, size_t size)
{
    char *to = pi_task_copy(task);
    const char *from = arg;
    size_t i = 0;
    for (; i + 8 <= size; i += 8)
        __builtin_memcpy(to + i, from + i, 8);
    for (; i < size; i++)
        to[i] = from[i];
    return to;
}

/**
 * The common case, which calls nothing: from a task, without attributes, perhaps with a copied
 * argument, everything at hand.
 *
 * @return false: something is not; nothing has happened, take the general way. true: done; the
 * caller returns pi_spawn_done()
 */
static inline __attribute__((always_inline)) bool
pi_spawn_fast(pi_worker *worker, pica_scope *group, pica_task **place, pica_task **out, pica_fn fn,
              const void *arg, size_t copy_size, const char *site)
{
    unsigned kind = copy_size ? PI_TASK_COPIES : 0;
    if (PI_UNLIKELY(!worker || !fn))
        return false;
    pi_fiber *fiber = worker->fiber;
    pica_task *task = worker->tasks.free[kind];
    uint64_t id = worker->next_id;
    if (PI_UNLIKELY(!fiber || !task || id == worker->last_id ||
                    !pi_deque_has_room(&worker->deque)))
        return false;
    pica_task *next = task->next;
    worker->tasks.free[kind] = next;
    worker->tasks.count[kind]--;
    /* Free tasks mostly lie in a row, one way or the other: a few steps ahead. */
    uintptr_t ahead = (uintptr_t)next + 4 * ((uintptr_t)next - (uintptr_t)task);
    __builtin_prefetch((const void *)ahead, 1);
    __builtin_prefetch((const void *)(ahead + PI_CACHE_LINE), 1);
    pi_task_acquired(task);
    worker->next_id = id + 1;
    pi_store_relaxed(&task->id, id + 1);
    task->parent = fiber->current->id;
    void *argument = copy_size ? pi_spawn_copy(task, arg, copy_size) : (void *)(uintptr_t)arg;
    pi_spawn_fill(task, group, place, fn, argument, site,
                  worker->default_flags | (group ? PI_TASK_MEMBER : 0u) | kind, out ? 2 : 1);
    if (PI_UNLIKELY(pi_load_relaxed(&worker->ex->draining)) && /* after word: (E) of closing.h */
        pi_load_relaxed(&worker->ex->phase) != PI_RUNNING)
        pi_store_relaxed(&task->cancels, 1u); /* no zero, over what the walk has added */
    if (out)
        *out = task;
    /* Counted before it is queued: it may have ended when the push returns. */
    pi_store_relaxed(&worker->spawned, worker->spawned + 1);
    pi_store_relaxed(&task->home, (uint16_t)worker->index);
    pi_deque_push_room(&worker->deque, &task->node);
    return true;
}

/** After pi_spawn_fast(): perhaps somebody should come and help. @return 0 */
static inline int pi_spawn_done(pi_worker *worker)
{
    if (PI_UNLIKELY(pi_idle_wanted(worker->idle)) && pi_deque_size(&worker->deque) >= 2)
        return pi_worker_share_slow(worker);
    return 0;
}

#endif
