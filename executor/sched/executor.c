/* SPDX-License-Identifier: MIT */
/* executor.c: see executor.h, and pica/executor.h for the public half. */
#include "executor/sched/executor.h"

#include "executor/base/alloc.h"
#include "executor/base/assert.h"
#include "executor/base/cpus.h"
#include "executor/base/futex.h"
#include "executor/base/membarrier.h"
#include "executor/base/sized.h"
#include "executor/sched/audit.h"
#include "executor/sched/closing.h"
#include "executor/sched/monitor.h"
#include "executor/sched/overflow.h"
#include "executor/sched/reserve.h"
#include "executor/sched/spawn.h"
#include "executor/sched/trim.h"

#define KNOWN_FLAGS                                                                                \
    (PICA_NO_INLINE | PICA_FORCE_MIGRATION | PICA_NAME_OVERFLOWS | PICA_STRICT_GUARDS |           \
     PICA_NO_SPARE | PICA_PIN_WORKERS | PICA_REPORT_LEFT | PICA_ARENAS)

static int check_options(const pica_options *given, pica_options *o)
{
    if (pi_sized_copy(o, sizeof(*o), given) < 0 || o->workers > PI_IDLE_MAX ||
        o->workers_max > PI_IDLE_MAX || (o->flags & ~(unsigned)KNOWN_FLAGS) ||
        o->driver > PICA_DRIVER_FUTEX || o->stack_size > PI_STACK_MAX ||
        o->trim_after_ns < 0)
        return -EINVAL;
    return 0;
}

static int workers_init(pica_executor *ex)
{
    ex->workers = pi_aligned_zalloc(PI_CACHE_LINE, ex->seats_max * sizeof(pi_worker));
    if (!ex->workers)
        return -ENOMEM;
    for (uint32_t i = 0; i < ex->workers_count; i++) {
        int rc = pi_worker_init(&ex->workers[i], ex, i);
        if (rc < 0) {
            while (i-- > 0)
                pi_worker_deinit(&ex->workers[i]);
            pi_free(ex->workers);
            return rc;
        }
    }
    ex->seats = ex->workers_count;
    return 0;
}

static int executor_new(pica_executor **out, const pica_options *options)
{
    pica_options given;
    const pica_options *o = &given;
    int rc = check_options(options, &given);
    if (rc < 0)
        return rc;
    pica_executor *ex = pi_aligned_zalloc(PI_CACHE_LINE, sizeof(*ex));
    if (!ex)
        return -ENOMEM;
    ex->workers_min = o->workers ? o->workers : pi_cpus_usable(PI_IDLE_MAX);
    ex->workers_count = ex->workers_min;
    ex->workers_max = o->workers_max > ex->workers_min ? o->workers_max : ex->workers_min;
    ex->seats_max = ex->workers_max + (ex->workers_max < PI_IDLE_MAX);
    ex->flags = o->flags;
    ex->driver = o->driver == PICA_DRIVER_FUTEX ? &pi_driver_futex : &pi_driver_default;
    ex->stack_class = pi_stack_class(o->stack_size ? o->stack_size : PI_STACK_DEFAULT);
    ex->on_lost_error = o->on_lost_error;
    ex->on_ignored_cancel = o->on_ignored_cancel;
    ex->on_left = o->on_left;
    ex->hook_arg = o->hook_arg;
    ex->trim_after_ms = pi_trim_period_ms(o->trim_after_ns);
    ex->inject_tail = &ex->inject_head;
    pthread_mutex_init(&ex->inject_mutex, NULL);
    pthread_mutex_init(&ex->rescue_mutex, NULL);
    pthread_mutex_init(&ex->reserve_mutex, NULL);
    pi_idle_init(&ex->idle, ex->seats_max);
    pi_idle_limit(&ex->idle, ex->workers_count);
    ex->asymmetric = pi_membarrier_ready();
    rc = pi_pool_init(&ex->pool, ex, o->flags & PICA_STRICT_GUARDS);
    if (rc < 0)
        goto no_pool;
    rc = ex->driver->shared_open(&ex->driver_shared);
    if (rc < 0)
        goto no_shared;
    rc = workers_init(ex);
    if (rc < 0)
        goto no_workers;
    *out = ex;
    return 0;
no_workers:
    ex->driver->shared_close(ex->driver_shared);
no_shared:
    pi_pool_deinit(&ex->pool);
no_pool:
    pi_free(ex);
    return rc;
}

static void executor_free(pica_executor *ex)
{
    /* A stranger that woke the last task may still be inside pi_worker_inject(). */
    pthread_mutex_lock(&ex->inject_mutex);
    pthread_mutex_unlock(&ex->inject_mutex);
    for (uint32_t i = 0; i < ex->seats; i++)
        pi_worker_deinit(&ex->workers[i]);
    pi_free(ex->workers);
    ex->driver->shared_close(ex->driver_shared);
    pi_pool_deinit(&ex->pool);
    pthread_mutex_destroy(&ex->inject_mutex);
    pthread_mutex_destroy(&ex->rescue_mutex);
    pthread_mutex_destroy(&ex->reserve_mutex);
    pi_free(ex);
}

