/* SPDX-License-Identifier: MIT */
/* ignored.h: a task that goes on although it is cancelled is reported, once.
 *
 * A cancel sticks: each wait returns -ECANCELED on entry. One such return is how a task learns of
 * its cancel, a few more belong to its way out; one that gets them without end overlooks them, and
 * whoever waits for its end waits for ever. It is reported after PI_IGNORED_MANY returns in a row,
 * over PI_IGNORED_NS at least, because a way out may be long, but is quick.
 *
 *   1. In a row: by one task, while nothing ends its cancel (a scope that was cancelled is closed,
 *      pica_uncancel()). What it does inside a shield does not count, nor interrupt the row; nor
 *      does what those are told whom it awaits, who are cancelled with it, on the same stack too:
 *      each task counts for itself.
 *   2. The time is the fiber's: since the outermost of those in a row was told first. That one
 *      has the level ignored_level (0: nobody), and as long as it is there, all others have
 *      higher ones.
 *   3. The hook is called on the task's own stack, in the call that returns -ECANCELED.
 *
 * Callers: the flow on the fiber.
 */
#ifndef PI_IGNORED_H
#define PI_IGNORED_H

#include "executor/sched/fiber.h"

/** What clean-up that does its best to end may take. */
#define PI_IGNORED_MANY 64u
#define PI_IGNORED_NS INT64_C(100000000)

/** Of pica_task.ignored, beside the count: it has been reported. */
#define PI_IGNORED_REPORTED (1u << 30)

/** A wait of the fiber's current task has found on entry that it is cancelled. */
void pi_ignored_note(pi_fiber *fiber);

/** A cancel of the fiber's current task has ended. */
static inline void pi_ignored_forget(pi_fiber *fiber)
{
    pica_task *task = fiber->current;
    task->ignored &= PI_IGNORED_REPORTED;
    if (fiber->ignored_level >= pi_load_relaxed(&task->level))
        fiber->ignored_level = 0;
}

#endif
