/* SPDX-License-Identifier: MIT */
/* starved.c: see starved.h. */
#include "executor/sched/starved.h"

#include "executor/base/clock.h"
#include "executor/sched/drop.h"

/* So many end at a time, before the worker looks at other things. */
#define BATCH 64

/* ---- the queues; all under the mutex ---- */

static void count(pica_executor *ex, uint32_t more)
{
    pi_store_relaxed(&ex->starved, ex->starved + more);
}

static void put_last(pi_starving *queue, pica_task *task)
{
    task->next = NULL;
    if (queue->last)
        queue->last->next = task;
    else
        pi_store_relaxed(&queue->first, task);
    queue->last = task;
}

static pica_task *take_first(pica_executor *ex, pi_starving *queue)
{
    pica_task *task = queue->first;
    if (task) {
        pi_store_relaxed(&queue->first, task->next);
        if (!task->next)
            queue->last = NULL;
        task->next = NULL;
        count(ex, -1u);
    }
    return task;
}

/* ---- those that end without a stack ---- */

/* [mutex] The time that counts, coarse. It may come round. */
static uint32_t clock_ms(const pica_executor *ex)
{
    return (uint32_t)(ex->starved_clock_ns / 1000000);
}

/* [mutex] Somebody tries; perhaps another one did who has read the clock later. */
static void tick(pica_executor *ex, int64_t now_ns)
{
    ex->starved_clock_ns += pi_starved_counts_ns(now_ns - ex->starved_tried_ns);
    if (ex->starved_tried_ns < now_ns)
        ex->starved_tried_ns = now_ns;
}

/* [mutex] For so long it has waited, and nobody like it has got a stack? */
static bool is_hopeless(const pica_executor *ex, const pi_starving *queue, const pica_task *task)
{
    return clock_ms(ex) - task->starved > PI_STARVED_PATIENCE_MS &&
           clock_ms(ex) - queue->came_ms > PI_STARVED_PATIENCE_MS;
}

static void end(pi_worker *worker, pica_task *task, intptr_t result)
{
    pi_drop_unstarted(task);
    pi_task_finish(worker, task, result, false);
}

/* Those in front, as they have waited longest. @return whether there may be more of them */
static bool end_hopeless(pi_worker *worker, pi_starving *queue)
{
    pica_executor *ex = worker->ex;
    for (unsigned i = 0; i < BATCH; i++) {
        pica_task *task = NULL;
        pthread_mutex_lock(&ex->inject_mutex);
        if (queue->first && is_hopeless(ex, queue, queue->first))
            task = take_first(ex, queue);
        pthread_mutex_unlock(&ex->inject_mutex);
        if (!task)
            return false;
        end(worker, task, -ENOMEM);
    }
    return true;
}

/* (C) Those that need not start, wherever they are: they take their turn, and end if there is no
 * stack again. */
static void let_go_cancelled(pica_executor *ex, pi_starving *queue)
{
    pica_task *due = NULL, **due_end = &due, *before = NULL, *task, *next;
    pthread_mutex_lock(&ex->inject_mutex);
    for (task = queue->first; task; task = next) {
        next = task->next;
        if (!pi_drop_is_due(task)) {
            before = task;
            continue;
        }
        if (before)
            before->next = next;
        else
            pi_store_relaxed(&queue->first, next);
        if (!next)
            queue->last = before;
        count(ex, -1u);
        *due_end = task;
        due_end = &task->next;
    }
    *due_end = NULL;
    pthread_mutex_unlock(&ex->inject_mutex);
    while ((task = due)) {
        due = task->next;
        task->next = NULL;
        task->starved = 0;
        pi_worker_ready(task);
    }
}

/* ---- coming and going ---- */

__attribute__((noinline, cold)) void pi_starved_add_slow(pi_worker *worker, pica_task *task)
{
    pica_executor *ex = worker->ex;
    int64_t now = pi_now();
    pthread_mutex_lock(&ex->inject_mutex);
    tick(ex, now);
    task->starved = clock_ms(ex);
    bool first = ex->starved == 0;
    if (first) /* later ones must not put it off again and again */
        worker->retry_ns = now + PI_STARVED_RETRY_NS;
    count(ex, 1);
    pi_fence_seq_cst(); /* (A) */
    bool drop = pi_drop_is_due(task);
    if (drop)
        count(ex, -1u);
    else
        put_last(&ex->starving[pi_task_stack_class(task)], task);
    pthread_mutex_unlock(&ex->inject_mutex);
    if (drop) {
        end(worker, task, -ECANCELED);
        return;
    }
    /* Who sleeps since before that has set no alarm; all others try of themselves. */
    for (uint32_t i = 0; first && i < pi_executor_seats(ex); i++)
        if (i != worker->index && pi_idle_claim(&ex->idle, i))
            pi_executor_wake(ex, (int)i);
}

__attribute__((noinline, cold)) bool pi_starved_feed_slow(pi_worker *worker, unsigned class)
{
    pica_executor *ex = worker->ex;
    pi_starving *queue = &ex->starving[class];
    if (!pi_load_relaxed(&queue->first))
        return false;
    pi_fiber *fiber = pi_fiber_get(worker, class);
    if (!fiber)
        return false;
    pthread_mutex_lock(&ex->inject_mutex);
    pica_task *task = take_first(ex, queue);
    if (task)
        queue->came_ms = clock_ms(ex);
    pthread_mutex_unlock(&ex->inject_mutex);
    if (!task) { /* another worker was quicker */
        pi_fiber_put(worker, fiber);
        return false;
    }
    task->starved = 0;
    pi_fiber_bind(fiber, task, !(worker->flags & PICA_NO_INLINE));
    pi_worker_ready(task);
    return true;
}

__attribute__((noinline, cold)) void pi_starved_retry_slow(pi_worker *worker)
{
    pica_executor *ex = worker->ex;
    int64_t now = pi_now();
    if (now < worker->retry_ns)
        return;
    bool more = false;
    pthread_mutex_lock(&ex->inject_mutex);
    tick(ex, now);
    pthread_mutex_unlock(&ex->inject_mutex);
    bool cancelled = pi_load_relaxed(&ex->starved_cancelled) &&
                     pi_xchg_acquire(&ex->starved_cancelled, 0u);
    for (unsigned class = 0; class < PI_STACK_CLASSES; class++) {
        pi_starving *queue = &ex->starving[class];
        if (cancelled)
            let_go_cancelled(ex, queue);
        if (pi_load_relaxed(&queue->first))
            more |= pi_starved_feed_slow(worker, class) || end_hopeless(worker, queue);
    }
    worker->retry_ns = more ? 0 : now + PI_STARVED_RETRY_NS;
}
