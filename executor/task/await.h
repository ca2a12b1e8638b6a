/* SPDX-License-Identifier: MIT */
/* await.h: what await, gather and groups share. */
#ifndef PI_AWAIT_H
#define PI_AWAIT_H

#include "executor/sched/fiber.h"

/** pica_await() for a task that is not NULL. @param cancelled  true: the caller has seen its
 *  cancel and passed it on already; waits shielded and returns -ECANCELED */
int pi_await(pica_task *task, intptr_t *result, bool cancelled);

/** How a wait for a task ended that may have been needless. */
typedef enum pi_await_end {
    PI_AWAIT_DONE,
    PI_AWAIT_CANCELLED, /* the caller is */
    PI_AWAIT_STARVED    /* the task waits for a stack, and may run on the caller's: claim it */
} pi_await_end;

/** Park until the task has ended, or one of the others.
 *  @param fiber     the caller's, or NULL
 *  @param shielded  the caller has seen its cancel already
 *  @param tried     whether it has tried to run the task since somebody last told it to; at first
 *                   false */
pi_await_end pi_await_park(const pi_fiber *fiber, pica_task *task, bool shielded, bool *tried);

/** Is the task on this fiber, so that waiting for it would never end? */
bool pi_await_is_self(const pi_fiber *fiber, const pica_task *task);

#endif
