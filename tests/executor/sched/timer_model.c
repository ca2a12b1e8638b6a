/* SPDX-License-Identifier: MIT */
/* timer_model.c: sets of timers that change hands (timer.h): a fiber that waits with a deadline
 * on one worker, is woken on another and waits again there; the owner of the set, and the
 * rescuer that fires its timers meanwhile; neighbours in the heap. timer.c, wait.c and lock.h are
 * the real ones; here are workers that suspend into the model.
 *
 * What has to hold in each interleaving: a wait ends once, and by its deadline only if it had
 * come; a timer that was disarmed is its fiber's again, nobody looks at it any more; who fires
 * a set misses no timer that is due, and no two fire the same one; in the end the sets are empty
 * and say so. (The wait word itself against cancels and wakers: wait_model.c.)
 */
#include "executor/sched/executor.h"
#include "executor/sched/ignored.h"
#include "executor/sched/scope.h"
#include "executor/sched/starved.h"
#include "executor/sched/worker.h"

#include "tests/model/model.h"
#include "tests/model/model_self.h"

#include <string.h>

enum { WORKERS = 2, NEIGHBOURS = 2, THREADS = 4 };

/* --- Workers, as far as timers need them --------------------------------------------------------- */

static pi_worker workers[WORKERS];
static pica_executor executor;
static struct { /* aligned, so that a task's executor is found */
    pi_task_slab slab;
    pica_task task, neighbour[NEIGHBOURS];
} tasks __attribute__((aligned(PI_SLAB_BYTES)));
static pi_fiber fiber;                  /* thread 0 */
static pi_fiber neighbours[NEIGHBOURS]; /* parked, with timers in worker 0's set */
static unsigned fiber_on;               /* the worker that runs the fiber */
static unsigned on[THREADS];            /* the worker that a thread stands for */
static uint32_t queued; /* [atomic] stands for the queue: its push and take order memory */
static model_event ready;
static int in_timer;        /* plain: the fields of the fiber's timer, outside of the set's lock */
static int in_set[WORKERS]; /* plain: what the lock of a set guards */
static unsigned neighbours_run[NEIGHBOURS];

static void set_worker(void)
{
    pi_worker_current = &workers[model_self() == 0 ? fiber_on : on[model_self()]];
}

void pi_worker_ready(pica_task *t)
{
    for (unsigned i = 0; i < NEIGHBOURS; i++)
        if (t == &tasks.neighbour[i]) {
            neighbours_run[i]++;
            return;
        }
    model_check(t == &tasks.task);
    fiber_on = on[model_self()];
    model_check(pi_add_release(&queued, 1u) == 0);
    model_wake(&ready);
}

void pi_worker_suspend(pi_worker *w, pi_fiber *f, pi_after after)
{
    model_check(w == &workers[fiber_on] && f == &fiber && after == PI_AFTER_PARK);
    if (pi_wait_commit(&f->wait)) {
        model_sleep(&ready);
        model_check(pi_sub_acquire(&queued, 1u) == 1);
    }
    set_worker();
}

void pi_ignored_note(pi_fiber *f)
{
    model_fail("%p: nobody is cancelled", (void *)f);
}

void pi_starved_cancelled_slow(pica_task *task)
{
    model_fail("%p: nobody is cancelled", (void *)task);
}

int pi_futex_wait(uint32_t *at, uint32_t value, int64_t deadline_ns);
void pi_futex_wake(uint32_t *at, int n);

int pi_futex_wait(uint32_t *at, uint32_t value, int64_t deadline_ns)
{
    model_fail("%p %u %ld: no plain thread waits", (void *)at, value, (long)deadline_ns);
}

void pi_futex_wake(uint32_t *at, int n)
{
    model_fail("%p %d: no plain thread waits", (void *)at, n);
}

/* The linker sends timer.c's calls here: an expiry, under the lock of a set, which has just read
 * the timer. */
bool __real_pi_wait_end(pi_token token, pi_how how);
bool __wrap_pi_wait_end(pi_token token, pi_how how);

