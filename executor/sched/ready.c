/* SPDX-License-Identifier: MIT */
/* ready.c: how a ready task gets to the worker that will run it. See ready.h. */
#include "executor/sched/ready.h"

#include "executor/base/clock.h"
#include "executor/sched/drop.h"
#include "executor/sched/executor.h"

static void push_pinned(pi_worker *worker, pica_task *task)
{
    task->next = NULL;
    *worker->pinned_tail = task;
    worker->pinned_tail = &task->next;
}

pica_task *pi_ready_pop_pinned(pi_worker *worker)
{
    pica_task *task = worker->pinned_head;
    if (task) {
        worker->pinned_head = task->next;
        if (!worker->pinned_head)
            worker->pinned_tail = &worker->pinned_head;
        task->next = NULL;
    }
    return task;
}

/* To another worker, which alone will run it. Any thread. */
static void post(pica_executor *ex, uint32_t to, pica_task *task)
{
    pi_store_relaxed(&task->home, PI_NO_HOME);
    pi_upmc_push(&ex->workers[to].mailbox, (pi_stack_entry *)(void *)&task->next);
    if (pi_idle_claim(&ex->idle, to))
        pi_executor_wake(ex, (int)to);
}

/* All under the mutex, the wake too: as soon as it is free, the task may have ended, and with it
 * the executor. */
void pi_worker_inject(pica_executor *ex, pica_task *task)
{
    pthread_mutex_lock(&ex->inject_mutex);
    if (task->pin) {
        post(ex, task->pin - 1u, task);
    } else {
        pi_store_relaxed(&task->home, PI_NO_HOME);
        task->next = NULL;
        *ex->inject_tail = task;
        ex->inject_tail = &task->next;
        pi_store_relaxed(&ex->inject_length, ex->inject_length + 1);
        pi_executor_wake(ex, pi_idle_submitted(&ex->idle));
    }
    pthread_mutex_unlock(&ex->inject_mutex);
}

/* Take one task from the inject queue, and a fair share of the rest into the own deque. */
__attribute__((noinline)) pica_task *pi_ready_take_injected(pi_worker *worker)
{
    pica_executor *ex = worker->ex;
    pthread_mutex_lock(&ex->inject_mutex);
    uint32_t length = ex->inject_length;
    uint32_t share = length / pi_load_relaxed(&ex->workers_count) + 1;
    share = share > 64 ? 64 : share < length ? share : length;
    pica_task *first = ex->inject_head;
    for (uint32_t i = 0; i < share; i++)
        ex->inject_head = ex->inject_head->next;
    if (!ex->inject_head)
        ex->inject_tail = &ex->inject_head;
    pi_store_relaxed(&ex->inject_length, length - share);
    pthread_mutex_unlock(&ex->inject_mutex);
    bool several = share > 1;
    for (pica_task *task = share ? first->next : NULL; share > 1; share--) {
        pica_task *next = task->next;
        task->next = NULL;
        if (pi_worker_push(worker, task) < 0)
            pi_worker_inject(ex, task); /* at the end again, but not lost */
        task = next;
    }
    if (several) /* who sleeps looks here now; the first may run for long */
        pi_executor_wake(ex, pi_idle_submitted(&ex->idle));
    if (first)
        first->next = NULL;
    return first;
}

__attribute__((noinline)) void pi_ready_take_mailbox(pi_worker *worker)
{
    pi_stack_entry *entry = pi_upmc_take_all(&worker->mailbox);
    while (entry) {
        pi_stack_entry *next = entry->next;
        push_pinned(worker, (pica_task *)(void *)((char *)entry - offsetof(pica_task, next)));
        entry = next;
    }
}

/* PICA_FORCE_MIGRATION: somewhere else, each time. @return false: there is nowhere else */
static bool migrate(pi_worker *worker, pica_task *task)
{
    uint32_t n = worker->ex->workers_min; /* which never rest */
    if (n < 2)
        return false;
    worker->migrate = (worker->migrate + 1) % (n - 1);
    post(worker->ex, (worker->index + 1 + worker->migrate) % n, task);
    return true;
}

void pi_worker_ready(pica_task *task)
{
    pi_worker *worker = pi_worker_self();
    pica_executor *ex = pi_task_executor(task);
    if (PI_UNLIKELY(!worker || worker->ex != ex)) {
        pi_worker_inject(ex, task);
        return;
    }
    if (PI_UNLIKELY(task->pin)) {
        pi_worker_push_pinned(worker, task);
        return;
    }
    if (PI_UNLIKELY(worker->flags & PICA_FORCE_MIGRATION) && migrate(worker, task))
        return;
    if (PI_UNLIKELY(pi_worker_push(worker, task) < 0))
        pi_worker_inject(ex, task);
}

void pi_worker_push_pinned(pi_worker *worker, pica_task *task)
{
    if (task->pin - 1u == worker->index)
        push_pinned(worker, task);
    else
        post(worker->ex, task->pin - 1u, task);
}

/* ---- without a stack ---- */

