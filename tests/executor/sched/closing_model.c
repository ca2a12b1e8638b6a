/* SPDX-License-Identifier: MIT */
/* closing_model.c: the end of an executor (closing.h), all interleavings of small programs: tasks
 * that end, spawn others, run them inline or wait for their cancel, strangers that spawn, against
 * who waits for the last task, with patience or without. closing.c, finish.c, spawn.c, ready.c and
 * the workers' loop are the real ones; here are tasks without stacks, and how they wait.
 *
 * What has to hold: it comes to its end (somebody would sleep for ever: a task that closing has not
 * cancelled, a worker that was not told, who waits for the last task); then all tasks that were
 * accepted have run, none runs any more, and who has waited sees what they did, and is told what
 * the others are; a spawn that was refused has spawned nothing.
 */
#include "executor/base/futex.h"
#include "executor/sched/audit.h"
#include "executor/sched/closing.h"
#include "executor/sched/loop.h"
#include "executor/sched/scope.h"
#include "executor/sched/spawn.h"
#include "executor/task/inline.h"

#include "tests/model/model_self.h"
#include "tests/model/model_workers.h"

#include <string.h>

enum { TASKS = 4 };

static pica_executor *const ex = &model_executor;
static pi_fiber fibers[MODEL_WORKERS];
static unsigned n_workers;

static unsigned n_made;            /* of the tasks in the slab, from the first on */
static pica_task *handle[TASKS];   /* its holder's */
static unsigned runs[TASKS];
static int done[TASKS];            /* plain: what a task does */
static int filled[TASKS];          /* plain: what it is */
static uint32_t parked[TASKS];     /* [atomic] it waits for its cancel */
static unsigned returned;          /* of calls of shutdown */
static int told;                   /* what they returned */
static bool impatient;             /* somebody's deadline has passed */
static int refused;                /* what a stranger's spawn returned */

/* --- What closing.c, finish.c and spawn.c stand on ------------------------------------------ */

pica_task *pi_task_alloc_slow(pi_pool *pool, pi_task_cache *cache, unsigned kind)
{
    model_check(pool == &ex->pool && !cache && kind == 0 && n_made < TASKS);
    model_plain_write(&filled[n_made]);
    return &model_tasks[n_made++];
}

void pi_task_free(pi_pool *pool, pi_task_cache *cache, pica_task *task, unsigned kind)
{
    model_check(pool == &ex->pool && !cache && kind == 0);
    pi_store_relaxed(&task->word, 0u);
}

void pi_pool_each(pi_pool *pool, void (*visit)(pica_task *task, void *arg), void *arg)
{
    model_check(pool == &ex->pool);
    for (unsigned i = 0; i < TASKS; i++)
        if (pi_load_acquire(&model_tasks[i].word)) {
            model_plain_read(&filled[i]);
            visit(&model_tasks[i], arg);
        }
}

void pi_scope_fence(const pica_executor *of)
{
    model_check(of == ex);
    pi_fence_seq_cst();
}

unsigned pi_stack_class(size_t size)
{
    return size > 0;
}

/* As wait.h's: one ends the wait, and queues who waited. */
void pi_scope_interrupt_cancelled(pica_task *task)
{
    if (!pi_load_relaxed(&task->cancels))
        return;
    if (pi_xchg_acq_rel(&parked[model_task_number(task)], 0u))
        pi_worker_ready(task);
}

void pi_task_end(pica_task *task, intptr_t result)
{
    model_fail("%p %ld: its awaiter ends it", (void *)task, (long)result);
}

/* --- Tasks ---------------------------------------------------------------------------------- */

static void did(pica_task *task)
{
    unsigned i = model_task_number(task);
    model_plain_write(&done[i]);
    model_check(++runs[i] == 1);
}

static intptr_t ends(void *arg)
{
    (void)arg;
    return 0;
}

static intptr_t waits(void *arg)
{
    (void)arg;
    return 1; /* to the loop: it does not end yet */
}

static pica_task *spawn(pi_worker *worker, pica_fn fn)
{
    pica_task **out = &handle[n_made];
    model_check(n_made < TASKS);
    model_plain_write(&filled[n_made]);
    worker->tasks.free[0] = &model_tasks[n_made++];
    model_check(pi_spawn_fast(worker, NULL, NULL, out, fn, NULL, 0, ""));
    return *out;
}

static intptr_t spawns_one_that_waits(void *arg)
{
    (void)spawn(pi_worker_self(), waits);
    return (intptr_t)arg;
}

static intptr_t spawns_one_that_ends(void *arg)
{
    (void)spawn(pi_worker_self(), ends);
    return (intptr_t)arg;
}

