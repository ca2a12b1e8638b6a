/* SPDX-License-Identifier: MIT */
/** @file
 * Scopes: timeouts, and shields against cancellation, over a piece of a task's code.
 *
 *     pica_scope s;
 *     pica_scope_begin(&s, pica_after(PICA_MS(200)));
 *     int rc = talk_to_the_peer();            // each wait in it may return -ECANCELED
 *     rc = (int)pica_scope_end(&s, rc);       // -ETIMEDOUT, if this scope ended a wait
 *
 * While a scope is expired, every suspension point inside returns -ECANCELED. Its end
 * alone turns that into -ETIMEDOUT, and only if this very scope expired and no scope
 * around it is cancelled. A shield hides cancels and deadlines of what lies around it;
 * it has a deadline of its own, for clean-up that must not take for ever.
 *
 * A scope is the caller's memory and belongs to the task that began it. Scopes, groups
 * and gathers end in the reverse order of their beginning; ending another than the
 * innermost one is a mistake that aborts, as is to begin one again inside of itself, or more
 * than 65,533 in each other (those of all tasks that run on one stack: see pica_await()).
 */
#ifndef PICA_SCOPE_H
#define PICA_SCOPE_H

#include <pica/base.h>

PICA_BEGIN_DECLS

/** A scope in the caller's memory; every member is private. Needs no initialisation. */
typedef struct pica_scope {
    struct pica_scope *outer; /* [owner] the next one outwards in the same task */
    int64_t deadline_ns;      /* [owner] */
    void *owner;              /* [owner] the task; NULL once it has ended */
    uint32_t flags;           /* [atomic] */
    uint16_t level;           /* [const] depth on the fiber */
    uint16_t floor;           /* [const] what the fiber's was before */
    void *member_ended;       /* [const] a group's: called when a member has ended */
    void *reserved;
} pica_scope;

/**
 * Begin a scope that expires at a deadline.
 *
 * @param scope        must stay until pica_scope_end()
 * @param deadline_ns  absolute; PICA_NEVER: never; the past: expired from the start
 * Where: a task (a plain thread: abort()). Never suspends, is no cancellation point.
 */
PICA_API void pica_scope_begin(pica_scope *scope, int64_t deadline_ns);

/**
 * Begin a shield: inside it, what lies around it neither cancels nor expires.
 *
 * As pica_scope_begin(). A pica_cancel() of the task stays pending and hits at the first
 * suspension point after the end.
 */
PICA_API void pica_shield_begin(pica_scope *scope, int64_t deadline_ns);

/**
 * Move a scope's deadline. One that has expired in a wait already stays expired; one whose deadline
 * has only passed has not.
 *
 * @return 0; -EALREADY: it has expired in a wait
 * Where: the task that has it open (elsewhere, or after its end: abort()). Never suspends.
 */
PICA_API int pica_scope_reschedule(pica_scope *scope, int64_t deadline_ns);

/** Has the scope expired: has it cancelled a wait, or does its deadline lie in the past? After its
 *  end: had it cancelled one? In a shield, where the end leaves -ECANCELED as it is if something
 *  around is cancelled, this is how to know.
 *  @return 1 or 0. Where: its owner's task. Never suspends. */
PICA_API int pica_scope_expired(const pica_scope *scope);

/**
 * End the innermost scope.
 *
 * @param scope  the one that was begun last
 * @param rc     what the code inside came to
 * @return -ETIMEDOUT, if rc is -ECANCELED, this scope expired, and no scope around it is
 *         cancelled or expired; otherwise rc
 * Where: its owner's task. Never suspends, is no cancellation point.
 */
PICA_API PICA_NODISCARD intptr_t pica_scope_end(pica_scope *scope, intptr_t rc);

PICA_END_DECLS

#endif
