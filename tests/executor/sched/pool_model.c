/* SPDX-License-Identifier: MIT */
/* pool_model.c: the memory of tasks and fibers (pool.h): workers with their caches, strangers
 * without, a trimmer, and who walks through all tasks; all interleavings of small programs. pool.c is
 * the real one, with slabs of three tasks and batches of two; here are stacks that are only memory.
 *
 * What has to hold: nobody gets what another has, and who gets it sees what its last user did; who
 * walks finds whole slabs, and of a task what was written before its word; at the end everything
 * lies in one place.
 */
#include "executor/base/alloc.h"
#include "executor/sched/executor.h"
#include "executor/sched/spawn.h"

#include "tests/model/model.h"

#include <string.h>

enum { WORKERS = 2, STACKS = 4, STACK = 4096 };
_Static_assert(PI_POOL_BATCH == 2 && PI_SLAB_BYTES == 512, "see tests/CMakeLists.txt");

static pica_executor executor;
static pi_pool *const pool = &executor.pool;
static pi_worker workers[WORKERS];
static _Alignas(STACK) char stacks[STACKS][STACK];
static unsigned carved;
static pica_task *handed[3]; /* [atomic] from the first worker to the second */
static unsigned met;         /* tasks that a walk has met */

/* --- What pool.c stands on ------------------------------------------------------------------- */

int pi_stack_carve(pi_stacks *all, unsigned class, pi_stack *out)
{
    model_check(all == &pool->stacks && class <= 1);
    if (carved == STACKS)
        return -ENOMEM;
    *out = (pi_stack){.low = stacks[carved++], .size = STACK};
    return 0;
}

void pi_stacks_each(pi_stacks *all, void (*visit)(pi_stack stack, void *arg), void *arg)
{
    (void)visit;
    model_fail("%p %p: no executor ends here", (void *)all, arg);
}

void pi_stacks_deinit(pi_stacks *all)
{
    model_fail("%p: no executor ends here", (void *)all);
}

void pi_context_init(pi_context *context, void *low, size_t size,
                     void (*entry)(pi_context *from, pi_context *self))
{
    model_check(low && size < STACK && entry == pi_fiber_main);
    memset(context, 0, sizeof(*context));
}

void pi_context_deinit(pi_context *context)
{
    model_fail("%p: no executor ends here", (void *)context);
}

void pi_fiber_main(pi_context *from, pi_context *self)
{
    model_fail("%p %p: no fiber runs", (void *)from, (void *)self);
}

void pi_unseen_begin(void)
{
}

void pi_unseen_end(void)
{
}

/* --- Tasks: each has one user at a time ------------------------------------------------------ */

static pi_task_cache *cache_of(pi_worker *worker)
{
    return worker ? &worker->tasks : NULL;
}

static pica_task *get(pi_worker *worker)
{
    pica_task *task = pi_task_alloc(pool, cache_of(worker), 0);
    model_check(task && !task->arg);
    task->arg = task; /* the threads are one real thread's: so this is exact */
    model_plain_write(&task->arg);
    return task;
}

static void put(pi_worker *worker, pica_task *task)
{
    model_check(task->arg == task);
    model_plain_write(&task->arg);
    task->arg = NULL;
    pi_task_free(pool, cache_of(worker), task, 0);
}

static void use(pi_worker *worker, unsigned n)
{
    pica_task *task[3];
    for (unsigned i = 0; i < n; i++)
        task[i] = get(worker);
    for (unsigned i = 0; i < n; i++)
        put(worker, task[i]);
}

static void uses_three(void)
{
    use(&workers[model_self()], 3);
}

static void stranger_uses_one(void)
{
    use(NULL, 1);
}

static void stranger_uses_two(void)
{
    use(NULL, 2);
}

static void hands_over(void)
{
    for (unsigned i = 0; i < 3; i++)
        pi_store_release(&handed[i], get(&workers[0]));
    use(&workers[0], 1);
}

/* More than a cache keeps: they go back by the depot. */
static void frees_for_another(void)
{
    for (unsigned i = 0; i < 3; i++) {
        pica_task *task;
        for (unsigned rounds = 0; !(task = pi_load_acquire(&handed[i])); rounds++)
            pi_spin_wait(rounds);
        put(&workers[1], task);
    }
    use(&workers[1], 1);
}

/* --- Who walks ------------------------------------------------------------------------------- */

static intptr_t nothing(void *arg)
{
    return (intptr_t)arg;
}

static void make(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        pica_task *task = pi_task_alloc(pool, NULL, 0);
        model_check(task);
        model_plain_write(&task->site);
        pi_spawn_fill(task, NULL, NULL, nothing, NULL, "here", 0, 1);
    }
}

static void makes_one(void)
{
    make(1);
}

static void makes_four(void)
{
    make(4);
}

static void visit(pica_task *task, void *arg)
{
    model_plain_read(&task->site);
    model_check(arg == &met && task->fn == nothing && strcmp(task->site, "here") == 0);
    met++;
}

static void walks(void)
{
    pi_pool_each(pool, visit, &met);
}

/* --- Fibers ---------------------------------------------------------------------------------- */

static pi_fiber *get_fiber(pi_worker *worker, unsigned class)
{
    pi_fiber *fiber = pi_fiber_get(worker, class);
    model_check(fiber && !fiber->base && fiber->class == class);
    fiber->base = (pica_task *)(void *)fiber;
    model_plain_write(&fiber->base);
    return fiber;
}

static void put_fiber(pi_worker *worker, pi_fiber *fiber)
{
    model_check(fiber->base == (pica_task *)(void *)fiber);
    model_plain_write(&fiber->base);
    fiber->base = NULL;
    pi_fiber_put(worker, fiber);
}

