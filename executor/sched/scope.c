/* SPDX-License-Identifier: MIT */
/* scope.c: see scope.h. The public functions of pica/scope.h are here, too. */
#include "executor/sched/scope.h"

#include "executor/base/assert.h"
#include "executor/base/clock.h"
#include "executor/base/membarrier.h"
#include "executor/sched/executor.h"
#include "executor/sched/ignored.h"
#include "executor/sched/starved.h"

void pi_scope_open(pi_fiber *fiber, pica_scope *scope, int64_t deadline_ns, uint32_t flags)
{
    pica_task *task = fiber->current;
    pi_require(fiber->level < PI_WAIT_SHIELDED - 1, "too many scopes in each other");
    pi_require(task->scope != scope, "a scope or group was begun again inside of itself");
    scope->outer = task->scope;
    scope->deadline_ns = deadline_ns;
    pi_store_relaxed(&scope->flags, flags);
    scope->level = ++fiber->level;
    scope->floor = fiber->floor;
    scope->owner = task;
    if (flags & PI_SCOPE_SHIELD)
        fiber->floor = scope->level;
    fiber->deadlines += deadline_ns != PICA_NEVER;
    task->scope = scope;
}

void pi_scope_close(pi_fiber *fiber, pica_scope *scope)
{
    pica_task *task = fiber->current;
    pi_require(task->scope == scope && scope->owner == task,
               "a scope or group was ended that is not the innermost one of its task");
    task->scope = scope->outer;
    scope->owner = NULL;
    fiber->level--;
    /* A cancel from further out may have been delivered meanwhile; it is this task's now. */
    fiber->floor = task->flags & PI_TASK_DELIVERED && scope->floor < task->level ? task->level
                                                                       : scope->floor;
    fiber->deadlines -= scope->deadline_ns != PICA_NEVER;
    if (PI_UNLIKELY(pi_load_relaxed(&scope->flags) & (PI_SCOPE_EXPIRED | PI_SCOPE_CANCELLED)))
        pi_ignored_forget(fiber);
}

typedef enum verdict {
    OPEN,     /* nothing here; look further out */
    SHIELDED, /* nothing here, and nothing further out reaches here */
    CANCELLED
} verdict;

/* The scopes of one task. now is read at most once, and only where a scope has a deadline. */
static verdict judge(pica_task *task, int64_t *now)
{
    for (pica_scope *scope = task->scope; scope; scope = scope->outer) {
        uint32_t flags = pi_load_relaxed(&scope->flags);
        if (flags & (PI_SCOPE_EXPIRED | PI_SCOPE_CANCELLED))
            return CANCELLED;
        if (scope->deadline_ns != PICA_NEVER) {
            if (!*now)
                *now = pi_now();
            if (scope->deadline_ns <= *now) {
                pi_or_relaxed(&scope->flags, (uint32_t)PI_SCOPE_EXPIRED);
                return CANCELLED;
            }
        }
        if (flags & PI_SCOPE_SHIELD)
            return SHIELDED;
    }
    return pi_load_relaxed(&task->cancels) || pi_scope_group_cancelled(task) ? CANCELLED : OPEN;
}

/* A cancel of the task's waiter becomes one of the task, and of those it is waited for with. (Where
 * that cancels the task's group, it has it from there: each member has, on whatever stack.) */
static void deliver(pi_fiber *fiber, pica_task *task)
{
    task->flags |= PI_TASK_DELIVERED;
    for (pi_several *several = fiber->several; several; several = several->outer)
        if (several->waiter == task->outer)
            several->cancel(several);
    if (!pi_scope_group_cancelled(task))
        pi_add_relaxed(&task->cancels, 1u);
}

/* The walk: outwards until something is found, then delivered to all tasks further in. A loop,
 * since there may be thousands of tasks inline on a large stack. */
static bool chain_cancelled(pi_fiber *fiber)
{
    int64_t now = 0;
    pica_task *found = fiber->current;
    verdict v;
    while ((v = judge(found, &now)) == OPEN) {
        if (!found->outer || found->flags & PI_TASK_DELIVERED)
            return false;
        found = found->outer;
    }
    if (v == SHIELDED)
        return false;
    for (pica_task *task = fiber->current; task != found; task = task->outer)
        deliver(fiber, task);
    if (found != fiber->current && fiber->floor < fiber->current->level)
        fiber->floor = fiber->current->level;
    return true;
}

/* Is anything cancelled by somebody else, hidden by a shield or not? */
static bool anything_cancelled(const pica_task *task)
{
    for (; task; task = task->outer) {
        if (pi_load_relaxed(&task->cancels) || pi_scope_group_cancelled(task))
            return true;
        for (const pica_scope *scope = task->scope; scope; scope = scope->outer)
            if (pi_load_relaxed(&scope->flags) & PI_SCOPE_CANCELLED)
                return true;
    }
    return false;
}

bool pi_scopes_cancelled_slow(pi_fiber *fiber)
{
    if (pi_load_relaxed(&fiber->attention)) {
        /* Down first, then look: who sets it again in between is seen next time. */
        pi_store_relaxed(&fiber->attention, 0u);
        pi_fence_seq_cst();
        if (anything_cancelled(fiber->current))
            pi_store_relaxed(&fiber->attention, 1u);
    }
    return chain_cancelled(fiber);
}

int64_t pi_scopes_deadline(const pi_fiber *fiber)
{
    int64_t earliest = PICA_NEVER;
    for (const pica_task *task = fiber->current; task; task = task->outer) {
        for (const pica_scope *scope = task->scope; scope; scope = scope->outer) {
            if (scope->deadline_ns < earliest)
                earliest = scope->deadline_ns;
            if (pi_load_relaxed(&scope->flags) & PI_SCOPE_SHIELD)
                return earliest;
        }
        if (task->flags & PI_TASK_DELIVERED)
            break;
    }
    return earliest;
}

