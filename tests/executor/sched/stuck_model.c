/* SPDX-License-Identifier: MIT */
/* stuck_model.c: a rescuer that looks into a stuck worker's queue (steal.c) while that one takes
 * back and queues tasks, and notes that it found nothing. deque.c and steal.c are the real ones.
 *
 * What has to hold in each interleaving: what lies in the queue once its owner is stuck is found by
 * a rescuer that looks again, and again some time later.
 */
#include "executor/sched/steal.h"

#include "tests/model/model_self.h"
#include "tests/model/model_workers.h"

enum {
    STUCK = 0,
    RESCUER = 1
};

static unsigned taken;

static void queues(unsigned i)
{
    (void)pi_worker_push(&model_workers[STUCK], &model_tasks[i]);
}

/* --- Parts ------------------------------------------------------------------------------------ */

static void looks(void)
{
    taken += pi_steal_from_stuck(&model_workers[RESCUER]) != NULL;
}

/* An await of task 0, inline; that spawns another one, and computes. */
static void takes_back_and_queues(void)
{
    (void)pi_worker_spend(&model_workers[STUCK]);
    taken += pi_deque_claim(&model_workers[STUCK].deque, &model_tasks[0].node);
    queues(1);
}

/* pi_loop_take_batch() in the middle of a turn. */
static void gets_a_batch(void)
{
    queues(0);
    pi_store_relaxed(&model_workers[STUCK].own_until, model_now_ns + PI_OWN_NS);
}

static void queues_one(void)
{
    queues(0);
}

/* --- Set-ups and end -------------------------------------------------------------------------- */

static void it_is_empty(void)
{
    model_workers_reset(2);
    taken = 0;
    model_workers[STUCK].rescuer = RESCUER + 1;
    model_workers[RESCUER].rescuing = 1;
    model_workers[STUCK].turns = 1;
}

static void it_has_one(void)
{
    it_is_empty();
    queues(0);
}

static void all_are_taken(unsigned n)
{
    model_now_ns += 1000000000;
    model_workers[RESCUER].now_ms += 1000; /* as a look around does */
    looks();
    looks();
    model_check(taken == n);
}

static void one_is_taken(void)
{
    all_are_taken(1);
}

static void two_are_taken(void)
{
    all_are_taken(2);
}

const model_test model_tests[] = {
    {"pushes", it_is_empty, {queues_one, looks}, one_is_taken, false, 0, 0},
    {"takes back", it_has_one, {takes_back_and_queues, looks}, two_are_taken, false, 0, 0},
    {"a batch", it_is_empty, {gets_a_batch, looks}, one_is_taken, false, 0, 0},
    {0},
};

const model_reason model_reasons[] = {
    {"pi_executor_seats", "acquire load -> relaxed", "ex->seats", 1,
     "it publishes the fields of a worker that is added, and none is added here"},
    {"deque.h", NULL, "", 0, "deque_model.c"},
    {"deque.c", NULL, "", 0, "deque_model.c"},
    {0},
};
