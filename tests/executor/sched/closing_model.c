/* SPDX-License-Identifier: MIT */
/* closing_model.c: the end of an executor (closing.h), all interleavings of small programs: tasks
 * that end, spawn others, run them inline or wait for their cancel, strangers that spawn, against
 * who waits for the last task, with patience or without. closing.c, finish.c, spawn.c and deque.c
 * are the real ones; here is the loop that worker.c has around them.
 *
 * What has to hold: it comes to its end (somebody would sleep for ever: a task that closing has not
 * cancelled, a worker that was not told, who waits for the last task); then all tasks that were
 * accepted have run, none runs any more, and who has waited sees what they did; a spawn that was
 * refused has spawned nothing.
 */
#include "executor/base/futex.h"
#include "executor/sched/audit.h"
#include "executor/sched/closing.h"
#include "executor/sched/drop.h"
#include "executor/sched/scope.h"
#include "executor/sched/spawn.h"
#include "executor/task/inline.h"

#include "tests/model/model.h"

enum { WORKERS = 2, TASKS = 4 };

/* --- Workers -------------------------------------------------------------------------------- */

extern __thread pi_worker *pi_worker_current;
__thread pi_worker *pi_worker_current
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

static pica_executor executor;
static pi_worker workers[WORKERS];
static pi_fiber fibers[WORKERS];
static struct { /* aligned, so that a task's executor is found */
    pi_task_slab slab;
    pica_task task[TASKS];
} slab __attribute__((aligned(PI_SLAB_BYTES)));
static model_event drivers[WORKERS];
static unsigned n_workers; /* threads 0 to n_workers - 1 */

static unsigned n_made;            /* of the tasks in the slab, from the first on */
static pica_task *handle[TASKS];   /* its holder's */
static unsigned runs[TASKS];
static int done[TASKS];            /* plain: what a task does */
static int filled[TASKS];          /* plain: what it is */
static uint32_t parked[TASKS];     /* [atomic] it waits for its cancel */
static uint32_t ready[TASKS];      /* [atomic] that has come, or it comes from outside */
static unsigned late, returned;    /* of calls of shutdown */
static int refused;                /* what a stranger's spawn returned */

static void set_worker(void)
{
    pi_worker_current = model_self() < n_workers ? &workers[model_self()] : NULL;
}

static unsigned number(const pica_task *task)
{
    return (unsigned)(task - slab.task);
}

static void driver_wake(pi_driver *driver)
{
    model_wake((model_event *)driver);
}

static const pi_driver_ops driver = {.name = "model", .wake = driver_wake};

int pi_futex_wait(uint32_t *at, uint32_t value, int64_t deadline_ns)
{
    model_check(deadline_ns == PICA_NEVER);
    model_futex_wait(at, value);
    return 0;
}

void pi_futex_wake(uint32_t *at, int n)
{
    model_check(n > 1);
    model_futex_wake(at);
}

/* --- What closing.c, finish.c and spawn.c stand on ------------------------------------------ */

pica_task *pi_task_alloc_slow(pi_pool *pool, pi_task_cache *cache, unsigned kind)
{
    model_check(pool == &executor.pool && !cache && kind == 0 && n_made < TASKS);
    model_plain_write(&filled[n_made]);
    return &slab.task[n_made++];
}

void pi_task_free(pi_pool *pool, pi_task_cache *cache, pica_task *task, unsigned kind)
{
    model_check(pool == &executor.pool && !cache && kind == 0);
    pi_store_relaxed(&task->word, 0u);
}

void pi_pool_each(pi_pool *pool, void (*visit)(pica_task *task, void *arg), void *arg)
{
    model_check(pool == &executor.pool);
    for (unsigned i = 0; i < TASKS; i++)
        if (pi_load_acquire(&slab.task[i].word)) {
            model_plain_read(&filled[i]);
            visit(&slab.task[i], arg);
        }
}

void pi_worker_inject(pica_executor *ex, pica_task *task)
{
    pi_store_release(&ready[number(task)], 1u);
    pi_fence_seq_cst();
    for (unsigned i = 0; i < n_workers; i++)
        ex->driver->wake(ex->workers[i].driver);
}

