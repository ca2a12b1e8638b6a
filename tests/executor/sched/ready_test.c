/* SPDX-License-Identifier: MIT */
/* ready_test.c: what comes from outside of the workers gets its turn, whatever they are busy with.
 * That nothing is lost on its way is ready_model.c's. */
#include "tests/executor/bodies.h"

#include <pthread.h>

/* Tasks that keep all workers busy until something from outside has run. */
struct busy {
    pica_executor *ex;
    check_latch ran;
    check_latch turns;
    int64_t give_up;
    void (*turn)(void);
};

static intptr_t goes_on(void *arg)
{
    struct busy *busy = arg;
    while (check_hits(&busy->ran) == 0 && pica_now() < busy->give_up) {
        busy->turn();
        check_hit(&busy->turns);
    }
    return check_hits(&busy->ran) > 0;
}

/* Comes in once all are at it. */
static void *comes_from_outside(void *arg)
{
    struct busy *busy = arg;
    while (check_hits(&busy->turns) < 10000 && pica_now() < busy->give_up)
        pi_spin_wait(100);
    CHECK_OK(pica_executor_spawn(busy->ex, NULL, body_hits, &busy->ran));
    return NULL;
}

static void it_gets_its_turn(void (*turn)(void))
{
    struct busy busy = {.ex = check_executor(), .turn = turn, .give_up = pica_after(PICA_SEC(10))};
    pica_task *tasks[4];
    unsigned n = pica_executor_workers(busy.ex) - 1;
    pthread_t thread;
    for (unsigned i = 0; i < n; i++)
        tasks[i] = body_spawn(goes_on, &busy);
    CHECK_FATAL(pthread_create(&thread, NULL, comes_from_outside, &busy) == 0);
    CHECK_EQ(goes_on(&busy), 1);
    for (unsigned i = 0; i < n; i++)
        CHECK_EQ(body_end(tasks[i]), 1);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

static void awaits_one(void)
{
    CHECK_EQ(body_end(body_spawn(body_returns, body_arg(1))), 1);
}

static void ends_a_group_of_one(void)
{
    pica_group group;
    pica_group_begin(&group);
    CHECK_OK(pica_group_spawn(&group, body_returns, NULL));
    CHECK_EQ(pica_group_end(&group, 0), 0);
}

static void starts_one_eagerly(void)
{
    pica_attr attr = PICA_ATTR_INIT;
    attr.eager = 1;
    CHECK_OK(pica_spawn_with(NULL, body_returns, NULL, &attr));
}

static void yields(void)
{
    CHECK_OK(pica_yield());
}

static void beside_inline_awaits(void)
{
    it_gets_its_turn(awaits_one);
}

static void beside_groups(void)
{
    it_gets_its_turn(ends_a_group_of_one);
}

static void beside_eager_starts(void)
{
    it_gets_its_turn(starts_one_eagerly);
}

static void beside_yields(void)
{
    it_gets_its_turn(yields);
}

CHECK_MAIN
{
    check_run("beside inline awaits", beside_inline_awaits);
    check_run("beside groups", beside_groups);
    check_run("beside eager starts", beside_eager_starts);
    check_run("beside yields", beside_yields);
}
