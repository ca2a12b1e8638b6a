/* SPDX-License-Identifier: MIT */
/* group.c: groups. See pica/group.h.
 *
 *   1. The last member goes through the lock, any other one only decrements the count.
 *   2. The group is its owner's memory: the last member's unlock is the last touch, and the
 *      owner takes the lock once after it has seen the count at zero (law 6).
 *   3. A member's task points to the group's scope until just before it is counted out, so who
 *      looks for members by that pointer finds them all and, under that pointer, none else.
 *   4. A plain group does not look at options: those that have some differ in what they call
 *      when a member has ended, and in a bit of the scope's flags that a spawn reads anyway.
 *   5. The count down is a release, the owner's look at it an acquire; what the last member did
 *      reaches the owner by the lock. All other changes of members may be relaxed: they are
 *      read-modify-writes, which pass on what was released before them.
 *
 * Elsewhere: the count, and where members are found (members.h), the limit (limit.h), the list of
 * failures (failures.c).
 * Lock rank OBJECT; inside it a wait may be ended, which queues a task.
 * Proof: tests/executor/task/group_model.c.
 */
#include <pica/group.h>

#include "executor/base/assert.h"
#include "executor/base/sized.h"
#include "executor/sched/scope.h"
#include "executor/sched/spawn.h"
#include "executor/task/group.h"
#include "executor/task/inline.h"
#include "executor/task/limit.h"
#include "executor/task/members.h"

#include <string.h>

/* Bits of outcome, which only races keep. */
#define SUCCEEDED 1u /* value is the first success */
#define SOME_CANCELLED 2u

static pica_group *group_of(pica_scope *scope)
{
    return (pica_group *)scope; /* its first member */
}

static bool is_cancelled(const pica_group *group)
{
    return pi_load_relaxed(&group->scope.flags) & PI_SCOPE_CANCELLED;
}

void pica_group_cancel(pica_group *group)
{
    pi_require(group, "pica_group_cancel(): the group is NULL");
    pica_task *owner = group->scope.owner;
    if (!owner)
        return; /* it has ended */
    uint32_t old = pi_or_seq_cst(&group->scope.flags, (uint32_t)PI_SCOPE_CANCELLED);
    if (old & PI_SCOPE_CANCELLED)
        return;
    pi_scope_fence(pi_task_executor(owner));
    pi_scope_interrupt(owner, NULL, group->scope.level, true);
    pi_members_interrupt(group, pi_task_executor(owner));
    if (old & PI_SCOPE_LIMITED)
        pi_limit_close(group);
}

/* One member less. The caller's part in the group is over. */
static void count_out(pica_group *group)
{
    uint64_t count = pi_load_relaxed(&group->members);
    while (pi_members_of(count) >= 2 * PI_MEMBER)
        if (pi_cas_release(&group->members, &count, count - PI_MEMBER))
            return;
    pi_lock_acquire(pi_group_lock(group));
    count = pi_sub_relaxed(&group->members, PI_MEMBER);
    pi_won won = {NULL, NULL};
    if (pi_members_of(count) == (PI_MEMBER | PI_OWNER_WAITS))
        (void)pi_wait_win(((pi_waiter *)group->waiter)->token, PI_WOKEN, &won);
    pi_lock_release(pi_group_lock(group));
    pi_wait_go(won);
}

/* A member has ended; its task no longer points here. */
static void member_ended(pica_scope *scope, intptr_t result)
{
    pica_group *group = group_of(scope);
    if (PI_UNLIKELY(result < 0) && result != -ECANCELED) {
        pi_group_failed(group, result);
        pica_group_cancel(group); /* this member still counts, so the group is still there */
    }
    count_out(group);
}

/* A member of a race has come to its end. @return whether it is the first that succeeded */
static bool finish_race(pica_group *group, intptr_t result)
{
    bool first = false;
    pi_lock_acquire(pi_group_lock(group));
    if (result == -ECANCELED) {
        group->outcome |= SOME_CANCELLED;
    } else if (result >= 0 && !(group->outcome & SUCCEEDED)) {
        group->outcome |= SUCCEEDED;
        group->value = result;
        first = true;
    }
    pi_lock_release(pi_group_lock(group));
    return first;
}