/* No stack for a task: it waits until a fiber is put away, which then is its. Besides, idle
 * workers try again every RETRY_NS, first of all those that have free stacks in their own caches.
 * When for so long nobody who waited has got a stack of its size, because it is the last thing
 * that can be done, the task ends with -ENOMEM, its function never called
 * (docs/decisions/memory.md). Time in which nobody tried does not count: all workers, or the
 * process, were held up, and so was who would have given a stack back. One that may be dropped
 * and is cancelled needs none. */
#define RETRY_NS 10000000
#define PATIENCE_MS 1000u
#define HELD_MS 250u

/* A coarse time that is not 0. */
static uint32_t stamp(int64_t now_ns)
{
    return (uint32_t)(now_ns / 1000000) | PI_TASK_STARVED;
}

/* 0 also if it was stamped by somebody else after the caller had read the clock. */
static uint32_t ms_since(uint32_t then, uint32_t now)
{
    uint32_t ms = (now - then) % PI_TASK_STARVED;
    return ms < PI_TASK_STARVED - PATIENCE_MS ? ms : 0;
}

/* For so long it has waited, and nobody like it has got a stack? */
static bool is_hopeless(const pica_executor *ex, const pica_task *task, uint32_t now)
{
    uint32_t came = pi_load_relaxed(&ex->stack_came_ms[pi_task_stack_class(task)]);
    uint32_t held = pi_load_relaxed(&ex->starved_held_ms);
    return ms_since(task->starved, now) > PATIENCE_MS &&
           !(came && ms_since(came, now) <= PATIENCE_MS) &&
           !(held && ms_since(held, now) <= PATIENCE_MS);
}

/* Somebody tries: has nobody for long, though they do so every RETRY_NS? */
static void notice_held(pica_executor *ex, uint32_t now)
{
    uint32_t tried = pi_load_relaxed(&ex->starved_tried_ms);
    if (tried && ms_since(tried, now) > HELD_MS)
        pi_store_relaxed(&ex->starved_held_ms, now);
    pi_store_relaxed(&ex->starved_tried_ms, now);
}

__attribute__((noinline, cold)) void pi_ready_starve_slow(pi_worker *worker, pica_task *task)
{
    pica_executor *ex = worker->ex;
    int64_t now = pi_now();
    uint32_t now_ms = stamp(now);
    worker->retry_ns = now + RETRY_NS;
    if (!task->starved)
        task->starved = now_ms;
    notice_held(ex, now_ms);
    bool drop = pi_drop_is_due(task);
    if (drop || is_hopeless(ex, task, now_ms)) {
        pi_drop_unstarted(task);
        pi_task_finish(worker, task, drop ? -ECANCELED : -ENOMEM, false);
        return;
    }
    pthread_mutex_lock(&ex->inject_mutex);
    task->next = NULL;
    *ex->starved_tail = task;
    ex->starved_tail = &task->next;
    pi_store_relaxed(&ex->starved, ex->starved + 1);
    pthread_mutex_unlock(&ex->inject_mutex);
    for (uint32_t i = 0; i < pi_executor_seats(ex); i++)
        if (i != worker->index && pi_idle_claim(&ex->idle, i))
            pi_executor_wake(ex, (int)i);
}

__attribute__((noinline, cold)) void pi_ready_fed_slow(pi_worker *worker, pica_task *task)
{
    unsigned class = pi_task_stack_class(task);
    pi_store_relaxed(&worker->ex->stack_came_ms[class], stamp(pi_now()));
    task->starved = 0;
}

/* The first in the queue for a stack of this class. */
static pica_task *take_starved(pica_executor *ex, unsigned class)
{
    pica_task **at = &ex->starved_head, *task;
    pthread_mutex_lock(&ex->inject_mutex);
    while ((task = *at) && pi_task_stack_class(task) != class)
        at = &task->next;
    if (task) {
        *at = task->next;
        if (!*at)
            ex->starved_tail = at;
        pi_store_relaxed(&ex->starved, ex->starved - 1);
    }
    pthread_mutex_unlock(&ex->inject_mutex);
    return task;
}

__attribute__((noinline, cold)) void pi_ready_feed_slow(pi_worker *worker, unsigned class)
{
    pica_executor *ex = worker->ex;
    pica_task *task = take_starved(ex, class);
    if (!task)
        return;
    task->next = NULL;
    /* Bound at once, or a younger one, which is queued before it, would take the stack. */
    if (pi_worker_bind(worker, task))
        pi_worker_ready(task);
    else
        pi_ready_starve_slow(worker, task); /* another worker was quicker */
}

__attribute__((noinline, cold)) void pi_ready_retry_slow(pi_worker *worker)
{
    pica_executor *ex = worker->ex;
    worker->retry_ns = pi_now() + RETRY_NS;
    pthread_mutex_lock(&ex->inject_mutex);
    pica_task *task = ex->starved_head;
    ex->starved_head = NULL;
    ex->starved_tail = &ex->starved_head;
    pi_store_relaxed(&ex->starved, 0u);
    pthread_mutex_unlock(&ex->inject_mutex);
    while (task) {
        pica_task *next = task->next;
        task->next = NULL;
        /* Into the own deque: perhaps a free stack lies in this worker's cache. */
        if (task->pin || pi_worker_push(worker, task) < 0)
            pi_worker_ready(task);
        task = next;
    }
}
