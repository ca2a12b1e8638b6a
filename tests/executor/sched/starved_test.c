/* SPDX-License-Identifier: MIT */
/* starved_test.c: tasks for which there is no stack, seen from close by: their order, how often
 * somebody tries for them, when they are given up, what is left of the time for which they waited.
 * How it looks to programs that run out of stacks is in executor/task/task_faults.c. */
#include "executor/sched/starved.h"
#include "tests/executor/no_stacks.h"


/* --- What of the time counts ----------------------------------------------------------------- */

/* All between two tries that follow each other as they should; of a pause, however long, as much
 * as of a short one; and nothing twice. */
static void time_that_counts(void)
{
    CHECK_EQ(pi_starved_counts_ns(0), 0);
    CHECK_EQ(pi_starved_counts_ns(-5), 0);
    CHECK_EQ(pi_starved_counts_ns(1), 1);
    CHECK_EQ(pi_starved_counts_ns(PI_STARVED_RETRY_NS), PI_STARVED_RETRY_NS);
    CHECK_LE(2 * PI_STARVED_RETRY_NS, PI_STARVED_HELD_NS);
    for (int64_t ns = PI_STARVED_HELD_NS; ns > 0 && ns < INT64_MAX / 3; ns *= 3)
        CHECK_EQ(pi_starved_counts_ns(ns), PI_STARVED_HELD_NS);
}

/* --- In their order -------------------------------------------------------------------------- */

enum { FEW = 20 };

static struct {
    uint32_t n; /* [atomic] */
    intptr_t who[FEW];
} order;

static intptr_t notes_order(void *arg)
{
    uint32_t at = pi_add_relaxed(&order.n, 1u);
    CHECK_FATAL(at < FEW);
    order.who[at] = (intptr_t)arg;
    return 0;
}

/* A stack that returns goes from one to the next, among them those that came later. */
static void in_their_order(void)
{
    pica_task *tasks[FEW];
    memset(&order, 0, sizeof(order));
    hold_all_and_one();
    for (unsigned i = 0; i < FEW; i++) {
        tasks[i] = spawn_in_class(notes_order, body_arg(i));
        CHECK_SOON(starved() == i + 1);
        nobody_gives_up();
    }
    CHECK_EQ(order.n, 0);
    give_one_back();
    for (unsigned i = 0; i < FEW; i++) {
        CHECK_EQ(body_end(tasks[i]), 0);
        CHECK_EQ(order.who[i], i);
    }
    give_all_back();
}

/* Those of another class, however many there are, hold up nobody of this one. */
static void each_class_by_itself(void)
{
    pica_task *tasks[FEW];
    hold_all_and_one();
    for (unsigned i = 0; i < FEW; i++)
        tasks[i] = spawn_in_class(body_returns, body_arg(i));
    CHECK_SOON(starved() == FEW);
    uint64_t tried = fault_met(FAULT_MMAP);
    for (unsigned i = 0; i < 2000; i++) {
        intptr_t result = 0;
        nobody_gives_up();
        pica_task *task = body_spawn(body_returns, body_arg(i));
        CHECK_OK(pica_join(task, &result)); /* on a stack of its own */
        CHECK_EQ(result, i);
        pica_unref(task);
    }
    CHECK_LT(fault_met(FAULT_MMAP) - tried, 2000);
    give_one_back();
    for (unsigned i = 0; i < FEW; i++)
        CHECK_EQ(body_end(tasks[i]), i);
    give_all_back();
}

/* --- How often somebody tries ---------------------------------------------------------------- */

/* Never leave a worker idle until the task has ended. */
static void keep_busy_beside(const pica_task *task)
{
    patience p = patience_of(PICA_SEC(15));
    while (pica_task_status(task) != PICA_DONE && patience_lasts(&p))
        (void)!pica_yield();
    CHECK_EQ(pica_task_status(task), PICA_DONE);
}

/* Until they are given up, whether or not their workers have something else to do. */
static void tries_now_and_then(bool busy)
{
    pica_task *tasks[FEW];
    hold_all_and_one();
    time_goes_on();
    uint64_t tried = fault_met(FAULT_MMAP);
    int64_t since = pica_now();
    for (unsigned i = 0; i < FEW; i++)
        tasks[i] = spawn_in_class(body_returns, NULL);
    if (busy)
        keep_busy_beside(tasks[0]);
    for (unsigned i = 0; i < FEW; i++) {
        intptr_t result = 0;
        CHECK_OK(pica_join(tasks[i], &result));
        CHECK_EQ(result, -ENOMEM);
        pica_unref(tasks[i]);
    }
    tried = fault_met(FAULT_MMAP) - tried;
    int64_t took = pica_now() - since;
    CHECK_LE(PICA_MS(PI_STARVED_PATIENCE_MS), took);
    /* Each worker, the spare as well; and each task once, at first. */
    uint64_t each = (uint64_t)(took / PI_STARVED_RETRY_NS) + 2;
    CHECK_LE(tried, FEW + each * (pica_executor_workers(check_executor()) + 1));
    CHECK_LT(FEW, tried); /* somebody does, all the same */
    give_all_back();
}