/* The same in a group with options. */
static void member_ended_with(pica_scope *scope, intptr_t result)
{
    pica_group *group = group_of(scope);
    bool cancel = false;
    if (result < 0 && result != -ECANCELED) {
        pi_group_failed(group, result);
        cancel = !group->options; /* a limit alone */
    } else if (group->options & PICA_GROUP_FIRST_SUCCESS) {
        cancel = finish_race(group, result);
    }
    if (cancel)
        pica_group_cancel(group);
    if (group->limit)
        pi_limit_leave(group);
    count_out(group);
}

static void begin(pica_group *group, int64_t deadline_ns, uint32_t flags,
                  void (*ended)(pica_scope *, intptr_t))
{
    pi_fiber *fiber = pi_scope_fiber_here(group, "pica_group_begin()");
    memset(group, 0, sizeof(*group));
    memcpy(&group->scope.member_ended, &ended, sizeof(ended));
    pi_scope_open(fiber, &group->scope, deadline_ns, flags);
}

void pica_group_begin_until(pica_group *group, int64_t deadline_ns)
{
    begin(group, deadline_ns, 0, member_ended);
}

void pica_group_begin(pica_group *group)
{
    pica_group_begin_until(group, PICA_NEVER);
}

int pica_group_begin_with(pica_group *group, const pica_group_options *options)
{
    pica_group_options o;
    if (!group || !options || pi_sized_copy(&o, sizeof(o), options) < 0)
        return -EINVAL;
    if (o.flags > PICA_GROUP_FIRST_SUCCESS) /* not both, none unknown */
        return -EINVAL;
    bool plain = !o.flags && !o.limit;
    begin(group, o.deadline_ns ? o.deadline_ns : PICA_NEVER,
          o.limit ? (uint32_t)PI_SCOPE_LIMITED : 0, plain ? member_ended : member_ended_with);
    group->options = o.flags;
    group->limit = o.limit;
    return 0;
}

/* Remember where the owner's members begin in this worker's queue, for the end. */
static void note_slot(pica_group *group, const pi_worker *worker)
{
    int64_t slot = pi_load_relaxed(&worker->deque.tail) - 1;
    if (group->home != worker->index + 1) {
        group->home = worker->index + 1;
        group->first_slot = slot;
    } else if (slot < group->first_slot) {
        group->first_slot = slot;
    }
}

static inline __attribute__((always_inline)) int spawn_member(pica_group *group, pi_worker *worker,
                                                              pica_task **out, pica_fn fn,
                                                              void *arg, const pica_attr *attr,
                                                              const char *site)
{
    pica_task **place = pi_members_add(group);
    int rc = 0;
    if (attr || !pi_spawn_fast(worker, &group->scope, place, out, fn, arg, 0, site)) {
        rc = pi_spawn(worker->ex, worker, &group->scope, place, out, fn, arg, attr, site);
        worker = pi_worker_self(); /* another one, after an eager start */
    }
    if (rc < 0) {
        pi_sub_relaxed(&group->members, PI_MEMBER); /* the caller counts, or is the owner */
        return rc;
    }
    pica_task *owner = group->scope.owner;
    if (owner == worker->fiber->current)
        note_slot(group, worker);
    else
        pi_require(pi_task_executor(owner) == worker->ex,
                   "a member was spawned by a task of another executor than its group's");
    return pi_spawn_done(worker);
}

/* The group is cancelled, has ended, or has a limit. */
static int spawn_special(pica_group *group, bool may_wait, pica_task **out, pica_fn fn, void *arg,
                         const pica_attr *attr, const char *site)
{
    if (is_cancelled(group) || !group->scope.owner)
        return -ESHUTDOWN;
    int rc = pi_limit_enter(group, may_wait);
    if (rc < 0)
        return rc;
    rc = spawn_member(group, pi_worker_self(), out, fn, arg, attr, site);
    if (rc < 0)
        pi_limit_leave(group);
    return rc;
}

/* Two functions with the arguments of their callers, who so need not move them. */
static __attribute__((noinline)) int spawn_waiting(pica_group *group, pica_task **out, pica_fn fn,
                                                   void *arg, const pica_attr *attr,
                                                   const char *site)
{
    return spawn_special(group, true, out, fn, arg, attr, site);
}

static __attribute__((noinline)) int spawn_trying(pica_group *group, pica_task **out, pica_fn fn,
                                                  void *arg, const pica_attr *attr,
                                                  const char *site)
{
    return spawn_special(group, false, out, fn, arg, attr, site);
}

