/* SPDX-License-Identifier: MIT */
/* worker.c: a worker, and how it and its fibers change places. See worker.h; which task comes next
 * is in loop.h. */
#include "executor/sched/worker.h"

#include "executor/base/assert.h"
#include "executor/base/clock.h"
#include "executor/sched/defer.h"
#include "executor/sched/exception.h"
#include "executor/sched/loop.h"
#include "executor/sched/trim.h"

#include <errno.h>
#include <string.h>

int pi_worker_init(pi_worker *worker, pica_executor *ex, uint32_t index)
{
    memset(worker, 0, sizeof(*worker));
    worker->ex = ex;
    worker->index = index;
    worker->flags = ex->flags;
    worker->default_flags = ex->stack_class << PI_TASK_CLASS_SHIFT;
    worker->idle = &ex->idle;
    worker->look_at = PI_BUDGET;
    worker->victim = (index + 1) % ex->seats_max;
    worker->random = 0x9e3779b97f4a7c15u * (index + 1);
    worker->pinned_tail = &worker->pinned_head;
    pi_timers_init(&worker->timers);
    pi_trim_begin(worker);
    int rc = pi_deque_init(&worker->deque, 1024, ex->asymmetric);
    if (rc < 0)
        return rc;
    rc = ex->driver->open(&worker->driver, ex->driver_shared);
    if (rc < 0)
        pi_deque_deinit(&worker->deque);
    return rc;
}

void pi_worker_deinit(pi_worker *worker)
{
    worker->ex->driver->close(worker->driver);
    pi_timers_deinit(&worker->timers);
    pi_deque_deinit(&worker->deque);
}

/* ---- fibers ---- */

/* See exception.h. */
static const _Unwind_Personality_Fn taken_along __attribute__((used)) = pi_exception_would_leave;

void pi_fiber_main(pi_context *from, pi_context *self)
{
    pi_fiber *fiber = pi_fiber_of(self);
    pi_switch_arrived(self, from);
    for (;;) {
        pica_task *task = fiber->base;
        (void)pi_load_acquire(&task->word); /* what the spawner wrote; partner: pi_spawn_fill() */
        PI_NO_EXCEPTION_PASSES();
        intptr_t result = task->fn(task->arg);
        pi_task_returned(fiber, 1);
        pi_task_finish(pi_worker_self(), task, result, false);
        pi_worker_suspend(pi_worker_self(), fiber, PI_AFTER_END);
    }
}

__attribute__((noinline)) void pi_worker_suspend(pi_worker *worker, pi_fiber *fiber,
                                                 pi_after after)
{
    worker->after = after;
    pi_fiber_leaves(fiber);
    pi_switch(&fiber->context, &worker->loop);
}

/* The loop looks into others' queues, and whether it is to rest, when the budget is used up there;
 * where it always is used up in the middle of a task, that has to be done here. (And for stacks:
 * execute().) */
__attribute__((noinline)) void pi_worker_give_way(pi_worker *worker, pi_fiber *fiber)
{
    pica_task *task;
    bool rests = pi_load_relaxed(&worker->rests);
    bool behind = worker->next; /* an eager task's spawner goes on first, whom nobody can steal */
    if (PI_LIKELY(!rests) && (task = pi_loop_take_others(worker))) {
        if (PI_LIKELY(!behind))
            pi_worker_push_next(worker, task);
        else
            pi_worker_ready(task); /* no stranger holds him up */
    }
    /* But he gives way at his next turn: where his tasks use up each budget, the loop would never
     * come to a queue. */
    if (PI_UNLIKELY(rests || behind))
        pi_store_relaxed(&worker->look_at, worker->turns);
    worker->comeback = fiber->base;
    pi_worker_suspend(worker, fiber, PI_AFTER_YIELD);
}

