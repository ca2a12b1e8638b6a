/* SPDX-License-Identifier: MIT */
/* chunked_test.c: which chunked bodies are taken, which refused, and that it makes no difference
 * how the bytes were cut. Every input lies in memory of its exact size, so that
 * AddressSanitizer sees a read behind it. */
#include "tests/check.h"

#include "io/http/chunked.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Decode text, fed in pieces that end at the given cut. @return status, or the body's length
 * if it ended (with *rest the bytes behind), or -1: it has not ended */
static int decode(const char *text, size_t n, size_t cut, uint64_t limit, char *body, size_t *rest)
{
    pi_http_chunked d;
    pi_http_chunked_init(&d, limit);
    int length = 0;
    size_t at = 0;
    for (int piece = 0; piece < 2; piece++) {
        size_t end = piece ? n : cut;
        char *copy = malloc(end - at + 1);
        CHECK_FATAL(copy);
        memcpy(copy, text + at, end - at);
        size_t used, from = 0, have = end - at;
        int what;
        while ((what = pi_http_chunked_next(&d, copy + from, have - from, &used)) ==
               PI_CHUNK_DATA) {
            from += used;
            size_t take = d.left < have - from ? (size_t)d.left : have - from;
            CHECK_LT(0, take);
            memcpy(body + length, copy + from, take);
            length += (int)take;
            from += take;
            d.left -= take;
        }
        free(copy);
        at += from + used;
        if (what < 0)
            return what;
        if (what == PI_CHUNK_END) {
            *rest = n - at;
            return length;
        }
        CHECK_EQ(at, end);
    }
    return -1;
}

static const struct chunks {
    const char *text;
    int result; /* length, negated status, or -1: more needed */
    const char *body;
    size_t rest;
} chunks[] = {
    {"0\r\n\r\n", 0, "", 0},
    {"0\r\n\r\nGET", 0, "", 3},
    {"5\r\nhello\r\n0\r\n\r\n", 5, "hello", 0},
    {"5\r\nhello\r\n00000001\r\n!\r\n000\r\n\r\nX", 6, "hello!", 1},
    {"a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", 20, "01234567890123456789", 0},
    {"3;x=\"y z\";q\r\nabc\r\n0;end\r\n\r\n", 3, "abc", 0},
    {"2\r\n\r\n\r\n0\r\nTrailer: x\r\nother:\r\n\r\n", 2, "\r\n", 0},
    {"5\r\nhel", -1, "hel", 0},
    {"0\r\n", -1, "", 0},
    {"0\r\nX: y\r\n", -1, "", 0},
    {"", -1, "", 0},
    {"\r\n", -400, "", 0},
    {"g\r\n", -400, "", 0},
    {"-1\r\n", -400, "", 0},
    {"0x1\r\n", -400, "", 0},
    {" 1\r\na\r\n", -400, "", 0},
    {"3 \t;x\r\nabc\r\n0 ;\r\n\r\n", 3, "abc", 0},
    {"1 \r\na\r\n", -400, "", 0},
    {"1\t\r\na\r\n", -400, "", 0},
    {"1 1\r\na\r\n", -400, "", 0},
    {"1 a;x\r\na\r\n", -400, "", 0},
    {"1 \n;x\r\na\r\n", -400, "", 0},
    {"1\na\r\n", -400, "", 0},
    {"1\r\na\n0\r\n\r\n", -400, "a", 0},
    {"1\r\nab\r\n", -400, "a", 0},
    {"1\r\r\na\r\n", -400, "", 0},
    {"1;\x01\r\na\r\n", -400, "", 0},
    {"1;a\nb\r\na\r\n", -400, "", 0},
    {"0\r\n\n", -400, "", 0},
    {"0\r\n X: y\r\n\r\n", -400, "", 0},
    {"0\r\nX : y\r\n\r\n", -400, "", 0},
    {"0\r\nX\r\n\r\n", -400, "", 0},
    {"0\r\nX: y\n\r\n", -400, "", 0},
    {"0\r\nX: \x7f\r\n\r\n", -400, "", 0},
    {"7d1\r\n", -413, "", 0},
    {"ffffffffffffffff\r\n", -413, "", 0},
    {"10000000000000000\r\n", -413, "", 0},
    {"00000000000000000\r\n", -400, "", 0},
};

static void chunked_bodies(void)
{
    char body[4096];
    for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
        const struct chunks *c = &chunks[i];
        size_t n = strlen(c->text);
        for (size_t cut = 0; cut <= n; cut++) {
            size_t rest = 0;
            bool ok = CHECK_EQ(decode(c->text, n, cut, 2000, body, &rest), c->result);
            ok &= CHECK_MEM(body, c->body, strlen(c->body));
            if (c->result >= 0)
                ok &= CHECK_EQ(rest, c->rest);
            if (!ok)
                fprintf(stderr, "in case %zu, cut at %zu: %s\n", i, cut, c->text);
        }
    }
}

static void chunked_limits(void)
{
    char text[8192], body[64];
    size_t rest;
    /* A body of exactly the limit, then one byte more. */
    static const char five[] = "2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n";
    CHECK_EQ(decode(five, sizeof(five) - 1, 0, 5, body, &rest), 5);
    CHECK_EQ(decode(five, sizeof(five) - 1, 0, 4, body, &rest), -413);
    /* Extensions are bounded for each chunk, trailers together. */
    for (int extra = 0; extra <= 1; extra++) {
        int n = snprintf(text, sizeof(text), "1;%0*d\r\na\r\n0\r\n\r\n",
                         PI_HTTP_EXTENSION_MAX - 1 + extra, 0);
        CHECK_EQ(decode(text, (size_t)n, 9, 5, body, &rest), extra ? -431 : 1);
        n = snprintf(text, sizeof(text), "1%*s\r\na\r\n0\r\n\r\n", PI_HTTP_EXTENSION_MAX + extra,
                     ";");
        CHECK_EQ(decode(text, (size_t)n, 9, 5, body, &rest), extra ? -431 : 1);
        n = snprintf(text, sizeof(text), "0\r\na:%0*d\r\nb:\r\n\r\n",
                     PI_HTTP_TRAILERS_MAX - 8 + extra, 0);
        CHECK_EQ(decode(text, (size_t)n, 9, 5, body, &rest), extra ? -431 : 0);
    }
}

CHECK_MAIN
{
    check_plain("chunked bodies", chunked_bodies);
    check_plain("limits of chunked bodies", chunked_limits);
}
