/* SPDX-License-Identifier: MIT */
/* gather.c: waiting for several tasks. See pica/gather.h.
 *
 * Collecting is awaiting one after the other. Returning at the first failure needs one wait
 * on all of them: each task gets a watch, and the first that fails, or the last that ends,
 * ends the wait. The watches are taken back before the call returns, under each task's lock,
 * so no task that ends later finds one (law 6).
 */
#include <pica/gather.h>

#include "executor/base/alloc.h"
#include "executor/sched/winners.h"
#include "executor/task/await.h"
#include "executor/task/inline.h"

#define ON_STACK 8

struct gather {
    pi_token token;     /* [const] the wait */
    uint32_t remaining; /* [atomic] tasks that have not ended */
    uint32_t failed;    /* [atomic] 1: first is taken */
    intptr_t first;     /* [who set failed] the first failure; read after the wait */
};

struct watch {
    pi_task_watch base;
    struct gather *gather;
    pi_waiter waiter;
};

/* One more has ended. @return true: that decides the gather */
static bool count(struct gather *gather, const pica_task *task)
{
    uint32_t unset = 0;
    bool failed = task->result < 0;
    if (failed && pi_cas_acq_rel(&gather->failed, &unset, 1u))
        gather->first = task->result;
    return pi_sub_acq_rel(&gather->remaining, 1u) == 1 || failed;
}

/* Under the task's lock. */
static void ended(pi_task_watch *base, pica_task *task, pi_winners *winners)
{
    struct watch *watch = (struct watch *)base;
    struct gather *gather = watch->gather;
    pi_token token = gather->token;
    if (count(gather, task))
        (void)pi_winners_win(winners, token, PI_WOKEN);
}

static bool all_done(pica_task *const *tasks, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!pi_task_done(tasks[i]))
            return false;
    return true;
}

/* Fill the slots of those that have ended. @return the first error in argument order */
static intptr_t fill(pica_task *const *tasks, size_t n, intptr_t *results)
{
    intptr_t error = 0;
    for (size_t i = 0; i < n; i++) {
        if (!pi_task_done(tasks[i]))
            continue;
        pi_store_relaxed(&tasks[i]->observed, (uint8_t)1);
        if (results)
            results[i] = tasks[i]->result;
        if (tasks[i]->result < 0 && !error)
            error = tasks[i]->result;
    }
    return error;
}

static void cancel_each(pica_task *const *tasks, size_t n)
{
    for (size_t i = 0; i < n; i++)
        (void)pica_cancel(tasks[i]);
}

/* The caller is cancelled, and so are all: await them. */
static int await_all(pica_task *const *tasks, size_t n, intptr_t *results)
{
    for (size_t i = 0; i < n; i++)
        (void)pi_await(tasks[i], NULL, true);
    (void)fill(tasks, n, results);
    return -ECANCELED;
}

struct collecting {
    pi_several several;
    pica_task *const *tasks;
    size_t n;
    pica_task *running; /* inline: it has got its cancel from the walk */
};

static void cancel_others(pi_several *several)
{
    const struct collecting *c = (struct collecting *)several;
    for (size_t i = 0; i < c->n; i++)
        if (c->tasks[i] != c->running)
            (void)pica_cancel(c->tasks[i]);
}

/* Run one of them that is claimed. @return as collect_one() */
static int run_one(pica_task *const *tasks, size_t n, pica_task *task, pi_fiber *fiber)
{
    struct collecting collecting = {
        {fiber->current, cancel_others, fiber->several}, tasks, n, task};
    bool delivered;
    fiber->several = &collecting.several;
    (void)pi_inline_run(fiber, task, true, &delivered);
    fiber->several = collecting.several.outer;
    return delivered ? -ECANCELED : 0;
}

/* Wait for one task of several, if possible by running it. @return 0; -ECANCELED: the caller
 * was cancelled before the task had ended, and so are all of them */
