/* SPDX-License-Identifier: MIT */
/* model_fiber.h: one fiber that waits, for the models of waits and cancels: a worker that suspends
 * into the model, its executor, a task and one inside it. Thread 0 is the fiber. wait.c, scope.c
 * and finish.c are the real ones, and are linked. For one source of a program.
 */
#ifndef PICA_TESTS_MODEL_FIBER_H
#define PICA_TESTS_MODEL_FIBER_H

#include "executor/base/futex.h"
#include "executor/sched/executor.h"
#include "executor/sched/ignored.h"
#include "executor/sched/scope.h"
#include "executor/sched/starved.h"
#include "executor/sched/worker.h"
#include "executor/task/inline.h"

#include "tests/model/model.h"
#include "tests/model/model_self.h"

#include <string.h>

static pi_worker worker; /* of thread 0, which is the fiber that waits */
static pi_fiber fiber;
static pica_executor executor;
static struct { /* aligned, so that a task's executor is found */
    pi_task_slab slab;
    pica_task task, inner, next;
} tasks __attribute__((aligned(PI_SLAB_BYTES)));
static int registers;   /* plain: what a switch saves */
static uint32_t queued; /* [atomic] stands for the queue: its push and take order memory */
static model_event ready;
static bool waiter_is_thread; /* a plain one */

static void set_worker(void)
{
    pi_worker_current = model_self() == 0 && !waiter_is_thread ? &worker : NULL;
}

void pi_worker_ready(pica_task *t)
{
    model_check(t == fiber.base);
    model_plain_read(&registers);
    model_check(pi_add_release(&queued, 1u) == 0);
    model_wake(&ready);
}

/* The loop's part, off the fiber's stack: commit, or go on at once. */
void pi_worker_suspend(pi_worker *w, pi_fiber *f, pi_after after)
{
    model_check(w == &worker && f == &fiber && after == PI_AFTER_PARK);
    model_plain_write(&registers);
    if (pi_wait_commit(&f->wait)) {
        model_sleep(&ready);
        model_check(pi_sub_acquire(&queued, 1u) == 1);
    }
    model_plain_read(&registers);
}

void pi_task_end(pica_task *t, intptr_t result)
{
    model_fail("%p %ld: its awaiter ends it", (void *)t, (long)result);
}

void pi_executor_close(pica_executor *ex)
{
    model_fail("%p: none of the tasks is the main one", (void *)ex);
}

void pi_ignored_note(pi_fiber *f)
{
    model_check(f == &fiber);
}

void pi_task_unwind_slow(pi_fiber *f)
{
    model_fail("%p: nothing is left open, nothing deferred", (void *)f);
}

void pi_starved_cancelled_slow(pica_task *t)
{
    model_fail("%p: there are stacks for all", (void *)t);
}

void pi_executor_drained_slow(pica_executor *ex)
{
    model_fail("%p: nobody drains", (void *)ex);
}

int pi_futex_wait(uint32_t *at, uint32_t value, int64_t deadline_ns)
{
    model_check(deadline_ns == PICA_NEVER);
    model_futex_wait(at, value);
    return 0;
}

void pi_futex_wake(uint32_t *at, int n)
{
    model_check(n == 1);
    model_futex_wake(at);
}

/* --- Its wait --------------------------------------------------------------------------------- */

static pi_token token;     /* most tests begin the wait in their set-up, which leaves out only what */
static uint32_t published; /* nobody could notice. [atomic] release, acquire: where they don't */
static int value[2];       /* plain: what waker and closer hand over */
static bool won[2];
static pi_how how;

static inline void model_fiber_reset(void)
{
    memset(&worker, 0, sizeof(worker));
    memset(&fiber, 0, sizeof(fiber));
    memset(&tasks, 0, sizeof(tasks));
    memset(&executor, 0, sizeof(executor));
    tasks.slab.ex = &executor;
    worker.fiber = &fiber;
    worker.ex = &executor;
    pi_timers_init(&worker.timers);
    fiber.wait.fiber = &fiber;
    fiber.base = fiber.current = &tasks.task;
    fiber.level = fiber.floor = 1;
    fiber.worker = &worker;
    tasks.task.word = 2 * PI_TASK_REF;
    tasks.task.fiber = &fiber;
    tasks.task.level = 1;
    queued = published = 0;
    registers = 0;
    ready.set = false;
    memset(won, 0, sizeof(won));
    how = PI_WAIT_IDLE;
    waiter_is_thread = false;
    pi_worker_current = &worker;
    model_on_switch(set_worker);
}

/* Cancelled, it has to come back by itself. The swap stands for the lock of what it waits for;
 * stronger in truth, but here it is only for the fence. */
static uint32_t object;

static inline void waits_for_nobody(void)
{
    pi_waiter here = {.data = NULL};
    pi_wait_begin(&here);
    pi_xchg_relaxed(&object, 1u);
    how = pi_wait_park(&here, PICA_NEVER);
    model_check(how == PI_CANCEL);
}

static inline void ends(unsigned i, pi_how as)
{
    for (unsigned rounds = 0; !pi_load_acquire(&published); rounds++)
        pi_spin_wait(rounds);
    model_plain_write(&value[i]);
    won[i] = pi_wait_end(token, as);
}

static inline void wakes(void)
{
    ends(0, PI_WOKEN);
}

static inline void cancels(void)
{
    pi_scope_cancel(&tasks.task);
}

/* Nothing is left of the wait. */
static inline void model_fiber_check(void)
{
    model_check(PI_WAIT_STATE(fiber.wait.word) == PI_WAIT_IDLE);
    model_check(queued == 0 && !ready.set);
}

#endif
