/* SPDX-License-Identifier: MIT */
/* workers.c: see model_workers.h. */
#include "model_workers.h"

#include "model_self.h"

#include "executor/base/futex.h"
#include "executor/sched/audit.h"
#include "executor/sched/closing.h"
#include "executor/sched/defer.h"
#include "executor/sched/drop.h"
#include "executor/sched/pace.h"
#include "executor/sched/ready.h"
#include "executor/sched/rescue.h"
#include "executor/sched/starved.h"
#include "executor/sched/trim.h"

#include <string.h>
#include <time.h>

pica_executor model_executor;
pi_worker model_workers[MODEL_WORKERS];
struct pi_driver model_drivers[MODEL_WORKERS];
bool model_drivers_order;
model_event model_has_deadline;
int64_t model_now_ns;

static struct {
    pi_task_slab slab;
    pica_task task[MODEL_TASKS];
} slab __attribute__((aligned(PI_SLAB_BYTES)));
pica_task *const model_tasks = slab.task;

static pi_worker *worker_of[MODEL_THREADS];

static void set_worker(void)
{
    pi_worker_current = worker_of[model_self()];
}

void pi_worker_set_self(pi_worker *worker)
{
    pi_worker_current = worker_of[model_self()] = worker;
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *ts);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ts)
{
    (void)clock;
    *ts = (struct timespec){.tv_sec = (time_t)(model_now_ns / 1000000000),
                            .tv_nsec = (long)(model_now_ns % 1000000000)};
    return 0;
}

/* --- Drivers -------------------------------------------------------------------------------- */

static int driver_poll(pi_driver *driver, int64_t deadline_ns)
{
    if (deadline_ns == 0)
        return 0;
    driver->deadline_ns = deadline_ns;
    if (deadline_ns != PICA_NEVER)
        model_wake(&model_has_deadline);
    driver->asleep = true;
    model_sleep(&driver->woken);
    driver->asleep = false;
    if (model_drivers_order)
        (void)pi_xchg_acquire(&driver->told, 0u);
    return 0;
}

static void driver_wake(pi_driver *driver)
{
    if (model_drivers_order)
        (void)pi_or_release(&driver->told, 1u);
    model_wake(&driver->woken);
}

static const pi_driver_ops driver_ops = {
    .name = "model", .poll = driver_poll, .wake = driver_wake};

/* --- Set-up and end ------------------------------------------------------------------------- */

int model_worker_init(unsigned w)
{
    pica_executor *ex = &model_executor;
    pi_worker *worker = &model_workers[w];
    memset(worker, 0, sizeof(*worker));
    worker->ex = ex;
    worker->index = w;
    worker->idle = &ex->idle;
    worker->driver = &model_drivers[w];
    worker->look_at = PI_BUDGET;
    worker->victim = (w + 1) % ex->seats_max;
    worker->random = w + 1;
    worker->pinned_tail = &worker->pinned_head;
    worker->timers.next_ns = PICA_NEVER;
    return pi_deque_init(&worker->deque, 2, false);
}

void model_workers_reset(unsigned n)
{
    memset(&model_executor, 0, sizeof(model_executor));
    memset(model_workers, 0, sizeof(model_workers));
    memset(model_drivers, 0, sizeof(model_drivers));
    memset(&slab, 0, sizeof(slab));
    memset(worker_of, 0, sizeof(worker_of));
    model_has_deadline.set = model_drivers_order = false;
    model_now_ns = 1000000000;
    slab.slab.ex = &model_executor;
    pica_executor *ex = &model_executor;
    ex->workers = model_workers;
    ex->driver = &driver_ops;
    ex->workers_count = ex->workers_min = ex->workers_max = n;
    ex->seats = ex->seats_max = n;
    ex->inject_tail = &ex->inject_head;
    pi_idle_init(&ex->idle, n);
    ex->idle.cpus = ex->idle.limit = 1;
    for (unsigned i = 0; i < n; i++) {
        model_check(model_worker_init(i) == 0);
        worker_of[i] = &model_workers[i];
    }
    pi_worker_current = NULL;
    model_on_switch(set_worker);
}

void model_worker_lay_down(unsigned w)
{
    model_check(!pi_idle_sleep_begin(&model_executor.idle, w, false));
}

void model_worker_sleeps_on(void)
{
    pi_worker *worker = &model_workers[model_self()];
    (void)driver_poll(worker->driver, PICA_NEVER);
    worker->searching = pi_idle_woken(worker->idle, worker->index);
}

