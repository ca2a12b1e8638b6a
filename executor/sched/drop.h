/* SPDX-License-Identifier: MIT */
/* drop.h: tasks that may end without ever having started (pica_attr.on_drop).
 *
 * Whether such a task starts is decided at its first instruction: a function of drop.c stands in
 * the place of its function, looks whether the task is cancelled, and either goes on into the
 * function or releases the argument. So nothing that spawns, queues or starts other tasks knows
 * of it. What it needs lies where a task that has not started has nothing else to keep.
 *
 *   1. Of function and on_drop exactly one is called, exactly once, with the same argument.
 *   2. on_drop is called before the task's end is published, outside of any task: it can't
 *      suspend.
 */
#ifndef PI_DROP_H
#define PI_DROP_H

#include "executor/sched/task.h"

/** A task that is filled in, but not yet queued, gets its on_drop. */
void pi_drop_prepare(pica_task *task, void (*on_drop)(void *arg));

/** No stack for this task: need it not start at all? Its worker's loop. */
bool pi_drop_is_due(const pica_task *task);

/** It will never start. Calls on_drop, if there is one. Its worker's loop. */
void pi_drop_unstarted(pica_task *task);

#endif
