/* SPDX-License-Identifier: MIT */
/* scope.h: is what runs here cancelled? The private side of pica/scope.h.
 *
 * The chain of scopes of a fiber, from the inside out: the open scopes of the current task,
 * its root (pica_cancel() and its group), then, if the task is run inline, the scopes of the
 * task that awaits it, and so on. A shield ends the chain.
 *
 *   1. Only the flow on the fiber walks the chain, opens, closes and expires scopes.
 *   2. Others set two kinds of flags: a task's cancels, a group scope's CANCELLED; then they
 *      set the fiber's attention, then they end its wait (wait.h). Whoever parks reads the
 *      same in the opposite order with a fence between, so one of the two sees the other.
 *   3. attention stays set while anything in the whole chain, shields ignored, is cancelled.
 *   4. A cancel found further out than the current task's root becomes one cancel of every
 *      inlined task in between, once (PI_TASK_DELIVERED).
 */
#ifndef PI_SCOPE_H
#define PI_SCOPE_H

#include "executor/sched/fiber.h"

/** Bits of pica_scope.flags. */
enum {
    PI_SCOPE_EXPIRED = 1u << 0,   /* [owner] its deadline ended a wait, or a check saw it */
    PI_SCOPE_CANCELLED = 1u << 1, /* [any, atomic] a group's */
    PI_SCOPE_SHIELD = 1u << 2,    /* [const] */
    PI_SCOPE_LIMITED = 1u << 3    /* [const] a group's, that has a limit */
};

/** The calling task's fiber, for public functions of scopes and groups. A plain thread, and NULL
 *  for the scope or group, are misuse by whoever called `what`. */
pi_fiber *pi_scope_fiber_here(const void *scope, const char *what);

/** Open a scope of the current task. */
void pi_scope_open(pi_fiber *fiber, pica_scope *scope, int64_t deadline_ns, uint32_t flags);

/** Close the innermost scope. */
void pi_scope_close(pi_fiber *fiber, pica_scope *scope);

/** Walk the chain: is the current task cancelled, here and now? */
bool pi_scopes_cancelled_slow(pi_fiber *fiber);

/** The earliest deadline of the chain, or PICA_NEVER. */
int64_t pi_scopes_deadline(const pi_fiber *fiber);

/** A cancel reaches this task from outside of it: wake its fiber, if it waits where the
 *  cancel reaches. The flag is set already, by a read-modify-write.
 *  @param group  NULL: the caller knows that the task has not been freed; else: the task counts
 *  only while it is a member of this group
 *  @param level  of the scope that is cancelled; 0: the task's root
 *  @param fenced  pi_scope_fence() has been called since the flag was set */
void pi_scope_interrupt(pica_task *task, const pica_scope *group, uint16_t level, bool fenced);

/** The same for a task that may have a cancel, by who has added one to each of many; if it has been
 *  taken back since, nothing happens. pi_scope_fence() has been called in between. */
void pi_scope_interrupt_cancelled(pica_task *task);

/** Between setting a flag that many tasks look at and interrupting each of them. */
void pi_scope_fence(const pica_executor *ex);

/** pica_cancel(). The caller knows that the task has not been freed. */
void pi_scope_cancel(pica_task *task);

/** Is the group cancelled that a task is a member of? By the task's runner. */
static inline bool pi_scope_group_cancelled(const pica_task *task)
{
    return task->flags & PI_TASK_MEMBER &&
           pi_load_relaxed(&task->group->flags) & PI_SCOPE_CANCELLED;
}

/** Nothing can be cancelled; the check of the fast paths. */
static inline bool pi_scopes_quiet(const pi_fiber *fiber)
{
    const pica_task *task = fiber->current;
    return PI_LIKELY(!(pi_load_relaxed(&task->cancels) | pi_load_relaxed(&fiber->attention) |
                       fiber->deadlines)) &&
           !pi_scope_group_cancelled(task);
}

/** Has anybody cancelled anything? Not whether a deadline has passed: only the clock tells. */
static inline bool pi_scopes_told(const pi_fiber *fiber)
{
    const pica_task *task = fiber->current;
    return PI_UNLIKELY(pi_load_relaxed(&task->cancels) | pi_load_relaxed(&fiber->attention)) ||
           pi_scope_group_cancelled(task);
}

/** The entry check of every suspension point. */
static inline bool pi_scopes_cancelled(pi_fiber *fiber)
{
    return !pi_scopes_quiet(fiber) && pi_scopes_cancelled_slow(fiber);
}

#endif
