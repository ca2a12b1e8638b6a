/* SPDX-License-Identifier: MIT */
/* closing.c: see closing.h. The letters refer to it. */
#include "executor/sched/closing.h"

#include "executor/base/clock.h"
#include "executor/base/futex.h"
#include "executor/sched/audit.h"
#include "executor/sched/scope.h"

#include <errno.h>
#include <limits.h>

/* (A) */
static bool drained(const pica_executor *ex)
{
    uint64_t ended = pi_load_acquire(&ex->foreign_undone);
    uint32_t seats = pi_executor_seats(ex);
    for (uint32_t i = 0; i < seats; i++)
        ended += pi_load_acquire(&ex->workers[i].ended);
    pi_fence_seq_cst();
    uint64_t spawned = pi_load_relaxed(&ex->foreign_spawned);
    seats = pi_executor_seats(ex);
    for (uint32_t i = 0; i < seats; i++)
        spawned += pi_load_relaxed(&ex->workers[i].spawned);
    return ended == spawned;
}

static void announce_quiet(pica_executor *ex)
{
    pi_store_relaxed(&ex->quiet, 1u);
    pi_futex_wake(&ex->quiet, INT_MAX);
}

void pi_executor_stop(pica_executor *ex)
{
    pi_store_release(&ex->phase, (uint32_t)PI_STOPPED);
    pi_futex_wake(&ex->phase, INT_MAX);
    announce_quiet(ex); /* several may wait in shutdown */
    for (uint32_t i = 0; i < pi_executor_seats(ex); i++)
        ex->driver->wake(ex->workers[i].driver);
}

/* Who sees the last end stops the workers, if the executor closes; else tells who waits. */
void pi_executor_drained_slow(pica_executor *ex)
{
    pi_fence_seq_cst(); /* (D) */
    uint32_t phase = pi_load_relaxed(&ex->phase); /* before the sums: (F) */
    if (!drained(ex))
        return;
    if (phase == PI_CLOSING)
        pi_executor_stop(ex);
    else if (phase == PI_RUNNING)
        announce_quiet(ex);
}

static void mark_one(pica_task *task, void *only_new)
{
    if (pi_task_done(task) || (only_new && pi_load_relaxed(&task->cancels)))
        return;
    pica_executor *ex = pi_task_executor(task);
    pi_audited audited;
    bool tells = pi_audit_wanted(ex) && pi_audit_look(&audited, task);
    if (pi_add_relaxed(&task->cancels, 1u) == 0 && tells)
        pi_audit_tell(ex, &audited);
}

static void interrupt_one(pica_task *task, void *unused)
{
    (void)unused;
    pi_scope_interrupt_cancelled(task);
}

/* @param only_new  NULL, or anything: those alone that have no cancel */
static void cancel_all(pica_executor *ex, void *only_new)
{
    pi_pool_each(&ex->pool, mark_one, only_new);
    pi_scope_fence(ex);
    pi_pool_each(&ex->pool, interrupt_one, NULL);
}

void pi_executor_close(pica_executor *ex)
{
    uint32_t running = PI_RUNNING;
    pi_store_relaxed(&ex->draining, 1u); /* who sees CLOSING sees this */
    if (!pi_cas_release(&ex->phase, &running, (uint32_t)PI_CLOSING))
        return;
    pi_fence_after_rmw(); /* (E) */
    cancel_all(ex, NULL);
}

void pi_worker_notice_closing_slow(pi_worker *worker)
{
    if (pi_load_relaxed(&worker->ex->phase) != PI_CLOSING || worker->closing_seen)
        return;
    worker->closing_seen = true;
    cancel_all(worker->ex, worker);
}

/* Of ex->outcome; 0: not known yet. */
enum { ALL_ENDED = 1, SOME_CANCELLED = 2 };

int pica_executor_shutdown(pica_executor *ex, int64_t deadline_ns)
{
    if (!ex)
        return -EINVAL;
    pi_worker *self = pi_worker_self();
    if (self && self->ex == ex)
        return -EDEADLK;
    pi_store_relaxed(&ex->draining, 1u);
    uint32_t outcome = 0, mine = ALL_ENDED;
    while (!drained(ex)) {
        pi_store_relaxed(&ex->quiet, 0u);
        pi_fence_seq_cst(); /* (C); and quiet before the sums */
        if (drained(ex))
            break;
        if (deadline_ns != PICA_NEVER && pi_now() >= deadline_ns) {
            mine = SOME_CANCELLED;
            break;
        }
        (void)pi_futex_wait(&ex->quiet, 0, deadline_ns);
    }
    /* Relaxed: it changes once, and each reads it by this. */
    if (pi_cas_relaxed(&ex->outcome, &outcome, mine))
        outcome = mine;
    pi_executor_close(ex);
    pi_executor_drained_slow(ex); /* in case the last one has ended by now */
    uint32_t phase;
    while ((phase = pi_load_acquire(&ex->phase)) != PI_STOPPED)
        (void)pi_futex_wait(&ex->phase, phase, PICA_NEVER);
    return outcome == SOME_CANCELLED;
}
