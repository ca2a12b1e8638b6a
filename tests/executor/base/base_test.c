/* SPDX-License-Identifier: MIT */
/* base_test.c: time that never wraps, names of errors, the version. */
#include "tests/check.h"

#include <pica/version.h>

static void durations_saturate(void)
{
    CHECK_EQ(PICA_MS(20), 20000000);
    CHECK_EQ(PICA_SEC(3), 3000000000);
    CHECK_EQ(PICA_US(-1), 0);
    CHECK_EQ(PICA_SEC(INT64_MIN), 0);
    CHECK(PICA_SEC(INT64_MAX) == PICA_NEVER);
    CHECK(PICA_MS(PICA_NEVER / 1000000 + 1) == PICA_NEVER);
    CHECK(PICA_MS(PICA_NEVER / 1000000) < PICA_NEVER);
}

static void deadlines_saturate(void)
{
    CHECK(pica_after(PICA_NEVER) == PICA_NEVER);
    CHECK(pica_after(PICA_NEVER - 1) == PICA_NEVER);
    int64_t before = pica_now();
    int64_t past = pica_after(INT64_MIN);
    int64_t soon = pica_after(PICA_MS(1));
    int64_t after = pica_now();
    CHECK(before > 0);
    CHECK(before <= past);
    CHECK(past <= soon - PICA_MS(1));
    CHECK(soon <= after + PICA_MS(1));
}

static void errors_have_names(void)
{
    CHECK_STR(pica_strerror(-ECANCELED), "Operation canceled");
    CHECK_STR(pica_strerror(ECANCELED), "Operation canceled");
    CHECK_STR(pica_strerror(-PICA_EPEERTIMEDOUT), "the peer stopped answering");
    CHECK_STR(pica_strerror(-PICA_EPROTO_HTTP), "the peer does not speak proper HTTP");
    CHECK_STR(pica_strerror(-123456), "unknown error");
    CHECK_STR(pica_strerror(INTPTR_MIN), "unknown error");
    CHECK_STR(pica_strerror(INTPTR_MAX), "unknown error");
}

static void headers_and_library_agree(void)
{
    CHECK_EQ(pica_version(), PICA_VERSION);
    CHECK_EQ(PICA_VERSION >> 16, PICA_VERSION_MAJOR);
}

CHECK_MAIN
{
    check_plain("durations saturate", durations_saturate);
    check_plain("deadlines saturate", deadlines_saturate);
    check_plain("errors have names", errors_have_names);
    check_plain("headers and library agree", headers_and_library_agree);
}
