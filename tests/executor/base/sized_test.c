/* SPDX-License-Identifier: MIT */
/* sized_test.c: structs of programs that know fewer members than the library, or more. */
#include "executor/base/sized.h"
#include "tests/check.h"

#include <stdint.h>

typedef struct older {
    size_t size;
    uint32_t first;
} older;

typedef struct known {
    size_t size;
    uint32_t first, second;
    uint64_t third;
} known;

typedef struct newer {
    known known;
    uint8_t fourth, fifth;
} newer;

/* As in the library, where the compiler does not see how much was given. */
__attribute__((noinline)) static int copy(known *own, const void *given)
{
    __asm__ volatile("" : "+r"(given));
    return pi_sized_copy(own, sizeof(*own), given);
}

static void older_ones(void)
{
    known own = {1, 1, 1, 1};
    known given = {.first = 7, .second = 8, .third = 9};
    given.size = offsetof(known, second);
    CHECK_OK(copy(&own, &given));
    CHECK_EQ(own.first, 7);
    CHECK_EQ(own.second, 0);
    CHECK_EQ(own.third, 0);
    given.size = sizeof(size_t);
    CHECK_OK(copy(&own, &given));
    CHECK_EQ(own.first, 0);
}

static void the_same(void)
{
    known own = {0}, given = {.size = sizeof(given), .first = 7, .third = 9};
    CHECK_OK(copy(&own, &given));
    CHECK(memcmp(&own, &given, sizeof(own)) == 0);
    CHECK_OK(copy(&own, NULL));
    CHECK_EQ(own.first, 0);
    CHECK_EQ(own.third, 0);
}

/* What the library does not know it can't do: not asked for, it may be there. */
static void newer_ones(void)
{
    known own;
    newer given;
    memset(&given, 0, sizeof(given));
    given.known.size = sizeof(given);
    given.known.third = 9;
    CHECK_OK(copy(&own, &given));
    CHECK_EQ(own.third, 9);
    given.fifth = 1;
    CHECK_EQ(copy(&own, &given), -EINVAL);
    given.fifth = 0;
    given.fourth = 1;
    CHECK_EQ(copy(&own, &given), -EINVAL);
    given.known.size = offsetof(newer, fourth);
    CHECK_OK(copy(&own, &given));
}

/* Sizes that are none; nothing behind them is read, which AddressSanitizer would tell. */
static void no_sizes(void)
{
    known own;
    older given = {.first = 7};
    static const size_t sizes[] = {0, sizeof(size_t) - 1, PI_SIZED_MAX + 1, SIZE_MAX};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        given.size = sizes[i];
        CHECK_EQ(copy(&own, &given), -EINVAL);
    }
    given.size = offsetof(older, first) + sizeof(given.first);
    CHECK_OK(copy(&own, &given));
    CHECK_EQ(own.first, 7);
}

CHECK_MAIN
{
    check_run("of an older program", older_ones);
    check_run("of the same version", the_same);
    check_run("of a newer program", newer_ones);
    check_run("no size", no_sizes);
}
