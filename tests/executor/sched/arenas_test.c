/* SPDX-License-Identifier: MIT */
/* arenas_test.c: PICA_ARENAS: each worker has an arena of jemalloc's to itself, gives it back, and
 * purges it when idle; without the flag, or without jemalloc, nothing of malloc is touched. */
#include "executor/base/alloc.h"
#include "executor/sched/executor.h"
#include "tests/executor/bodies.h"

#include <stdlib.h>

static unsigned ask(const char *name)
{
    unsigned value = 0;
    size_t size = sizeof(value);
    pi_mallctl_fn *mallctl = pi_alloc_mallctl();
    if (mallctl)
        CHECK_EQ(mallctl(name, &value, &size, NULL, 0), 0);
    return value;
}

static bool live(void)
{
    return pi_alloc_mallctl() != NULL;
}

static pica_stats stats(pica_executor *ex)
{
    pica_stats s = {.size = sizeof(s)};
    CHECK_FATAL_OK(pica_executor_stats(ex, &s));
    return s;
}

static pica_options with(unsigned flags)
{
    pica_options options = check_options();
    options.flags |= flags;
    return options;
}

static intptr_t tells_arena(void *arg)
{
    (void)arg;
    return ask("thread.arena");
}

/* One pinned task on each worker says which arena it has. */
static void ask_all(pica_executor *ex, unsigned *arenas)
{
    for (unsigned i = 0; i < pica_executor_workers(ex); i++) {
        pica_attr attr = PICA_ATTR_INIT;
        pica_task *task = NULL;
        attr.pin = i + 1;
        CHECK_FATAL_OK(pica_executor_spawn_with(ex, &task, tells_arena, NULL, &attr));
        arenas[i] = (unsigned)body_end(task);
    }
}

static void one_each(void)
{
    unsigned mine = ask("thread.arena"), arenas[8] = {0};
    pica_options options = with(PICA_ARENAS);
    pica_executor *ex = check_executor_open(&options);
    ask_all(ex, arenas);
    for (unsigned i = 0; live() && i < pica_executor_workers(ex); i++) {
        CHECK_NE(arenas[i], mine);
        CHECK_EQ(arenas[i] + 1, ex->workers[i].arena.number);
        for (unsigned k = 0; k < i; k++)
            CHECK_NE(arenas[i], arenas[k]);
    }
    check_executor_close(ex);
}

/* They come from a list: executors one after the other need no more of them. */
static void none_is_lost(void)
{
    unsigned after_first = 0;
    for (unsigned i = 0; i < 50; i++) {
        pica_options options = with(PICA_ARENAS);
        unsigned mine = ask("thread.arena");
        pica_executor *ex = check_executor_open(&options);
        check_executor_close(ex);
        intptr_t its = pica_run(tells_arena, NULL, &options);
        CHECK_OK(its);
        if (live() && options.workers == 1)
            CHECK_NE(its, mine);
        CHECK_EQ(ask("thread.arena"), mine); /* the caller of pica_run() has its own again */
        if (i == 0)
            after_first = ask("arenas.narenas");
    }
    CHECK_EQ(ask("arenas.narenas"), after_first);
}

static void not_asked_for(void)
{
    unsigned before = ask("arenas.narenas");
    pica_options options = check_options();
    unsigned arenas[8] = {0};
    pica_executor *ex = check_executor_open(&options);
    ask_all(ex, arenas); /* all of them have begun */
    for (unsigned i = 0; i < pica_executor_workers(ex); i++)
        CHECK_EQ(ex->workers[i].arena.number, 0);
    CHECK_EQ(ask("arenas.narenas"), before);
    CHECK_EQ(stats(ex).malloc_allocated | stats(ex).arenas_allocated, 0);
    check_executor_close(ex);
}

/* --- What it holds ---------------------------------------------------------------------------- */

enum { BLOCKS = 2000, BYTES = 6000 };
static void *blocks[BLOCKS];

