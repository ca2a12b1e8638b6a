/* SPDX-License-Identifier: MIT */
/* pool.c: see pool.h. A batch in the depot is a chain of PI_POOL_BATCH free tasks, linked by
 * next; batches are linked by the first one's waiters, which a free task does not need. */
#include "executor/sched/pool.h"

#include "executor/base/alloc.h"
#include "executor/base/assert.h"
#include "executor/sched/executor.h"
#include "executor/sched/worker.h"

#include <errno.h>
#include <string.h>

#define FIBERS_CACHED 256u

int pi_pool_init(pi_pool *pool, pica_executor *ex, bool strict_guards)
{
    memset(pool, 0, sizeof(*pool));
    pool->ex = ex;
    pool->stacks.strict = strict_guards;
    return -pthread_mutex_init(&pool->mutex, NULL);
}

static void join_fiber(pi_stack stack, void *arg)
{
    (void)arg;
#ifdef PI_TSAN
    __tsan_acquire(pi_fiber_at(stack)); /* partner: pi_fiber_leaves() */
#else
    (void)stack;
#endif
}

void pi_pool_join(pi_pool *pool)
{
    pi_stacks_each(&pool->stacks, join_fiber, NULL);
}

static void forget_fiber(pi_stack stack, void *arg)
{
    (void)arg;
    pi_context_deinit(&pi_fiber_at(stack)->context);
}

void pi_pool_deinit(pi_pool *pool)
{
    pi_stacks_each(&pool->stacks, forget_fiber, NULL);
    pi_stacks_deinit(&pool->stacks);
    while (pool->slabs) {
        pi_task_slab *slab = pool->slabs;
        pool->slabs = slab->next;
        pi_free(slab->memory);
    }
    pthread_mutex_destroy(&pool->mutex);
}

/* ---- tasks ---- */

static size_t kind_size(unsigned kind)
{
    return sizeof(pica_task) + (kind ? PICA_COPY_MAX : 0);
}

static pica_task *slab_first(const pi_task_slab *slab)
{
    return (pica_task *)((uintptr_t)slab + 128);
}

static pica_task *slab_at(const pi_task_slab *slab, uint32_t i)
{
    return (pica_task *)((uintptr_t)slab_first(slab) + i * kind_size(slab->kind));
}

/* A zeroed slab, at a multiple of its size, cut out of a block twice as large, of which nothing
 * else is touched. Of an aligned block jemalloc looks at one free extent of each size alone; if
 * that lies elsewhere, because it was another's, it makes a new block each time, and keeps what
 * was freed for its ten seconds of decay: 300 MB where executors come and go. */
static pi_task_slab *slab_alloc(void)
{
    pi_task_slab *slab = NULL;
    pi_unseen_begin(); /* a worker takes a task of its own queue without an acquire */
    char *memory = pi_malloc(2 * PI_SLAB_BYTES);
    if (memory) {
        slab = (pi_task_slab *)(void *)(memory + -(uintptr_t)memory % PI_SLAB_BYTES);
        memset(slab, 0, PI_SLAB_BYTES);
        slab->memory = memory;
    }
    pi_unseen_end();
    return slab;
}

/* [mutex] A new slab; its objects become batches and a rest. */
static int slab_new(pi_pool *pool, unsigned kind)
{
    pi_task_slab *slab = slab_alloc();
    if (!slab)
        return -ENOMEM;
    slab->ex = pool->ex;
    slab->kind = kind;
    slab->count = (uint32_t)((PI_SLAB_BYTES - 128) / kind_size(kind));
    slab->next = pool->slabs;
    pi_store_release(&pool->slabs, slab); /* pairs with pi_pool_each() */
    pool->tasks_made += slab->count;
    for (uint32_t i = slab->count; i-- > 0;) {
        pica_task *task = slab_at(slab, i);
        pi_task_released(task);
        task->next = pool->loose[kind];
        pool->loose[kind] = task;
        if ((slab->count - i) % PI_POOL_BATCH == 0) {
            task->waiters = (pi_waiter *)(void *)pool->batches[kind];
            pool->batches[kind] = task;
            pool->loose[kind] = NULL;
        }
    }
    return 0;
}

static pica_task *pop_batch(pi_pool *pool, unsigned kind)
{
    pica_task *first = pool->batches[kind];
    if (first)
        pool->batches[kind] = (pica_task *)(void *)first->waiters;
    return first;
}

