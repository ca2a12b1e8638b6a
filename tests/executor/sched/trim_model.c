/* SPDX-License-Identifier: MIT */
/* trim_model.c: pica_trim() against workers that go to sleep, all interleavings: each of them
 * answers. trim.c and the workers' loop are the real ones; there is no stack nor arena.
 */
#include "executor/sched/loop.h"

#include "executor/coro/trim.h"

#include "tests/model/model_self.h"
#include "tests/model/model_workers.h"

static unsigned n_workers;

/* --- Nothing to trim ------------------------------------------------------------------------ */

uint32_t pi_fibers_shed(pi_worker *worker, uint32_t keep)
{
    model_check(worker == pi_worker_current && keep == PI_TRIM_WARM);
    return 0;
}

void pi_pool_turn(pi_pool *pool)
{
    model_check(pool == &model_executor.pool);
}

pi_fiber *pi_pool_take_aged(pi_pool *pool, size_t n)
{
    model_check(pool == &model_executor.pool && n == PI_TRIM_BATCH);
    return NULL;
}

void pi_pool_put_trimmed(pi_pool *pool, pi_fiber *chain)
{
    model_fail("%p %p", (void *)pool, (void *)chain);
}

size_t pi_stack_trim(struct iovec *ranges, size_t n)
{
    model_fail("%p %zu", (void *)ranges, n);
}

void pi_arena_purge(const pi_arena *arena)
{
    model_check(!arena->number);
}

bool pi_arena_settles(pi_arena *arena)
{
    model_fail("%p", (void *)arena);
}

bool pi_arena_used(const pi_arena *arena)
{
    model_fail("%p", (const void *)arena);
}

/* --- Threads -------------------------------------------------------------------------------- */

static void execute(pi_worker *worker, pica_task *task)
{
    model_fail("%p %p: there are no tasks", (void *)worker, (void *)task);
}

static void lies_down(void)
{
    pi_loop(&model_workers[model_self()], execute);
}

static void sleeps(void)
{
    model_worker_sleeps_on();
    lies_down();
}

static void asks(void)
{
    model_check(pica_trim(&model_executor) == 0);
}

static void asks_and_lies_down(void)
{
    asks();
    lies_down();
}

/* --- Set-ups and the end -------------------------------------------------------------------- */

static void setup(unsigned n, unsigned n_asleep)
{
    n_workers = n;
    model_workers_reset(n);
    for (unsigned i = n - n_asleep; i < n; i++)
        model_worker_lay_down(i);
}

static void one_awake(void)
{
    setup(1, 0);
}

static void one_asleep(void)
{
    setup(1, 1);
}

static void one_of_two_asleep(void)
{
    setup(2, 1);
}

static void all_have_answered(void)
{
    model_workers_check_asleep();
    for (unsigned i = 0; i < n_workers; i++)
        model_check(model_workers[i].trim_answered == model_executor.trim_asked);
    model_check(model_executor.trim_asked > 0);
}

const model_test model_tests[] = {
    {"a request", one_awake, {lies_down, asks}, all_have_answered, true, 0, 0},
    {"a request, asleep", one_asleep, {sleeps, asks}, all_have_answered, true, 0, 0},
    {"two requests", one_asleep, {sleeps, asks, asks}, all_have_answered, true, 0, 0},
    {"a worker asks",
     one_of_two_asleep,
     {asks_and_lies_down, sleeps},
     all_have_answered,
     true,
     3,
     1},
    {"a worker asks, and a stranger",
     one_of_two_asleep,
     {asks_and_lies_down, sleeps, asks},
     all_have_answered,
     true,
     1,
     1},
    {0},
};

const model_reason model_reasons[] = {
    MODEL_LOOP_REASONS,
    {"pi_idle_claim", "release cas -> relaxed", "bed", 1, "idle_model.c says why"},
    {0},
};