void *pi_worker_main(void *arg)
{
    pi_worker *worker = arg;
    void *alt_stack = worker->flags & PICA_NAME_OVERFLOWS ? pi_overflow_thread_begin() : NULL;
    cpu_set_t before;
    bool pinned = worker->flags & PICA_PIN_WORKERS && !pi_load_relaxed(&worker->rests) &&
                  pi_cpus_pin(worker->index, &before);
    pi_store_relaxed(&worker->node, pinned ? pi_cpus_node() : 0u);
    if (worker->flags & PICA_ARENAS)
        pi_arena_enter(&worker->arena);
    while (pi_load_acquire(&worker->ex->phase) != PI_STOPPED) {
        pi_reserve_rest(worker);
        pi_worker_run(worker);
    }
    if (pinned)
        pi_cpus_unpin(&before); /* the caller of pica_run() goes on elsewhere */
    pi_arena_leave(&worker->arena);
    pi_overflow_thread_end(alt_stack);
    return NULL;
}

static void join(pica_executor *ex)
{
    pi_monitor_stop(ex); /* first: it starts the spare's */
    for (uint32_t i = 0; i < ex->seats; i++)
        if (ex->workers[i].thread_started)
            pthread_join(ex->workers[i].thread, NULL);
    pi_pool_join(&ex->pool);
    if (ex->flags & PICA_NAME_OVERFLOWS)
        pi_overflow_uninstall();
}

/* Start the threads from worker `first` on. If one can't start, stop all. */
static int start(pica_executor *ex, uint32_t first)
{
    if (ex->flags & PICA_NAME_OVERFLOWS)
        pi_overflow_install();
    int rc = 0;
    if (first > 0)
        ex->workers[0].thread = pthread_self();
    for (uint32_t i = first; rc == 0 && i < ex->workers_count; i++) {
        pi_worker *worker = &ex->workers[i];
        rc = pi_thread_start(&worker->thread, pi_worker_main, worker);
        worker->thread_started = rc == 0;
    }
    if (rc == 0)
        rc = pi_monitor_start(ex);
    if (rc < 0) {
        pi_executor_stop(ex);
        join(ex);
    }
    return rc;
}

/* ---- public ---- */

int pica_executor_create(pica_executor **out, const pica_options *options)
{
    pica_executor *ex;
    if (!out)
        return -EINVAL;
    int rc = executor_new(&ex, options);
    if (rc < 0)
        return rc;
    rc = start(ex, 0);
    if (rc < 0) {
        executor_free(ex);
        return rc;
    }
    *out = ex;
    return 0;
}

pica_executor *pica_executor_destroy(pica_executor *ex)
{
    if (!ex)
        return NULL;
    pi_require(pica_executor_shutdown(ex, 0) >= 0,
               "pica_executor_destroy() from one of the executor's own tasks");
    join(ex);
    pi_pool_each(&ex->pool, pi_task_forget, ex);
    pi_audit_end(ex);
    executor_free(ex);
    return NULL;
}

intptr_t pica_run(pica_fn fn, void *arg, const pica_options *options)
{
    pica_executor *ex;
    if (!fn)
        return -EINVAL;
    if (pi_worker_self())
        return -EDEADLK;
    int rc = executor_new(&ex, options);
    if (rc < 0)
        return rc;
    pica_task *task;
    rc = start(ex, 1);
    if (rc == 0) {
        rc = pi_spawn_main(ex, &task, fn, arg);
        if (rc < 0) {
            pi_executor_stop(ex);
            join(ex);
        }
    }
    if (rc < 0) {
        executor_free(ex);
        return rc;
    }
    pi_worker_main(&ex->workers[0]);
    join(ex);
    intptr_t result = task->result; /* the joins order it */
    pi_store_relaxed(&task->observed, (uint8_t)1);
    pi_task_unref_slow(task);
    pi_pool_each(&ex->pool, pi_task_forget, ex);
    pi_audit_end(ex);
    executor_free(ex);
    return result;
}

pica_executor *pica_executor_self(void)
{
    pi_worker *worker = pi_worker_self();
    return worker ? worker->ex : NULL;
}

unsigned pica_executor_workers(const pica_executor *ex)
{
    return pi_load_relaxed(&ex->workers_count);
}

int pica_worker_index(void)
{
    pi_worker *worker = pi_worker_self();
    return worker ? (int)worker->index : -1;
}

const char *pica_allocator(void)
{
    return pi_alloc_live();
}