static intptr_t runs_one_inline(void *arg)
{
    pi_worker *worker = pi_worker_self();
    pica_task *child = spawn(worker, ends);
    bool delivered;
    if (pi_deque_claim(&worker->deque, &child->node)) {
        did(child);
        (void)pi_inline_run(worker->fiber, child, true, &delivered);
    }
    return (intptr_t)arg;
}

/* --- What the loop does with a task ---------------------------------------------------------- */

static void finish(pi_worker *worker, pica_task *task)
{
    did(task);
    pi_task_finish(worker, task, 0, true);
}

/* As a wait does: says that it waits, fences, looks at its flag. */
static void park(pi_worker *worker, pica_task *task)
{
    uint32_t *at = &parked[model_task_number(task)];
    pi_store_release(at, 1u);
    pi_fence_seq_cst();
    if (pi_load_relaxed(&task->cancels) && pi_xchg_acquire(at, 0u))
        finish(worker, task);
}

static void execute(pi_worker *worker, pica_task *task)
{
    model_check(pi_load_relaxed(&ex->phase) != PI_STOPPED);
    (void)pi_load_acquire(&task->word);
    if (task->fn == waits && pi_load_relaxed(&task->fiber)) { /* its cancel has come */
        finish(worker, task);
        return;
    }
    worker->fiber->current = task;
    pi_store_release(&task->fiber, worker->fiber);
    if (task->fn(task->arg))
        park(worker, task);
    else
        finish(worker, task);
    worker->fiber->current = NULL;
}

static void works(void)
{
    pi_loop(&model_workers[model_self()], execute);
}

/* --- Who waits, and strangers --------------------------------------------------------------- */

static void shuts_down_by(int64_t deadline_ns)
{
    impatient |= deadline_ns == 0;
    int rc = pica_executor_shutdown(ex, deadline_ns);
    model_check(rc == 0 || (rc == 1 && impatient));
    model_check(returned == 0 || rc == told);
    told = rc;
    returned++;
    for (unsigned i = 0; i < TASKS; i++)
        model_plain_read(&done[i]);
}

static void waits_for_all(void)
{
    shuts_down_by(PICA_NEVER);
}

static void ends_all(void)
{
    shuts_down_by(0);
}

static void closes(void)
{
    pi_executor_close(ex);
    pi_executor_task_ended(ex);
}

static void spawns_as_stranger(pica_fn fn)
{
    pica_task *task = NULL;
    refused = pi_spawn(ex, NULL, NULL, NULL, &task, fn, NULL, NULL, "");
    model_check(refused == 0 || refused == -ESHUTDOWN);
    model_check((task != NULL) == (refused == 0));
}

static void spawns_from_outside(void)
{
    spawns_as_stranger(ends);
}

static void spawns_a_waiter_from_outside(void)
{
    spawns_as_stranger(waits);
}

/* --- Set-ups -------------------------------------------------------------------------------- */

static void setup(unsigned n, unsigned n_tasks, pica_fn first, pica_fn second)
{
    n_workers = n;
    model_workers_reset(n);
    memset(fibers, 0, sizeof(fibers));
    memset(handle, 0, sizeof(handle));
    memset(runs, 0, sizeof(runs));
    memset(parked, 0, sizeof(parked));
    n_made = returned = 0;
    refused = told = 0;
    impatient = false;
    for (unsigned i = 0; i < n; i++) {
        model_workers[i].fiber = &fibers[i];
        model_workers[i].last_id = 100;
        fibers[i].worker = &model_workers[i];
        fibers[i].current = model_tasks; /* somebody's, for the first spawns */
    }
    pi_worker_current = &model_workers[0];
    if (n_tasks > 0)
        (void)spawn(&model_workers[0], first);
    if (n_tasks > 1)
        (void)spawn(&model_workers[0], second);
}

static void one_ends(void)
{
    setup(1, 1, ends, NULL);
}

static void two_end(void)
{
    setup(2, 2, ends, ends);
}

static void one_waits(void)
{
    setup(1, 1, waits, NULL);
}

static void one_spawns_a_waiter(void)
{
    setup(1, 1, spawns_one_that_waits, NULL);
}

static void one_of_two_spawns_a_waiter(void)
{
    setup(2, 1, spawns_one_that_waits, NULL);
}

static void one_of_two_spawns(void)
{
    setup(2, 1, spawns_one_that_ends, NULL);
}

static void one_awaits(void)
{
    setup(1, 1, runs_one_inline, NULL);
}

static void no_task(void)
{
    setup(1, 0, NULL, NULL);
}

static void the_main_task(void)
{
    setup(2, 2, ends, waits);
    model_tasks[0].flags |= PI_TASK_MAIN;
}

