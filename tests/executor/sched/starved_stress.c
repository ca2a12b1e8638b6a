/* SPDX-License-Identifier: MIT */
/* starved_stress.c: few stacks of each of several sizes, and many tasks that need them, from all
 * sides, while others cancel them, workers come and go, and the executor ends. Each runs or is
 * dropped, once; or is told that there was no stack, and then has not run. */
#include "executor/sched/executor.h"
#include "tests/executor/bodies.h"
#include "tests/fault.h"

#include <pica/group.h>
#include <pthread.h>

/* A slab of 64 MiB holds 16, 8, 4 of these. Of the last there is none. */
enum { SIZES = 4, MANY = 600 };
static const size_t size_of[SIZES] = {(size_t)4 << 20, (size_t)8 << 20, (size_t)16 << 20,
                                      (size_t)32 << 20};

struct errand {
    uint32_t ran, dropped; /* [atomic] how often */
    bool may_drop;
    pica_task *task;
};

static struct {
    struct errand errands[MANY];
    pica_executor *ex;
    uint32_t over; /* [atomic] */
    uint64_t seed;
} play;

static intptr_t goes_on_an_errand(void *arg)
{
    struct errand *errand = arg;
    size_t i = (size_t)(errand - play.errands);
    pi_add_relaxed(&errand->ran, 1u);
    int rc = 0;
    if (i % 5 == 1)
        rc = pica_yield();
    else if (i % 5 == 2)
        rc = pica_sleep(PICA_US(50));
    else if (i % 5 == 3)
        CHECK_LE(pica_await(play.errands[i - 1].task, NULL), 0); /* perhaps without a stack, too */
    return rc < 0 ? rc : (intptr_t)i;
}

static intptr_t waits_for_ever(void *arg)
{
    pi_add_relaxed(&((struct errand *)arg)->ran, 1u);
    return pica_sleep(PICA_NEVER);
}

static void drops(void *arg)
{
    pi_add_relaxed(&((struct errand *)arg)->dropped, 1u);
}

static void make_stacks(void)
{
    pica_attr attr = PICA_ATTR_INIT;
    for (unsigned k = 0; k + 1 < SIZES; k++) {
        pica_task *task = NULL;
        intptr_t result = 0;
        attr.stack_size = size_of[k];
        CHECK_FATAL_OK(pica_spawn_with(&task, body_returns, body_arg(1), &attr));
        CHECK_OK(pica_join(task, &result));
        CHECK_EQ(result, 1);
        pica_unref(task);
    }
    fault_arm(FAULT_MMAP, 1, 1, ENOMEM);
}

/* Of a random kind. @param sizes  how many of them to choose from */
static void send(struct errand *errand, pica_fn fn, check_rng *rng, unsigned sizes, bool handle)
{
    pica_attr attr = PICA_ATTR_INIT;
    *errand = (struct errand){.may_drop = check_rng_below(rng, 2)};
    attr.stack_size = size_of[check_rng_below(rng, sizes)];
    attr.eager = check_rng_below(rng, 4) == 0;
    if (errand->may_drop)
        attr.on_drop = drops;
    if (check_rng_below(rng, 8) == 0)
        attr.pin = 1 + (unsigned)check_rng_below(rng, play.ex->workers_min);
    pica_task **out = handle ? &errand->task : NULL;
    CHECK_FATAL_OK(check_rng_below(rng, 4)
                       ? pica_spawn_with(out, fn, errand, &attr)
                       : pica_executor_spawn_with(play.ex, out, fn, errand, &attr));
}

static void check_ended(const struct errand *errand, intptr_t result)
{
    uint32_t ran = pi_load_relaxed(&errand->ran), dropped = pi_load_relaxed(&errand->dropped);
    if (result == -ENOMEM)
        CHECK(ran == 0 && dropped == errand->may_drop);
    else
        CHECK(ran + dropped == 1 && (!dropped || (errand->may_drop && result == -ECANCELED)));
    if (result >= 0)
        CHECK_EQ(result, errand - play.errands);
    else
        CHECK(result == -ECANCELED || result == -ENOMEM);
}

/* --- While they are cancelled, and workers come and go --------------------------------------- */

static void *disturbs(void *arg)
{
    check_rng rng = check_rng_make(play.seed);
    unsigned least = play.ex->workers_min, most = play.ex->workers_max;
    while (!pi_load_acquire(&play.over)) {
        (void)pica_cancel(play.errands[check_rng_below(&rng, MANY)].task);
        if (check_rng_below(&rng, 16) == 0)
            CHECK_OK(pica_executor_resize(
                play.ex, least + (unsigned)check_rng_below(&rng, most - least + 1)));
        if (check_rng_below(&rng, 4) == 0)
            (void)pica_trim(play.ex);
    }
    return arg;
}

static intptr_t sends_all(void *arg)
{
    pthread_t thread;
    check_rng rng = check_rng_make(++play.seed);
    make_stacks();
    pi_store_relaxed(&play.over, 0u);
    for (unsigned i = 0; i < MANY; i++)
        send(&play.errands[i], goes_on_an_errand, &rng, SIZES - 1, true);
    CHECK_FATAL(pthread_create(&thread, NULL, disturbs, NULL) == 0);
    for (unsigned i = 0; i < MANY; i++) {
        intptr_t result = INTPTR_MIN;
        CHECK_OK(pica_join(play.errands[i].task, &result));
        check_ended(&play.errands[i], result);
    }
    pi_store_release(&play.over, 1u);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    for (unsigned i = 0; i < MANY; i++)
        pica_unref(play.errands[i].task);
    fault_disarm();
    return (intptr_t)arg;
}

static void open_executor(void)
{
    pica_options options = check_options();
    options.workers_max = options.workers + 2;
    play.ex = check_executor_open(&options);
}

static void disturbed(void)
{
    for (uint64_t i = check_rounds(8); i > 0 && check_time_left(); i--) {
        open_executor();
        CHECK_EQ(body_end(body_spawn_in(play.ex, sends_all, body_arg(3))), 3);
        check_executor_close(play.ex);
    }
}

/* --- While the executor ends ----------------------------------------------------------------- */

static intptr_t leaves_them_behind(void *arg)
{
    check_rng rng = check_rng_make(++play.seed);
    make_stacks();
    for (unsigned i = 0; i < MANY; i++)
        send(&play.errands[i], i % 2 ? waits_for_ever : goes_on_an_errand, &rng, SIZES, false);
    return (intptr_t)arg;
}

static void left_behind(void)
{
    for (uint64_t i = check_rounds(4); i > 0 && check_time_left(); i--) {
        unsigned neither = 0;
        open_executor();
        CHECK_EQ(body_end(body_spawn_in(play.ex, leaves_them_behind, body_arg(3))), 3);
        CHECK_LE(0, pica_executor_shutdown(play.ex, 0));
        check_executor_close(play.ex);
        for (unsigned k = 0; k < MANY; k++) {
            const struct errand *errand = &play.errands[k];
            CHECK_LE(errand->ran + errand->dropped, 1);
            CHECK_EQ(errand->dropped & !errand->may_drop, 0);
            neither += errand->ran + errand->dropped == 0;
            CHECK(errand->ran + errand->dropped == 1 || !errand->may_drop);
        }
        CHECK_LT(neither, MANY / 2); /* for whose size there is none */
        fault_disarm();
        (void)check_lost_errors();
    }
}

CHECK_MAIN
{
    check_timeout(60);
    check_plain_in(CHECK_ALL, "disturbed", disturbed);
    check_plain_in(CHECK_ALL, "left behind", left_behind);
}