/* @return 0; 1: it is special; -EINVAL, -EPERM */
static inline int check_spawn(const pica_group *group, const pi_worker *worker, pica_fn fn)
{
    if (!group || !fn)
        return -EINVAL;
    if (!worker || !worker->fiber)
        return -EPERM;
    return pi_load_relaxed(&group->scope.flags) & (PI_SCOPE_CANCELLED | PI_SCOPE_LIMITED) ||
           !group->scope.owner;
}

int pica_group_spawn_at(pica_group *group, pica_task **out, pica_fn fn, void *arg,
                        const pica_attr *attr, const char *site)
{
    pi_worker *worker = pi_worker_self();
    int rc = check_spawn(group, worker, fn);
    if (PI_UNLIKELY(rc))
        return rc < 0 ? rc : spawn_waiting(group, out, fn, arg, attr, site);
    return spawn_member(group, worker, out, fn, arg, attr, site);
}

int pica_group_try_spawn_at(pica_group *group, pica_task **out, pica_fn fn, void *arg,
                            const pica_attr *attr, const char *site)
{
    int rc = check_spawn(group, pi_worker_self(), fn);
    if (rc > 0)
        return spawn_trying(group, out, fn, arg, attr, site);
    return rc < 0 ? rc : pica_group_spawn_at(group, out, fn, arg, attr, site);
}

struct members {
    pi_several several;
    pica_group *group;
};

static void cancel_members(pi_several *several)
{
    pica_group_cancel(((struct members *)several)->group);
}

/* The next member that nobody has started and that lies in this worker's queue, claimed; the
 * oldest first. NULL: none, or none that could run here. */
static pica_task *claim_member(pica_group *group, pi_worker *worker, pi_fiber *fiber)
{
    int64_t slot = group->first_slot;
    pi_node *node;
    if (group->home != worker->index + 1 || !fiber->may_inline)
        return NULL;
    for (; (node = pi_deque_peek(&worker->deque, &slot)); slot++) {
        pica_task *task = pi_task_of(node); /* perhaps gone by now, but still a task's memory */
        if (pi_load_relaxed(&task->group) != &group->scope || pi_load_relaxed(&task->fiber))
            continue;
        group->first_slot = slot;
        if (task->pin || !pi_deque_claim(&worker->deque, node))
            continue;
        if (PI_LIKELY(pi_load_relaxed(&task->group) == &group->scope) && pi_inline_may(fiber, task))
            return task;
        /* No room for it here; or it was started, or changed hands, just before. */
        pi_worker_ready(task);
        return NULL;
    }
    return NULL;
}

/* A member that was found to have no stack before the caller's wait began; of others it is told
 * (starved.h, C). NULL: none, or none that could run here. */
static pica_task *claim_starved(pica_group *group, const pi_fiber *fiber)
{
    pi_fence_after_rmw(); /* the group's lock */
    if (PI_LIKELY(!pi_load_relaxed(&fiber->worker->ex->starved)))
        return NULL;
    return pi_members_claim_starved(group, pi_inline_room(fiber));
}

static bool has_members(const pica_group *group)
{
    return pi_members_of(pi_load_relaxed(&group->members)) >= PI_MEMBER;
}

/* If the owner is cancelled, so are all members. */
static void hear_of_cancel(pica_group *group, pi_fiber *fiber)
{
    if (!is_cancelled(group) && pi_scopes_cancelled(fiber))
        pica_group_cancel(group);
}

/* Run a member inline that is claimed. */
static inline __attribute__((always_inline)) void run_one(pica_group *group, pi_fiber *fiber,
                                                          pica_task *member)
{
    struct members members = {{fiber->current, cancel_members, fiber->several}, group};
    bool delivered;
    fiber->several = &members.several;
    (void)pi_inline_run(fiber, member, false, &delivered);
    fiber->several = members.several.outer;
}

/* Run members inline. @return false: there is none any more, or none here; true: the budget is
 * spent, perhaps the caller was suspended meanwhile */
