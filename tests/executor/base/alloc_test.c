/* SPDX-License-Identifier: MIT */
/* alloc_test.c: the door to memory, and which malloc lies behind it. */
#include "executor/base/alloc.h"

#include "tests/check.h"

#include <stdlib.h>

static void the_linked_malloc_is_live(void)
{
    CHECK_STR(pi_alloc_live(), PICA_TEST_ALLOCATOR);
    CHECK_STR(pi_alloc_live(), PICA_TEST_ALLOCATOR);
}

static void memory_is_zeroed_and_aligned(void)
{
    static const unsigned char zero[1000];
    unsigned char *p = pi_aligned_zalloc(64, sizeof(zero));
    CHECK_FATAL(p != NULL);
    CHECK_EQ((uintptr_t)p % 64, 0);
    CHECK_MEM(p, zero, sizeof(zero));
    pi_free(p);
    p = pi_zalloc(sizeof(zero));
    CHECK_FATAL(p != NULL);
    CHECK_MEM(p, zero, sizeof(zero));
    pi_free(p);
    pi_free(NULL);
}

static void pages_are_zeroed(void)
{
    static const unsigned char zero[10000];
    unsigned char *p = pi_pages_alloc(sizeof(zero));
    CHECK_FATAL(p != NULL);
    CHECK_EQ((uintptr_t)p % 4096, 0);
    CHECK_MEM(p, zero, sizeof(zero));
    p[sizeof(zero) - 1] = 1;
    pi_pages_free(p, sizeof(zero));
    pi_pages_free(NULL, 1);
}

static void too_much_is_null(void)
{
    volatile size_t huge = SIZE_MAX / 4;
    CHECK(pi_malloc(huge) == NULL);
    CHECK(pi_zalloc(huge) == NULL);
    CHECK(pi_aligned_zalloc(64, huge) == NULL);
    CHECK(pi_pages_alloc(huge) == NULL);
    huge = SIZE_MAX - 1; /* rounding it up to the alignment would wrap */
    CHECK(pi_aligned_zalloc(64, huge) == NULL);
}

CHECK_MAIN
{
    check_plain("the linked malloc is live", the_linked_malloc_is_live);
    check_plain("memory is zeroed and aligned", memory_is_zeroed_and_aligned);
    check_plain("pages are zeroed", pages_are_zeroed);
    check_plain("too much is NULL", too_much_is_null);
}
