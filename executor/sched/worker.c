/* SPDX-License-Identifier: MIT */
/* worker.c: a worker's loop. What it takes from where, and in which order, is in next_task();
 * what it does when there is nothing, in idle(). See worker.h. */
#include "executor/sched/worker.h"

#include "executor/base/assert.h"
#include "executor/base/clock.h"
#include "executor/sched/closing.h"
#include "executor/sched/defer.h"
#include "executor/sched/exception.h"
#include "executor/sched/pace.h"
#include "executor/sched/ready.h"
#include "executor/sched/rescue.h"
#include "executor/sched/reserve.h"
#include "executor/sched/steal.h"
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

bool pi_worker_bind(pi_worker *worker, pica_task *task)
{
    pi_fiber *fiber = pi_fiber_get(worker, pi_task_stack_class(task));
    if (PI_UNLIKELY(!fiber))
        return false;
    if (PI_UNLIKELY(task->starved))
        pi_ready_fed_slow(worker, task);
    pi_fiber_bind(fiber, task, !(worker->flags & PICA_NO_INLINE));
    return true;
}

bool pi_worker_start_eagerly(pi_worker *worker, pica_task *task, pica_task **out)
{
    pi_fiber *spawner = worker->fiber;
    if (!pi_worker_bind(worker, task))
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
        worker->comeback = spawner->base;
        pi_worker_suspend(worker, spawner, PI_AFTER_YIELD);
    }
    return true;
}

/* ---- the loop ---- */

__attribute__((noinline)) int pi_worker_share_slow(pi_worker *worker)
{
    pi_store_relaxed(&worker->own_until, INT64_C(0));
    pi_executor_wake(worker->ex, pi_idle_pick(worker->idle));
    return 0;
}

/* After a poll: fire the timers, read the clock once for all that wants it.
 * @return how many waits have ended */
static unsigned take_batch(pi_worker *worker, pi_worker *at, int events, bool was_empty)
{
    int64_t now = pi_now();
    worker->now_ms = (uint32_t)(now / 1000000);
    unsigned found = (unsigned)(events > 0 ? events : 0) + pi_timers_expire(&at->timers, now);
    if (found && was_empty)
        pi_store_relaxed(&worker->own_until, now + PI_OWN_NS);
    return found;
}

unsigned pi_worker_look_around(pi_worker *worker, pi_worker *at)
{
    bool was_empty = pi_deque_size(&worker->deque) <= 0;
    return take_batch(worker, at, worker->ex->driver->poll(at->driver, 0), was_empty);
}

static __attribute__((noinline)) bool look_around_slow(pi_worker *worker)
{
    pi_store_relaxed(&worker->look_at, worker->turns + PI_BUDGET);
    pi_worker_notice_closing(worker);
    pi_trim_answer(worker);
    if (!pi_idle_asleep(worker->idle) && !pi_idle_searching(worker->idle))
        pi_deque_privatize(&worker->deque);
    unsigned found = pi_worker_look_around(worker, worker);
    pi_rescue_recovered(worker);
    pi_rescue_serve(worker);
    return found > 0;
}

bool pi_worker_breathe(pi_worker *worker)
{
    bool found = look_around_slow(worker);
    if (pi_upmc_empty(&worker->mailbox))
        return found;
    pi_ready_take_mailbox(worker);
    return true;
}

/* After something was taken from the own deque: is there more, and somebody to help? The
 * take's exchange is the first half of the fence. */
static inline void share(pi_worker *worker)
{
    pi_fence_after_rmw();
    if (PI_UNLIKELY(pi_idle_wanted(worker->idle)) && pi_deque_size(&worker->deque) > 0 &&
        pi_steal_allowed(worker))
        (void)pi_worker_share_slow(worker);
}

