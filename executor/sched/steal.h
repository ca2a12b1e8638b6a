/* SPDX-License-Identifier: MIT */
/* steal.h: how a worker takes tasks from another's deque: if it has no work, or if the other one
 * is stuck; and when it may. */
#ifndef PI_STEAL_H
#define PI_STEAL_H

#include "executor/sched/worker.h"

/** Take a task from some other worker: first from the one that paid last time, then from all, in
 *  an order that differs each time; where workers have CPUs of their own, from those of the own
 *  node of memory before the others. Owner. @return NULL: nothing found */
pica_task *pi_steal(pi_worker *worker);

/** Take a task from a worker that the caller rescues: where nobody idles, no thief comes for what
 *  is queued there. It is to be run before anything else, but where an eager task's spawner waits:
 *  behind what is queued here it would lose its place, again and again if workers with long turns
 *  rescue each other. Owner.
 *  @return NULL: nothing found */
pica_task *pi_steal_from_stuck(pi_worker *worker);

/** May others take from this worker's deque? That it says no for a while does no harm: it is
 *  awake, and if it gets stuck, the monitor wakes a thief later than that. Any worker. */
bool pi_steal_allowed(const pi_worker *victim);

#endif