bool __wrap_pi_wait_end(pi_token token, pi_how how)
{
    if (how == PI_TIMEOUT && token.wait == &fiber.wait)
        model_plain_read(&in_timer);
    if (how == PI_TIMEOUT && token.wait != &fiber.wait)
        model_plain_write(&in_set[0]);
    return __real_pi_wait_end(token, how);
}

/* --- Who takes part -------------------------------------------------------------------------------- */

#define EARLY 100
#define NOW 150 /* who fires does it for this time */
#define LATE 200

static pi_token tokens[2]; /* of the fiber's first and second wait */
static uint32_t begun;     /* [atomic] how many of them: release, acquire */
static pi_how how[2];
static unsigned fired, won;

static void wait_until(unsigned i, int64_t deadline_ns)
{
    pi_waiter me;
    pi_wait_begin(&me);
    tokens[i] = me.token;
    pi_store_release(&begun, i + 1);
    model_plain_write(&in_timer); /* it is the fiber's to arm */
    how[i] = pi_wait_park(&me, deadline_ns);
    model_plain_write(&in_timer); /* and again: nobody else has it */
    model_check(how[i] == PI_WOKEN || how[i] == PI_TIMEOUT);
    model_check(how[i] != PI_TIMEOUT || deadline_ns <= NOW);
}

static void waits_once(void)
{
    wait_until(0, EARLY);
}

/* The second time in the set of whatever worker it was woken on. */
static void waits_twice(void)
{
    wait_until(0, EARLY);
    wait_until(1, LATE);
}

static void waits_twice_for_short(void)
{
    wait_until(0, LATE);
    wait_until(1, EARLY);
}

static void fire(unsigned set)
{
    fired += pi_timers_expire(&workers[set].timers, NOW);
}

static void fires_0(void)
{
    fire(0);
}

static void fires_both(void)
{
    fire(0);
    fire(1);
}

/* The fiber goes on where its waker is. */
static void wake(unsigned i)
{
    on[model_self()] = 1;
    for (unsigned rounds = 0; pi_load_acquire(&begun) <= i; rounds++)
        pi_spin_wait(rounds);
    won += __real_pi_wait_end(tokens[i], PI_WOKEN);
}

static void wakes_first(void)
{
    wake(0);
}

static void wakes_second(void)
{
    wake(1);
}

static void wakes_both(void)
{
    wake(0);
    wake(1);
}

/* Worker 0's loop: a set that it alone arms shows it its own deadlines at once. */
static void arms_and_looks(void)
{
    pi_waiter me;
    pi_wait_begin(&me);
    pi_timer_arm(&workers[0].timers, &fiber.timer, me.token, EARLY);
    model_check(pi_timers_next(&workers[0].timers) <= EARLY ||
                fiber.timer.index == PI_TIMER_EXPIRED);
    model_check(pi_wait_abandon(&me)); /* a timeout hands nothing over */
    pi_timer_disarm(&fiber.timer);
    model_plain_write(&in_timer);
}

/* --- Set-ups ------------------------------------------------------------------------------------------ */

static void fiber_init(pi_fiber *f, pica_task *task)
{
    memset(f, 0, sizeof(*f));
    f->wait.fiber = f;
    f->base = f->current = task;
    f->level = f->floor = 1;
    f->worker = &workers[0];
    task->word = 2 * PI_TASK_REF;
    task->fiber = f;
    task->level = 1;
}

static void setup(void)
{
    memset(workers, 0, sizeof(workers));
    memset(&executor, 0, sizeof(executor));
    memset(&tasks, 0, sizeof(tasks));
    tasks.slab.ex = &executor;
    for (unsigned i = 0; i < WORKERS; i++) {
        workers[i].ex = &executor;
        workers[i].index = i;
        pi_timers_init(&workers[i].timers);
    }
    fiber_init(&fiber, &tasks.task);
    fiber_on = 0;
    workers[0].fiber = workers[1].fiber = &fiber; /* whichever runs it */
    on[1] = 0;                                    /* the set's owner */
    on[2] = on[3] = 1;                            /* the rescuer, and who wakes */
    queued = begun = 0;
    ready.set = false;
    memset(neighbours_run, 0, sizeof(neighbours_run));
    how[0] = how[1] = PI_WAIT_IDLE;
    fired = won = 0;
    pi_worker_current = &workers[0];
    model_on_switch(set_worker);
}