/* Without inlining, breadth first would start everything before it ends anything. */
#define CROWD 1024
static inline pi_node *take_own(pi_worker *worker)
{
    pi_deque *deque = &worker->deque;
    if (PI_UNLIKELY(worker->flags & PICA_NO_INLINE) && pi_deque_size(deque) > CROWD &&
        worker->turns % PI_BUDGET)
        return pi_deque_take_newest(deque);
    return pi_deque_take_oldest(deque);
}

static inline pica_task *next_task(pi_worker *worker)
{
    pica_task *task = worker->next;
    if (PI_UNLIKELY(task != NULL)) {
        worker->next = task->next;
        task->next = NULL;
        return task;
    }
    if (pi_worker_spend(worker)) {
        (void)look_around_slow(worker);
        if (PI_UNLIKELY(pi_load_relaxed(&worker->rests)))
            return NULL;
        task = worker->comeback;
        worker->comeback = NULL;
        if (task && pi_deque_claim(&worker->deque, &task->node))
            return task;
        if (pi_load_relaxed(&worker->ex->inject_length) && (task = pi_ready_take_injected(worker)))
            return task;
    }
    if (PI_UNLIKELY(!pi_upmc_empty(&worker->mailbox)))
        pi_ready_take_mailbox(worker);
    if (PI_UNLIKELY(worker->pinned_head != NULL) && (worker->pinned_turn = !worker->pinned_turn))
        return pi_ready_pop_pinned(worker);
    pi_node *node = take_own(worker);
    if (PI_LIKELY(node != NULL)) {
        share(worker);
        return pi_task_of(node);
    }
    if ((task = pi_ready_pop_pinned(worker)))
        return task;
    return pi_load_relaxed(&worker->ex->inject_length) ? pi_ready_take_injected(worker) : NULL;
}

