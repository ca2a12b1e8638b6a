/* SPDX-License-Identifier: MIT */
/* asleep.h: when nothing of an executor is under way any more. */
#ifndef PICA_TESTS_ASLEEP_H
#define PICA_TESTS_ASLEEP_H

#include "executor/sched/pace.h"
#include "tests/proc.h"

/** Its workers wait in their drivers, and its monitor for one of them to get up: until a timer, an
 *  event or somebody outside wakes one, nothing happens. To be asked by a thread that is no worker,
 *  while no other one of the test's computes. */
static inline bool asleep(pica_executor *ex)
{
    return (!ex->monitor_started || pi_load_relaxed(&ex->monitor_pace) == PI_PACE_SLEEPS) &&
           !proc_others_run();
}

#endif