static void the_only_task(void)
{
    one_ends();
    model_tasks[0].flags |= PI_TASK_MAIN;
}

/* --- The end -------------------------------------------------------------------------------- */

static void all_ended(unsigned n_tasks, unsigned n_waited)
{
    model_check(ex->phase == PI_STOPPED);
    model_check(returned == n_waited);
    for (unsigned i = 0; i < TASKS; i++)
        model_check(runs[i] == (i < n_tasks));
    for (unsigned i = 0; i < n_workers; i++)
        model_check(pi_deque_take_oldest(&model_workers[i].deque) == NULL);
}

static void one_ended(void)
{
    all_ended(1, 1);
}

static void two_ended(void)
{
    all_ended(2, 1);
}

static void one_ended_twice(void)
{
    all_ended(1, 2);
}

static void main_ended(void)
{
    all_ended(2, 0);
}

static void the_strangers_ran_if_accepted(void)
{
    all_ended(refused == 0, 1);
}

static void both_ran_if_accepted(void)
{
    all_ended(refused == 0 ? 2 : 1, 1);
}

static void main_ended_and_the_strangers(void)
{
    all_ended(refused == 0 ? 2 : 1, 0);
}

const model_test model_tests[] = {
    {"the last task", one_ends, {works, waits_for_all}, one_ended, false, 3, 1},
    {"its cancel", one_waits, {works, ends_all}, one_ended, false, 2, 1},
    {"a spawn and a closer", one_spawns_a_waiter, {works, ends_all}, two_ended, false, 2, 1},
    {"inline", one_awaits, {works, waits_for_all}, two_ended, false, 2, 1},
    {"a stranger",
     no_task,
     {works, waits_for_all, spawns_from_outside},
     the_strangers_ran_if_accepted,
     false,
     1,
     1},
    {"a stranger and the last task",
     one_ends,
     {works, ends_all, spawns_from_outside},
     both_ran_if_accepted,
     false,
     1,
     1},
    {"a stranger's task and a closer",
     no_task,
     {works, ends_all, spawns_a_waiter_from_outside},
     the_strangers_ran_if_accepted,
     false,
     2,
     1},
    {"two who wait", one_ends, {works, waits_for_all, waits_for_all}, one_ended_twice, false, 1, 1},
    {"one who waits and one who does not",
     one_waits,
     {works, waits_for_all, ends_all},
     one_ended_twice,
     false,
     1,
     1},
    {"the main task", the_main_task, {works, works}, main_ended, false, 1, 1},
    {"the main task and a stranger",
     the_only_task,
     {works, spawns_from_outside},
     main_ended_and_the_strangers,
     false,
     2,
     1},
    {"two closers", one_spawns_a_waiter, {works, ends_all, closes}, two_ended, false, 1, 1},
    {"the last two", two_end, {works, works, waits_for_all}, two_ended, false, 1, 1},
    {"a spawn, stolen", one_of_two_spawns, {works, works, waits_for_all}, two_ended, false, 1, 0},
    {"a spawn, stolen, and a closer",
     one_of_two_spawns_a_waiter,
     {works, works, ends_all},
     two_ended,
     false,
     1,
     0},
    {0},
};

#define FENCED "the fence does it, too; ThreadSanitizer knows nothing of that"

const model_reason model_reasons[] = {
    MODEL_LOOP_REASONS,
    {"drained", "acquire load -> relaxed", "ex->foreign_undone", 1, FENCED},
    {"drained", "acquire load -> relaxed", "ex->workers[i].ended", 1, FENCED},
    {"enqueue", "release add -> relaxed", "ex->foreign_undone", 1, FENCED},
    {"closing_model.c", NULL, "", 0, "waits have their model"},
    {"deque.h", NULL, "", 0, "deque_model.c"},
    {"deque.c", NULL, "", 0, "deque_model.c"},
    {"task.h", NULL, "", 0, "task_state_model.c"},
    {"pi_inline_run", "acquire load -> relaxed", "task->word", 1, "scope_model.c says why"},
    {"pi_inline_run", "release store -> relaxed", "task->fiber", 1, "scope_model.c kills it"},
    {"pi_inline_run", "fence_after_rmw -> none", "", 1, "scope_model.c kills it"},
    {"pi_inline_run", "release store -> relaxed", "worker->ended", 1,
     "as in pi_task_finish(), where it is killed; here the end of its awaiter hides it"},
    {"pi_executor_stop", "release store -> relaxed", "ex->phase", 1,
     FENCED "; who stops without one joins the workers"},
    {"pi_loop_share", NULL, "", 0, "ready_model.c"},
    {0},
};