static inline void execute(pi_worker *worker, pica_task *task)
{
    pi_fiber *fiber = pi_load_relaxed(&task->fiber);
    if (!fiber) {
        if (PI_UNLIKELY(!pi_worker_bind(worker, task))) {
            pi_ready_starve_slow(worker, task);
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
        if (PI_UNLIKELY(task->pin || worker->flags & PICA_FORCE_MIGRATION) ||
            PI_UNLIKELY(pi_worker_push(worker, task) < 0))
            pi_worker_ready(task);
        break;
    case PI_AFTER_END:
        pi_fiber_put(worker, fiber);
        if (PI_UNLIKELY(pi_load_relaxed(&worker->ex->starved)))
            pi_ready_feed_slow(worker, fiber->class);
        break;
    }
}

/* Look everywhere: mailbox, inject queue, all deques. In the own deque, too: going to sleep may
 * have woken tasks (pi_worker_notice_closing()). */
static pica_task *look(pi_worker *worker)
{
    pica_executor *ex = worker->ex;
    pi_node *own = pi_deque_take_oldest(&worker->deque);
    if (own)
        return pi_task_of(own);
    if (!pi_upmc_empty(&worker->mailbox))
        pi_ready_take_mailbox(worker);
    pica_task *task = pi_ready_pop_pinned(worker);
    if (!task && pi_load_relaxed(&ex->inject_length))
        task = pi_ready_take_injected(worker);
    return task ? task : pi_steal(worker);
}

/* Sleep in the driver until something happens. @return the events that ended it */
static int sleep_now(pi_worker *worker)
{
    pica_executor *ex = worker->ex;
    int64_t deadline = pi_timers_next(&worker->timers);
    int64_t rescued = pi_rescue_deadline(worker);
    deadline = rescued < deadline ? rescued : deadline;
    int64_t trim = pi_trim_deadline(worker);
    deadline = trim < deadline ? trim : deadline;
    if (PI_UNLIKELY(pi_load_relaxed(&ex->starved)) && worker->retry_ns < deadline)
        deadline = worker->retry_ns;
    if (deadline <= 0)
        deadline = 1; /* 0 means: do not sleep, and does not let a wake in */
    pi_store_relaxed(&worker->parked, 1u);
    pi_store_relaxed(&worker->sleeps, worker->sleeps + 1);
    int events = ex->driver->poll(worker->driver, deadline);
    pi_store_relaxed(&worker->parked, 0u);
    return events;
}

/* Nothing to run here. @return a task found elsewhere; NULL: look into the own queues again,
 * or the executor has stopped */
static pica_task *idle(pi_worker *worker, bool *searching)
{
    pica_executor *ex = worker->ex;
    pi_idle *idle = &ex->idle;
    pica_task *task;
    if (!*searching && pi_trim_idle(worker))
        return NULL;
    if (!*searching && (pi_load_relaxed(&ex->workers_count) > 1 || pi_spare_works(ex))) {
        /* What waits in the own reactor comes before what others have queued: its sockets are
         * warm here, and theirs there. */
        if (pi_worker_look_around(worker, worker) > 0)
            return NULL;
        *searching = pi_idle_search_begin(idle);
    }
    if (*searching && (task = look(worker))) {
        *searching = false;
        if (pi_idle_search_end(idle))
            pi_executor_wake(ex, pi_idle_pick(idle));
        return task;
    }
    pi_rescue_recovered(worker);
    bool last = pi_idle_sleep_begin(idle, worker->index, *searching);
    *searching = false;
    pi_pace_notice(ex, PI_PACE_SLOW);
    pi_worker_notice_closing(worker);
    /* Its last task's end and somebody's `draining` may have missed each other; the fence of
     * sleep_begin stands between the two now. */
    pi_executor_task_ended(ex);
    /* So is the one that rests and whoever sends it to: one of them sees the other. And whoever
     * asks all to trim. */
    if ((task = look(worker)) || pi_load_relaxed(&ex->phase) == PI_STOPPED ||
        pi_load_relaxed(&worker->rests) || pi_trim_asked(worker)) {
        if (!pi_idle_sleep_abort(idle, worker->index))
            last = pi_idle_search_end(idle);
        pi_pace_notice(ex, PI_PACE_SLEEPS);
        if (last)
            pi_executor_wake(ex, pi_idle_pick(idle));
        pi_trim_answer(worker);
        return task;
    }
    int events = sleep_now(worker);
    if (PI_UNLIKELY(pi_load_relaxed(&ex->starved)) && pi_now() >= worker->retry_ns)
        pi_ready_retry_slow(worker);
    *searching = pi_idle_woken(idle, worker->index);
    pi_pace_notice(ex, PI_PACE_SLEEPS);
    pi_store_relaxed(&worker->look_at, worker->turns + PI_BUDGET); /* it has just looked */
    (void)take_batch(worker, worker, events, true);
    pi_rescue_serve(worker);
    return NULL;
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
    pica_executor *ex = worker->ex;
    bool searching = false;
    pi_worker_set_self(worker);
    worker->errno_at = errno_address();
    pi_context_unordered(&worker->loop, ex->workers_max > 1);
    worker->now_ms = (uint32_t)(pi_now() / 1000000);
    for (;;) {
        /* A switch leaves no register as it was. Without this the compiler computes the address
         * of each member once and for all, and reads it from the stack on every turn. */
        __asm__ __volatile__("" : "+r"(worker));
        pica_task *task = next_task(worker);
        if (!task && (pi_load_relaxed(&worker->rests) || !(task = idle(worker, &searching)))) {
            /* Stopped: no task lives, so nothing was found. */
            if (pi_load_acquire(&worker->ex->phase) == PI_STOPPED ||
                pi_load_relaxed(&worker->rests))
                break;
            continue;
        }
        if (searching) {
            searching = false;
            if (pi_idle_search_end(worker->idle))
                (void)pi_worker_share_slow(worker);
        }
        execute(worker, task);
    }
    if (searching && pi_idle_search_end(worker->idle))
        (void)pi_worker_share_slow(worker); /* nothing to find, but it shall stop */
    if (pi_load_relaxed(&worker->rests))
        (void)pi_fibers_shed(worker, 0);
    pi_worker_set_self(NULL);
}
