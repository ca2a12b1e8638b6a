/* SPDX-License-Identifier: MIT */
/* bodies.h: what the tasks of many tests do, and how to look at them without a race. */
#ifndef PICA_TESTS_BODIES_H
#define PICA_TESTS_BODIES_H

#include "executor/base/atomics.h"
#include "tests/check.h"
#include "tests/patience.h"

#include <pica/group.h>
#include <pica/task.h>

/** Return the argument. */
static inline intptr_t body_returns(void *arg)
{
    return (intptr_t)arg;
}

/** Return the argument, but only after having let others run. */
static inline intptr_t body_yields(void *arg)
{
    int rc = pica_yield();
    return rc < 0 ? rc : (intptr_t)arg;
}

/** Wait for a cancel; return it. Hits the latch first, if there is one. */
static inline intptr_t body_sleeps(void *arg)
{
    if (arg)
        check_hit(arg);
    return pica_sleep(PICA_NEVER);
}

/** Hits the latch, is cancelled in its sleep, and fails with -EIO. */
static inline intptr_t body_sleeps_then_fails(void *latch)
{
    check_hit(latch);
    CHECK_EQ(pica_sleep(PICA_NEVER), -ECANCELED);
    return -EIO;
}

/** Spawns into the group. @return 8 if that is cancelled: -ESHUTDOWN; or else 0 */
static inline intptr_t body_is_refused(void *group)
{
    return pica_group_spawn(group, body_returns, NULL) == -ESHUTDOWN ? 8 : 0;
}

/** Wait for a cancel; swallow it: return 7. Hits the latch first, if there is one. */
static inline intptr_t body_swallows(void *arg)
{
    if (arg)
        check_hit(arg);
    CHECK_EQ(pica_sleep(PICA_NEVER), -ECANCELED);
    return 7;
}

/** Hit the latch; return 1. */
static inline intptr_t body_hits(void *latch)
{
    check_hit(latch);
    return 1;
}

/** The same, but only after having let others run for a while. */
static inline intptr_t body_hits_late(void *latch)
{
    for (unsigned i = 0; i < 5; i++)
        CHECK_OK(pica_yield());
    check_hit(latch);
    return 1;
}

/** Wait for a hit of the latch; fail with -EIO. */
static inline intptr_t body_fails_when_hit(void *latch)
{
    CHECK_HITS((check_latch *)latch, 1);
    return -EIO;
}

/** Hit the first of two latches; keep the worker, without a wait, until the second is hit;
 *  return 1. */
static inline intptr_t body_spins(void *latches)
{
    check_latch *two = latches;
    check_hit(&two[0]);
    while (check_hits(&two[1]) == 0)
        pi_spin_wait(100);
    return 1;
}

/** Hit the latch; keep the worker, without a wait, until all others have slept for long; then spawn,
 *  and go on so until that one runs, elsewhere. @return 1; 0: nobody has come for it */
static inline intptr_t body_spawns_late(void *latch)
{
    check_latch came = {0};
    pica_task *task = NULL;
    check_hit(latch);
    for (int64_t until = pica_after(PICA_MS(300)); pica_now() < until;)
        pi_spin_wait(1);
    CHECK_FATAL_OK(pica_spawn(&task, body_hits, &came));
    for (patience p = patience_of(PICA_SEC(12)); !check_hits(&came) && patience_lasts(&p);)
        pi_spin_wait(1);
    intptr_t ran = check_hits(&came) != 0;
    CHECK_EQ(pica_await(task, NULL), 0);
    pica_unref(task);
    return ran;
}

/** Spawn, or end the program. @return the handle */
static inline pica_task *body_spawn(pica_fn fn, void *arg)
{
    pica_task *task = NULL;
    CHECK_FATAL_OK(pica_spawn(&task, fn, arg));
    return task;
}

/** The same, pinned to a worker: 0 is the first one. */
static inline pica_task *body_spawn_on(unsigned worker, pica_fn fn, void *arg)
{
    pica_attr attr = PICA_ATTR_INIT;
    attr.pin = worker + 1;
    pica_task *task = NULL;
    CHECK_FATAL_OK(pica_spawn_with(&task, fn, arg, &attr));
    return task;
}

/** The same, into an executor, from anywhere. */
static inline pica_task *body_spawn_in(pica_executor *ex, pica_fn fn, void *arg)
{
    pica_task *task = NULL;
    CHECK_FATAL_OK(pica_executor_spawn(ex, &task, fn, arg));
    return task;
}

/** The same, as a member of a group. */
static inline pica_task *body_spawn_member(pica_group *group, pica_fn fn, void *arg)
{
    pica_task *task = NULL;
    CHECK_FATAL_OK(pica_group_spawn_at(group, &task, fn, arg, NULL, PICA_SITE));
    return task;
}

/** Where the caller runs until it suspends, as a pin. From a task; may suspend first, as the spare
 *  is no pin. */
static inline unsigned body_pin_here(void)
{
    unsigned worker;
    while ((worker = (unsigned)pica_worker_index()) >= pica_executor_workers(check_executor()))
        CHECK_FATAL_OK(pica_yield());
    return worker + 1;
}

/** As a function's argument. */
static inline void *body_arg(intptr_t value)
{
    return (void *)value;
}

/** Await, release. @return the task's result */
static inline intptr_t body_end(pica_task *task)
{
    intptr_t result = INTPTR_MIN;
    CHECK_EQ(pica_await(task, &result), 0);
    pica_unref(task);
    return result;
}

/** Wait until the task is suspended: it has seen nothing that comes after. */
#define BODY_WAITS(task) CHECK_SOON(pica_task_status(task) == PICA_WAITING)

#endif
