/* SPDX-License-Identifier: MIT */
/* limit.c: see limit.h. */
#include "executor/task/limit.h"

#include "executor/sched/scope.h"
#include "executor/sched/winners.h"
#include "executor/sched/worker.h"
#include "executor/task/group.h"

#include <errno.h>

/* One that waits for a place. waiter.data: NULL while it is queued. */
typedef struct spawner {
    pi_waiter waiter;
    uint32_t members; /* [const] so many places are taken by what waits here */
} spawner;

static bool is_cancelled(const pica_group *group)
{
    return pi_load_relaxed(&group->scope.flags) & PI_SCOPE_CANCELLED;
}

/* How many members wait if this fiber does: the current task may be run inline. */
static uint32_t members_on(const pi_fiber *fiber, const pica_group *group)
{
    uint32_t n = 0;
    for (const pica_task *task = fiber->current; task; task = task->outer)
        n += pi_load_relaxed(&task->group) == &group->scope;
    return n;
}

/* [lock] */
static void enqueue(pica_group *group, spawner *me)
{
    pi_waiter *last = group->tail;
    me->waiter.next = NULL;
    me->waiter.prev = last;
    if (last)
        last->next = &me->waiter;
    else
        group->head = &me->waiter;
    group->tail = &me->waiter;
    group->stuck += me->members;
}

/* [lock] */
static void unqueue(pica_group *group, spawner *me)
{
    pi_waiter *waiter = &me->waiter;
    if (waiter->prev)
        waiter->prev->next = waiter->next;
    else
        group->head = waiter->next;
    if (waiter->next)
        waiter->next->prev = waiter->prev;
    else
        group->tail = waiter->prev;
    waiter->data = group;
    group->stuck -= me->members;
}

/* [lock] End the wait of the first in the queue. @return false: it had ended by itself */
static bool end_first(pica_group *group, pi_how how, pi_winners *winners)
{
    spawner *first = group->head;
    pi_token token = first->waiter.token; /* it is gone once its wait has ended */
    unqueue(group, first);
    return pi_winners_win(winners, token, how);
}

/* [lock] @param me  NULL: not to be queued. @return 0: a place; 1: queued; or an error */
static int enter(pica_group *group, spawner *me)
{
    if (is_cancelled(group))
        return -ESHUTDOWN;
    if (group->running < group->limit) {
        group->running++;
        return 0;
    }
    if (!me)
        return -EAGAIN;
    if (me->members && group->stuck + me->members >= group->running)
        return -EDEADLK;
    enqueue(group, me);
    return 1;
}

static int enter_or_wait(pica_group *group, pi_fiber *fiber)
{
    spawner me = {.members = members_on(fiber, group)};
    pi_wait_begin_for(&me.waiter, PI_FOR_PLACE, (uintptr_t)group);
    pi_lock_acquire(pi_group_lock(group));
    int rc = enter(group, &me);
    pi_lock_release(pi_group_lock(group));
    if (rc <= 0) {
        (void)pi_wait_abandon(&me.waiter);
        return rc;
    }
    pi_how how = pi_wait_park(&me.waiter, PICA_NEVER);
    if (how == PI_WOKEN) {
        /* Its giver still counts as a member: the group stays until it is done. */
        if (!is_cancelled(group))
            return 0;
        pi_limit_leave(group);
        return -ESHUTDOWN;
    }
    pi_lock_acquire(pi_group_lock(group));
    if (!me.waiter.data)
        unqueue(group, &me);
    pi_lock_release(pi_group_lock(group));
    return is_cancelled(group) ? -ESHUTDOWN : -ECANCELED;
}

int pi_limit_enter(pica_group *group, bool may_wait)
{
    int rc = may_wait && !is_cancelled(group) ? pi_wait_check() : 0;
    if (rc < 0)
        return is_cancelled(group) ? -ESHUTDOWN : rc;
    pi_lock_acquire(pi_group_lock(group));
    rc = enter(group, NULL);
    pi_lock_release(pi_group_lock(group));
    return rc == -EAGAIN && may_wait ? enter_or_wait(group, pi_worker_self()->fiber) : rc;
}

void pi_limit_leave(pica_group *group)
{
    pi_winners winners = PI_WINNERS_NONE;
    bool handed_on = false;
    pi_lock_acquire(pi_group_lock(group));
    while (group->head && !handed_on)
        handed_on = end_first(group, PI_WOKEN, &winners);
    group->running -= !handed_on;
    pi_lock_release(pi_group_lock(group));
    pi_winners_go(winners);
}

void pi_limit_close(pica_group *group)
{
    pi_winners winners = PI_WINNERS_NONE;
    pi_lock_acquire(pi_group_lock(group));
    while (group->head)
        (void)end_first(group, PI_CLOSED, &winners);
    pi_lock_release(pi_group_lock(group));
    pi_winners_go(winners);
}