/* [mutex] Cut a batch off the head of a chain that is at least so long. */
static void push_batch(pi_pool *pool, unsigned kind, pica_task **chain)
{
    pica_task *first = *chain;
    pica_task *last = first;
    for (uint32_t i = 1; i < PI_POOL_BATCH; i++)
        last = last->next;
    *chain = last->next;
    last->next = NULL;
    first->waiters = (pi_waiter *)(void *)pool->batches[kind];
    pool->batches[kind] = first;
}

/* [mutex] As many loose ones as there are, up to *count. */
static pica_task *pop_loose(pi_pool *pool, unsigned kind, uint32_t *count)
{
    pica_task *first = pool->loose[kind];
    pica_task *last = first;
    uint32_t n = 1;
    if (!first)
        return NULL;
    for (; n < *count && last->next; n++)
        last = last->next;
    pool->loose[kind] = last->next;
    last->next = NULL;
    *count = n;
    return first;
}

static pica_task *alloc_slow(pi_pool *pool, pi_task_cache *cache, unsigned kind)
{
    pica_task *task;
    uint32_t count = cache ? PI_POOL_BATCH : 1;
    pthread_mutex_lock(&pool->mutex);
    if (!pool->batches[kind] && !pool->loose[kind])
        (void)slab_new(pool, kind);
    /* Loose objects first where one is wanted, a whole batch where it goes to a cache. */
    if (pool->batches[kind] && (cache || !pool->loose[kind]))
        task = pop_batch(pool, kind);
    else
        task = pop_loose(pool, kind, &count);
    if (task && cache) {
        cache->free[kind] = task->next;
        cache->count[kind] = count - 1;
    } else if (task && task->next) {
        pool->loose[kind] = task->next; /* there were none, or they would have served */
    }
    pthread_mutex_unlock(&pool->mutex);
    return task;
}

pica_task *pi_task_alloc_slow(pi_pool *pool, pi_task_cache *cache, unsigned kind)
{
    pica_task *task = alloc_slow(pool, cache, kind);
    if (task)
        pi_task_acquired(task);
    return task;
}

__attribute__((noinline)) void pi_task_cache_spill_slow(pi_pool *pool, pi_task_cache *cache,
                                                        unsigned kind)
{
    cache->count[kind] -= PI_POOL_BATCH;
    pthread_mutex_lock(&pool->mutex);
    push_batch(pool, kind, &cache->free[kind]);
    pthread_mutex_unlock(&pool->mutex);
}

void pi_task_free(pi_pool *pool, pi_task_cache *cache, pica_task *task, unsigned kind)
{
    if (PI_LIKELY(cache != NULL)) {
        if (PI_UNLIKELY(!pi_task_cache_put(cache, task, kind)))
            pi_task_cache_spill_slow(pool, cache, kind);
        return;
    }
    pi_store_relaxed(&task->word, 0u);
    pi_task_released(task);
    pthread_mutex_lock(&pool->mutex);
    task->next = pool->loose[kind];
    pool->loose[kind] = task;
    pthread_mutex_unlock(&pool->mutex);
}

void pi_pool_each(pi_pool *pool, void (*visit)(pica_task *task, void *arg), void *arg)
{
    for (pi_task_slab *slab = pi_load_acquire(&pool->slabs); slab; slab = slab->next)
        for (uint32_t i = 0; i < slab->count; i++)
            if (pi_load_acquire(&slab_at(slab, i)->word))
                visit(slab_at(slab, i), arg);
}

/* ---- fibers ---- */

static pi_fiber *fiber_new(pi_pool *pool, unsigned class)
{
    pi_stack stack;
    pthread_mutex_lock(&pool->mutex);
    int rc = pi_stack_carve(&pool->stacks, class, &stack);
    if (rc == 0)
        pool->stacks_carved++;
    pthread_mutex_unlock(&pool->mutex);
    if (rc < 0)
        return NULL;
    pi_fiber *fiber = pi_fiber_at(stack);
    fiber->wait.fiber = fiber;
    fiber->class = (uint8_t)class;
    fiber->guarded = stack.guarded;
    fiber->low = stack.low;
    pi_context_init(&fiber->context, stack.low, (size_t)((char *)fiber - stack.low),
                    pi_fiber_main);
    pi_context_unordered(&fiber->context, pool->ex->workers_max > 1);
    return fiber;
}

/* [mutex] What stacks of the depot may hold. */
static void count_untrimmed(pi_pool *pool, unsigned class, int64_t n)
{
    int64_t bytes = n * (int64_t)pi_stack_class_size(class);
    pi_store_relaxed(&pool->untrimmed, (size_t)((int64_t)pool->untrimmed + bytes));
}

static pi_fiber *pop(pi_fiber **list)
{
    pi_fiber *fiber = *list;
    if (fiber)
        *list = fiber->next;
    return fiber;
}

