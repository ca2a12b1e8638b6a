/* SPDX-License-Identifier: MIT */
/* task.c: the transitions of a task's word. The letters refer to task.h. */
#include "executor/sched/task.h"

#include "executor/base/assert.h"
#include "executor/base/line.h"
#include "executor/sched/exception.h"
#include "executor/sched/executor.h"
#include "executor/sched/winners.h"

#include <unistd.h>

static inline uint32_t refs(uint32_t word)
{
    return word / PI_TASK_REF;
}

/* [LOCK] @return the word as it was, LOCK not set */
static uint32_t lock(pica_task *task)
{
    for (unsigned rounds = 0;; rounds++) {
        uint32_t word = pi_load_relaxed(&task->word);
        if (!(word & PI_TASK_LOCK) &&
            pi_cas_acquire(&task->word, &word, word | PI_TASK_LOCK))
            return word;
        pi_spin_wait(rounds);
    }
}

bool pi_task_wait_link(pica_task *task, pi_waiter *waiter)
{
    pi_require(refs(pi_load_relaxed(&task->word)) > 0, "a wait for a task that nobody holds");
    if (pi_task_done(task))
        return false;
    uint32_t word = lock(task);
    if (word & PI_TASK_DONE) {
        pi_and_release(&task->word, ~PI_TASK_LOCK);
        return false;
    }
    waiter->prev = NULL;
    waiter->next = task->waiters;
    if (waiter->next)
        waiter->next->prev = waiter;
    task->waiters = waiter;
    /* (D) LOCK goes and WAITERS comes in one step; refs may change meanwhile. */
    pi_add_release(&task->word, (word & PI_TASK_WAITERS ? 0 : PI_TASK_WAITERS) - PI_TASK_LOCK);
    return true;
}

void pi_task_wait_unlink(pica_task *task, pi_waiter *waiter)
{
    uint32_t word = lock(task);
    if (!(word & PI_TASK_DONE)) { /* else the end has emptied the list */
        if (waiter->next)
            waiter->next->prev = waiter->prev;
        if (waiter->prev)
            waiter->prev->next = waiter->next;
        else
            task->waiters = waiter->next;
    }
    bool empty = !(word & PI_TASK_DONE) && !task->waiters;
    pi_sub_release(&task->word,
                   (empty && (word & PI_TASK_WAITERS) ? PI_TASK_WAITERS : 0) + PI_TASK_LOCK);
}

__attribute__((noinline, cold)) void pi_task_look_again(pica_task *task)
{
    pi_winners winners = PI_WINNERS_NONE;
    (void)lock(task);
    for (pi_waiter *waiter = task->waiters; waiter; waiter = waiter->next)
        if (!waiter->data)
            (void)pi_winners_win(&winners, waiter->token, PI_CLOSED); /* it unlinks itself */
    pi_and_release(&task->word, ~PI_TASK_LOCK); /* (F) */
    pi_winners_go(winners);
}

void pi_task_await_done(const pica_task *task)
{
    for (unsigned rounds = 0; !pi_task_done(task); rounds++)
        pi_spin_wait(rounds);
}

/* A default hook, for programs that set none: a line on stderr. */
static void report_lost(const pica_lost_error *e)
{
    pi_line line;
    pi_line_begin(&line);
    pi_line_add(&line, "pica: ");
    pi_line_add_task(&line, e->id, e->name, e->site);
    pi_line_add(&line, ") failed and nobody looked: %s", pica_strerror(e->error));
    (void)pi_line_write(&line, STDERR_FILENO);
}

static __attribute__((noinline, cold)) void lost_slow(const pica_executor *ex,
                                                      const pica_task *task)
{
    pica_lost_error error = {.size = sizeof(error),
                             .id = task->id,
                             .name = pi_task_name(task),
                             .site = task->site,
                             .error = task->result};
    pi_fiber *fiber = pi_hook_begin();
    if (ex->on_lost_error) {
        PI_NO_EXCEPTION_PASSES();
        ex->on_lost_error(ex->hook_arg, &error);
    } else {
        report_lost(&error);
    }
    pi_hook_end(fiber);
}

void pi_task_forget(pica_task *task, void *ex)
{
    if (pi_task_done(task) && pi_task_is_lost(task)) {
        pi_store_relaxed(&task->observed, (uint8_t)1); /* the hook may drop its last handle */
        lost_slow(ex, task);
    }
}

/* The last reference is gone. */
static void dispose(pica_task *task)
{
    pica_executor *ex = pi_task_executor(task);
    if (PI_UNLIKELY(pi_task_is_lost(task)))
        lost_slow(ex, task);
    pi_worker *worker = pi_worker_self();
    pi_task_free(&ex->pool, worker && worker->ex == ex ? &worker->tasks : NULL, task,
                 task->flags & PI_TASK_COPIES);
}

void pi_task_ref(pica_task *task)
{
    uint32_t old = pi_add_relaxed(&task->word, PI_TASK_REF);
    pi_require(refs(old) > 0 && old < PI_TASK_REFS_MAX,
               "pica_ref() of a task that nobody holds (or 2^29 references)");
}

void pi_task_unref_slow(pica_task *task)
{
    uint32_t word = pi_load_acquire(&task->word);
    if (word == (PI_TASK_DONE | PI_TASK_REF)) {
        dispose(task); /* ended, and nobody else can hold it */
        return;
    }
    pi_require(refs(word) > (word & PI_TASK_DONE ? 0u : 1u),
               "pica_unref() of a task that the caller does not hold");
    uint32_t old = pi_sub_acq_rel(&task->word, PI_TASK_REF);
    if (refs(old) == 1)
        dispose(task);
}

/* [LOCK] */
static void tell(pica_task *task, pi_waiter *waiter, pi_winners *winners)
{
    pi_task_watch *watch = waiter->data;
    if (watch)
        watch->ended(watch, task, winners);
    else
        (void)pi_winners_win(winners, waiter->token, PI_WOKEN);
}

/* (C) */
static __attribute__((noinline)) void end_slow(pica_task *task)
{
    pi_winners winners = PI_WINNERS_NONE;
    uint32_t word = lock(task);
    pi_waiter *waiter = task->waiters;
    task->waiters = NULL;
    while (waiter && waiter->next)
        waiter = waiter->next;
    while (waiter) { /* who came first goes first */
        pi_waiter *before = waiter->prev; /* the waiter is gone once its wait has ended */
        tell(task, waiter, &winners);
        waiter = before;
    }
    uint32_t flags = PI_TASK_LOCK + (word & PI_TASK_WAITERS);
    uint32_t old = pi_add_acq_rel(&task->word, PI_TASK_DONE - flags - PI_TASK_REF);
    if (refs(old) == 1)
        dispose(task);
    pi_winners_go(winners);
}

void pi_task_end(pica_task *task, intptr_t result)
{
    task->result = result;
    uint32_t word = pi_load_relaxed(&task->word);
    while (!(word & (PI_TASK_WAITERS | PI_TASK_LOCK))) {
        if (pi_cas_acq_rel(&task->word, &word, (word - PI_TASK_REF) | PI_TASK_DONE)) { /* (A) */
            if (refs(word) == 1)
                dispose(task);
            return;
        }
    }
    end_slow(task);
}
