/* SPDX-License-Identifier: MIT */
/* oracle_stress.c: random programs, and an oracle (oracle.h) that knows which outcomes each of their
 * calls may have.
 *
 * A round: two executors, whose tasks spawn, await and cancel one another's; plain threads that do
 * the same and resize the first; semaphores that may be closed; and, at times, a shutdown of the
 * second executor in the middle. What is random comes from the seed alone, which a failing check
 * prints; with one worker a round goes much the same way again. */
#include "tests/oracle/oracle.h"

#include <pthread.h>

#define THREADS 2
#define LEAVES 4

static uint32_t stop; /* [atomic] main tells the threads */

/* --- From outside --------------------------------------------------------------------------- */

static void await_from_outside(check_rng *rng)
{
    node *n = node_new(rng, LEAF, 0, (uint32_t)check_rng_below(rng, EXECUTORS));
    intptr_t result = UNTOUCHED;
    if (!n || !node_spawn(rng, NULL, n))
        return;
    if (check_rng_below(rng, 2)) {
        CHECK_EQ(pica_await(n->task, &result), 0);
    } else {
        int rc = pica_gather(&n->task, 1, &result, 0);
        CHECK_EQ(rc, n->result < 0 ? (int)n->result : 0);
    }
    check_ended(n, result);
    pica_unref(n->task);
}

static void *outsider(void *arg)
{
    check_rng rng = *(check_rng *)arg;
    bool resizes = check_rng_below(&rng, 2) && check_mode() != CHECK_ONE;
    unsigned least = check_options().workers;
    while (!pi_load_acquire(&stop)) {
        node *n = shared_one(&rng);
        switch (check_rng_below(&rng, 4)) {
        case 0:
            cancel_one(n);
            break;
        case 1:
            CHECK(!n || join_one(NULL, &rng, n) == 0);
            break;
        case 2:
            (void)sem_act(NULL, &rng);
            break;
        default:
            await_from_outside(&rng);
            break;
        }
        if (resizes)
            CHECK_OK(pica_executor_resize(w.ex[0], least + (unsigned)check_rng_below(&rng, 3)));
    }
    return NULL;
}

static void shut_down_the_second(check_rng *rng)
{
    node *n = node_new(rng, LEAF, 0, 1);
    pi_store_release(&w.closing[1], 1u);
    CHECK_OK(pica_executor_shutdown(w.ex[1], soon(rng)));
    CHECK(!n || !node_spawn(rng, NULL, n));
}

static uint64_t tasks_live(const pica_executor *ex)
{
    pica_stats s = {.size = sizeof(s)};
    CHECK_OK(pica_executor_stats(ex, &s));
    return s.tasks_live;
}

/* No task lives in either, and none was made between the looks. */
static bool all_quiet(void)
{
    uint32_t made = pi_load_acquire(&w.nodes);
    return !tasks_live(w.ex[0]) && !tasks_live(w.ex[1]) && pi_load_acquire(&w.nodes) == made;
}

/* --- Rounds ---------------------------------------------------------------------------------- */

static void ignore(void *unused, const pica_ignored_cancel *report)
{
    (void)unused;
    (void)report;
}

/* Nothing is left, but for tasks that a shutdown had to cancel. */
static void on_left(void *ex, const pica_left *left)
{
    CHECK(left->kind == PICA_LEFT_TASK && pi_load_acquire(&w.closing[(uintptr_t)ex]));
}

static void open_all(check_rng *rng)
{
    for (uintptr_t i = 0; i < EXECUTORS; i++) {
        pica_options options = check_options();
        options.on_lost_error = on_lost;
        options.on_ignored_cancel = ignore;
        options.on_left = on_left;
        options.hook_arg = (void *)i;
        options.workers_max = options.workers + 2;
        w.ex[i] = check_executor_open(&options);
    }
    for (unsigned i = 0; i < 2; i++) {
        tested_sem *t = &w.sems[i];
        t->closes = check_rng_below(rng, 3) == 0;
        t->permits = 1 + (int64_t)check_rng_below(rng, 4);
        CHECK_OK(i ? pica_sem_init_bounded(&t->sem, t->permits, t->permits)
                   : pica_sem_init(&t->sem, t->permits));
    }
    for (uint32_t i = 0; i < SHARED; i++)
        w.shared[i] = i < LEAVES ? node_new(rng, LEAF, 0, i % EXECUTORS)
                                 : node_new(rng, ACTOR, 3, i % EXECUTORS);
}

static void close_all(void)
{
    for (unsigned i = 0; i < 2; i++) {
        tested_sem *t = &w.sems[i];
        CHECK_EQ(pica_sem_value(&t->sem), t->permits);
        CHECK_EQ(pica_sem_release(&t->sem), i ? -EOVERFLOW : 0);
        CHECK_EQ(pica_sem_destroy(&t->sem), 0);
    }
    for (unsigned i = 0; i < SHARED; i++)
        pica_unref(w.shared[i]->task);
    for (unsigned i = 0; i < EXECUTORS; i++)
        check_executor_close(w.ex[i]);
    oracle_end();
}

static void round_of(uint64_t number)
{
    check_rng rng = check_rng_make(number), seeds[THREADS];
    pthread_t threads[THREADS];
    oracle_begin();
    open_all(&rng);
    pi_store_relaxed(&stop, 0u);
    for (unsigned i = 0; i < THREADS; i++) {
        seeds[i] = (check_rng){check_rng_next(&rng)};
        CHECK_FATAL(pthread_create(&threads[i], NULL, outsider, &seeds[i]) == 0);
    }
    for (unsigned i = 0; i < SHARED; i++)
        CHECK(node_spawn(&rng, NULL, w.shared[i]));
    if (check_rng_below(&rng, 4) == 0)
        shut_down_the_second(&rng);
    for (unsigned i = 0; i < SHARED; i++)
        if (check_rng_below(&rng, 2)) /* else its error is lost, unless another looks at it */
            CHECK_EQ(join_one(NULL, &rng, w.shared[i]), 0);
    pi_store_release(&stop, 1u);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CHECK_SOON(all_quiet());
    close_all();
}

static void any_program(void)
{
    uint64_t rounds = check_rounds(100);
    for (uint64_t i = 0; i < rounds && (i == 0 || check_time_left()); i++)
        round_of(i);
}

CHECK_MAIN
{
    check_timeout(60);
    check_plain_in(CHECK_ALL | CHECK_SPARE, "any program", any_program);
}
