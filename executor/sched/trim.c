/* SPDX-License-Identifier: MIT */
/* trim.c: see trim.h. */
#include "executor/sched/trim.h"

#include "executor/base/clock.h"
#include "executor/coro/trim.h"

/* Below the saved stack pointer a function may have data that it never announced. */
#define RED_ZONE 128u
#define NEVER_MS (UINT32_MAX / 4)
#define DEFAULT_MS 10000u

uint32_t pi_trim_period_ms(int64_t after_ns)
{
    if (after_ns == 0)
        return DEFAULT_MS;
    if (after_ns == PICA_NEVER)
        return 0;
    int64_t ms = after_ns / 1000000;
    return ms < 1 ? 1 : ms < NEVER_MS ? (uint32_t)ms : NEVER_MS;
}

void pi_trim_begin(pi_worker *worker)
{
    uint32_t now_ms = (uint32_t)(pi_now() / 1000000);
    worker->trim_ms = now_ms + worker->ex->trim_after_ms;
    worker->trim_answered = pi_load_relaxed(&worker->ex->trim_asked);
    uint32_t never = 0; /* the first worker of all */
    (void)pi_cas_relaxed(&worker->ex->pool.turned_ms, &never, now_ms);
}

/* What of a free fiber's stack nobody stands on. */
static struct iovec unused_part(const pi_fiber *fiber)
{
    const char *end = (const char *)fiber->context.sp - RED_ZONE;
    return (struct iovec){.iov_base = fiber->low, .iov_len = (size_t)(end - fiber->low)};
}

/* A batch of those that have lain for a period. @return false: there is none */
static bool trim_batch(pi_pool *pool, size_t *bytes)
{
    struct iovec ranges[PI_TRIM_BATCH];
    size_t n = 0;
    pi_fiber *batch = pi_pool_take_aged(pool, PI_TRIM_BATCH);
    if (!batch)
        return false;
    for (pi_fiber *fiber = batch; fiber; fiber = fiber->next)
        ranges[n++] = unused_part(fiber);
    *bytes += pi_stack_trim(ranges, n);
    pi_pool_put_trimmed(pool, batch);
    return true;
}

static size_t trim_all(pi_pool *pool)
{
    size_t bytes = 0;
    while (trim_batch(pool, &bytes)) {
    }
    pi_pool_turn(pool);
    while (trim_batch(pool, &bytes)) {
    }
    pi_add_relaxed(&pool->trimmed_bytes, (uint64_t)bytes);
    return bytes;
}

static void purge_arenas(const pica_executor *ex)
{
    for (uint32_t i = 0; i < pi_executor_seats(ex); i++)
        pi_arena_purge(&ex->workers[i].arena);
}

__attribute__((noinline, cold)) void pi_trim_answer_slow(pi_worker *worker)
{
    uint32_t asked = pi_load_relaxed(&worker->ex->trim_asked);
    if (pi_fibers_shed(worker, PI_TRIM_WARM))
        (void)trim_all(&worker->ex->pool);
    pi_store_relaxed(&worker->trim_answered, asked);
}

__attribute__((noinline)) bool pi_trim_idle_slow(pi_worker *worker)
{
    pica_executor *ex = worker->ex;
    pi_pool *pool = &ex->pool;
    uint32_t period = ex->trim_after_ms;
    worker->trim_ms = worker->now_ms + (period ? period : NEVER_MS);
    if (!period)
        return false;
    if (pi_arena_settles(&worker->arena))
        purge_arenas(ex);
    (void)pi_fibers_shed(worker, PI_TRIM_WARM);
    if (!pi_load_relaxed(&pool->untrimmed) ||
        (int32_t)(worker->now_ms - pi_load_relaxed(&pool->turned_ms)) < (int32_t)period)
        return false;
    size_t bytes = 0;
    if (!trim_batch(pool, &bytes)) {
        pi_pool_turn(pool);
        pi_store_relaxed(&pool->turned_ms, worker->now_ms);
        return false;
    }
    pi_add_relaxed(&pool->trimmed_bytes, (uint64_t)bytes);
    worker->trim_ms = worker->now_ms;
    pi_store_relaxed(&worker->look_at, worker->turns); /* at everything, before the next batch */
    return true;
}

__attribute__((noinline)) int64_t pi_trim_deadline_slow(const pi_worker *worker)
{
    const pica_executor *ex = worker->ex;
    /* Shedding is worth one waking up, however little it is: then it is done, and what all
     * workers have shed counts together. */
    bool worth_it = worker->fibers_count > PI_TRIM_WARM ||
                    pi_load_relaxed(&ex->pool.untrimmed) >= PI_TRIM_LEAST;
    if (!ex->trim_after_ms || (!worth_it && !pi_arena_used(&worker->arena)))
        return PICA_NEVER;
    int32_t left_ms = (int32_t)(worker->trim_ms - worker->now_ms);
    return pi_now() + (left_ms > 0 ? left_ms : 1) * INT64_C(1000000);
}

int64_t pica_trim(pica_executor *ex)
{
    if (!ex)
        return -EINVAL;
    /* Then the claims below fence and read the beds; partner: idle(), which lies down, fences and
     * reads this before it sleeps. */
    pi_add_relaxed(&ex->trim_asked, 1u);
    pi_worker *self = pi_worker_self();
    if (self && self->ex == ex) {
        pi_store_relaxed(&self->trim_answered, pi_load_relaxed(&ex->trim_asked));
        (void)pi_fibers_shed(self, PI_TRIM_WARM);
    }
    size_t bytes = trim_all(&ex->pool);
    purge_arenas(ex);
    for (uint32_t i = 0; i < pi_executor_seats(ex); i++)
        if (pi_idle_claim(&ex->idle, i))
            pi_executor_wake(ex, (int)i);
    return (int64_t)bytes;
}