/* [mutex] The warmest that there is. */
static pi_fiber *depot_take(pi_pool *pool, unsigned class)
{
    pi_fiber *fiber = pop(&pool->fibers[class]);
    if (!fiber)
        fiber = pop(&pool->aged[class]);
    if (fiber)
        count_untrimmed(pool, class, -1);
    else
        fiber = pop(&pool->trimmed[class]);
    if (fiber)
        pool->stacks_free--;
    return fiber;
}

/* A chain of n of one class. */
static void depot_put(pi_pool *pool, pi_fiber *first, pi_fiber *last, uint32_t n)
{
    unsigned class = first->class;
    pthread_mutex_lock(&pool->mutex);
    last->next = pool->fibers[class];
    pool->fibers[class] = first;
    pool->stacks_free += n;
    count_untrimmed(pool, class, n);
    pthread_mutex_unlock(&pool->mutex);
}

pi_fiber *pi_fiber_get(pi_worker *worker, unsigned class)
{
    pi_pool *pool = &worker->ex->pool;
    pi_fiber *fiber;
    if (class == 0 && worker->fibers) {
        fiber = worker->fibers;
        worker->fibers = fiber->next;
        pi_store_relaxed(&worker->fibers_count, worker->fibers_count - 1);
        return fiber;
    }
    pthread_mutex_lock(&pool->mutex);
    fiber = depot_take(pool, class);
    pthread_mutex_unlock(&pool->mutex);
    return fiber ? fiber : fiber_new(pool, class);
}

/* Half of a full cache goes to the depot: the colder half would be better, but has to be
 * walked to. */
static __attribute__((noinline)) void spill_slow(pi_worker *worker)
{
    pi_fiber *first = worker->fibers;
    pi_fiber *last = first;
    uint32_t n = FIBERS_CACHED / 2;
    for (uint32_t i = 1; i < n; i++)
        last = last->next;
    worker->fibers = last->next;
    pi_store_relaxed(&worker->fibers_count, worker->fibers_count - n);
    depot_put(&worker->ex->pool, first, last, n);
}

void pi_fiber_put(pi_worker *worker, pi_fiber *fiber)
{
    if (PI_LIKELY(fiber->class == 0)) {
        fiber->next = worker->fibers;
        worker->fibers = fiber;
        pi_store_relaxed(&worker->fibers_count, worker->fibers_count + 1);
        if (PI_UNLIKELY(worker->fibers_count >= FIBERS_CACHED))
            spill_slow(worker);
        return;
    }
    depot_put(&worker->ex->pool, fiber, fiber, 1);
}

__attribute__((noinline)) uint32_t pi_fibers_shed(pi_worker *worker, uint32_t keep)
{
    if (worker->fibers_count <= keep)
        return 0;
    pi_fiber **cut = &worker->fibers;
    for (uint32_t i = 0; i < keep; i++)
        cut = &(*cut)->next;
    pi_fiber *first = *cut;
    pi_fiber *last = first;
    while (last->next)
        last = last->next;
    uint32_t n = worker->fibers_count - keep;
    *cut = NULL;
    pi_store_relaxed(&worker->fibers_count, keep);
    depot_put(&worker->ex->pool, first, last, n);
    return n;
}

/* ---- aging (trim.h) ---- */

void pi_pool_turn(pi_pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    for (unsigned class = 0; class < PI_STACK_CLASSES; class++) {
        if (pool->aged[class])
            continue;
        pool->aged[class] = pool->fibers[class];
        pool->fibers[class] = NULL;
    }
    pthread_mutex_unlock(&pool->mutex);
}

pi_fiber *pi_pool_take_aged(pi_pool *pool, size_t n)
{
    pi_fiber *chain = NULL, *fiber;
    pthread_mutex_lock(&pool->mutex);
    for (unsigned class = 0; class < PI_STACK_CLASSES; class++) {
        for (; n > 0 && (fiber = pop(&pool->aged[class])); n--) {
            count_untrimmed(pool, class, -1);
            fiber->next = chain;
            chain = fiber;
        }
    }
    pthread_mutex_unlock(&pool->mutex);
    return chain;
}

void pi_pool_put_trimmed(pi_pool *pool, pi_fiber *chain)
{
    pi_fiber *fiber;
    pthread_mutex_lock(&pool->mutex);
    while ((fiber = pop(&chain))) {
        fiber->next = pool->trimmed[fiber->class];
        pool->trimmed[fiber->class] = fiber;
    }
    pthread_mutex_unlock(&pool->mutex);
}
