/* SPDX-License-Identifier: MIT */
/* await_starved_test.c: awaits beside tasks for which there is no stack (executor/sched/starved.h):
 * a loop of inline awaits lets them have what comes back, and who awaits one of them runs it on its
 * own stack. Groups are group_starved_test.c's. */
#include "executor/sched/starved.h"
#include "tests/executor/no_stacks.h"

#include <pica/gather.h>
#include <pica/sem.h>

/* --- Beside a task that gives way ------------------------------------------------------------ */

/* Inline awaits, one after the other, until the condition holds or it takes too long. */
#define AWAIT_INLINE_UNTIL(cond)                                                                   \
    do {                                                                                           \
        for (patience p_ = patience_of(PICA_SEC(10)); !(cond) && patience_lasts(&p_);)             \
            CHECK_EQ(body_end(body_spawn(body_returns, body_arg(1))), 1);                          \
        CHECK(cond);                                                                               \
    } while (0)

static intptr_t turns_until(void *arg)
{
    uint32_t *turns = arg; /* [atomic] the last one is the caller's to allow */
    while (pi_load_relaxed(turns) < 1000) {
        pi_add_relaxed(turns, 1u);
        CHECK_OK(pica_yield());
    }
    return 0;
}

/* Who awaits one task inline after the other lets others run, also while somebody is starved. */
static void others_run_beside_inline_awaits(void)
{
    uint32_t turns = 0;
    hold_all_and_one();
    pica_task *waits = spawn_in_class(body_returns, body_arg(5));
    CHECK_SOON(starved() == 1);
    pica_task *other = body_spawn(turns_until, &turns);
    while (pi_load_relaxed(&turns) == 0)
        CHECK_OK(pica_yield());
    AWAIT_INLINE_UNTIL((nobody_gives_up(), pi_load_relaxed(&turns) >= 20));
    pi_store_relaxed(&turns, 1000u);
    CHECK_EQ(body_end(other), 0);
    give_one_back();
    CHECK_EQ(body_end(waits), 5);
    give_all_back();
}

/* One of these others gives its stack back. */
static void a_stack_comes_back_beside_inline_awaits(void)
{
    hold_all_and_one();
    pica_task *waits = spawn_in_class(body_returns, body_arg(5));
    CHECK_SOON(starved() == 1);
    pica_task *holder = holders.task[--holders.n];
    CHECK_EQ(pica_cancel(holder), 0);
    AWAIT_INLINE_UNTIL(pica_task_status(waits) == PICA_DONE);
    CHECK_EQ(body_end(waits), 5);
    CHECK_EQ(body_end(holder), -ECANCELED);
    give_all_back();
}

/* And memory that comes back from elsewhere is found by it. */
static void found_beside_inline_awaits(void)
{
    hold_all_and_one();
    pica_task *waits = spawn_in_class(body_returns, body_arg(5));
    CHECK_SOON(starved() == 1);
    fault_disarm();
    AWAIT_INLINE_UNTIL(pica_task_status(waits) == PICA_DONE);
    CHECK_EQ(body_end(waits), 5);
    give_all_back();
}

/* --- Awaited by who has a stack for them ------------------------------------------------------ */

enum { FEW = 20 };

static intptr_t awaits_them(void *arg)
{
    pica_task *tasks[FEW];
    hold_all_and_one();
    for (unsigned i = 0; i < FEW; i++)
        tasks[i] = spawn_in_class(body_yields, body_arg(i));
    CHECK_SOON(starved() == FEW);
    for (unsigned i = 0; i < FEW; i++) { /* from the middle, then both ends */
        unsigned k = i % 2 ? (FEW + i) / 2 : (FEW - 1 - i) / 2;
        nobody_gives_up();
        CHECK_EQ(body_end(tasks[k]), k);
        CHECK_EQ(starved(), FEW - 1 - i);
    }
    give_all_back();
    return (intptr_t)arg;
}

/* They need no stack that has to come back first. */
static void run_by_who_awaits_them(void)
{
    run_in_a_larger_one(awaits_them);
}

static struct {
    pica_executor *ex;
    pica_task *task;
} from_outside;

