/* SPDX-License-Identifier: MIT */
/* steal.h: how a worker takes tasks from another's deque: one if it has no work, or some if the
 * other one is stuck; and when it may. */
#ifndef PI_STEAL_H
#define PI_STEAL_H

#include "executor/sched/worker.h"

/** Take a task from some other worker: first from the one that paid last time, then from all, in
 *  an order that differs each time; where workers have CPUs of their own, from those of the own
 *  node of memory before the others. Owner. @return NULL: nothing found */
pica_task *pi_steal(pi_worker *worker);

/** Take a share of what a stuck worker has queued into the own deque, behind what lies there: where
 *  nobody idles, no thief comes for that. Owner. */
void pi_steal_share(pi_worker *worker, pi_worker *stuck);

/** May others take from this worker's deque? That it says no for a while does no harm: it is
 *  awake, and if it gets stuck, the monitor wakes a thief later than that. Any worker. */
bool pi_steal_allowed(const pi_worker *victim);

#endif