static int collect_one(pica_task *const *tasks, size_t n, pica_task *task)
{
    bool tried = false;
    pi_worker *worker = pi_worker_self();
    if (!worker || !worker->fiber)
        return pica_join(task, NULL);
    pi_fiber *fiber = worker->fiber;
    pi_await_end end = pi_wait_check() < 0 ? PI_AWAIT_CANCELLED : PI_AWAIT_STARVED;
    while (end == PI_AWAIT_STARVED) { /* or, at first, whatever can be claimed */
        (void)pi_inline_breathe(fiber->worker, fiber);
        pi_claim claim = pi_inline_claim(fiber->worker, fiber, task);
        if (claim == PI_CLAIM_YES)
            return run_one(tasks, n, task, fiber);
        if (claim == PI_CLAIM_STACK)
            pi_worker_push_next(fiber->worker, task);
        end = pi_await_park(fiber, task, false, &tried);
    }
    if (end == PI_AWAIT_DONE)
        return 0;
    cancel_each(tasks, n);
    return -ECANCELED;
}

static int collect(pica_task *const *tasks, size_t n, intptr_t *results)
{
    for (size_t i = 0; i < n; i++)
        if (!pi_task_done(tasks[i]) && collect_one(tasks, n, tasks[i]) < 0)
            return await_all(tasks, n, results);
    (void)fill(tasks, n, results);
    return 0;
}

/* Wait until something decides. @return 0, or -ECANCELED: nothing has */
static int wait_first(pica_task *const *tasks, size_t n, struct gather *gather,
                      struct watch *watches)
{
    pi_waiter me;
    pi_wait_begin_for(&me, PI_FOR_SOME_TASKS, n);
    gather->token = me.token;
    bool decided = false;
    size_t linked = 0;
    for (; linked < n && !decided; linked++) {
        struct watch *watch = &watches[linked];
        watch->base.ended = ended;
        watch->gather = gather;
        watch->waiter.data = watch;
        if (!pi_task_wait_link(tasks[linked], &watch->waiter))
            decided = count(gather, tasks[linked]);
    }
    pi_how how = PI_WOKEN;
    if (decided)
        (void)pi_wait_abandon(&me);
    else
        how = pi_wait_park(&me, PICA_NEVER);
    for (size_t i = 0; i < linked; i++)
        pi_task_wait_unlink(tasks[i], &watches[i].waiter);
    return how == PI_WOKEN ? 0 : -ECANCELED;
}

static int first_failure(pica_task *const *tasks, size_t n, intptr_t *results)
{
    struct watch on_stack[ON_STACK], *watches = on_stack;
    if (all_done(tasks, n))
        return (int)fill(tasks, n, results);
    if (pi_wait_check() < 0) {
        cancel_each(tasks, n);
        return await_all(tasks, n, results);
    }
    if (n > ON_STACK && !(watches = pi_malloc(n * sizeof(*watches))))
        return -ENOMEM;
    struct gather gather = {.remaining = (uint32_t)n};
    int rc = wait_first(tasks, n, &gather, watches);
    if (watches != on_stack)
        pi_free(watches);
    if (rc < 0) {
        cancel_each(tasks, n);
        return await_all(tasks, n, results);
    }
    intptr_t error = fill(tasks, n, results);
    return (int)(pi_load_acquire(&gather.failed) ? gather.first : error);
}

int pica_gather(pica_task *const *tasks, size_t n, intptr_t *results, unsigned flags)
{
    if (flags & ~(unsigned)PICA_GATHER_COLLECT)
        return -EINVAL;
    if (n == 0)
        return 0;
    if (!tasks || n > UINT32_MAX / 2)
        return -EINVAL;
    for (size_t i = 0; i < n; i++)
        if (!tasks[i])
            return -EINVAL;
    pi_worker *worker = pi_worker_self();
    if (worker && worker->fiber)
        for (size_t i = 0; i < n; i++)
            if (pi_await_is_self(worker->fiber, tasks[i]))
                return -EDEADLK;
    return flags & PICA_GATHER_COLLECT ? collect(tasks, n, results)
                                       : first_failure(tasks, n, results);
}
