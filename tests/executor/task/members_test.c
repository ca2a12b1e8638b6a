/* SPDX-License-Identifier: MIT */
/* members_test.c: where a group notes its members, and that the rooms for it go with the group.
 * What a cancel finds there is in group_cancel_test.c. */
#include "executor/task/members.h"
#include "tests/check.h"

/* Each place is another member's; beyond the last there is none, and the group knows. */
static void places_are_its_own(void)
{
    enum { MORE = 3 };
    static pica_task objects[PI_PLACES];
    static pica_task **places[PI_PLACES];
    pica_group group = {0};
    for (unsigned i = 0; i < PI_PLACES; i++) {
        places[i] = pi_members_add(&group);
        CHECK_FATAL(places[i] != NULL);
        CHECK_EQ(*places[i], NULL);
        *places[i] = &objects[i];
        CHECK_EQ(group.rooms[0] != NULL, i >= PI_PLACES_HERE);
        CHECK_EQ(group.rooms[1] != NULL, i >= PI_PLACES_FIRST);
    }
    CHECK_EQ(group.others, 0);
    for (unsigned i = 0; i < PI_PLACES; i++)
        CHECK_EQ(*places[i], &objects[i]);
    for (unsigned i = 1; i <= MORE; i++) {
        CHECK_EQ(pi_members_add(&group), NULL);
        CHECK_EQ(group.others, 1);
    }
    CHECK_EQ(pi_members_of(group.members), (PI_PLACES + MORE) * PI_MEMBER);
    pi_members_end(&group);
    CHECK_EQ(group.rooms[0], NULL);
    CHECK_EQ(group.rooms[1], NULL);
}

/* Several may spawn at the same time: the second room may be there, and no memory for the first. */
static void either_room_is_freed(void)
{
    for (unsigned k = 0; k < 2; k++) {
        pica_group group = {0};
        group.members = (k ? PI_PLACES_FIRST : PI_PLACES_HERE) * PI_MEMBER_EVER;
        CHECK(pi_members_add(&group) != NULL);
        CHECK(group.rooms[k] != NULL && !group.rooms[!k]);
        pi_members_end(&group);
        CHECK_EQ(group.rooms[k], NULL);
    }
}

CHECK_MAIN
{
    check_plain("places are its own", places_are_its_own);
    check_plain("either room is freed", either_room_is_freed);
}