static void tried_by_idle_ones(void)
{
    tries_now_and_then(false);
}

static void tried_by_busy_ones(void)
{
    tries_now_and_then(true);
}

/* Others that find no stack, however often, put off no try for those that wait already. */
static void others_put_off_nothing(void)
{
    pica_task *tasks[FEW];
    const pi_worker *worker = pi_worker_self(); /* the only one */
    hold_all_and_one();
    tasks[0] = spawn_in_class(body_returns, body_arg(0));
    CHECK_SOON(starved() == 1);
    for (unsigned i = 1; i < FEW; i++) {
        int64_t due = worker->retry_ns;
        tasks[i] = spawn_in_class(body_returns, body_arg(i));
        CHECK_SOON(starved() == i + 1);
        nobody_gives_up();
        CHECK(worker->retry_ns == due || due <= pica_now());
    }
    give_one_back();
    for (unsigned i = 0; i < FEW; i++)
        CHECK_EQ(body_end(tasks[i]), i);
    give_all_back();
}

/* Memory comes back, from elsewhere: to one that nobody here gives a stack, though its worker never
 * sleeps. */
static void found_by_a_busy_worker(void)
{
    hold_all_and_one();
    pica_task *task = spawn_in_class(body_returns, body_arg(5));
    CHECK_SOON(starved() == 1);
    fault_disarm();
    keep_busy_beside(task);
    CHECK_EQ(body_end(task), 5);
    give_all_back();
}

/* --- Given up ---------------------------------------------------------------------------------- */

/* As if nobody had got a stack for a while. */
static void let_time_pass(void)
{
    pica_executor *ex = pica_executor_self();
    pthread_mutex_lock(&ex->inject_mutex);
    ex->starved_clock_ns += PICA_MS(2 * PI_STARVED_PATIENCE_MS);
    pthread_mutex_unlock(&ex->inject_mutex);
}

static check_latch released;

static void released_by_one_awake(void *arg)
{
    const pi_worker *worker = pi_worker_self();
    CHECK_EQ(arg, &released);
    CHECK(!worker->searching);
    CHECK_EQ(pi_idle_asleep(worker->idle), 0);
    CHECK_EQ(pi_idle_searching(worker->idle), 0);
    check_hit(&released);
}

static pica_task *spawn_droppable(void (*on_drop)(void *))
{
    pica_task *task = NULL;
    pica_attr attr = of_class();
    attr.on_drop = on_drop;
    CHECK_FATAL_OK(pica_spawn_with(&task, body_hits, &released, &attr));
    return task;
}

/* User's code is not called by who others think is asleep, or in search of work. */
static void given_up_by_one_awake(void)
{
    pi_worker *worker = pi_worker_self(); /* the only one */
    memset(&released, 0, sizeof(released));
    hold_all_and_one();
    pica_task *task = spawn_droppable(released_by_one_awake);
    CHECK_SOON(starved() == 1);
    let_time_pass();
    CHECK_EQ(body_end(task), -ENOMEM); /* its worker has slept meanwhile */
    task = spawn_droppable(released_by_one_awake);
    CHECK_SOON(starved() == 1);
    let_time_pass();
    worker->searching = pi_idle_search_begin(worker->idle);
    worker->retry_ns = 0;
    pi_starved_retry(worker);
    CHECK(!worker->searching);
    CHECK_EQ(body_end(task), -ENOMEM);
    CHECK_EQ(check_hits(&released), 2);
    give_all_back();
}

/* --- Cancelled meanwhile --------------------------------------------------------------------- */

static void counts(void *latch)
{
    check_hit(latch);
}

/* Of those that may be dropped, in the middle of a queue that does not move, the cancelled ones
 * end, as they need no stack; and nobody else. */
