/* SPDX-License-Identifier: MIT */
/* pool.h: memory of tasks and fibers. Per-worker caches in front of one depot per executor.
 *
 *   1. Memory is type-stable: what was a task (a fiber) stays one until the executor dies.
 *   2. A cache is touched by its worker alone; the depot under its lock [rank POOL].
 *   3. Whoever frees keeps: what one worker frees for another travels through the depot in
 *      batches, so neither side takes a lock for each object.
 *
 * Task objects come in two kinds: plain (128 bytes) and with room for a copied argument.
 * Slabs of tasks are aligned to their size, so the executor is found from any task.
 */
#ifndef PI_POOL_H
#define PI_POOL_H

#include "executor/base/lock.h"
#include "executor/coro/stack.h"
#include "executor/sched/fiber.h"
#include "executor/sched/task.h"

#include <pthread.h>

#define PI_TASK_KINDS 2u
#ifndef PI_SLAB_BYTES /* a model's are smaller */
#define PI_SLAB_BYTES ((size_t)64 << 10)
#define PI_POOL_BATCH 128u /* objects that travel together */
#endif

typedef struct pi_task_slab {
    pica_executor *ex;         /* [const] */
    struct pi_task_slab *next; /* [const once published] */
    void *memory;              /* [const] what it was cut out of */
    uint32_t kind;             /* [const] */
    uint32_t count;            /* [const] */
} pi_task_slab;

typedef struct pi_task_cache {
    pica_task *free[PI_TASK_KINDS];
    uint32_t count[PI_TASK_KINDS];
} pi_task_cache;

typedef struct pi_pool {
    pthread_mutex_t mutex;
    pica_executor *ex;
    pi_task_slab *slabs;                   /* [mutex writes, atomic] newest first */
    pica_task *batches[PI_TASK_KINDS];     /* [mutex] linked through waiters, see pool.c */
    pica_task *loose[PI_TASK_KINDS];       /* [mutex] freed one by one, by plain threads */
    /* Free fibers by the class of their stacks; trim.h says what becomes of them. */
    pi_fiber *fibers[PI_STACK_CLASSES];    /* [mutex] put away since the last turn, warmest first */
    pi_fiber *aged[PI_STACK_CLASSES];      /* [mutex] put away before it */
    pi_fiber *trimmed[PI_STACK_CLASSES];   /* [mutex] without their pages */
    size_t untrimmed;                      /* [mutex writes, atomic] bytes of the former two */
    uint32_t turned_ms;                    /* [atomic] when a worker made the last turn, coarse */
    uint64_t trimmed_bytes;                /* [atomic] given back so far */
    pi_stacks stacks;                      /* [mutex] */
    uint64_t stacks_carved;                /* [mutex] */
    uint64_t stacks_free;                  /* [mutex] those in the depot */
    uint64_t tasks_made;                   /* [mutex] objects in slabs */
} pi_pool;

int pi_pool_init(pi_pool *pool, pica_executor *ex, bool strict_guards);
void pi_pool_deinit(pi_pool *pool);

/** The workers have been joined: so are the fibers, for ThreadSanitizer. */
void pi_pool_join(pi_pool *pool);

/** What ran before an object was freed happens before what its next user does; known to
 *  ThreadSanitizer from malloc() and free(), and so from here. */
static inline void pi_task_released(pica_task *task)
{
#ifdef PI_TSAN
    __tsan_release(task);
#else
    (void)task;
#endif
}
static inline void pi_task_acquired(pica_task *task)
{
#ifdef PI_TSAN
    __tsan_acquire(task);
#else
    (void)task;
#endif
}

/** A task object from a worker's cache, or from the depot where cache is NULL (a plain
 *  thread). Its fields are what its last user left. @return NULL: out of memory */
pica_task *pi_task_alloc_slow(pi_pool *pool, pi_task_cache *cache, unsigned kind);
void pi_task_free(pi_pool *pool, pi_task_cache *cache, pica_task *task, unsigned kind);

static inline pica_task *pi_task_alloc(pi_pool *pool, pi_task_cache *cache, unsigned kind)
{
    pica_task *task = cache ? cache->free[kind] : NULL;
    if (PI_UNLIKELY(!task))
        return pi_task_alloc_slow(pool, cache, kind);
    cache->free[kind] = task->next;
    cache->count[kind]--;
    pi_task_acquired(task);
    return task;
}

/** Give a batch back to the depot. */
void pi_task_cache_spill_slow(pi_pool *pool, pi_task_cache *cache, unsigned kind);

/** Put a task into a cache. @return false: it did, but now holds a batch too many */
static inline bool pi_task_cache_put(pi_task_cache *cache, pica_task *task, unsigned kind)
{
    pi_store_relaxed(&task->word, 0u);
    pi_task_released(task);
    task->next = cache->free[kind];
    cache->free[kind] = task;
    return PI_LIKELY(++cache->count[kind] < 2 * PI_POOL_BATCH);
}

/** The executor that a task belongs to. */
static inline pica_executor *pi_task_executor(const pica_task *task)
{
    return ((const pi_task_slab *)((uintptr_t)task & ~(uintptr_t)(PI_SLAB_BYTES - 1)))->ex;
}

/** Call visit() with every task object that ever was; the object may change hands meanwhile.
 *  Any thread. */
void pi_pool_each(pi_pool *pool, void (*visit)(pica_task *task, void *arg), void *arg);

struct pi_worker;

/** A fiber with a stack of a class, idle. Owner. @return NULL: out of memory */
pi_fiber *pi_fiber_get(struct pi_worker *worker, unsigned class);

/** Put a fiber whose task has ended away. Owner. */
void pi_fiber_put(struct pi_worker *worker, pi_fiber *fiber);

/** Give all but the warmest of a worker's free fibers to the depot. Owner.
 *  @return how many it gave */
uint32_t pi_fibers_shed(struct pi_worker *worker, uint32_t keep);

/** What the depot has put away so far counts as aged, where nothing is left that did before. */
void pi_pool_turn(pi_pool *pool);

/** Take up to n aged fibers out of the depot. Until they are put back they are the caller's;
 *  they still count as free. @return a chain by next; NULL: there are none */
pi_fiber *pi_pool_take_aged(pi_pool *pool, size_t n);
void pi_pool_put_trimmed(pi_pool *pool, pi_fiber *chain);

#endif
