/* SPDX-License-Identifier: MIT */
/* trim_model.c: pica_trim() against workers that go to sleep, all interleavings: each of them
 * answers. trim.c and idle.c are the real ones; here is the part of worker.c's idle() that lies
 * down, and no stack nor arena.
 */
#include "executor/sched/trim.h"

#include "executor/coro/trim.h"

#include "tests/model/model.h"

#include <string.h>

enum { WORKERS = 2 };

extern __thread pi_worker *pi_worker_current;
__thread pi_worker *pi_worker_current
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

static pica_executor executor;
static pi_worker workers[WORKERS];
static model_event drivers[WORKERS];
static bool sleeping[WORKERS];
static unsigned n_workers; /* threads 0 to n_workers - 1 */

static void set_worker(void)
{
    pi_worker_current = model_self() < n_workers ? &workers[model_self()] : NULL;
}

void pi_executor_wake(pica_executor *ex, int i)
{
    model_check(ex == &executor && i >= 0);
    model_wake(&drivers[i]);
}

/* --- Nothing to trim ------------------------------------------------------------------------ */

uint32_t pi_fibers_shed(pi_worker *worker, uint32_t keep)
{
    model_check(worker == pi_worker_current && keep == PI_TRIM_WARM);
    return 0;
}

void pi_pool_turn(pi_pool *pool)
{
    model_check(pool == &executor.pool);
}

pi_fiber *pi_pool_take_aged(pi_pool *pool, size_t n)
{
    model_check(pool == &executor.pool && n == PI_TRIM_BATCH);
    return NULL;
}

void pi_pool_put_trimmed(pi_pool *pool, pi_fiber *chain)
{
    model_fail("%p %p", (void *)pool, (void *)chain);
}

size_t pi_stack_trim(struct iovec *ranges, size_t n)
{
    model_fail("%p %zu", (void *)ranges, n);
}

void pi_arena_purge(const pi_arena *arena)
{
    model_check(!arena->number);
}

bool pi_arena_settles(pi_arena *arena)
{
    model_fail("%p", (void *)arena);
}

bool pi_arena_used(const pi_arena *arena)
{
    model_fail("%p", (const void *)arena);
}

/* --- Threads -------------------------------------------------------------------------------- */

static void goes_to_bed(pi_worker *worker, bool up)
{
    for (;; up = true) {
        unsigned i = worker->index;
        if (up) {
            bool last = pi_idle_sleep_begin(&executor.idle, i, false);
            model_check(!last);
            if (pi_trim_asked(worker)) {
                model_check(pi_idle_sleep_abort(&executor.idle, i));
                pi_trim_answer(worker);
                continue;
            }
        }
        sleeping[i] = true;
        model_sleep(&drivers[i]);
        sleeping[i] = false;
        model_check(!pi_idle_woken(&executor.idle, i));
    }
}

static void lies_down(void)
{
    goes_to_bed(&workers[model_self()], true);
}

static void sleeps(void)
{
    goes_to_bed(&workers[model_self()], false);
}

static void asks(void)
{
    model_check(pica_trim(&executor) == 0);
}

static void asks_and_lies_down(void)
{
    asks();
    lies_down();
}

/* --- Set-ups and the end -------------------------------------------------------------------- */

static void setup(unsigned n, unsigned n_asleep)
{
    n_workers = n;
    memset(&executor, 0, sizeof(executor));
    memset(workers, 0, sizeof(workers));
    memset(drivers, 0, sizeof(drivers));
    memset(sleeping, 0, sizeof(sleeping));
    executor.workers = workers;
    executor.seats = n;
    pi_idle_init(&executor.idle, n);
    for (unsigned i = 0; i < n; i++) {
        workers[i].ex = &executor;
        workers[i].index = i;
    }
    for (unsigned i = n - n_asleep; i < n; i++)
        model_check(!pi_idle_sleep_begin(&executor.idle, i, false));
}

static void one_awake(void)
{
    setup(1, 0);
}

static void one_asleep(void)
{
    setup(1, 1);
}

static void one_of_two_asleep(void)
{
    setup(2, 1);
}

static void all_have_answered(void)
{
    for (unsigned i = 0; i < n_workers; i++) {
        model_check(sleeping[i]);
        model_check(workers[i].trim_answered == executor.trim_asked);
    }
    model_check(executor.trim_asked > 0);
}

static const model_test tests[] = {
    {"a request", one_awake, {lies_down, asks}, all_have_answered, true, 0, 0},
    {"a request, asleep", one_asleep, {sleeps, asks}, all_have_answered, true, 0, 0},
    {"two requests", one_asleep, {sleeps, asks, asks}, all_have_answered, true, 0, 0},
    {"a worker asks",
     one_of_two_asleep,
     {asks_and_lies_down, sleeps},
     all_have_answered,
     true,
     0,
     0},
    {"a worker asks, and a stranger",
     one_of_two_asleep,
     {asks_and_lies_down, sleeps, asks},
     all_have_answered,
     true,
     3,
     1},
};

static const model_reason reasons[] = {
    {"get_up", "acquire and -> relaxed", "idle->beds[w / PER_BED]", 1, "idle_model.c says why"},
    {"pi_idle_claim", "release cas -> relaxed", "bed", 1, "idle_model.c says why"},
    {"pi_executor_seats", "acquire load -> relaxed", "ex->seats", 1,
     "it publishes the fields of a worker that is added, and none is added here"},
};

int main(int argc, char **argv)
{
    model_on_switch(set_worker);
    return model_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]), reasons,
                      sizeof(reasons) / sizeof(reasons[0]));
}
