/* SPDX-License-Identifier: MIT */
/* group.h: what the files of a group share. See group.c, failures.c, limit.h. */
#ifndef PI_GROUP_H
#define PI_GROUP_H

#include "executor/base/lock.h"

#include <pica/group.h>

/** The lock of a group [rank OBJECT]. */
static inline pi_lock *pi_group_lock(pica_group *group)
{
    return (pi_lock *)&group->lock;
}

/** Note one more failure, a negative code. While the group is there: from a member that still
 *  counts, or the owner. */
void pi_group_failed(pica_group *group, intptr_t error);

#endif