static intptr_t allocates(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < BLOCKS; i++)
        CHECK_FATAL((blocks[i] = malloc(BYTES)) != NULL);
    for (unsigned i = 0; i < BLOCKS; i++)
        memset(blocks[i], 1, BYTES);
    return 0;
}

static intptr_t frees(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < BLOCKS; i++)
        free(blocks[i]);
    return 0;
}

/* @param worker  the one to run it, from 1; 0: any */
static void run_on(pica_executor *ex, unsigned worker, pica_fn fn)
{
    pica_attr attr = PICA_ATTR_INIT;
    pica_task *task = NULL;
    attr.pin = worker;
    CHECK_FATAL_OK(pica_executor_spawn_with(ex, &task, fn, NULL, &attr));
    CHECK_EQ(body_end(task), 0);
}

static void run(pica_executor *ex, pica_fn fn)
{
    run_on(ex, 0, fn);
}

static void idle_ones_are_purged(void)
{
    pica_options options = with(PICA_ARENAS);
    options.trim_after_ns = PICA_MS(20);
    pica_executor *ex = check_executor_open(&options);
    for (unsigned round = 0; round < 2; round++) {
        uint64_t before = stats(ex).arenas_allocated;
        run(ex, allocates);
        pica_stats s = stats(ex);
        if (live()) {
            CHECK_LE(before + (uint64_t)BLOCKS * BYTES, s.arenas_allocated);
            CHECK_LE(s.arenas_allocated, s.malloc_allocated);
            CHECK_LE(s.malloc_allocated, s.malloc_active);
            CHECK_LE(s.malloc_active, s.malloc_resident);
            CHECK_LE((uint64_t)BLOCKS * BYTES, s.arenas_resident);
        }
        run(ex, frees);
        /* jemalloc itself would take 10 s, and the tick of an allocation there */
        CHECK_SOON(stats(ex).arenas_resident < (uint64_t)BLOCKS * BYTES / 2);
    }
    check_executor_close(ex);
}

/* What another worker freed goes back to the arena of one that sleeps, and purged its own before. */
static void freed_elsewhere(void)
{
    pica_options options = with(PICA_ARENAS);
    options.trim_after_ns = PICA_MS(20);
    pica_executor *ex = check_executor_open(&options);
    unsigned other = pica_executor_workers(ex) > 1 ? 2 : 1;
    const uint64_t *settled = &ex->workers[0].arena.settled;
    uint64_t before = pi_load_relaxed(settled);
    run_on(ex, 1, allocates);
    if (live())
        CHECK_SOON(pi_load_relaxed(settled) != before); /* it has purged and looks no more */
    run_on(ex, other, frees);
    CHECK_SOON(stats(ex).arenas_resident < (uint64_t)BLOCKS * BYTES / 2);
    check_executor_close(ex);
}

/* What a task has allocated outlives its executor. */
static void memory_outlives(void)
{
    pica_options options = with(PICA_ARENAS);
    CHECK_EQ(pica_run(allocates, NULL, &options), 0);
    pica_executor *ex = check_executor_open(&options); /* takes the same arenas again */
    for (unsigned i = 0; i < BLOCKS; i++)
        CHECK_EQ(((char *)blocks[i])[BYTES - 1], 1);
    run(ex, frees);
    check_executor_close(ex);
}

CHECK_MAIN
{
    check_plain_in(CHECK_ALL, "not asked for", not_asked_for);
    check_plain_in(CHECK_ALL, "one each", one_each);
    check_plain_in(CHECK_ALL, "none is lost", none_is_lost);
    check_plain_in(CHECK_ALL, "idle ones are purged", idle_ones_are_purged);
    check_plain_in(CHECK_ALL, "freed elsewhere", freed_elsewhere);
    check_plain_in(CHECK_ALL, "memory outlives", memory_outlives);
}