static bool run_some(pica_group *group, pi_fiber *fiber)
{
    do {
        pi_worker *worker = pi_worker_self();
        if (PI_UNLIKELY(pi_scopes_told(fiber)))
            hear_of_cancel(group, fiber);
        if (pi_worker_spend(worker)) {
            hear_of_cancel(group, fiber); /* before others run, for a while */
            (void)pi_inline_breathe_slow(worker, fiber);
            return true;
        }
        pica_task *member = claim_member(group, worker, fiber);
        if (!member)
            return false;
        run_one(group, fiber, member);
    } while (has_members(group));
    return false;
}

/* The owner hears of a cancel before each member that it runs and, as in any other wait, while the
 * last one runs. Of a deadline, for which the clock has to be read, it hears before the first,
 * after the last, and between them when its worker looks around: after PI_BUDGET of them, or when
 * the monitor hurries it. A member that waits, or may be dropped, looks for itself. */
static void run_members(pica_group *group, pi_fiber *fiber)
{
    for (bool more = has_members(group); more; more = more && has_members(group)) {
        hear_of_cancel(group, fiber);
        more = run_some(group, fiber);
        if (!more)
            hear_of_cancel(group, fiber); /* also if others end right now, elsewhere */
    }
}

/* The owner no longer waits. */
static void unlink_owner(pica_group *group)
{
    pi_lock_acquire(pi_group_lock(group));
    pi_sub_relaxed(&group->members, PI_OWNER_WAITS);
    pi_lock_release(pi_group_lock(group));
}

/* Wait until no member is left. A cancel or a deadline cancels the group, once.
 * @return NULL; or a member that waited for a stack, claimed: it can run on the caller's */
static pica_task *wait_for_members(pica_group *group, pi_fiber *fiber)
{
    for (;;) {
        pi_waiter me = {.data = NULL};
        if (is_cancelled(group))
            pi_wait_begin_shielded_for(&me, PI_FOR_MEMBERS, (uintptr_t)group);
        else
            pi_wait_begin_for(&me, PI_FOR_MEMBERS, (uintptr_t)group);
        pi_lock_acquire(pi_group_lock(group));
        bool any = pi_members_of(pi_load_acquire(&group->members)) >= PI_MEMBER;
        if (any) {
            group->waiter = &me;
            pi_add_relaxed(&group->members, PI_OWNER_WAITS);
            /* The last but one may have decremented without the lock meanwhile, but the last
             * one needs it, and then sees the bit. */
        }
        pi_lock_release(pi_group_lock(group));
        if (!any) {
            (void)pi_wait_abandon(&me);
            return NULL;
        }
        pica_task *starved = claim_starved(group, fiber);
        if (starved) {
            unlink_owner(group);
            (void)pi_wait_abandon(&me);
            return starved;
        }
        pi_how how = pi_wait_park(&me, PICA_NEVER);
        unlink_owner(group);
        if (how == PI_TIMEOUT || how == PI_CANCEL)
            pica_group_cancel(group);
    }
}

intptr_t pica_group_end(pica_group *group, intptr_t rc)
{
    pi_fiber *fiber = pi_scope_fiber_here(group, "pica_group_end()");
    pi_require(group->scope.owner == fiber->current,
               "pica_group_end() by a task that has not begun the group, or has ended it");
    pi_require(fiber->current->scope == &group->scope,
               "pica_group_end() of a group that is not the innermost scope of its task");
    if (rc == -ESHUTDOWN && is_cancelled(group))
        rc = -ECANCELED; /* the body's spawn was refused: an echo of the cancel, no failure */
    if (rc < 0) {
        if (rc != -ECANCELED)
            pi_group_failed(group, rc);
        if (rc == -ECANCELED || !group->options)
            pica_group_cancel(group);
    }
    pica_task *starved = NULL;
    do {
        if (PI_UNLIKELY(starved != NULL))
            run_one(group, fiber, starved);
        run_members(group, fiber);
        starved = wait_for_members(group, fiber);
    } while (PI_UNLIKELY(starved != NULL));
    pi_members_end(group);
    uint32_t flags = pi_load_relaxed(&group->scope.flags);
    pi_scope_close(fiber, &group->scope);
    if (group->outcome & SUCCEEDED)
        return group->value;
    if (group->first)
        return group->first;
    if (flags & PI_SCOPE_CANCELLED)
        return flags & PI_SCOPE_EXPIRED && !pi_scopes_cancelled(fiber) ? -ETIMEDOUT : -ECANCELED;
    return group->outcome & SOME_CANCELLED ? -ECANCELED : rc;
}
