/* SPDX-License-Identifier: MIT */
/* stats.c: an executor's counters. Each is some worker's own; the sums need not agree. */
#include "executor/base/sized.h"
#include "executor/sched/executor.h"

#include <string.h>

static void count_one(pica_task *task, void *arg)
{
    (void)task;
    ++*(uint64_t *)arg;
}

/* What malloc knows, where it is jemalloc and was asked for arenas. */
static void add_memory(const pica_executor *ex, pica_stats *s)
{
    if (!pi_arena_stats_refresh())
        return;
    s->malloc_allocated = pi_arena_stat("stats.allocated");
    s->malloc_active = pi_arena_stat("stats.active");
    s->malloc_resident = pi_arena_stat("stats.resident");
    for (uint32_t i = 0; i < pi_executor_seats(ex); i++) {
        const pi_arena *arena = &ex->workers[i].arena;
        s->arenas_allocated += pi_arena_stat_of(arena, "small.allocated") +
                               pi_arena_stat_of(arena, "large.allocated");
        s->arenas_resident += pi_arena_stat_of(arena, "resident");
    }
}

int pica_executor_stats(const pica_executor *ex, pica_stats *out)
{
    if (!ex || !out || out->size < sizeof(size_t) || out->size > PI_SIZED_MAX)
        return -EINVAL;
    pica_stats s = {.size = out->size};
    /* The pool's lock is no part of what the caller may see change. */
    pica_executor *unlocked = (pica_executor *)(uintptr_t)ex;
    uint64_t ended = pi_load_relaxed(&ex->foreign_undone);
    uint32_t seats = pi_executor_seats(ex);
    for (uint32_t i = 0; i < seats; i++)
        ended += pi_load_relaxed(&ex->workers[i].ended);
    uint64_t spawned = pi_load_relaxed(&ex->foreign_spawned), free_fibers = 0;
    for (uint32_t i = 0; i < seats; i++) {
        const pi_worker *worker = &ex->workers[i];
        spawned += pi_load_relaxed(&worker->spawned);
        free_fibers += pi_load_relaxed(&worker->fibers_count);
        s.timers_armed += pi_timers_armed(&worker->timers);
        s.steals += pi_load_relaxed(&worker->steals);
        s.sleeps += pi_load_relaxed(&worker->sleeps);
        s.wakes += pi_load_relaxed(&worker->wakes);
        s.rescues += pi_load_relaxed(&worker->rescues);
    }
    s.tasks_live = spawned > ended ? spawned - ended : 0;
    pi_pool_each(&unlocked->pool, count_one, &s.tasks_held);
    pthread_mutex_lock(&unlocked->pool.mutex);
    s.stacks_live = ex->pool.stacks_carved - ex->pool.stacks_free;
    s.stacks_unguarded = ex->pool.stacks.unguarded;
    pthread_mutex_unlock(&unlocked->pool.mutex);
    s.stacks_live = s.stacks_live > free_fibers ? s.stacks_live - free_fibers : 0;
    s.trimmed_bytes = pi_load_relaxed(&ex->pool.trimmed_bytes);
    if (ex->flags & PICA_ARENAS && out->size > offsetof(pica_stats, malloc_allocated))
        add_memory(ex, &s);
    if (ex->driver->open_descriptors)
        s.descriptors_open = ex->driver->open_descriptors(ex->driver_shared);
    size_t known = s.size < sizeof(s) ? s.size : sizeof(s);
    memcpy(out, &s, known);
    memset((char *)out + known, 0, s.size - known); /* a newer program's */
    return 0;
}
