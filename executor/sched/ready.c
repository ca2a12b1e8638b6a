/* SPDX-License-Identifier: MIT */
/* ready.c: how a ready task gets to the worker that will run it. See ready.h. */
#include "executor/sched/ready.h"

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
