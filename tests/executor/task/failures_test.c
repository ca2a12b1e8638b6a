/* SPDX-License-Identifier: MIT */
/* failures_test.c: the list of a group's failures (failures.c) grows, keeps their order, and does
 * without memory. Needs no tasks: what other members do comes in the middle of an allocation. */
#include "executor/task/group.h"
#include "tests/check.h"
#include "tests/fault.h"

static pica_group group;

static void fail(intptr_t first, intptr_t n)
{
    for (intptr_t i = 0; i < n; i++)
        pi_group_failed(&group, -(first + i));
}

/* The list is -1, -2 and so on. */
static void expect_in_order(size_t n)
{
    const intptr_t *errors = NULL;
    CHECK_EQ(pica_group_errors(&group, &errors), n);
    for (size_t i = 0; i < n; i++)
        CHECK_EQ(errors[i], -(intptr_t)i - 1);
    CHECK_EQ(group.first, n ? -1 : 0);
    pica_group_deinit(&group);
    CHECK_EQ(pica_group_errors(&group, &errors), 0);
    CHECK(!errors);
    memset(&group, 0, sizeof(group));
}

static void in_order(void)
{
    for (size_t n = 0; n <= 70; n += 7) {
        fail(1, (intptr_t)n);
        expect_in_order(n);
    }
}

static void one_fails(void)
{
    fail(1, 1);
}

static void four_fail(void)
{
    fail(1, 4);
}

static void five_fail(void)
{
    fail(1, 5);
}

/* While one fetches room for a first list, others have come first, and have made it; then it
 * frees its own. */
static void others_were_first(void)
{
    fault_meanwhile(FAULT_MALLOC, 1, one_fails);
    fail(2, 1);
    CHECK_EQ(fault_met(FAULT_MALLOC), 2); /* each its own */
    CHECK_EQ(group.errors_capacity, 4);
    expect_in_order(2);
    fault_meanwhile(FAULT_MALLOC, 1, four_fail);
    fail(5, 1);
    CHECK_EQ(fault_met(FAULT_MALLOC), 3); /* theirs is full already */
    expect_in_order(5);
    fault_meanwhile(FAULT_MALLOC, 1, five_fail);
    fail(6, 1);
    CHECK_EQ(fault_met(FAULT_MALLOC), 3); /* theirs was made longer */
    CHECK_EQ(group.errors_capacity, 8);
    expect_in_order(6);
    fault_disarm();
}

/* The first one is known all the same; the list goes on when there is memory again. */
static void without_memory(void)
{
    const intptr_t *errors = NULL;
    fault_arm(FAULT_MALLOC, 1, 1, ENOMEM);
    fail(7, 3);
    fault_disarm();
    CHECK_EQ(pica_group_errors(&group, &errors), 0);
    CHECK_EQ(group.first, -7);
    fail(1, 4);
    fault_arm(FAULT_MALLOC, 1, 1, ENOMEM);
    fail(5, 1); /* there is no room for it */
    fault_disarm();
    CHECK_EQ(pica_group_errors(&group, &errors), 4);
    CHECK_EQ(errors[0], -1);
    CHECK_EQ(group.first, -7);
    pica_group_deinit(&group);
    memset(&group, 0, sizeof(group));
}

/* The list of a group that goes on failing does not grow for ever. */
static void no_more_than_so_many(void)
{
    const intptr_t *errors = NULL;
    fail(1, PICA_GROUP_ERRORS_MAX + 3);
    CHECK_EQ(pica_group_errors(&group, &errors), PICA_GROUP_ERRORS_MAX);
    CHECK_EQ(group.errors_capacity, PICA_GROUP_ERRORS_MAX);
    expect_in_order(PICA_GROUP_ERRORS_MAX);
}

CHECK_MAIN
{
    check_plain("in order", in_order);
    check_plain("others were first", others_were_first);
    check_plain("without memory", without_memory);
    check_plain("no more than so many", no_more_than_so_many);
}