/* The flag is set before the fiber is looked for; a task that inlines another has set its fiber
 * before it looks at its flag (inline.h). One of the two sees the other if both fence. A worker
 * does not, where it takes tasks without an exchange (deque.h); then the canceller fences for
 * both, but only if it found no fiber: there is no other case that could go wrong. And not for a
 * task in its own queue. */
void pi_scope_fence(const pica_executor *ex)
{
    pi_worker *self = pi_worker_self();
    pi_fence_after_rmw();
    /* Alone it needs no fence; when it gets company, take_seats() in reserve.c fences for it. */
    if (ex->asymmetric && !(pi_executor_seats(ex) == 1 && self && self->ex == ex))
        pi_membarrier();
}

/* Does it lie in the caller's own queue? Then it has not started, and who takes it from there sees
 * its flag. A fence for all would take a thousand times as long. */
static bool lies_here(pica_task *task)
{
    pi_worker *self = pi_worker_self();
    return self && pi_deque_publish(&self->deque, &task->node);
}

void pi_scope_interrupt(pica_task *task, const pica_scope *group, uint16_t level, bool fenced)
{
    uint64_t id = pi_load_relaxed(&task->id);
    pi_fiber *fiber = pi_load_acquire(&task->fiber);
    if (!fiber && !fenced && !lies_here(task)) {
        pi_scope_fence(pi_task_executor(task)); /* partner: pi_inline_run() */
        fiber = pi_load_acquire(&task->fiber);
    }
    if (!fiber) { /* not started: it looks at the flag itself, if it can start */
        pi_starved_cancelled(task);
        return;
    }
    pi_xchg_seq_cst(&fiber->attention, 1u);
    pi_fence_after_rmw();
    uint64_t word = pi_load_acquire(&fiber->wait.word);
    /* The fiber is the task's, and so is the word, if the task has not ended or changed
     * hands since. If it did, the word has moved on, or the swap below would be a stranger's:
     * hence the look after the read. Whose wait the word is of has written that before it, so
     * the acquire above is enough. */
    uint32_t state = pi_load_relaxed(&task->word);
    if (state == 0 || (state & PI_TASK_DONE) || pi_load_relaxed(&task->fiber) != fiber ||
        (group && pi_load_relaxed(&task->group) != group) ||
        pi_load_relaxed(&task->id) != id)
        return;
    if (pi_wait_floor(word) > (level ? level : pi_load_relaxed(&task->level)))
        return; /* behind a shield */
    (void)pi_wait_end((pi_token){&fiber->wait, pi_wait_as(word, PI_WAITING)}, PI_CANCEL);
}

void pi_scope_cancel(pica_task *task)
{
    /* An uncancel waits for the calls under way: one that is late would end a wait that began
     * after the cancel was taken back. */
    pi_add_seq_cst(&task->cancelling, 1u);
    pi_add_seq_cst(&task->cancels, 1u);
    pi_scope_interrupt(task, NULL, 0, false);
    pi_sub_release(&task->cancelling, 1u);
}

void pi_scope_interrupt_cancelled(pica_task *task)
{
    if (!pi_load_relaxed(&task->cancels))
        return;
    pi_add_relaxed(&task->cancelling, 1u);
    /* A look that who takes the cancel back later has to swap: so that one sees the line above, and
     * waits. Partner: pica_uncancel(). */
    if (pi_add_release(&task->cancels, 0u))
        pi_scope_interrupt(task, NULL, 0, true);
    pi_sub_release(&task->cancelling, 1u);
}

/* ---- public ---- */

pi_fiber *pi_scope_fiber_here(const void *scope, const char *what)
{
    pi_worker *worker = pi_worker_self();
    pi_require(scope, "%s: what it is called with is NULL", what);
    pi_require(worker && worker->fiber, "%s outside of a task", what);
    return worker->fiber;
}

void pica_scope_begin(pica_scope *scope, int64_t deadline_ns)
{
    pi_scope_open(pi_scope_fiber_here(scope, "pica_scope_begin()"), scope, deadline_ns, 0);
}

void pica_shield_begin(pica_scope *scope, int64_t deadline_ns)
{
    pi_scope_open(pi_scope_fiber_here(scope, "pica_shield_begin()"), scope, deadline_ns,
                  PI_SCOPE_SHIELD);
}

int pica_scope_reschedule(pica_scope *scope, int64_t deadline_ns)
{
    pi_fiber *fiber = pi_scope_fiber_here(scope, "pica_scope_reschedule()");
    pi_require(scope->owner == fiber->current,
               "pica_scope_reschedule() of a scope that its caller has not open");
    if (pi_load_relaxed(&scope->flags) & PI_SCOPE_EXPIRED)
        return -EALREADY;
    fiber->deadlines -= scope->deadline_ns != PICA_NEVER;
    fiber->deadlines += deadline_ns != PICA_NEVER;
    scope->deadline_ns = deadline_ns;
    return 0;
}

int pica_scope_expired(const pica_scope *scope)
{
    return (pi_load_relaxed(&scope->flags) & PI_SCOPE_EXPIRED) ||
           (scope->owner && scope->deadline_ns != PICA_NEVER && scope->deadline_ns <= pi_now());
}

intptr_t pica_scope_end(pica_scope *scope, intptr_t rc)
{
    pi_fiber *fiber = pi_scope_fiber_here(scope, "pica_scope_end()");
    pi_scope_close(fiber, scope);
    if (rc == -ECANCELED && (pi_load_relaxed(&scope->flags) & PI_SCOPE_EXPIRED) &&
        !pi_scopes_cancelled(fiber))
        return -ETIMEDOUT;
    return rc;
}