/* Give an unstarted task its fiber. @return false: there is no stack */
static bool bind(pi_worker *worker, pica_task *task)
{
    pi_fiber *fiber = pi_fiber_get(worker, pi_task_stack_class(task));
    if (PI_UNLIKELY(!fiber))
        return false;
    pi_fiber_bind(fiber, task, !(worker->flags & PICA_NO_INLINE));
    return true;
}

bool pi_worker_start_eagerly(pi_worker *worker, pica_task *task, pica_task **out)
{
    pi_fiber *spawner = worker->fiber;
    if (!bind(worker, task))
        return false;
    if (out)
        *out = task; /* nothing can fail any more, and the task may look for its handle */
    pi_fiber *fiber = task->fiber; /* the task may be gone when its spawner goes on */
    pi_store_relaxed(&task->home, PI_NO_HOME);
    pi_store_relaxed(&worker->spawned, worker->spawned + 1);
    pi_worker_push_next(worker, spawner->base);
    pi_worker_push_next(worker, task);
    bool spent = pi_worker_spend(worker);
    pi_worker_suspend(worker, spawner, PI_AFTER_NEXT);
    pi_fiber_follows(fiber);
    worker = pi_worker_self(); /* the same one; but so it is not kept in a register */
    if (PI_UNLIKELY(spent || worker->flags & PICA_FORCE_MIGRATION)) {
        /* A loop of eager spawns must not keep all others waiting. As in pi_inline_breathe(). */
        (void)pi_worker_breathe(worker);
        pi_worker_give_way(worker, spawner);
    }
    return true;
}

/* ---- what the loop does with a task ---- */

static inline void execute(pi_worker *worker, pica_task *task)
{
    pi_fiber *fiber = pi_load_relaxed(&task->fiber);
    if (!fiber) {
        if (PI_UNLIKELY(!bind(worker, task))) {
            pi_starved_add_slow(worker, task);
            return;
        }
        fiber = task->fiber;
    }
    fiber->worker = worker;
    worker->fiber = fiber;
    *worker->errno_at = fiber->saved_errno;
    pi_switch(&worker->loop, &fiber->context);
    fiber->saved_errno = *worker->errno_at;
    worker->fiber = NULL;
    switch (worker->after) {
    case PI_AFTER_PARK:
        if (PI_LIKELY(pi_wait_commit(&fiber->wait)))
            break; /* another worker may run it by now */
        pi_worker_ready(task);
        break;
    case PI_AFTER_NEXT:
        break;
    case PI_AFTER_YIELD:
        if (PI_UNLIKELY(worker->comeback == task)) /* pi_worker_give_way() */
            pi_starved_retry(worker);
        if (PI_UNLIKELY(task->pin || worker->flags & PICA_FORCE_MIGRATION) ||
            PI_UNLIKELY(pi_worker_push(worker, task) < 0))
            pi_worker_ready(task);
        break;
    case PI_AFTER_END:
        pi_fiber_put(worker, fiber);
        if (PI_UNLIKELY(pi_load_relaxed(&worker->ex->starved)))
            (void)pi_starved_feed_slow(worker, fiber->class);
        break;
    }
}

#ifdef PI_TSAN
void AnnotateBenignRaceSized(const char *file, int line, const volatile void *at, size_t size,
                             const char *why);
#endif

/* For the worker's loop, which never leaves its thread. */
static __attribute__((noinline)) int *errno_address(void)
{
    int *at = &errno;
#ifdef PI_TSAN
    AnnotateBenignRaceSized(__FILE__, __LINE__, at, sizeof(*at), "errno, by fibers in turn");
#endif
    __asm__ __volatile__("" : "+r"(at));
    return at;
}

void pi_worker_run(pi_worker *worker)
{
    pi_worker_set_self(worker);
    worker->errno_at = errno_address();
    pi_context_unordered(&worker->loop, worker->ex->workers_max > 1);
    worker->now_ms = (uint32_t)(pi_now() / 1000000);
    pi_loop(worker, execute);
    if (pi_load_relaxed(&worker->rests))
        (void)pi_fibers_shed(worker, 0);
    pi_worker_set_self(NULL);
}
