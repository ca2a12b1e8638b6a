/* SPDX-License-Identifier: MIT */
/* limit.h: how many members of a group there may be at a time. For group.c.
 *
 *   1. A member has a place from before its spawn until just before it is counted out. running
 *      counts places, those on their way to a new member included; running <= limit.
 *   2. While somebody waits for a place, all are taken: a place that gets free is handed to who
 *      waits longest, and is never seen free.
 *   3. stuck counts the members that are on the fibers of those who wait. running == stuck
 *      would be for ever, so that who would make it so is refused.
 *   4. A cancelled group gives no places: its cancel refuses all who wait, and who comes later
 *      sees the flag, because both take the lock after the flag is set.
 */
#ifndef PI_LIMIT_H
#define PI_LIMIT_H

#include <pica/group.h>
#include <stdbool.h>

/** Get a place; without may_wait only one that is free. From a task.
 *  @return 0; -EAGAIN; -EDEADLK; -ECANCELED; -ESHUTDOWN: the group is cancelled */
int pi_limit_enter(pica_group *group, bool may_wait);

/** Give a place back, or to who waits longest. */
void pi_limit_leave(pica_group *group);

/** The group was cancelled: refuse all who wait. */
void pi_limit_close(pica_group *group);

#endif