static void *spawns_and_joins(void *arg)
{
    pica_task *task = NULL;
    pica_attr attr = of_class();
    intptr_t result = 0;
    CHECK_FATAL_OK(pica_executor_spawn_with(from_outside.ex, &task, body_yields, body_arg(5), &attr));
    pi_store_release(&from_outside.task, pica_ref(task));
    CHECK_OK(pica_join(task, &result)); /* as if nothing had been */
    CHECK_EQ(result, 5);
    pica_unref(task);
    return arg;
}

static intptr_t gather_one(pica_task *task)
{
    intptr_t result = 0;
    CHECK_EQ(pica_gather(&task, 1, &result, PICA_GATHER_COLLECT), 0);
    pica_unref(task);
    return result;
}

static intptr_t wait_for_one_in_time(intptr_t (*wait)(pica_task *task))
{
    pthread_t thread;
    pica_task *task;
    hold_all_and_one();
    from_outside.ex = pica_executor_self();
    from_outside.task = NULL;
    CHECK_FATAL(pthread_create(&thread, NULL, spawns_and_joins, NULL) == 0);
    while (!(task = pi_load_acquire(&from_outside.task)))
        pi_spin_wait(100); /* so that with one worker nobody has looked at it yet */
    CHECK_EQ(wait(task), 5);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    give_all_back();
    return 3;
}

static intptr_t awaits_one_in_time(void *arg)
{
    (void)arg;
    return wait_for_one_in_time(body_end);
}

static intptr_t gathers_one_in_time(void *arg)
{
    (void)arg;
    return wait_for_one_in_time(gather_one);
}

/* Nor does who has parked before it turns out that there is none. */
static void run_by_who_awaits_it_already(void)
{
    run_in_a_larger_one(awaits_one_in_time);
}

static void run_by_who_gathers_it_already(void)
{
    run_in_a_larger_one(gathers_one_in_time);
}

static struct {
    pica_task *task;
    pica_sem given;
    uint32_t awaits; /* [atomic] */
} stranger;

static intptr_t awaits_a_stranger(void *arg)
{
    CHECK_OK(pica_sem_acquire(&stranger.given));
    pi_store_relaxed(&stranger.awaits, 1u);
    CHECK_EQ(body_end(stranger.task), 6);
    return (intptr_t)arg;
}

/* Its stack is of no use to a task of another executor: it sleeps until that one has its own. */
static void awaited_from_another_executor(void)
{
    pica_executor *other = NULL;
    pica_options options = PICA_OPTIONS_INIT;
    options.workers = 1;
    pica_attr attr = PICA_ATTR_INIT;
    attr.stack_size = pi_stack_class_size(CLASS + 1);
    pica_task *awaiter = NULL;
    memset(&stranger, 0, sizeof(stranger));
    CHECK_FATAL_OK(pica_executor_create(&other, &options));
    CHECK_FATAL_OK(
        pica_executor_spawn_with(other, &awaiter, awaits_a_stranger, body_arg(4), &attr));
    CHECK_SOON(pica_task_status(awaiter) == PICA_WAITING); /* it has its stack */
    hold_all_and_one();
    stranger.task = spawn_in_class(body_returns, body_arg(6));
    CHECK_SOON(starved() == 1);
    nobody_gives_up();
    CHECK_OK(pica_sem_release(&stranger.given));
    CHECK_SOON(pi_load_relaxed(&stranger.awaits) && pica_task_status(awaiter) == PICA_WAITING);
    give_all_back();
    CHECK_EQ(body_end(awaiter), 4);
    CHECK_EQ(pica_executor_destroy(other), NULL);
}

CHECK_MAIN
{
    check_run_in(CHECK_ONE, "others run beside inline awaits", others_run_beside_inline_awaits);
    check_run_in(CHECK_ONE, "a stack comes back beside inline awaits",
                 a_stack_comes_back_beside_inline_awaits);
    check_run_in(CHECK_ONE, "found beside inline awaits", found_beside_inline_awaits);
    check_run_in(INLINE, "run by who awaits them", run_by_who_awaits_them);
    check_run_in(INLINE, "run by who awaits it already", run_by_who_awaits_it_already);
    check_run_in(INLINE, "run by who gathers it already", run_by_who_gathers_it_already);
    check_run_in(INLINE, "awaited from another executor", awaited_from_another_executor);
}
