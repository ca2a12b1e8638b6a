/* SPDX-License-Identifier: MIT */
/* response_test.c: the bytes of a response's head; the date against the C library's. */
#include "tests/check.h"

#include "io/http/response.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void date(int64_t second)
{
    char got[PI_HTTP_DATE + 1] = "", want[64];
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t t = (time_t)second;
    struct tm tm;
    CHECK_FATAL(gmtime_r(&t, &tm));
    snprintf(want, sizeof(want), "%s, %02d %s %04d %02d:%02d:%02d GMT", days[tm.tm_wday],
             tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
    pi_http_put_date(got, second);
    CHECK_STR(got, want);
}

static void dates(void)
{
    static const int64_t some[] = {0,          -1,         784111777,    951782399,   951782400,
                                   951868800,  1078012800, 4107542399,   4107542400,  4102444800,
                                   1709164800, 1709251199, 253402300799, -62135596800};
    for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++)
        date(some[i]);
    check_rng rng = check_rng_make(1);
    for (uint64_t i = check_rounds(20000); i > 0; i--)
        date((int64_t)check_rng_below(&rng, 253402300799 + 62135596800) - 62135596800);
}

static void decimals_and_chunks(void)
{
    static const uint64_t some[] = {0, 9, 10, 99, 100, 4095, 4096, 65535, INT64_MAX, UINT64_MAX};
    for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
        char got[32] = "", want[32];
        *pi_http_put_decimal(got, some[i]) = '\0';
        snprintf(want, sizeof(want), "%llu", (unsigned long long)some[i]);
        CHECK_STR(got, want);
        CHECK_LE(strlen(got), 20);
        *pi_http_put_chunk(got, some[i]) = '\0';
        snprintf(want, sizeof(want), "%llx\r\n", (unsigned long long)some[i]);
        CHECK_STR(got, want);
        CHECK_LE(strlen(got), PI_HTTP_CHUNK_LINE);
    }
}

#define DATE "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"

static void head_is(const pi_http_answer *answer, const char *server, const char *want)
{
    pi_http_stamp stamp;
    pi_http_stamp_init(&stamp, server);
    size_t room = pi_http_head_bound(answer->type_len, answer->fields_len);
    char *got = malloc(room + 1); /* of that very size, for AddressSanitizer */
    CHECK_FATAL(got);
    static const int64_t seconds[] = {784111777, 784111777, 1, 784111777};
    for (int i = 0; i < 4; i++) {
        char *end = pi_http_put_head(got, answer, &stamp, seconds[i]);
        CHECK_LE(end - got, room);
        *end = '\0';
        CHECK_EQ(!strcmp(got, want), i != 2);
    }
    CHECK_STR(got, want);
    free(got);
}

static void heads(void)
{
    head_is(&(pi_http_answer){.status = 200, .type = "text/plain", .type_len = 10, .length = 13},
            "pica",
            "HTTP/1.1 200 OK\r\nServer: pica\r\n" DATE
            "Content-Type: text/plain\r\nContent-Length: 13\r\n\r\n");
    head_is(&(pi_http_answer){.status = 404, .connection = PI_HTTP_CONN_CLOSE}, NULL,
            "HTTP/1.1 404 Not Found\r\n" DATE "Content-Length: 0\r\nConnection: close\r\n\r\n");
    head_is(&(pi_http_answer){.status = 599, .connection = PI_HTTP_CONN_KEEP, .length = UINT64_MAX},
            "",
            "HTTP/1.1 599 \r\n" DATE
            "Content-Length: 18446744073709551615\r\nConnection: keep-alive\r\n\r\n");
    head_is(&(pi_http_answer){.status = 200,
                              .framing = PI_HTTP_IN_CHUNKS,
                              .fields = "A: b\r\nC: d\r\n",
                              .fields_len = 12},
            "x",
            "HTTP/1.1 200 OK\r\nServer: x\r\n" DATE
            "Transfer-Encoding: chunked\r\nA: b\r\nC: d\r\n\r\n");
    head_is(&(pi_http_answer){.status = 204, .framing = PI_HTTP_BODILESS}, "x",
            "HTTP/1.1 204 No Content\r\nServer: x\r\n" DATE "\r\n");
    head_is(&(pi_http_answer){.status = 200, .framing = PI_HTTP_UNTIL_EOF}, "x",
            "HTTP/1.1 200 OK\r\nServer: x\r\n" DATE "\r\n");
}

/* The longest of everything stays within the bound. */
static void longest(void)
{
    char server[PI_HTTP_SERVER_MAX + 10];
    memset(server, 's', sizeof(server));
    server[sizeof(server) - 1] = '\0';
    pi_http_stamp stamp;
    pi_http_stamp_init(&stamp, server);
    CHECK_LE(stamp.length, sizeof(stamp.text));
    for (int status = 200; status < 600; status++) {
        pi_http_answer answer = {.status = status,
                                 .connection = PI_HTTP_CONN_KEEP,
                                 .length = UINT64_MAX,
                                 .type = "t",
                                 .type_len = 1};
        size_t room = pi_http_head_bound(1, 0);
        char *to = malloc(room);
        CHECK_FATAL(to);
        CHECK_LE(pi_http_put_head(to, &answer, &stamp, 0) - to, room);
        free(to);
    }
}

CHECK_MAIN
{
    check_plain("dates", dates);
    check_plain("decimals and chunk lines", decimals_and_chunks);
    check_plain("heads", heads);
    check_plain("the longest head", longest);
}
