/* SPDX-License-Identifier: MIT */
/* batch_test.c: what a batch of events brings is left to its worker, as long as that is quick;
 * what it spawns is not. */
#include "tests/executor/bodies.h"

#include <limits.h>

#define BATCH 12
#define ROUNDS 100
#define TRIES 8

struct sleeper {
    int64_t until;
    unsigned strays; /* woken on another worker than the one it waited on */
};

/* Short: a dozen of them takes far less than a thief's way here. */
static intptr_t sleeps(void *arg)
{
    struct sleeper *me = arg;
    int before = pica_worker_index();
    CHECK_OK(pica_sleep_until(me->until));
    me->strays += pica_worker_index() != before;
    return 0;
}

static unsigned round_of_sleepers(void)
{
    struct sleeper sleeper[BATCH];
    pica_task *task[BATCH];
    unsigned strays = 0;
    int64_t until = pica_after(PICA_MS(1));
    for (unsigned i = 0; i < BATCH; i++) {
        sleeper[i] = (struct sleeper){.until = until};
        task[i] = body_spawn(sleeps, &sleeper[i]);
    }
    CHECK_OK(pica_sleep_until(until)); /* does not await: that would run them here */
    for (unsigned i = 0; i < BATCH; i++) {
        CHECK_EQ(body_end(task[i]), 0);
        strays += sleeper[i].strays;
    }
    return strays;
}

/* With the machine's other work in between a thief now and then comes in time, but not each time:
 * this is the best of some. */
static void stay_with_their_worker(void)
{
    unsigned strays = UINT_MAX;
    for (unsigned try = 0; try < TRIES && strays >= ROUNDS * BATCH / 10; try++) {
        strays = 0;
        for (unsigned i = 0; i < ROUNDS; i++)
            strays += round_of_sleepers();
    }
    CHECK_LT(strays, ROUNDS * BATCH / 10);
}

static intptr_t spins(void *arg)
{
    unsigned *running = arg;
    patience p = patience_of(PICA_SEC(12));
    pi_add_relaxed(running, 1u);
    while (pi_load_relaxed(running) < 2 && patience_lasts(&p)) {
    }
    return pi_load_relaxed(running) >= 2;
}

/* Right after its own wake-up, when its batch is still young, a task spawns two that end only
 * together: another worker has to come for one of them, and at once. */
static void what_they_spawn_is_open_to_all(void)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned running = 0;
        CHECK_OK(pica_sleep(PICA_US(200)));
        pica_task *one = body_spawn(spins, &running);
        pica_task *other = body_spawn(spins, &running);
        CHECK_EQ(body_end(one), 1);
        CHECK_EQ(body_end(other), 1);
    }
}

CHECK_MAIN
{
    unsigned modes = CHECK_TWO | CHECK_FOUR | CHECK_NO_INLINE;
    check_run_in(modes, "stay with their worker", stay_with_their_worker);
    check_run_in(modes, "what they spawn is open to all", what_they_spawn_is_open_to_all);
}
