/* SPDX-License-Identifier: MIT */
/* rescue.h: one worker serves the reactor and the timers of another, which is stuck in one task,
 * and takes what that has queued (which an idle one could steal anyway).
 *
 * The rescuer attaches the stuck one's driver to its own, so that from then on it is woken by the
 * stuck one's events as by its own. The stuck worker, when it turns again, detaches it. So only
 * while somebody is stuck do two drivers hang together.
 *
 *   1. worker->rescuer, the attachment and the rescuer's count change together, under
 *      ex->rescue_mutex [rank RESCUE].
 *   2. Nobody has more than one rescuer; who gets another one loses the former.
 *   3. That somebody is asked obliges to nothing: the monitor asks again, or another.
 *
 *   to_rescue   the monitor's request; a later one replaces it. Release, and acquire by whom it
 *               asks: so that one knows the worker that it names, which may be newer than itself.
 *   Proof       tests/executor/sched/rescue_model.c
 *
 * Elsewhere: who is stuck and who is asked (monitor.h).
 */
#ifndef PI_RESCUE_H
#define PI_RESCUE_H

#include "executor/sched/executor.h"

/** Does it sleep in its driver? Anybody; may be out of date. */
static inline bool pi_rescue_is_idle(const pi_worker *worker)
{
    return pi_load_relaxed(&worker->parked);
}

/** Ask a worker to rescue the stuck one of this index; it gets to it when it wakes up or looks
 *  around next. The monitor. */
static inline void pi_rescue_ask(pi_worker *helper, uint32_t stuck)
{
    pi_store_release(&helper->to_rescue, stuck + 1);
}

/** Take up what one is asked for, and serve the workers that the caller rescues. */
void pi_rescue_serve_slow(pi_worker *worker);
static inline void pi_rescue_serve(pi_worker *worker)
{
    if (PI_UNLIKELY(pi_load_relaxed(&worker->to_rescue) | pi_load_relaxed(&worker->rescuing)))
        pi_rescue_serve_slow(worker);
}

/** The earliest deadline among the workers that the caller rescues, or PICA_NEVER. */
int64_t pi_rescue_deadline_slow(const pi_worker *worker);
static inline int64_t pi_rescue_deadline(const pi_worker *worker)
{
    return PI_UNLIKELY(pi_load_relaxed(&worker->rescuing)) ? pi_rescue_deadline_slow(worker)
                                                           : PICA_NEVER;
}

/** The caller turns again: if somebody rescues it, that one need not any more. */
void pi_rescue_recovered_slow(pi_worker *worker);
static inline void pi_rescue_recovered(pi_worker *worker)
{
    if (PI_UNLIKELY(pi_load_relaxed(&worker->rescuer)))
        pi_rescue_recovered_slow(worker);
}

#endif
