/* SPDX-License-Identifier: MIT */
/* json_test.c: values are found by their path; what is broken is not found. */
#include "perf/common/json.h"
#include "tests/check.h"

static const char text[] = "{\"a\": 1.5, \"b\": {\"a\": [10, {\"x\": -2e3}, [], \"s,]}\\\"t\"]},\n"
                           " \"e\": {}, \"c\" : true, \"d\":\"word\"}";

static void paths(void)
{
    char word[16];
    CHECK(pb_json_number(text, "a", 0) == 1.5);
    CHECK(pb_json_number(text, "b.a.0", 0) == 10);
    CHECK(pb_json_number(text, "b.a.1.x", 0) == -2000);
    CHECK_EQ(pb_json_length(text, "b.a"), 4);
    CHECK_EQ(pb_json_length(text, "b.a.2"), 0);
    CHECK_EQ(pb_json_length(text, "a"), 0);
    CHECK(pb_json_string(text, "b.a.3", word, sizeof word));
    CHECK_STR(word, "s,]}\"t");
    CHECK(pb_json_string(text, "d", word, sizeof word));
    CHECK_STR(word, "word");
    CHECK(pb_json_string(text, "d", word, 3));
    CHECK_STR(word, "wo");
    CHECK_EQ(*pb_json_find(text, "c"), 't');
}

static void what_is_not_there(void)
{
    static const char *const missing[] = {"x", "b.x", "b.a.4", "a.b", "b.a.0.x", "e.a", "d.0"};
    for (size_t i = 0; i < sizeof missing / sizeof *missing; i++)
        CHECK(pb_json_find(text, missing[i]) == NULL);
    CHECK(!pb_json_string(text, "a", (char[4]){0}, 4));
    CHECK(pb_json_number(text, "d", -7) == -7);
}

/* Cut anywhere, a text gives what it has, or nothing; it is never read beyond its end. */
static void cut(void)
{
    char copy[sizeof text];
    for (size_t n = 0; n < sizeof text; n++) {
        memcpy(copy, text, n);
        copy[n] = 0;
        const char *found = pb_json_find(copy, "d");
        CHECK(found == NULL || found <= copy + n);
        pb_json_length(copy, "b.a");
    }
}

CHECK_MAIN
{
    check_plain("paths", paths);
    check_plain("what is not there", what_is_not_there);
    check_plain("cut", cut);
}
