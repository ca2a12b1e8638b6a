/* SPDX-License-Identifier: MIT */
/* spare.c: see spare.h. */
#include "executor/sched/spare.h"

#include "executor/base/clock.h"
#include "executor/base/futex.h"
#include "executor/base/membarrier.h"
#include "executor/sched/ready.h"

/* Seats says two before anybody but the first worker runs tasks. That one may have decided, when
 * they still said one, to cancel a task without a fence (pi_scope_fence()): this fence stands
 * between its store and its load, or its decision comes after it. */
static int take_seat(pica_executor *ex)
{
    pi_worker *spare = &ex->workers[ex->workers_count];
    int rc = pi_worker_init(spare, ex, ex->workers_count);
    if (rc < 0)
        return rc;
    spare->rests = 1;
    pi_store_release(&ex->seats, ex->workers_count + 1);
    pi_fence_seq_cst();
    if (ex->asymmetric)
        pi_membarrier();
    return 0;
}

void pi_spare_work(pica_executor *ex, uint32_t stuck)
{
    if (ex->flags & PICA_NO_SPARE || ex->workers_count == PI_IDLE_MAX ||
        (!pi_spare_of(ex) && take_seat(ex) < 0))
        return;
    pi_worker *spare = &ex->workers[ex->workers_count];
    if (!spare->thread_started &&
        !(spare->thread_started = pi_thread_start(&spare->thread, pi_worker_main, spare) == 0))
        return;
    pi_store_release(&spare->to_rescue, stuck + 1);
    pi_store_release(&spare->rests, 0u);
    ex->driver->wake(spare->driver);
}

void pi_spare_send_to_rest(pica_executor *ex)
{
    pi_worker *spare = pi_spare_of(ex);
    if (!spare || pi_xchg_acq_rel(&spare->rests, 1u))
        return;
    pi_store_relaxed(&spare->look_at, pi_load_relaxed(&spare->turns));
    if (pi_idle_claim(&ex->idle, spare->index))
        pi_executor_wake(ex, (int)spare->index);
}

/* Everything queued here, in its order, to those that work. */
static void hand_over(pi_worker *spare)
{
    pi_node *node;
    pica_task *task;
    spare->comeback = NULL; /* it lies in the deque as well */
    if ((task = spare->next)) {
        spare->next = NULL;
        pi_worker_inject(spare->ex, task);
    }
    while ((node = pi_deque_take_oldest(&spare->deque)))
        pi_worker_inject(spare->ex, pi_task_of(node));
}

void pi_spare_rest(pi_worker *worker)
{
    pica_executor *ex = worker->ex;
    pi_worker_set_self(worker);
    while (pi_load_relaxed(&worker->rests) && pi_load_acquire(&ex->phase) != PI_STOPPED) {
        hand_over(worker);
        /* What it has spawned and ended before, against closing; see idle() in worker.c. */
        pi_fence_seq_cst();
        pi_worker_notice_closing_slow(worker);
        pi_executor_task_ended(ex);
        int64_t deadline = pi_timers_next(&worker->timers);
        (void)ex->driver->poll(worker->driver, deadline > 0 ? deadline : 1);
        (void)pi_timers_expire(&worker->timers, pi_now());
    }
    pi_worker_set_self(NULL);
}
