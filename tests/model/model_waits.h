/* SPDX-License-Identifier: MIT */
/* model_waits.h: waits for the models of objects that are waited for: a word that is swapped to
 * end the wait, as in wait.c, and an event to sleep in. One wait per thread of the model. For one
 * source of a program.
 *
 * Noticed: a waiter that is touched after its call has returned (model_waits_returned()), an
 * object that its waker still uses when its memory ends (model_waits_object_ends()).
 */
#ifndef PICA_TESTS_MODEL_WAITS_H
#define PICA_TESTS_MODEL_WAITS_H

#include "executor/sched/wait.h"

#include "tests/model/model.h"

#include <pica/base.h>

#include <string.h>

static struct {
    uint32_t state;  /* [atomic] a pi_how */
    uint32_t parked; /* [atomic, relaxed] it is in the queue */
    bool shielded;   /* [thread] cancels leave it alone */
    model_event ended;
    int alive; /* plain: the waiter's frame */
} model_waits[MODEL_THREADS];
static int
    model_waits_object; /* plain: stands for the object, which a waker uses until its unlock */

static inline void model_waits_reset(void)
{
    memset(model_waits, 0, sizeof(model_waits));
}

/** The caller's frame is used for something else from now on. */
static inline void model_waits_returned(void)
{
    model_plain_write(&model_waits[model_self()].alive);
}

/** The object's memory is going to be freed. */
static inline void model_waits_object_ends(void)
{
    model_plain_write(&model_waits_object);
}

static inline bool model_waits_begun(unsigned who)
{
    return pi_load_relaxed(&model_waits[who].state) == PI_WAITING;
}

static inline bool model_waits_parked(unsigned who)
{
    return pi_load_relaxed(&model_waits[who].parked);
}

static inline bool model_waits_end(uint64_t who, pi_how how)
{
    uint32_t waiting = PI_WAITING;
    if (!pi_cas_acq_rel(&model_waits[who].state, &waiting, (uint32_t)how))
        return false;
    model_wake(&model_waits[who].ended);
    return true;
}

/** Cancel that thread's wait, if it waits now. */
static inline void model_waits_cancel(unsigned who)
{
    if (!model_waits[who].shielded)
        (void)model_waits_end(who, PI_CANCEL);
}

int pi_wait_check(void)
{
    return 0;
}

static inline void model_waits_begin(pi_waiter *me, bool shielded)
{
    unsigned who = model_self();
    me->token = (pi_token){NULL, who};
    model_waits[who].shielded = shielded;
    pi_store_release(&model_waits[who].state, (uint32_t)PI_WAITING);
}

void pi_wait_begin_for(pi_waiter *me, pi_for what, uintptr_t which)
{
    (void)what;
    (void)which;
    model_waits_begin(me, false);
}

void pi_wait_begin_shielded_for(pi_waiter *me, pi_for what, uintptr_t which)
{
    (void)what;
    (void)which;
    model_waits_begin(me, true);
}

bool pi_wait_win(pi_token token, pi_how how, pi_won *won)
{
    model_plain_read(&model_waits[token.word].alive);
    *won = (pi_won){NULL, NULL};
    bool yes = model_waits_end(token.word, how);
    model_plain_read(&model_waits_object);
    return yes;
}

void pi_wait_go(pi_won won)
{
    model_check(!won.fiber && !won.futex);
}

pi_how pi_wait_park(pi_waiter *me, int64_t deadline_ns)
{
    uint64_t who = me->token.word;
    model_check(deadline_ns == PICA_NEVER);
    pi_store_relaxed(&model_waits[who].parked, 1u);
    uint32_t how; /* the newest there is: an event may be left from an earlier wait */
    while ((how = pi_or_acq_rel(&model_waits[who].state, 0u)) == PI_WAITING)
        model_sleep(&model_waits[who].ended);
    return (pi_how)how;
}

bool pi_wait_abandon(pi_waiter *me)
{
    return model_waits_end(me->token.word, PI_WAIT_IDLE);
}

#endif
