/* SPDX-License-Identifier: MIT */
/* spawn.h: making a task. */
#ifndef PI_SPAWN_H
#define PI_SPAWN_H

#include "executor/sched/executor.h"

/**
 * Make a task and queue it.
 *
 * @param ex      where
 * @param worker  the caller's, of the same executor; NULL: the caller is a stranger to it
 * @param group   the scope of the group that it is a member of, or NULL
 * @param out     NULL, or where to put a handle with one reference
 * @return 0; -ENOMEM, -EINVAL, -ESHUTDOWN (strangers alone): nothing has happened
 */
int pi_spawn(pica_executor *ex, pi_worker *worker, pica_scope *group, pica_task **out, pica_fn fn,
             void *arg, const pica_attr *attr, const char *site);

/** pica_run()'s task: its end closes the executor. */
int pi_spawn_main(pica_executor *ex, pica_task **out, pica_fn fn, void *arg);

#endif
