/* SPDX-License-Identifier: MIT */
/* starved.c: see starved.h. */
#include "executor/sched/starved.h"

#include "executor/base/clock.h"
#include "executor/sched/awaited.h"
#include "executor/sched/drop.h"
#include "executor/sched/loop.h"

/* So many end at a time, before the worker looks at other things. */
#define BATCH 64

/* ---- the queues; all under the mutex ---- */

static void count(pica_executor *ex, uint32_t more)
{
    pi_store_relaxed(&ex->starved, ex->starved + more);
}

/* Who is before a task is noted where a deque would note its slot. To others that is a hint: who
 * claims by this one finds some entry of a deque, or none, but not this task. */
static pica_task *before(const pica_task *task)
{
    return (pica_task *)(intptr_t)pi_load_relaxed(&task->node.slot);
}

static void set_before(pica_task *task, pica_task *before)
{
    pi_store_relaxed(&task->node.slot, (int64_t)(intptr_t)before);
}

static pi_starving *queue_of(pica_executor *ex, const pica_task *task)
{
    return &ex->starving[pi_task_stack_class(task)];
}

static void put_last(pica_executor *ex, pica_task *task)
{
    pi_starving *queue = queue_of(ex, task);
    task->next = NULL;
    set_before(task, queue->last);
    if (queue->last)
        queue->last->next = task;
    else
        pi_store_relaxed(&queue->first, task);
    queue->last = task;
    pi_store_relaxed(&task->home, (uint16_t)PI_HOME_STARVED);
    count(ex, 1);
}

static void take_out(pica_executor *ex, pica_task *task)
{
    pi_starving *queue = queue_of(ex, task);
    pica_task *next = task->next;
    if (before(task))
        before(task)->next = next;
    else
        pi_store_relaxed(&queue->first, next);
    if (next)
        set_before(next, before(task));
    else
        queue->last = before(task);
    task->next = NULL;
    task->starved = 0;
    pi_store_relaxed(&task->home, (uint16_t)PI_NO_HOME);
    count(ex, -1u);
}

/* [mutex] The time that counts, coarse. It may come round. */
static uint32_t clock_ms(const pica_executor *ex)
{
    return (uint32_t)(ex->starved_clock_ns / 1000000);
}

/* There is a stack for it: nobody like it is given up for a while. */
static void take_out_to_run(pica_executor *ex, pica_task *task)
{
    queue_of(ex, task)->came_ms = clock_ms(ex);
    take_out(ex, task);
}

/* ---- those that end without a stack ---- */

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
    pi_loop_end_search(worker); /* on_drop may take its time */
    pi_drop_unstarted(task);
    pi_task_finish(worker, task, result, false);
}

/* Those in front, as they have waited longest. @return whether there may be more of them */
static bool end_hopeless(pi_worker *worker, pi_starving *queue)
{
    pica_executor *ex = worker->ex;
    for (unsigned i = 0; i < BATCH; i++) {
        pthread_mutex_lock(&ex->inject_mutex);
        pica_task *task = queue->first;
        if (task && is_hopeless(ex, queue, task))
            take_out(ex, task);
        else
            task = NULL;
        pthread_mutex_unlock(&ex->inject_mutex);
        if (!task)
            return false;
        end(worker, task, -ENOMEM);
    }
    return true;
}

/* It takes its turn, and ends if there is no stack again. */
__attribute__((noinline, cold)) void pi_starved_cancelled_slow(pica_task *task)
{
    pica_executor *ex = pi_task_executor(task);
    pthread_mutex_lock(&ex->inject_mutex);
    bool drop = pi_is_starved(task) && pi_drop_is_due(task);
    if (drop)
        take_out(ex, task);
    pthread_mutex_unlock(&ex->inject_mutex);
    if (drop)
        pi_worker_ready(task);
}

/* ---- coming and going ---- */

/* [mutex] Has the owner of its group come to the end, it looks once more. */
static void tell_owner(const pica_task *task, pi_won *won)
{
    if (!(task->flags & PI_TASK_MEMBER))
        return;
    const pica_scope *group = pi_load_relaxed(&task->group);
    const pica_task *owner = group->owner;
    pi_fiber *fiber = pi_load_relaxed(&owner->fiber); /* since before it spawned any member */
    if (task->pin || !fiber->may_inline || pi_task_stack_class(task) > fiber->class)
        return; /* it never could run there: the owner would look at all its members in vain */
    uint64_t word = pi_load_acquire(&fiber->wait.word);
    pi_awaited awaited;
    (void)pi_awaited_read(fiber, word, &awaited); /* whether it stands still, the swap will tell */
    if (awaited.what == PI_FOR_MEMBERS && awaited.which == (uintptr_t)group)
        (void)pi_wait_win((pi_token){&fiber->wait, pi_wait_as(word, PI_WAITING)}, PI_CLOSED, won);
}

__attribute__((noinline, cold)) void pi_starved_add_slow(pi_worker *worker, pica_task *task)
{
    pica_executor *ex = worker->ex;
    int64_t now = pi_now();
    pi_task_ref(task); /* as soon as the mutex is free, it may end */
    pthread_mutex_lock(&ex->inject_mutex);
    tick(ex, now);
    task->starved = clock_ms(ex);
    bool first = ex->starved == 0;
    if (first) /* later ones must not put it off again and again */
        worker->retry_ns = now + PI_STARVED_RETRY_NS;
    put_last(ex, task);
    pi_fence_seq_cst(); /* (A) */
    bool drop = pi_drop_is_due(task);
    pi_won owner = {NULL, NULL};
    if (drop)
        take_out(ex, task);
    else
        tell_owner(task, &owner);
    pthread_mutex_unlock(&ex->inject_mutex);
    if (drop)
        end(worker, task, -ECANCELED);
    else
        pi_task_look_again(task);
    pi_wait_go(owner);
    pi_task_unref_slow(task);
    if (drop)
        return;
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
    pica_task *task = queue->first;
    if (task)
        take_out_to_run(ex, task);
    pthread_mutex_unlock(&ex->inject_mutex);
    if (!task) { /* another worker was quicker */
        pi_fiber_put(worker, fiber);
        return false;
    }
    pi_fiber_bind(fiber, task, !(worker->flags & PICA_NO_INLINE));
    pi_worker_ready(task);
    return true;
}

__attribute__((noinline, cold)) bool pi_starved_claim(pica_task *task)
{
    pica_executor *ex = pi_task_executor(task);
    pthread_mutex_lock(&ex->inject_mutex);
    bool here = pi_is_starved(task);
    if (here)
        take_out_to_run(ex, task);
    pthread_mutex_unlock(&ex->inject_mutex);
    return here;
}

__attribute__((noinline, cold)) bool pi_starved_claim_member(pica_task *task,
                                                             const pica_scope *group, size_t room)
{
    pica_executor *ex = pi_task_executor(task);
    pthread_mutex_lock(&ex->inject_mutex);
    bool may = pi_is_starved(task) && pi_load_relaxed(&task->group) == group && !task->pin &&
               pi_stack_class_size(pi_task_stack_class(task)) <= room;
    if (may)
        take_out_to_run(ex, task);
    pthread_mutex_unlock(&ex->inject_mutex);
    return may;
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
    for (unsigned class = 0; class < PI_STACK_CLASSES; class++) {
        pi_starving *queue = &ex->starving[class];
        if (pi_load_relaxed(&queue->first))
            more |= pi_starved_feed_slow(worker, class) || end_hopeless(worker, queue);
    }
    worker->retry_ns = more ? 0 : now + PI_STARVED_RETRY_NS;
}