void pi_scope_fence(const pica_executor *ex)
{
    model_check(ex == &executor);
    pi_fence_seq_cst();
}

unsigned pi_stack_class(size_t size)
{
    return size > 0;
}

/* As wait.h's: one ends the wait, and queues who waited. */
void pi_scope_interrupt(pica_task *task, const pica_scope *group, uint16_t level, bool fenced)
{
    model_check(!group && level == 0 && fenced);
    if (pi_xchg_acq_rel(&parked[number(task)], 0u))
        pi_worker_inject(&executor, task);
}

void pi_task_end(pica_task *task, intptr_t result)
{
    model_fail("%p %ld: its awaiter ends it", (void *)task, (long)result);
}

void pi_task_unwind_slow(pi_fiber *fiber)
{
    model_fail("%p: nothing is left open", (void *)fiber);
}

void pi_audit_cancelled(pica_executor *ex, pica_task *task, uint64_t id)
{
    model_fail("%p %p %llu: nobody asked", (void *)ex, (void *)task, (unsigned long long)id);
}

int pi_worker_share_slow(pi_worker *worker)
{
    model_fail("%p: nobody is in bed", (void *)worker);
}

void pi_worker_push_pinned(pi_worker *worker, pica_task *task)
{
    model_fail("%p %p: none is pinned", (void *)worker, (void *)task);
}

bool pi_worker_start_eagerly(pi_worker *worker, pica_task *task, pica_task **out)
{
    model_fail("%p %p %p: none is eager", (void *)worker, (void *)task, (void *)out);
}

void pi_drop_prepare(pica_task *task, void (*on_drop)(void *arg))
{
    model_fail("%p: none is dropped", (void *)task);
    on_drop(NULL);
}

/* --- Tasks ---------------------------------------------------------------------------------- */