static void runs_large(void)
{
    pi_worker *worker = &workers[model_self()];
    for (unsigned i = 0; i < 2; i++)
        put_fiber(worker, get_fiber(worker, 1));
}

static void runs_two_and_sheds(void)
{
    pi_worker *worker = &workers[model_self()];
    pi_fiber *first = get_fiber(worker, 0), *second = get_fiber(worker, 0);
    put_fiber(worker, first);
    put_fiber(worker, second);
    model_check(pi_fibers_shed(worker, 1) == 1);
    put_fiber(worker, get_fiber(worker, 0));
}

/* As trim_all() and trim_batch(): what is taken out nobody else finds. */
static void trims(void)
{
    pi_pool_turn(pool);
    pi_fiber *chain = pi_pool_take_aged(pool, 2);
    for (pi_fiber *fiber = chain; fiber; fiber = fiber->next) {
        model_check(!fiber->base);
        model_plain_write(&fiber->base);
        fiber->base = (pica_task *)(void *)fiber;
    }
    for (pi_fiber *fiber = chain; fiber; fiber = fiber->next) {
        model_plain_write(&fiber->base);
        fiber->base = NULL;
    }
    pi_pool_put_trimmed(pool, chain);
}

/* --- Set-up and end -------------------------------------------------------------------------- */

static void empty(void)
{
    memset(&executor, 0, sizeof(executor));
    memset(workers, 0, sizeof(workers));
    memset(stacks, 0, sizeof(stacks));
    memset(handed, 0, sizeof(handed));
    carved = met = 0;
    model_check(pi_pool_init(pool, &executor, false) == 0);
    for (unsigned i = 0; i < WORKERS; i++)
        workers[i].ex = &executor;
}

static unsigned length(const pica_task *chain)
{
    unsigned n = 0;
    for (; chain; chain = chain->next)
        n++;
    return n;
}

static unsigned fibers_in(const pi_fiber *chain)
{
    unsigned n = 0;
    for (; chain; chain = chain->next)
        n++;
    return n;
}

/* Nobody has been given twice, so if the numbers are right, so are the lists. */
static void all_lie_somewhere(void)
{
    unsigned n = length(pool->loose[0]);
    for (const pica_task *batch = pool->batches[0]; batch;
         batch = (const pica_task *)(const void *)batch->waiters) {
        model_check(length(batch) == PI_POOL_BATCH);
        n += PI_POOL_BATCH;
    }
    for (unsigned i = 0; i < WORKERS; i++) {
        model_check(length(workers[i].tasks.free[0]) == workers[i].tasks.count[0]);
        model_check(workers[i].tasks.count[0] < 2 * PI_POOL_BATCH);
        n += workers[i].tasks.count[0];
    }
    model_check(n == pool->tasks_made && n > 0);
}

static void all_fibers_lie_somewhere(void)
{
    unsigned in_depot = 0, in_caches = 0, untrimmed = 0;
    for (unsigned class = 0; class < 2; class++) {
        unsigned warm = fibers_in(pool->fibers[class]) + fibers_in(pool->aged[class]);
        untrimmed += warm * (unsigned)pi_stack_class_size(class);
        in_depot += warm + fibers_in(pool->trimmed[class]);
    }
    for (unsigned i = 0; i < WORKERS; i++) {
        model_check(fibers_in(workers[i].fibers) == workers[i].fibers_count);
        in_caches += workers[i].fibers_count;
    }
    model_check(in_depot == pool->stacks_free && in_depot + in_caches == carved);
    model_check(pool->stacks_carved == carved && pool->untrimmed == untrimmed);
}

static void met_one_at_most(void)
{
    model_check(met <= 1 && pool->tasks_made == 3);
}

static void all_are_met_now(void)
{
    model_check(met <= 5);
    met = 0;
    walks();
    model_check(met == 5 && pool->tasks_made == 6);
}

const model_test model_tests[] = {
    {"a walk", empty, {makes_one, walks}, met_one_at_most, false, 0, 0},
    {"a walk, and two who make",
     empty,
     {makes_one, makes_four, walks},
     all_are_met_now,
     false,
     2,
     1},
    {"two workers", empty, {uses_three, uses_three}, all_lie_somewhere, false, 3, 1},
    {"two strangers",
     empty,
     {stranger_uses_two, stranger_uses_two},
     all_lie_somewhere,
     false,
     3,
     1},
    {"a worker and strangers",
     empty,
     {uses_three, stranger_uses_one, stranger_uses_two},
     all_lie_somewhere,
     false,
     2,
     1},
    {"for another", empty, {hands_over, frees_for_another}, all_lie_somewhere, false, 3, 1},
    {"for another, and a stranger",
     empty,
     {hands_over, frees_for_another, stranger_uses_one},
     all_lie_somewhere,
     false,
     2,
     1},
    {"large stacks", empty, {runs_large, runs_large}, all_fibers_lie_somewhere, false, 3, 1},
    {"stacks that are shed",
     empty,
     {runs_two_and_sheds, runs_two_and_sheds},
     all_fibers_lie_somewhere,
     false,
     3,
     1},
    {"a trimmer", empty, {runs_large, runs_large, trims}, all_fibers_lie_somewhere, false, 2, 1},
    {"a trimmer, and stacks that are shed",
     empty,
     {runs_two_and_sheds, runs_large, trims},
     all_fibers_lie_somewhere,
     false,
     2,
     1},
    {0},
};

const model_reason model_reasons[] = {
    {"pool_model.c", NULL, "", 0, "stands for what hands a task on"},
    {0},
};
