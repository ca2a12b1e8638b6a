/* SPDX-License-Identifier: MIT */
/* rescue_model.c: who serves a stuck worker (rescue.h): helpers that are asked, one after the other
 * or at once, against the stuck one that turns again. rescue.c is the real one; here are drivers
 * that know who is attached to whom and how a wake orders memory (epoll.c, (B) and (C)), and of the
 * worker's loop what it needs.
 *
 * What has to hold in each interleaving, at the end: the attachments, the rescuers and their counts
 * say the same; nobody has two rescuers, or is its own; who has turned since, or sleeps, has none;
 * who is stuck has one. And whoever is asked to rescue a worker knows what its maker wrote.
 */
#include "executor/sched/rescue.h"

#include "executor/sched/reserve.h"

#include "tests/model/model.h"

#include <string.h>

enum {
    WORKERS = 4,
    STUCK = 0,
    FIRST = 1,
    SECOND = 2,
    ADDED = 3 /* made by a thread of the model */
};

static pica_executor executor;
static pi_worker workers[WORKERS];
static model_event called[WORKERS];
static uint32_t told[WORKERS]; /* [atomic] the drivers' words */

/* --- What rescue.c stands on ----------------------------------------------------------------- */

struct pi_driver { /* plain, as a worker's driver is; whose it is */
    uint32_t index;
};

static struct pi_driver drivers[WORKERS];
static bool attached[WORKERS][WORKERS];
static int attachments; /* plain: stands for them, which the mutex guards */
static bool fails;      /* the first attach does */

static int attach(pi_driver *self, pi_driver *stuck)
{
    model_plain_write(&attachments);
    model_plain_read(self);
    model_plain_read(stuck);
    model_check(self != stuck && !attached[self->index][stuck->index]);
    if (fails) {
        fails = false;
        return -ENOMEM;
    }
    attached[self->index][stuck->index] = true;
    return 0;
}

static void detach(pi_driver *self, pi_driver *stuck)
{
    model_plain_write(&attachments);
    model_check(attached[self->index][stuck->index]);
    attached[self->index][stuck->index] = false;
}

static const pi_driver_ops driver = {.name = "model", .attach = attach, .detach = detach};

static unsigned served[WORKERS];

unsigned pi_worker_look_around(pi_worker *worker, pi_worker *at)
{
    model_check(worker != at);
    model_plain_read(at->driver);
    served[at->index]++;
    return 0;
}

void pi_spare_send_to_rest(pica_executor *ex)
{
    (void)ex;
}

/* --- Parts: thread i is worker i, the last is the monitor ------------------------------------ */

static void looks_around(void)
{
    pi_rescue_serve(&workers[model_self()]);
}

static void helps(void)
{
    model_sleep(&called[model_self()]);
    (void)pi_xchg_acquire(&told[model_self()], 0u);
    looks_around();
}

static void helps_and_turns(void)
{
    helps();
    pi_rescue_recovered(&workers[model_self()]);
    looks_around();
}

static void ask(unsigned helper, unsigned stuck)
{
    pi_rescue_ask(&workers[helper], stuck);
    (void)pi_or_release(&told[helper], 1u);
    model_wake(&called[helper]);
}

static void asks_the_first(void)
{
    ask(FIRST, STUCK);
}

static void asks_both(void)
{
    ask(FIRST, STUCK);
    ask(SECOND, STUCK);
}

/* The first is found to be stuck itself, when it has come. */
static void asks_for_both(void)
{
    ask(FIRST, STUCK);
    ask(SECOND, FIRST);
}

/* It had just lain down when it seemed stuck. */
static void asks_it_for_itself(void)
{
    ask(STUCK, STUCK);
}

static void turns_again(void)
{
    pi_rescue_recovered(&workers[STUCK]);
}

/* pi_worker_init() for one that is added. */
static void adds_one(void)
{
    model_plain_write(&drivers[ADDED]);
    pi_store_release(&executor.seats, (uint32_t)WORKERS);
}

static void asks_for_the_added(void)
{
    if (pi_load_acquire(&executor.seats) == WORKERS) /* as pi_executor_seats() */
        pi_rescue_ask(&workers[FIRST], ADDED); /* who turns: it is not woken */
}

static void nothing(void)
{
}

/* --- Set-up and end -------------------------------------------------------------------------- */