static void cancelled_wherever_they_are(void)
{
    check_latch dropped = {0};
    pica_task *tasks[FEW];
    pica_attr attr = of_class();
    attr.on_drop = counts;
    hold_all_and_one();
    for (unsigned i = 0; i < FEW; i++)
        CHECK_FATAL_OK(pica_spawn_with(&tasks[i], body_hits, &dropped, &attr));
    CHECK_SOON(starved() == FEW);
    nobody_gives_up();
    for (unsigned i = 1; i < FEW; i += 2)
        CHECK_EQ(pica_cancel(tasks[i]), 0);
    for (unsigned i = 1; i < FEW; i += 2) {
        intptr_t result = 0;
        CHECK_OK(pica_join(tasks[i], &result));
        CHECK_EQ(result, -ECANCELED);
        pica_unref(tasks[i]);
        nobody_gives_up();
    }
    CHECK_EQ(check_hits(&dropped), FEW / 2);
    CHECK_EQ(starved(), FEW / 2);
    give_one_back();
    for (unsigned i = 0; i < FEW; i += 2)
        CHECK_EQ(body_end(tasks[i]), 1);
    CHECK_EQ(check_hits(&dropped), FEW);
    give_all_back();
}

/* That takes no try, nor a look at others. */
static void cancelled_between_two_tries(void)
{
    pi_worker *worker = pi_worker_self(); /* the only one */
    pica_task *tasks[FEW];
    memset(&released, 0, sizeof(released));
    hold_all_and_one();
    for (unsigned i = 0; i < FEW; i++)
        tasks[i] = i % 2 ? spawn_droppable(counts) : spawn_in_class(body_returns, body_arg(i));
    CHECK_SOON(starved() == FEW);
    worker->retry_ns = pica_after(PICA_SEC(3600));
    for (unsigned i = 0; i < FEW; i++)
        CHECK_EQ(pica_cancel(tasks[i]), 0);
    for (unsigned i = 1; i < FEW; i += 2) {
        intptr_t result = 0;
        CHECK_OK(pica_join_until(tasks[i], &result, pica_after(PICA_SEC(10))));
        CHECK_EQ(result, -ECANCELED);
        pica_unref(tasks[i]);
    }
    CHECK_EQ(check_hits(&released), FEW / 2);
    CHECK_EQ(starved(), FEW / 2);
    give_one_back();
    for (unsigned i = 0; i < FEW; i += 2)
        CHECK_EQ(body_end(tasks[i]), i);
    worker->retry_ns = 0;
    give_all_back();
}

/* --- Afterwards ------------------------------------------------------------------------------ */

static uint32_t returns; /* [atomic] of the report; 0: none yet */

static void on_ignored_cancel(void *arg, const pica_ignored_cancel *report)
{
    CHECK_EQ(arg, &returns);
    pi_store_release(&returns, report->returns);
}

/* @return how many waits told it that it is cancelled, when it was reported */
static intptr_t never_looks(void *arg)
{
    uint32_t waits = 0;
    patience p = patience_of(PICA_SEC(20));
    (void)arg;
    while (!pi_load_acquire(&returns) && patience_lasts(&p)) {
        CHECK_EQ(pica_sleep(PICA_MS(1)), -ECANCELED);
        waits++;
    }
    return waits;
}

static intptr_t one_that_starved_never_looks(void *arg)
{
    (void)arg;
    let_time_pass(); /* nobody waits yet: from now on it is not 0 that has to be cleared */
    hold_all_and_one();
    pica_task *task = spawn_in_class(never_looks, NULL);
    CHECK_SOON(starved() == 1);
    CHECK_EQ(pica_cancel(task), 0);
    give_one_back();
    intptr_t waits = body_end(task);
    CHECK_LT(64, waits);
    CHECK_EQ(pi_load_acquire(&returns), waits);
    give_all_back();
    return 0;
}

/* What a starved task ignores later is counted from 0, in the place of the time that it waited. */
static void counts_what_it_ignores(void)
{
    returns = 0;
    pica_options options = check_options();
    options.on_ignored_cancel = on_ignored_cancel;
    options.hook_arg = &returns;
    pica_executor *ex = check_executor_open(&options);
    CHECK_EQ(body_end(body_spawn_in(ex, one_that_starved_never_looks, NULL)), 0);
    check_executor_close(ex);
}

CHECK_MAIN
{
    check_plain("time that counts", time_that_counts);
    check_run("in their order", in_their_order);
    check_run("each class by itself", each_class_by_itself);
    check_run("tried by idle ones", tried_by_idle_ones);
    check_run("tried by busy ones", tried_by_busy_ones);
    check_run_in(CHECK_ONE, "others put off nothing", others_put_off_nothing);
    check_run("found by a busy worker", found_by_a_busy_worker);
    check_run_in(CHECK_ONE, "given up by one awake", given_up_by_one_awake);
    check_run("cancelled wherever they are", cancelled_wherever_they_are);
    check_run_in(CHECK_ONE, "cancelled between two tries", cancelled_between_two_tries);
    check_plain_in(CHECK_ALL, "counts what it ignores", counts_what_it_ignores);
}
