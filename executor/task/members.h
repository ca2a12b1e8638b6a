/* SPDX-License-Identifier: MIT */
/* members.h: the members of a group, counted and noted, so that a cancel finds them without a look
 * at all the tasks that there are. For group.c.
 *
 *   1. The lower half of the count says how many there are (by two; the lowest bit: the owner
 *      waits), the upper half how many there have ever been. So one addition counts a member and
 *      gives it a place that is its own, whoever spawns it.
 *   2. The first places lie in the group, others in rooms that are fetched when they are needed
 *      and stay until the end. A group that has had more than PI_PLACES members, or finds no
 *      memory, says that there are `others`, and then all tasks are looked at: beside 10^5 tasks
 *      that is a hundred looks for each member that it has had. Rooms cost a spawn nothing that
 *      can be counted; to note members where they first wait would cost each wait, and a list
 *      of those that run a lock in each start and end.
 *   3. A member is counted and noted before it is queued; a canceller sets the flag, fences and
 *      looks here, and a member's wait fences before it looks at the flag: one of the two sees
 *      the other. What is noted may have ended, and be another task by now (pool.h).
 */
#ifndef PI_MEMBERS_H
#define PI_MEMBERS_H

#include "executor/sched/executor.h"

#include <pica/group.h>

#define PI_MEMBER UINT64_C(2)
#define PI_OWNER_WAITS UINT64_C(1)
#define PI_MEMBER_EVER (UINT64_C(1) << 32)

/** Places in the group itself; up to there, with those of its first room; and in all. */
#define PI_PLACES_HERE 6u
#define PI_PLACES_FIRST 64u
#define PI_PLACES 1024u

/** How many members there are, by two, from the count. */
static inline uint32_t pi_members_of(uint64_t count)
{
    return (uint32_t)count;
}

/** Where to note a member for which there is no room yet. */
pica_task **pi_members_place_slow(pica_group *group, uint64_t number);

/** Count one more member. By a task that may spawn it.
 *  @return where to note it before it is queued; NULL: nowhere */
static inline pica_task **pi_members_add(pica_group *group)
{
    uint64_t number = pi_add_relaxed(&group->members, PI_MEMBER_EVER | PI_MEMBER) >> 32;
    if (PI_LIKELY(number < PI_PLACES_HERE))
        return (pica_task **)&group->noted[number];
    if (number < PI_PLACES) {
        unsigned k = number >= PI_PLACES_FIRST;
        pica_task **room = pi_load_acquire(&group->rooms[k]); /* partner: fetch_room() */
        if (PI_LIKELY(room != NULL))
            return room + (number - (k ? PI_PLACES_FIRST : PI_PLACES_HERE));
    }
    return pi_load_relaxed(&group->others) ? NULL : pi_members_place_slow(group, number);
}

/** Interrupt each member. The group's flag is set, and fenced since. */
void pi_members_interrupt(pica_group *group, pica_executor *ex);

/** Take a member that is noted out of where it waits for a stack.
 *  @param room  of the caller's for one, pi_inline_room()
 *  @return NULL: there is none, or none that could run on the caller's stack */
pica_task *pi_members_claim_starved(pica_group *group, size_t room);

void pi_members_free_slow(pica_group *group);

/** No member is left. The owner. */
static inline void pi_members_end(pica_group *group)
{
    if (PI_UNLIKELY(pi_load_relaxed(&group->rooms[0]) || pi_load_relaxed(&group->rooms[1])))
        pi_members_free_slow(group);
}

#endif
