/* SPDX-License-Identifier: MIT */
/* rescue.c: see rescue.h. */
#include "executor/sched/rescue.h"

#include "executor/sched/reserve.h"

/* Attach and detach under the mutex; 0: nobody. */
static void set_rescuer(pica_executor *ex, pi_worker *stuck, uint32_t rescuer)
{
    uint32_t old = stuck->rescuer;
    const pi_driver_ops *driver = ex->driver;
    if (old) {
        pi_worker *was = &ex->workers[old - 1];
        if (driver->detach)
            driver->detach(was->driver, stuck->driver);
        pi_store_relaxed(&was->rescuing, was->rescuing - 1);
    }
    pi_store_relaxed(&stuck->rescuer, 0u);
    if (!rescuer)
        return;
    pi_worker *now = &ex->workers[rescuer - 1];
    if (driver->attach && driver->attach(now->driver, stuck->driver) < 0)
        return; /* the next tick tries again */
    pi_store_relaxed(&now->rescuing, now->rescuing + 1);
    pi_store_relaxed(&stuck->rescuer, rescuer);
}

void pi_rescue_recovered_slow(pi_worker *worker)
{
    pica_executor *ex = worker->ex;
    pthread_mutex_lock(&ex->rescue_mutex);
    set_rescuer(ex, worker, 0);
    pthread_mutex_unlock(&ex->rescue_mutex);
    if (worker != pi_spare_of(ex))
        pi_spare_send_to_rest(ex); /* it has stood in for the caller, too */
}

void pi_rescue_serve_slow(pi_worker *worker)
{
    pica_executor *ex = worker->ex;
    uint32_t asked = pi_xchg_acquire(&worker->to_rescue, 0u);
    if (asked) {
        pthread_mutex_lock(&ex->rescue_mutex);
        pi_worker *stuck = &ex->workers[asked - 1];
        if (stuck != worker && !pi_rescue_is_idle(stuck) && !pi_load_relaxed(&stuck->at_rest) &&
            stuck->rescuer != worker->index + 1)
            set_rescuer(ex, stuck, worker->index + 1);
        pthread_mutex_unlock(&ex->rescue_mutex);
        pi_store_relaxed(&worker->rescues, worker->rescues + 1);
    }
    for (uint32_t i = 0; i < pi_executor_seats(ex); i++)
        if (pi_load_relaxed(&ex->workers[i].rescuer) == worker->index + 1)
            pi_worker_look_around(worker, &ex->workers[i]);
}

int64_t pi_rescue_deadline_slow(const pi_worker *worker)
{
    const pica_executor *ex = worker->ex;
    int64_t earliest = PICA_NEVER;
    for (uint32_t i = 0; i < pi_executor_seats(ex); i++) {
        const pi_worker *other = &ex->workers[i];
        int64_t next = pi_timers_next(&other->timers);
        if (pi_load_relaxed(&other->rescuer) == worker->index + 1 && next < earliest)
            earliest = next;
    }
    return earliest;
}