void model_workers_check_asleep(void)
{
    pica_executor *ex = &model_executor;
    model_check(ex->inject_length == 0 && !ex->inject_head);
    model_check(ex->inject_tail == &ex->inject_head);
    model_check(ex->starved == 0 && !ex->starving[0].first && !ex->starving[0].last);
    for (unsigned i = 0; i < ex->workers_count; i++) {
        pi_worker *worker = &model_workers[i];
        model_check(model_drivers[i].asleep);
        model_check(pi_upmc_empty(&worker->mailbox) && !worker->pinned_head);
        model_check(pi_deque_take_oldest(&worker->deque) == NULL);
        model_check(!worker->searching);
    }
    model_check(pi_idle_asleep(&ex->idle) == ex->workers_count);
    model_check(pi_idle_searching(&ex->idle) == 0);
}

/* --- What a model without the source of it does not come to --------------------------------- */

#define WEAK __attribute__((weak))

/* Of an executor's end, which all wait for and nobody with a deadline. */
WEAK int pi_futex_wait(uint32_t *at, uint32_t value, int64_t deadline_ns)
{
    model_check(deadline_ns == PICA_NEVER);
    model_futex_wait(at, value);
    return 0;
}

WEAK void pi_futex_wake(uint32_t *at, int n)
{
    model_check(n > 1);
    model_futex_wake(at);
}

WEAK unsigned pi_timers_expire(pi_timers *set, int64_t now_ns)
{
    model_check(set->next_ns == PICA_NEVER && now_ns == model_now_ns);
    return 0;
}

WEAK void pi_worker_notice_closing_slow(pi_worker *worker)
{
    model_fail("%p: nobody closes", (void *)worker);
}

WEAK void pi_executor_drained_slow(pica_executor *ex)
{
    model_fail("%p: nobody drains", (void *)ex);
}

WEAK void pi_pace_hurry_slow(pica_executor *ex, pi_pace pace)
{
    model_fail("%p %d: there is no monitor", (void *)ex, (int)pace);
}

WEAK void pi_rescue_recovered_slow(pi_worker *worker)
{
    model_fail("%p: it was not stuck", (void *)worker);
}

WEAK void pi_rescue_serve_slow(pi_worker *worker)
{
    model_fail("%p: nobody is stuck", (void *)worker);
}

WEAK int64_t pi_rescue_deadline_slow(const pi_worker *worker)
{
    model_fail("%p: nobody is stuck", (const void *)worker);
}

WEAK void pi_trim_answer_slow(pi_worker *worker)
{
    model_fail("%p: nobody trims", (void *)worker);
}

WEAK bool pi_trim_idle_slow(pi_worker *worker)
{
    worker->trim_ms = worker->now_ms + 1; /* the clock stands still: not again */
    return false;
}

WEAK int64_t pi_trim_deadline_slow(const pi_worker *worker)
{
    model_fail("%p: there is nothing to trim", (const void *)worker);
}

WEAK pica_task *pi_ready_pop_pinned(pi_worker *worker)
{
    model_check(!worker->pinned_head);
    return NULL;
}

WEAK void pi_ready_take_mailbox(pi_worker *worker)
{
    model_fail("%p: there is no mail", (void *)worker);
}

WEAK pica_task *pi_ready_take_injected(pi_worker *worker)
{
    model_fail("%p: nothing is injected", (void *)worker);
}

WEAK void pi_starved_retry_slow(pi_worker *worker)
{
    model_fail("%p: there are stacks for all", (void *)worker);
}

WEAK bool pi_drop_is_due(const pica_task *task)
{
    (void)task;
    return false;
}

WEAK void pi_drop_unstarted(pica_task *task)
{
    model_fail("%p: none is given up", (void *)task);
}

WEAK void pi_drop_prepare(pica_task *task, void (*on_drop)(void *arg))
{
    model_fail("%p: none is dropped", (void *)task);
    on_drop(NULL);
}

WEAK void pi_task_finish(pi_worker *worker, pica_task *task, intptr_t result, bool held)
{
    model_fail("%p %p %ld %d: none ends here", (void *)worker, (void *)task, (long)result, held);
}

WEAK void pi_task_unwind_slow(pi_fiber *fiber)
{
    model_fail("%p: nothing is left open", (void *)fiber);
}

WEAK bool pi_audit_look(pi_audited *of, pica_task *task)
{
    model_fail("%p %p: nobody asked", (void *)of, (void *)task);
}

WEAK void pi_audit_tell(pica_executor *ex, pi_audited *of)
{
    model_fail("%p %p: nobody asked", (void *)ex, (void *)of);
}

WEAK bool pi_worker_start_eagerly(pi_worker *worker, pica_task *task, pica_task **out)
{
    model_fail("%p %p %p: none is eager", (void *)worker, (void *)task, (void *)out);
}
