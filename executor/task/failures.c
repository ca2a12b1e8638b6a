/* SPDX-License-Identifier: MIT */
/* failures.c: the list of what failed in a group, in order. See group.h, pica/group.h.
 *
 * Memory is fetched and freed without the lock, so the list may have been lengthened meanwhile,
 * by somebody else. The first in it is the first failure, also where several come at once. One for
 * which there is no memory is missing in the list, but can be the first all the same. So is each
 * beyond PICA_GROUP_ERRORS_MAX: a group may be a server, and live for years.
 */
#include "executor/base/alloc.h"
#include "executor/base/assert.h"
#include "executor/task/group.h"

#include <stdbool.h>
#include <string.h>

#define AT_FIRST 4 /* places */

/* [lock] Lengthen the list. @return what is to be freed: the old room; or the new one, which
 * came too late */
static intptr_t *exchange(pica_group *group, intptr_t *room, size_t capacity)
{
    intptr_t *old = group->errors;
    if (capacity <= group->errors_capacity)
        return room;
    if (old)
        memcpy(room, old, group->errors_count * sizeof(*room));
    group->errors = room;
    group->errors_capacity = capacity;
    return old;
}

/* [lock] @param last_try  there is no memory. @return false: once more, with more room */
static bool note(pica_group *group, intptr_t error, bool last_try)
{
    bool fits = group->errors_count < group->errors_capacity;
    if (group->errors_count == PICA_GROUP_ERRORS_MAX)
        last_try = true;
    if (fits)
        group->errors[group->errors_count++] = error;
    if ((fits || last_try) && !group->first)
        group->first = error;
    return fits || last_try;
}

void pi_group_failed(pica_group *group, intptr_t error)
{
    intptr_t *room = NULL;
    size_t capacity = 0; /* that was asked for; 0: nothing has been */
    for (bool noted = false; !noted;) {
        bool denied = capacity && !room;
        pi_lock_acquire(pi_group_lock(group));
        if (room)
            room = exchange(group, room, capacity);
        noted = note(group, error, denied);
        capacity = group->errors_capacity ? 2 * group->errors_capacity : AT_FIRST;
        pi_lock_release(pi_group_lock(group));
        pi_free(room);
        room = noted ? NULL : pi_malloc(capacity * sizeof(*room));
    }
}

size_t pica_group_errors(const pica_group *group, const intptr_t **errors)
{
    pi_require(!group->scope.owner, "pica_group_errors() of a group that has not ended");
    *errors = group->errors;
    return group->errors_count;
}

void pica_group_deinit(pica_group *group)
{
    if (!group)
        return;
    pi_require(!group->scope.owner, "pica_group_deinit() of a group that has not ended");
    pi_free(group->errors);
    group->errors = NULL;
    group->errors_count = group->errors_capacity = 0;
}
