/* SPDX-License-Identifier: MIT */
/* base_test.c: time that never wraps, names of errors, the version. */
#include "tests/check.h"

#include <pica/version.h>

static void durations_saturate(void)
{
    CHECK_EQ(PICA_MS(20), 20000000);
    CHECK_EQ(PICA_SEC(3), 3000000000);
    CHECK_EQ(PICA_NS(7), 7);
    CHECK_EQ(PICA_NS(-7), 0);
    CHECK(PICA_NS(PICA_NEVER) == PICA_NEVER);
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
    CHECK_STR(pica_strerror(-EALREADY), "that has already happened");
    CHECK_STR(pica_strerror(-PICA_EPEERTIMEDOUT), "the peer stopped answering");
    CHECK_STR(pica_strerror(-PICA_EPROTO_HTTP), "the peer does not speak proper HTTP");
    CHECK_STR(pica_strerror(-ETIMEDOUT), "the deadline has passed");
    CHECK_STR(pica_strerror(-ESHUTDOWN),
              "what this would belong to is cancelled, closed or has ended");
    CHECK_STR(pica_strerror(0), "Success");
}

/* Numbers that nobody has given away: holes, what lies behind the last, around pica's own. */
static void no_errors_have_names(void)
{
    static const intptr_t unknown[] = {
        41,   58,   EHWPOISON + 1, 4095,       4096,       PICA_EPEERTIMEDOUT - 1,
        5003, 9999, 123456,        INTPTR_MAX, INTPTR_MIN, INTPTR_MIN + 1};
    for (unsigned i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        CHECK_STR(pica_strerror(unknown[i]), "unknown error");
        if (unknown[i] > 0)
            CHECK_STR(pica_strerror(-unknown[i]), "unknown error");
    }
    unsigned named = 0;
    for (intptr_t code = 1; code < 6000; code++) {
        const char *name = pica_strerror(-code);
        CHECK_EQ(name, pica_strerror(code)); /* the sign does not matter, and the storage stays */
        named += CHECK(name && *name) && strcmp(name, "unknown error") != 0;
    }
    CHECK_EQ(named, EHWPOISON - 2 + 2); /* Linux has two holes, pica two of its own */
}

static void headers_and_library_agree(void)
{
    CHECK_EQ(pica_version(), PICA_VERSION);
    CHECK_EQ(PICA_VERSION >> 16, PICA_VERSION_MAJOR);
    CHECK_STR(PICA_VERSION_STRING, PICA_STRINGIFY(PICA_VERSION_MAJOR) "." PICA_STRINGIFY(
                                       PICA_VERSION_MINOR) "." PICA_STRINGIFY(PICA_VERSION_PATCH));
}

CHECK_MAIN
{
    check_plain("durations saturate", durations_saturate);
    check_plain("deadlines saturate", deadlines_saturate);
    check_plain("errors have names", errors_have_names);
    check_plain("no errors have names", no_errors_have_names);
    check_plain("headers and library agree", headers_and_library_agree);
}