/* Others' timers stand in the set, one due, one not. */
static void setup_with_neighbours(void)
{
    setup();
    for (unsigned i = 0; i < NEIGHBOURS; i++) {
        pi_fiber *f = &neighbours[i];
        fiber_init(f, &tasks.neighbour[i]);
        f->wait.word = pi_wait_as(pi_wait_next(0, 1), PI_PARKED);
        pi_token token = {&f->wait, pi_wait_as(f->wait.word, PI_WAITING)};
        pi_timer_arm(&workers[0].timers, &f->timer, token, i == 0 ? EARLY - 1 : LATE + 1);
    }
}

/* The same where no heap can be had: all of them in the list. */
static void setup_without_memory(void)
{
    model_alloc_fails(true);
    setup_with_neighbours();
}

/* --- The end -------------------------------------------------------------------------------------------- */

/* Of the fiber's waits, so many ended by time. */
static unsigned timeouts(void)
{
    return (unsigned)((how[0] == PI_TIMEOUT) + (how[1] == PI_TIMEOUT));
}

static void sets_are_empty(void)
{
    model_check(fired == timeouts());
    for (unsigned i = 0; i < WORKERS; i++) {
        model_check(workers[i].timers.count == 0 && workers[i].timers.listed == 0);
        model_check(workers[i].timers.next_ns == PICA_NEVER);
    }
    model_check(queued == 0 && !ready.set);
}

static void ended_once(void)
{
    sets_are_empty();
    model_check(won + timeouts() == 1);
}

static void ended_twice(void)
{
    sets_are_empty();
    model_check(won + timeouts() == 2);
}

static void fired_or_taken_back(void)
{
    how[0] = fired ? PI_TIMEOUT : PI_WOKEN;
    sets_are_empty();
}

/* The due neighbour has been fired, once, the other one stands there alone. */
static void neighbours_stand(void)
{
    model_check(neighbours_run[0] == 1 && neighbours_run[1] == 0);
    model_check(fired == 1 + timeouts() && won + timeouts() == 1);
    model_check(pi_timers_armed(&workers[0].timers) == 1);
    model_check(workers[0].timers.next_ns == LATE + 1);
    pi_timer_disarm(&neighbours[1].timer);
    model_check(pi_timers_armed(&workers[0].timers) == 0);
    model_check(workers[0].timers.next_ns == PICA_NEVER);
}

const model_test model_tests[] = {
    {"owner and rescuer", setup, {waits_once, fires_0, fires_0, wakes_first}, ended_once, 0, 2, 0},
    {"a wake and an expiry", setup, {waits_once, fires_0, wakes_first}, ended_once, 0, 3, 1},
    {"moves on", setup, {waits_twice, fires_0, wakes_both}, ended_twice, 0, 2, 1},
    {"moves on, two fire",
     setup,
     {waits_twice, fires_0, fires_0, wakes_both},
     ended_twice,
     0,
     1,
     0},
    {"moves on for short",
     setup,
     {waits_twice_for_short, wakes_first, fires_both, wakes_second},
     ended_twice,
     0,
     1,
     1},
    {"arms under a rescuer",
     setup,
     {arms_and_looks, fires_0, fires_0},
     fired_or_taken_back,
     0,
     3,
     1},
    {"neighbours",
     setup_with_neighbours,
     {waits_once, fires_0, fires_0, wakes_first},
     neighbours_stand,
     0,
     1,
     1},
    {"neighbours in a list",
     setup_without_memory,
     {waits_once, fires_0, fires_0, wakes_first},
     neighbours_stand,
     0,
     1,
     1},
    {0},
};

const model_reason model_reasons[] = {
    {"wait.c", NULL, "", 0, "wait_model.c"},
    {0},
};