static void all_are_there(void)
{
    memset(&executor, 0, sizeof(executor));
    memset(workers, 0, sizeof(workers));
    memset(called, 0, sizeof(called));
    memset(told, 0, sizeof(told));
    memset(attached, 0, sizeof(attached));
    memset(served, 0, sizeof(served));
    fails = false;
    executor.workers = workers;
    executor.driver = &driver;
    executor.workers_count = executor.seats = ADDED;
    for (uint32_t i = 0; i < WORKERS; i++) {
        drivers[i].index = i;
        workers[i].ex = &executor;
        workers[i].index = i;
        workers[i].driver = &drivers[i];
        workers[i].timers.next_ns = PICA_NEVER;
    }
}

static void it_has_a_rescuer(void)
{
    all_are_there();
    workers[STUCK].rescuer = FIRST + 1;
    workers[FIRST].rescuing = 1;
    attached[FIRST][STUCK] = true;
}

static void the_first_attach_fails(void)
{
    all_are_there();
    fails = true;
}

static void it_sleeps(void)
{
    all_are_there();
    workers[STUCK].parked = 1;
}

static void they_say_the_same(void)
{
    uint32_t count[WORKERS] = {0};
    for (uint32_t i = 0; i < WORKERS; i++) {
        for (uint32_t by = 0; by < WORKERS; by++)
            model_check(attached[by][i] == (workers[i].rescuer == by + 1));
        if (workers[i].rescuer)
            count[workers[i].rescuer - 1]++;
    }
    for (uint32_t i = 0; i < WORKERS; i++)
        model_check(workers[i].rescuing == count[i]);
}

static void it_is_served(void)
{
    they_say_the_same();
    model_check(workers[STUCK].rescuer && served[STUCK]);
}

static void nobody_is_served(void)
{
    they_say_the_same();
    model_check(!workers[STUCK].rescuer && !served[STUCK]);
}

static void nobody_rescues_it(void)
{
    they_say_the_same();
    model_check(!workers[STUCK].rescuer);
}

static void both_are_served(void)
{
    they_say_the_same();
    model_check(workers[STUCK].rescuer == FIRST + 1 && served[STUCK]);
    model_check(served[FIRST] == 1);
}

static void the_added_is_served(void)
{
    they_say_the_same();
    model_check(!workers[ADDED].rescuer == !served[ADDED]);
}

const model_test model_tests[] = {
    {"asked", all_are_there, {nothing, helps, asks_the_first}, it_is_served, false, 0, 0},
    {"two are asked", all_are_there, {nothing, helps, helps, asks_both}, it_is_served, false, 3, 1},
    {"another one",
     it_has_a_rescuer,
     {nothing, nothing, helps, asks_both},
     it_is_served,
     false,
     0,
     0},
    {"turns again", it_has_a_rescuer, {turns_again}, nobody_rescues_it, false, 0, 0},
    {"turns meanwhile",
     all_are_there,
     {turns_again, helps, asks_the_first},
     they_say_the_same,
     false,
     0,
     0},
    {"turns, and two are asked",
     it_has_a_rescuer,
     {turns_again, helps, helps, asks_both},
     they_say_the_same,
     false,
     2,
     1},
    {"a chain",
     all_are_there,
     {nothing, helps, helps, asks_for_both},
     both_are_served,
     false,
     3,
     1},
    {"a chain comes loose",
     all_are_there,
     {nothing, helps_and_turns, helps, asks_for_both},
     they_say_the_same,
     false,
     2,
     1},
    {"no room in the set",
     the_first_attach_fails,
     {nothing, helps, asks_the_first},
     nobody_is_served,
     false,
     0,
     0},
    {"it sleeps", it_sleeps, {nothing, helps, asks_the_first}, nobody_is_served, false, 0, 0},
    {"for itself", all_are_there, {helps, asks_it_for_itself}, nobody_is_served, false, 0, 0},
    {"an added one",
     all_are_there,
     {adds_one, looks_around, asks_for_the_added},
     the_added_is_served,
     false,
     0,
     0},
    {0},
};

const model_reason model_reasons[] = {
    {"rescue_model.c", NULL, "", 0, "epoll_model.c; and adds_one() is ready_model.c's"},
    {"lock.h", NULL, "", 0, "sem_model.c"},
    {"pi_executor_seats", "acquire load -> relaxed", "ex->seats", 1,
     "whom one finds that one rescues, one has known since one was asked"},
    {0},
};
