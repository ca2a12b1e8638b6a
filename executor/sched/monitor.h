/* SPDX-License-Identifier: MIT */
/* monitor.h: nothing is held hostage. A thread that looks, now and then, whether some worker
 * is stuck in one task while another idles, and makes the idle one serve the stuck one's
 * reactor and timers. (Its queued tasks can be stolen anyway.)
 *
 * A worker counts its turns; a count that stands still over a tick means stuck. The idle
 * worker that is chosen attaches the stuck one's driver to its own, so that from then on it
 * is woken by the stuck one's events as by its own. The stuck worker, when it turns again,
 * detaches it. Nothing is added to the path of an event, and only while somebody is stuck do
 * two drivers hang together.
 *
 *   1. worker->rescuer and the attachment change together, under ex->rescue_mutex.
 *   2. A rescuer that is itself stuck is replaced.
 *   3. The monitor sleeps while all workers do, and is slow while none does; the first worker
 *      that gets up, or lies down, hurries it (pace.h). Both only after many ticks of the same, so
 *      that a busy service pays nothing for it.
 *
 * Where all are stuck, nobody can be asked: then the monitor puts the spare to work (reserve.h).
 * One worker alone has a monitor for that, unless the spare is forbidden.
 */
#ifndef PI_MONITOR_H
#define PI_MONITOR_H

#include "executor/sched/executor.h"

/** Start and stop the monitor. @return 0; -ENOMEM, -EAGAIN */
int pi_monitor_start(pica_executor *ex);
void pi_monitor_stop(pica_executor *ex);

/** The caller turns again: whoever rescues it need not any more. */
void pi_monitor_recovered(pi_worker *worker);

/** Take up what the monitor asks for, and serve the workers that the caller rescues. */
void pi_monitor_serve_slow(pi_worker *worker);
static inline void pi_monitor_serve(pi_worker *worker)
{
    if (PI_UNLIKELY(pi_load_relaxed(&worker->to_rescue) | pi_load_relaxed(&worker->rescuing)))
        pi_monitor_serve_slow(worker);
}

/** The earliest deadline among the workers that the caller rescues, or PICA_NEVER. */
int64_t pi_monitor_deadline_slow(const pi_worker *worker);
static inline int64_t pi_monitor_deadline(const pi_worker *worker)
{
    return PI_UNLIKELY(pi_load_relaxed(&worker->rescuing)) ? pi_monitor_deadline_slow(worker)
                                                           : PICA_NEVER;
}

#endif
