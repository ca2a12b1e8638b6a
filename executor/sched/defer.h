/* SPDX-License-Identifier: MIT */
/* defer.h: what a task wants done when it has ended (pica_defer()).
 *
 * The handlers of a task hang from where its result will lie, newest first. The first one also
 * makes the fiber one level deeper than its open scopes account for, and so the look at the level
 * with which every task is checked when its function returns finds those that have handlers, too:
 * a task without any pays nothing. (Levels of open scopes need only to grow inwards.)
 *
 *   1. Handlers run on the task's fiber, as part of the task, after its function has returned
 *      and before its end is published; newest first, also those added meanwhile.
 *   2. They run in a shield, so what cancelled the task does not cancel its clean-up.
 */
#ifndef PI_DEFER_H
#define PI_DEFER_H

#include "executor/sched/fiber.h"

/** Run the handlers, or abort if the task has left a scope open. May suspend. */
void pi_task_unwind_slow(pi_fiber *fiber) __attribute__((noinline, cold));

/** The function of the fiber's current task has returned; the fiber's level is the caller's to
 *  restore. May suspend.
 *  @param level  of the task's root */
static inline __attribute__((always_inline)) void pi_task_returned(pi_fiber *fiber, uint16_t level)
{
    if (PI_UNLIKELY(fiber->level != level))
        pi_task_unwind_slow(fiber);
}

#endif