static void did(pica_task *task)
{
    unsigned i = number(task);
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
    worker->tasks.free[0] = &slab.task[n_made++];
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

/* --- The loop of worker.c ------------------------------------------------------------------- */

static void finish(pi_worker *worker, pica_task *task)
{
    did(task);
    pi_task_finish(worker, task, 0, true);
}

/* As a wait does: says that it waits, fences, looks at its flag. */
static void park(pi_worker *worker, pica_task *task)
{
    uint32_t *at = &parked[number(task)];
    pi_store_release(at, 1u);
    pi_fence_seq_cst();
    if (pi_load_relaxed(&task->cancels) && pi_xchg_acquire(at, 0u))
        finish(worker, task);
}

static void run(pi_worker *worker, pica_task *task)
{
    model_check(pi_load_relaxed(&executor.phase) != PI_STOPPED);
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

static pica_task *look(pi_worker *worker)
{
    pi_node *node = pi_deque_take_oldest(&worker->deque);
    for (unsigned i = 0; i < TASKS && !node; i++)
        if (pi_load_relaxed(&ready[i]) && pi_xchg_acquire(&ready[i], 0u))
            node = &slab.task[i].node;
    for (unsigned i = 0; i < n_workers && !node; i++)
        if (i != worker->index)
            node = pi_deque_steal(&workers[i].deque);
    return node ? pi_task_of(node) : NULL;
}

static void works(void)
{
    pi_worker *worker = &workers[model_self()];
    for (;;) {
        pica_task *task = look(worker);
        if (!task) {
            pi_fence_seq_cst(); /* that of lying down */
            pi_worker_notice_closing(worker);
            pi_executor_task_ended(&executor);
            task = look(worker);
        }
        if (task)
            run(worker, task);
        else if (pi_load_relaxed(&executor.phase) == PI_STOPPED)
            return;
        else
            model_sleep(&drivers[worker->index]);
    }
}

/* --- Who waits, and strangers --------------------------------------------------------------- */

static void shuts_down_by(int64_t deadline_ns)
{
    int rc = pica_executor_shutdown(&executor, deadline_ns);
    model_check(rc == 0 || (rc == 1 && deadline_ns == 0));
    late += (unsigned)rc;
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
    pi_executor_close(&executor);
    pi_executor_task_ended(&executor);
}

static void spawns_as_stranger(pica_fn fn)
{
    pica_task *task = NULL;
    refused = pi_spawn(&executor, NULL, NULL, NULL, &task, fn, NULL, NULL, "");
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
    memset(&executor, 0, sizeof(executor));
    memset(workers, 0, sizeof(workers));
    memset(fibers, 0, sizeof(fibers));
    memset(&slab, 0, sizeof(slab));
    memset(drivers, 0, sizeof(drivers));
    memset(handle, 0, sizeof(handle));
    memset(runs, 0, sizeof(runs));
    memset(parked, 0, sizeof(parked));
    memset(ready, 0, sizeof(ready));
    n_made = late = returned = 0;
    refused = 0;
    slab.slab.ex = &executor;
    executor.workers = workers;
    executor.seats = executor.workers_count = n;
    executor.driver = &driver;
    for (unsigned i = 0; i < n; i++) {
        pi_worker *worker = &workers[i];
        worker->ex = &executor;
        worker->index = i;
        worker->idle = &executor.idle;
        worker->driver = (pi_driver *)&drivers[i];
        worker->fiber = &fibers[i];
        worker->last_id = 100;
        fibers[i].worker = worker;
        fibers[i].current = &slab.task[0]; /* somebody's, for the first spawns */
        model_check(pi_deque_init(&worker->deque, 4, false) == 0);
    }
    pi_worker_current = &workers[0];
    if (n_tasks > 0)
        (void)spawn(&workers[0], first);
    if (n_tasks > 1)
        (void)spawn(&workers[0], second);
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
    slab.task[0].flags |= PI_TASK_MAIN;
}

static void the_only_task(void)
{
    one_ends();
    slab.task[0].flags |= PI_TASK_MAIN;
}

/* --- The end -------------------------------------------------------------------------------- */

static void all_ended(unsigned n_tasks, unsigned n_waited)
{
    model_check(executor.phase == PI_STOPPED);
    model_check(returned == n_waited);
    for (unsigned i = 0; i < TASKS; i++)
        model_check(runs[i] == (i < n_tasks));
    for (unsigned i = 0; i < n_workers; i++)
        model_check(pi_deque_take_oldest(&workers[i].deque) == NULL);
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

static const model_test tests[] = {
    {"the last task", one_ends, {works, waits_for_all}, one_ended, false, 3, 1},
    {"its cancel", one_waits, {works, ends_all}, one_ended, false, 3, 1},
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
    {"a spawn, stolen", one_of_two_spawns, {works, works, waits_for_all}, two_ended, false, 1, 1},
    {"a spawn, stolen, and a closer",
     one_of_two_spawns_a_waiter,
     {works, works, ends_all},
     two_ended,
     false,
     1,
     0},
};

#define FENCED "the fence does it, too; ThreadSanitizer knows nothing of that"

static const model_reason reasons[] = {
    {"drained", "acquire load -> relaxed", "ex->foreign_undone", 1, FENCED},
    {"drained", "acquire load -> relaxed", "ex->workers[i].ended", 1, FENCED},
    {"enqueue", "release add -> relaxed", "ex->foreign_undone", 1, FENCED},
    {"closing_model.c", NULL, "", 0, "queues, waits and the fence of lying down have their models"},
    {"deque.h", NULL, "", 0, "deque_model.c"},
    {"deque.c", NULL, "", 0, "deque_model.c"},
    {"task.h", NULL, "", 0, "task_state_model.c"},
    {"pi_inline_run", "acquire load -> relaxed", "task->word", 1, "wait_model.c says why"},
    {"pi_inline_run", "release store -> relaxed", "task->fiber", 1, "wait_model.c kills it"},
    {"pi_inline_run", "fence_after_rmw -> none", "", 1, "wait_model.c kills it"},
    {"pi_inline_run", "release store -> relaxed", "worker->ended", 1,
     "as in pi_task_finish(), where it is killed; here the end of its awaiter hides it"},
    {"pi_executor_stop", "release store -> relaxed", "ex->phase", 1,
     FENCED "; who stops without one joins the workers"},
    {"pi_executor_seats", "acquire load -> relaxed", "ex->seats", 1,
     "it publishes the fields of a worker that is added, and none is added here"},
};

int main(int argc, char **argv)
{
    model_on_switch(set_worker);
    return model_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]), reasons,
                      sizeof(reasons) / sizeof(reasons[0]));
}
