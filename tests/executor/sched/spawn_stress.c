/* SPDX-License-Identifier: MIT */
/* spawn_stress.c: threads and tasks spawn while workers steal. Each task runs exactly once, and
 * what it wrote is seen by who awaits it. */
#include "tests/executor/bodies.h"

#include <pica/task.h>
#include <pthread.h>
#include <stdlib.h>

/* --- Each exactly once -------------------------------------------------------------------- */

struct tally {
    uint8_t *runs; /* [atomic, relaxed] one per number */
    uint64_t total;
    uint64_t next; /* [atomic, relaxed] */
    check_latch done;
    pica_executor *ex;
};

struct ticket {
    struct tally *tally;
    uint64_t number;
};

static intptr_t punches(void *arg)
{
    const struct ticket *t = arg;
    pi_add_relaxed(&t->tally->runs[t->number], (uint8_t)1);
    if (t->number % 5 == 0 && pica_yield() != 0)
        return -EIO;
    check_hit(&t->tally->done);
    return (intptr_t)t->number;
}

static bool spawn_next(struct tally *tally, bool outside, pica_task **task, uint64_t *number)
{
    struct ticket ticket = {tally, pi_add_relaxed(&tally->next, UINT64_C(1))};
    if (ticket.number >= tally->total)
        return false;
    *number = ticket.number;
    pica_attr attr = PICA_ATTR_INIT;
    attr.copy_size = sizeof(ticket);
    if (ticket.number % 37 == 0)
        attr.pin = 1 + (unsigned)(ticket.number % pica_executor_workers(tally->ex));
    CHECK_FATAL_OK(outside ? pica_executor_spawn_with(tally->ex, task, punches, &ticket, &attr)
                           : pica_spawn_with(task, punches, &ticket, &attr));
    return true;
}

/* Sometimes a handle is kept and awaited later, sometimes it is dropped. */
static intptr_t spawns(struct tally *tally, bool outside, uint64_t salt)
{
    check_rng rng = check_rng_make(salt);
    struct {
        pica_task *task;
        uint64_t number;
    } kept[16] = {{NULL, 0}};
    pica_task *task;
    uint64_t number;
    while (spawn_next(tally, outside, &task, &number)) {
        uint64_t slot = check_rng_below(&rng, 32);
        if (slot >= 16) {
            pica_unref(task);
            continue;
        }
        if (kept[slot].task)
            CHECK_EQ(body_end(kept[slot].task), kept[slot].number);
        kept[slot].task = task;
        kept[slot].number = number;
    }
    for (unsigned i = 0; i < 16; i++)
        if (kept[i].task)
            CHECK_EQ(body_end(kept[i].task), kept[i].number);
    return 0;
}

struct spawner {
    struct tally *tally;
    uint64_t salt;
};

static void *thread_spawns(void *arg)
{
    const struct spawner *s = arg;
    spawns(s->tally, true, s->salt);
    return NULL;
}

static intptr_t task_spawns(void *arg)
{
    const struct spawner *s = arg;
    return spawns(s->tally, false, s->salt);
}

static void each_exactly_once(void)
{
    enum { THREADS = 3, TASKS = 3 };
    pica_options options = check_options();
    pica_executor *ex = check_executor_open(&options);
    struct tally tally = {.total = check_rounds(150000), .ex = ex};
    tally.runs = calloc(tally.total, 1);
    CHECK_FATAL(tally.runs != NULL);
    pthread_t threads[THREADS];
    pica_task *tasks[TASKS];
    struct spawner spawners[THREADS + TASKS];
    for (unsigned i = 0; i < THREADS + TASKS; i++)
        spawners[i] = (struct spawner){&tally, 50 + i};
    for (unsigned i = 0; i < TASKS; i++)
        CHECK_FATAL_OK(pica_executor_spawn(ex, &tasks[i], task_spawns, &spawners[i]));
    for (unsigned i = 0; i < THREADS; i++)
        CHECK_FATAL(pthread_create(&threads[i], NULL, thread_spawns, &spawners[TASKS + i]) == 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < TASKS; i++)
        CHECK_EQ(body_end(tasks[i]), 0);
    CHECK_HITS(&tally.done, tally.total);
    uint64_t wrong = 0;
    for (uint64_t i = 0; i < tally.total; i++)
        wrong += pi_load_relaxed(&tally.runs[i]) != 1;
    CHECK_EQ(wrong, 0);
    check_executor_close(ex);
    free(tally.runs);
}

/* --- Trees -------------------------------------------------------------------------------- */

struct node {
    uint64_t sum;
    unsigned depth;
};

static intptr_t grows(void *arg)
{
    struct node *node = arg;
    struct node below[3];
    pica_task *tasks[3];
    node->sum = 1;
    if (node->depth == 0)
        return 0;
    for (unsigned i = 0; i < 3; i++) {
        below[i] = (struct node){0, node->depth - 1};
        tasks[i] = body_spawn(grows, &below[i]);
    }
    if (node->depth % 3 == 0 && pica_yield() != 0)
        return -EIO;
    for (unsigned i = 0; i < 3; i++) { /* the oldest first: it has been stolen, if any has */
        if (body_end(tasks[i]) != 0)
            return -EIO;
        node->sum += below[i].sum; /* plain: the await orders it */
    }
    return 0;
}

static void trees(void)
{
    struct node top = {0, 9};
    for (uint64_t i = check_rounds(12); i > 0; i--) {
        CHECK_EQ(body_end(body_spawn(grows, &top)), 0);
        CHECK_EQ(top.sum, 29524);
    }
}

/* --- Many at once: memory goes up and comes back ------------------------------------------ */

static void waves(void)
{
    uint64_t n = check_rounds(60000);
    pica_task **tasks = malloc(n * sizeof(pica_task *));
    CHECK_FATAL(tasks != NULL);
    for (unsigned wave = 0; wave < 3; wave++) {
        for (uint64_t i = 0; i < n; i++)
            tasks[i] = body_spawn(body_returns, body_arg((intptr_t)i));
        uint64_t wrong = 0;
        for (uint64_t i = 0; i < n; i++) {
            uint64_t k = wave % 2 ? i : n - 1 - i;
            wrong += (uint64_t)body_end(tasks[k]) != k;
        }
        CHECK_EQ(wrong, 0);
    }
    free(tasks);
}

CHECK_MAIN
{
    check_timeout(60);
    check_plain_in(CHECK_ALL, "each exactly once", each_exactly_once);
    check_run("trees", trees);
    check_run("waves", waves);
}
