/* SPDX-License-Identifier: MIT */
/* await.h: what await, gather and groups share. */
#ifndef PI_AWAIT_H
#define PI_AWAIT_H

#include "executor/sched/fiber.h"

/** pica_await() for a task that is not NULL. @param cancelled  true: the caller has seen its
 *  cancel and passed it on already; waits shielded and returns -ECANCELED */
int pi_await(pica_task *task, intptr_t *result, bool cancelled);

/** Is the task on this fiber, so that waiting for it would never end? */
bool pi_await_is_self(const pi_fiber *fiber, const pica_task *task);

#endif
