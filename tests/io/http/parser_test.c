/* SPDX-License-Identifier: MIT */
/* parser_test.c: which heads are taken, which refused, and that it makes no difference how the
 * bytes were cut. Every input lies in memory of its exact size, so that AddressSanitizer sees a
 * read behind it. */
#include "tests/check.h"

#include "io/http/parser.h"
#include "tests/io/http/plain_parser.h"

#include <stdio.h>
#include <stdlib.h>

#define LIMIT 1024
#define H "Host: a\r\n"
#define GET "GET / HTTP/1.1\r\n"

/* Parse a copy of exactly n bytes. */
static int parse(pi_http_head *head, const char *bytes, size_t n, size_t limit)
{
    char *copy = malloc(n ? n : 1);
    CHECK_FATAL(copy);
    memcpy(copy, bytes, n);
    int rc = pi_http_parse_head(head, copy, n, limit);
    free(copy);
    return rc;
}

static int parse_whole(pi_http_head *head, const char *bytes, size_t n, size_t limit)
{
    pi_http_head_init(head);
    return parse(head, bytes, n, limit);
}

static bool same_head(const pi_http_head *a, const pi_http_head *b)
{
    return a->flags == b->flags && a->n_fields == b->n_fields && a->minor == b->minor &&
           a->length == b->length && a->method == b->method && a->method_len == b->method_len &&
           a->target == b->target && a->target_len == b->target_len && a->path == b->path &&
           a->path_len == b->path_len &&
           !memcmp(a->fields, b->fields, a->n_fields * sizeof(a->fields[0]));
}

/* Cut in two at each place, and byte by byte: the verdict stays, and no prefix is taken. */
static void parse_in_pieces(const char *bytes, size_t n, size_t limit)
{
    pi_http_head whole, head;
    int verdict = parse_whole(&whole, bytes, n, limit);
    for (size_t cut = 0; cut <= n; cut++) {
        int rc = parse_whole(&head, bytes, cut, limit);
        if (rc == 0)
            rc = parse(&head, bytes, n, limit);
        CHECK_EQ(rc, verdict);
        CHECK(verdict <= 0 || same_head(&head, &whole));
    }
    int rc = 0;
    pi_http_head_init(&head);
    for (size_t i = 0; rc == 0 && i <= n; i++) {
        rc = parse(&head, bytes, i, limit);
        CHECK(rc <= 0 || rc == (int)i);
    }
    CHECK_EQ(rc, verdict);
    CHECK(verdict <= 0 || same_head(&head, &whole));
}

static const struct good {
    const char *text;
    unsigned flags; /* but for HAS_HOST, LINE_DONE */
    uint64_t length;
    const char *path;
    int fields;
} good[] = {
    {GET H "\r\n", PI_HTTP_KEEP_ALIVE, 0, "/", 1},
    {"\r\n" GET H "\r\n", PI_HTTP_KEEP_ALIVE, 0, "/", 1},
    {"HEAD /x?y=z%20&w HTTP/1.1\r\n" H "\r\n", PI_HTTP_IS_HEAD | PI_HTTP_KEEP_ALIVE, 0,
     "/x?y=z%20&w", 1},
    {"GET / HTTP/1.0\r\n\r\n", 0, 0, "/", 0},
    {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", PI_HTTP_SAID_KEEP | PI_HTTP_KEEP_ALIVE, 0,
     "/", 1},
    {"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n",
     PI_HTTP_SAID_KEEP | PI_HTTP_SAID_CLOSE, 0, "/", 1},
    {GET H "Connection: close\r\n\r\n", PI_HTTP_SAID_CLOSE, 0, "/", 2},
    {GET H "cOnNeCtIoN:\t , foo ,ClOsE\t\r\n\r\n", PI_HTTP_SAID_CLOSE, 0, "/", 2},
    {GET H "Connection: closed, xclose\r\n\r\n", PI_HTTP_KEEP_ALIVE, 0, "/", 2},
    {GET H "Connection: upgrade\r\nConnection: close\r\n\r\n", PI_HTTP_SAID_CLOSE, 0, "/", 3},
    {"POST /p HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello",
     PI_HTTP_HAS_LENGTH | PI_HTTP_KEEP_ALIVE, 5, "/p", 2},
    {"POST /p HTTP/1.1\r\n" H "content-LENGTH:0007 \r\n\r\n",
     PI_HTTP_HAS_LENGTH | PI_HTTP_KEEP_ALIVE, 7, "/p", 2},
    {"POST /p HTTP/1.1\r\n" H "Content-Length: 9223372036854775807\r\n\r\n",
     PI_HTTP_HAS_LENGTH | PI_HTTP_KEEP_ALIVE, INT64_MAX, "/p", 2},
    {"POST /p HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n",
     PI_HTTP_CHUNKED | PI_HTTP_KEEP_ALIVE, 0, "/p", 2},
    {"POST /p HTTP/1.1\r\n" H "TRANSFER-ENCODING:  Chunked \t\r\n\r\n",
     PI_HTTP_CHUNKED | PI_HTTP_KEEP_ALIVE, 0, "/p", 2},
    {"POST /p HTTP/1.1\r\n" H "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\n",
     PI_HTTP_CONTINUE | PI_HTTP_HAS_LENGTH | PI_HTTP_KEEP_ALIVE, 1, "/p", 3},
    {"POST /p HTTP/1.0\r\nExpect: anything\r\nContent-Length: 1\r\n\r\n", PI_HTTP_HAS_LENGTH, 1,
     "/p", 2},
    {"OPTIONS * HTTP/1.1\r\n" H "\r\n", PI_HTTP_KEEP_ALIVE, 0, "*", 1},
    {"GET http://a/b?c HTTP/1.1\r\n" H "\r\n", PI_HTTP_KEEP_ALIVE | PI_HTTP_ABSOLUTE, 0, "/b?c", 1},
    {"GET HTTPS://A HTTP/1.1\r\n" H "\r\n", PI_HTTP_KEEP_ALIVE | PI_HTTP_ABSOLUTE, 0, "", 1},
    {"GET http://a:80?q HTTP/1.1\r\nHost: a:80\r\n\r\n", PI_HTTP_KEEP_ALIVE | PI_HTTP_ABSOLUTE, 0,
     "?q", 1},
    {"GET http://a/ HTTP/1.0\r\n\r\n", PI_HTTP_ABSOLUTE, 0, "/", 0},
    {"GET http://b/ HTTP/1.1\r\n" H "\r\n", PI_HTTP_KEEP_ALIVE | PI_HTTP_ABSOLUTE, 0, "/", 1},
    {"GET http://a:80/ HTTP/1.1\r\n" H "\r\n", PI_HTTP_KEEP_ALIVE | PI_HTTP_ABSOLUTE, 0, "/", 1},
    {"GET http://a/ HTTP/1.1\r\nHost:\r\n\r\n", PI_HTTP_KEEP_ALIVE | PI_HTTP_ABSOLUTE, 0, "/", 1},
    {GET "Host:\r\n\r\n", PI_HTTP_KEEP_ALIVE, 0, "/", 1},
    {GET "Host: [::1]:8080\r\n\r\n", PI_HTTP_KEEP_ALIVE, 0, "/", 1},
    {GET H "X: \x80\xff\t y\r\nEmpty:\r\nBlank: \t \r\n\r\n", PI_HTTP_KEEP_ALIVE, 0, "/", 4},
    {"M-SEARCH /! HTTP/1.1\r\n" H "!#$%&'*+-.^_`|~09azAZ: x\r\n\r\n", PI_HTTP_KEEP_ALIVE, 0, "/!",
     2},
    {GET "User-Agent: a value of more than sixteen bytes, by far; (and) so [on]\r\n" H "\r\n",
     PI_HTTP_KEEP_ALIVE, 0, "/", 2},
};

static void good_heads(void)
{
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        const struct good *g = &good[i];
        size_t n = strlen(g->text);
        pi_http_head head;
        int rc = parse_whole(&head, g->text, n, LIMIT);
        unsigned implied = PI_HTTP_LINE_DONE | PI_HTTP_HAS_HOST;
        bool ok = CHECK_EQ(rc, strstr(g->text, "\r\n\r\n") + 4 - g->text);
        ok &= CHECK_EQ(head.flags & ~implied, g->flags);
        ok &= CHECK_EQ(head.length, g->length);
        ok &= CHECK_EQ(head.n_fields, g->fields);
        ok &= CHECK_EQ(head.path_len, strlen(g->path));
        ok &= CHECK(!memcmp(g->text + head.path, g->path, head.path_len));
        if (!ok)
            fprintf(stderr, "in case %zu: %s\n", i, g->text);
        parse_in_pieces(g->text, n, LIMIT);
    }
}

static const struct bad {
    int status;
    const char *text;
} bad[] = {
    /* The request line. */
    {400, " GET / HTTP/1.1\r\n" H "\r\n"},
    {400, "\r\n\r\n" GET H "\r\n"},
    {400, "\n" GET H "\r\n"},
    {400, "\rGET / HTTP/1.1\r\n" H "\r\n"},
    {400, "GET / HTTP/1.1\n" H "\r\n"},
    {400, "GET / HTTP/1.1\r" H "\r\n"},
    {400, "GET  / HTTP/1.1\r\n" H "\r\n"},
    {400, "GET /  HTTP/1.1\r\n" H "\r\n"},
    {400, "GET / HTTP/1.1 \r\n" H "\r\n"},
    {400, "GET\t/ HTTP/1.1\r\n" H "\r\n"},
    {400, "GET / \r\n" H "\r\n"},
    {400, "GET /\r\n\r\n"},
    {400, "GET\r\n\r\n"},
    {400, "G@T / HTTP/1.1\r\n" H "\r\n"},
    {400, "G\xc3T / HTTP/1.1\r\n" H "\r\n"},
    {400, "GET /\x01 HTTP/1.1\r\n" H "\r\n"},
    {400, "GET /\x7f HTTP/1.1\r\n" H "\r\n"},
    {400, "GET /\xe4 HTTP/1.1\r\n" H "\r\n"},
    {400, "GET /#f HTTP/1.1\r\n" H "\r\n"},
    {400, "GET x HTTP/1.1\r\n" H "\r\n"},
    {400, "GET * HTTP/1.1\r\n" H "\r\n"},
    {400, "OPTIONS ** HTTP/1.1\r\n" H "\r\n"},
    {400, "GET a:80 HTTP/1.1\r\n" H "\r\n"},
    {400, "GET ftp://a/ HTTP/1.1\r\n" H "\r\n"},
    {400, "GET http:// HTTP/1.1\r\n" H "\r\n"},
    {400, "GET http:///x HTTP/1.1\r\n" H "\r\n"},
    {400, "GET http://:80/x HTTP/1.1\r\n" H "\r\n"},
    {400, "GET http://u@a/x HTTP/1.1\r\n" H "\r\n"},
    {400, "GET http://a/ HTTP/1.1\r\nHost: p://a\r\n\r\n"},
    {400, "GET / http/1.1\r\n" H "\r\n"},
    {400, "GET / HTTP/1,1\r\n" H "\r\n"},
    {400, "GET / HTTP/11\r\n" H "\r\n"},
    {400, "GET / HTTP/1.10\r\n" H "\r\n"},
    {400, "GET / HTTP/x.1\r\n" H "\r\n"},
    {400, "GET / XTTP/1.1\r\n" H "\r\n"},
    {505, "GET / HTTP/2.0\r\n" H "\r\n"},
    {505, "GET / HTTP/0.9\r\n" H "\r\n"},
    {505, "GET / HTTP/1.2\r\n" H "\r\n"},
    {400, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
    {501, "CONNECT a:80 HTTP/1.1\r\n" H "\r\n"},
    {501, "ABCDEFGHIJKLMNOPQRSTUVWXYZ / HTTP/1.1\r\n" H "\r\n"},
    {400, "\x16\x03\x01\x02"}, /* somebody speaks TLS */
    /* Lines and fields. */
    {400, GET H "X: a\n\r\n"},
    {400, GET H "X: a\r\r\n\r\n"},
    {400, GET H "X: a\rb\r\n\r\n"},
    {400, GET H "X: a\r\n\n"},
    {400, GET H "\r\r\n"},
    {400, GET H "X: a\r\n b\r\n\r\n"},
    {400, GET H "X: a\r\n\tb\r\n\r\n"},
    {400, GET " " H "\r\n"},
    {400, GET H "X : a\r\n\r\n"},
    {400, GET H "X\t: a\r\n\r\n"},
    {400, GET H ": a\r\n\r\n"},
    {400, GET H "X\r\n\r\n"},
    {400, GET H "X y: a\r\n\r\n"},
    {400, GET H "X(: a\r\n\r\n"},
    {400, GET H "\xe4: a\r\n\r\n"},
    {400, GET H "X: a\x01\r\n\r\n"},
    {400, GET H "X: a\x7f"
                "b\r\n\r\n"},
    {400, GET H "X: more than sixteen bytes and then \x0b one\r\n\r\n"},
    /* Host. */
    {400, GET "\r\n"},
    {400, GET "X: y\r\n\r\n"},
    {400, GET H H "\r\n"},
    {400, GET H "HOST: b\r\n\r\n"},
    {400, "GET / HTTP/1.0\r\n" H H "\r\n"},
    {400, GET "Host: a b\r\n\r\n"},
    {400, GET "Host: a/b\r\n\r\n"},
    {400, GET "Host: u@a\r\n\r\n"},
    {400, GET "Host: \xe4\r\n\r\n"},
    /* Where the body ends. */
    {400, GET H "Content-Length:\r\n\r\n"},
    {400, GET H "Content-Length: -1\r\n\r\n"},
    {400, GET H "Content-Length: +1\r\n\r\n"},
    {400, GET H "Content-Length: 1 1\r\n\r\n"},
    {400, GET H "Content-Length: 1,1\r\n\r\n"},
    {400, GET H "Content-Length: 0x1\r\n\r\n"},
    {400, GET H "Content-Length: 1\r\nContent-Length: 1\r\n\r\n"},
    {400, GET H "Content-Length: 1\r\nContent-Length: 2\r\n\r\n"},
    {413, GET H "Content-Length: 9223372036854775808\r\n\r\n"},
    {413, GET H "Content-Length: 99999999999999999999999999\r\n\r\n"},
    {400, GET H "Content-Length: 99999999999999999999999999x\r\n\r\n"},
    {400, GET H "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {400, GET H "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n"},
    {400, GET H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {400, GET H "Transfer-Encoding: chunked, chunked\r\n\r\n"},
    {400, GET H "Transfer-Encoding: chunked,\r\n\r\n"},
    {400, GET H "Transfer-Encoding: ,chunked\r\n\r\n"},
    {400, GET H "Transfer-Encoding:\r\n\r\n"},
    {400, GET H "Transfer-Encoding: gzip\r\n\r\n"},
    {400, GET H "Transfer-Encoding: identity\r\n\r\n"},
    {400, GET H "Transfer-Encoding: chunked, gzip\r\n\r\n"},
    {400, GET H "Transfer-Encoding: xchunked\r\n\r\n"},
    {400, GET H "Transfer-Encoding: \"chunked\"\r\n\r\n"},
    {400, GET H "Transfer-Encoding: \x0b"
                "chunked\r\n\r\n"},
    {501, GET H "Transfer-Encoding: gzip, chunked\r\n\r\n"},
    {400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {417, GET H "Expect: 200-ok\r\n\r\n"},
};

static void bad_heads(void)
{
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        pi_http_head head;
        size_t n = strlen(bad[i].text);
        int rc = parse_whole(&head, bad[i].text, n, LIMIT);
        if (!CHECK_EQ(rc, -bad[i].status))
            fprintf(stderr, "in case %zu: %s\n", i, bad[i].text);
        parse_in_pieces(bad[i].text, n, LIMIT);
    }
    static const char nul[] = GET H "X: a\0b\r\n\r\n", nul_line[] = "GET /\0 HTTP/1.1\r\n" H "\r\n";
    parse_in_pieces(nul, sizeof(nul) - 1, LIMIT);
    pi_http_head head;
    CHECK_EQ(parse_whole(&head, nul, sizeof(nul) - 1, LIMIT), -400);
    CHECK_EQ(parse_whole(&head, nul_line, sizeof(nul_line) - 1, LIMIT), -400);
}

/* Exactly `limit` bytes are taken, one more is not; so with the number of fields. */
static void limits(void)
{
    char text[4096];
    for (int extra = 0; extra <= 1; extra++) {
        int n = snprintf(text, sizeof(text), GET H "X: %0*d\r\n\r\n", 200 + extra, 0);
        pi_http_head head;
        CHECK_EQ(parse_whole(&head, text, (size_t)n, (size_t)(n - extra)), extra ? -431 : n);
        parse_in_pieces(text, (size_t)n, (size_t)(n - extra));

        n = snprintf(text, sizeof(text), "GET /%0*d HTTP/1.1\r\n", 200 + extra, 0);
        CHECK_EQ(parse_whole(&head, text, (size_t)n, (size_t)(n - extra)), extra ? -414 : -431);
        parse_in_pieces(text, (size_t)n, (size_t)(n - extra));

        n = snprintf(text, sizeof(text), GET H);
        for (int i = 1; i < PI_HTTP_FIELDS_MAX + extra; i++)
            n += snprintf(text + n, sizeof(text) - (size_t)n, "a: b\r\n");
        n += snprintf(text + n, sizeof(text) - (size_t)n, "\r\n");
        CHECK_EQ(parse_whole(&head, text, (size_t)n, sizeof(text)), extra ? -431 : n);
        CHECK(extra || head.n_fields == PI_HTTP_FIELDS_MAX);
        parse_in_pieces(text, (size_t)n, sizeof(text));
    }
}

/* The target wins over Host; the strings that follow one another do not touch. */
static void host_of_the_target(void)
{
    static const struct {
        const char *text, *host, *path;
    } cases[] = {
        {"GET http://longer:80/b?c HTTP/1.1\r\nX: y\r\n" H "\r\n", "longer:80", "/b?c"},
        {"GET HTTPS://b?c HTTP/1.1\r\nX: y\r\nHost: other\r\n\r\n", "b", "?c"},
        {"GET http://b HTTP/1.1\r\nX: y\r\nHost:\r\n\r\n", "b", ""},
    };
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[100];
        pi_http_head head;
        size_t n = strlen(cases[i].text);
        CHECK_FATAL(n < sizeof(text));
        memcpy(text, cases[i].text, n + 1);
        CHECK_EQ(parse_whole(&head, text, n, LIMIT), n);
        pi_http_take_host(&head, text);
        const pi_http_field *f = &head.fields[1];
        CHECK_EQ(head.host, 1);
        CHECK(f->value + f->value_len < head.path);
        text[f->value + f->value_len] = text[head.path + head.path_len] = '\0';
        CHECK_STR(text + f->value, cases[i].host);
        CHECK_STR(text + head.path, cases[i].path);
    }
}

static void fields_are_found(void)
{
    static const char text[] =
        "PUT /a HTTP/1.1\r\nHost: h\r\nX-Long:  \t some value \t\r\nE:\r\n\r\n";
    static const char *const want[][2] = {{"Host", "h"}, {"X-Long", "some value"}, {"E", ""}};
    pi_http_head head;
    CHECK_EQ(parse_whole(&head, text, sizeof(text) - 1, LIMIT), sizeof(text) - 1);
    CHECK_EQ(head.n_fields, 3);
    CHECK(head.method_len == 3 && !memcmp(text + head.method, "PUT", 3));
    CHECK(head.target_len == 2 && !memcmp(text + head.target, "/a", 2));
    CHECK_EQ(head.host, 0);
    for (int i = 0; i < 3; i++) {
        const pi_http_field *f = &head.fields[i];
        CHECK(f->name_len == strlen(want[i][0]) &&
              !memcmp(text + f->name, want[i][0], f->name_len));
        CHECK(f->value_len == strlen(want[i][1]) &&
              !memcmp(text + f->value, want[i][1], f->value_len));
    }
}

/* The table of classes against the grammar's words. */
static void classes(void)
{
    for (int c = 0; c < 256; c++) {
        bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool mark = c && c < 128 && strchr("!#$%&'*+-.^_`|~", c);
        CHECK_EQ(pi_http_is_token((unsigned char)c), alnum || mark);
        CHECK_EQ(pi_http_is_value((unsigned char)c), c == '\t' || (c >= 32 && c != 127));
        char target[] = "GET /? HTTP/1.1\r\n" H "\r\n", host[] = GET "Host: ?\r\n\r\n";
        *strchr(target, '?') = (char)c;
        *strchr(host, '?') = (char)c;
        pi_http_head head;
        bool in_target = c > 32 && c < 127 && c != '#';
        bool in_host = alnum || (c && c < 128 && strchr("-._~%!$&'()*+,;=:[]", c));
        if (c != ' ')
            CHECK_EQ(parse_whole(&head, target, sizeof(target) - 1, LIMIT) > 0, in_target);
        if (c != ' ' && c != '\t')
            CHECK_EQ(parse_whole(&head, host, sizeof(host) - 1, LIMIT) > 0, in_host);
    }
}

static size_t mutate(check_rng *rng, char *text, size_t n, size_t room)
{
    static const char *const pieces[] = {"\r\n",
                                         "\n",
                                         "\r",
                                         " ",
                                         "\t",
                                         ":",
                                         "a: b\r\n",
                                         H,
                                         "\r\n ",
                                         "chunked",
                                         ",",
                                         "Content-Length: 3\r\n",
                                         "Transfer-Encoding: chunked\r\n",
                                         "HTTP/1.1",
                                         "http://a",
                                         "Expect: 100-continue\r\n"};
    for (uint64_t turns = 1 + check_rng_below(rng, 3); turns > 0; turns--) {
        size_t at = (size_t)check_rng_below(rng, n + 1);
        const char *piece = pieces[check_rng_below(rng, sizeof(pieces) / sizeof(pieces[0]))];
        size_t len = strlen(piece);
        switch (check_rng_below(rng, 4)) {
        case 0:
            if (at < n)
                text[at] = (char)check_rng_next(rng);
            break;
        case 1:
            if (at < n)
                memmove(text + at, text + at + 1, --n - at);
            break;
        case 2:
            if (n + len <= room) {
                memmove(text + at + len, text + at, n - at);
                memcpy(text + at, piece, len);
                n += len;
            }
            break;
        default: { /* a byte again somewhere else */
            size_t from = (size_t)check_rng_below(rng, n + 1);
            if (at < n && from < n)
                text[at] = text[from];
            break;
        }
        }
        if (n == 0)
            break;
    }
    return n;
}

static void mutants(void)
{
    check_rng rng = check_rng_make(1);
    unsigned taken = 0, refused = 0;
    for (uint64_t round = check_rounds(200000); round > 0; round--) {
        char text[512] = "";
        const char *seed = good[check_rng_below(&rng, sizeof(good) / sizeof(good[0]))].text;
        size_t n = strlen(seed);
        memcpy(text, seed, n);
        n = mutate(&rng, text, n, sizeof(text) - 1);
        text[n] = '\0';

        plain want;
        pi_http_head whole, head;
        int length = plain_parse(&want, text, n, LIMIT);
        int verdict = parse_whole(&whole, text, n, LIMIT);
        bool ok = CHECK_EQ(verdict > 0 ? verdict : 0, length);
        if (ok && length > 0) {
            taken++;
            ok &= CHECK_EQ(!!(whole.flags & PI_HTTP_CHUNKED), want.chunked);
            ok &= CHECK_EQ(whole.length, want.length);
        }
        refused += verdict < 0;
        /* The verdict of a few random pieces is the same. */
        pi_http_head_init(&head);
        int rc = 0;
        for (size_t have = 0; rc == 0;) {
            rc = parse(&head, text, have, LIMIT);
            if (have == n)
                break;
            have += 1 + (size_t)check_rng_below(&rng, n - have);
        }
        ok &= CHECK_EQ(rc, verdict);
        if (!ok)
            fprintf(stderr, "in %s\n", text);
    }
    CHECK_LT(100, taken);
    CHECK_LT(100, refused);
}

CHECK_MAIN
{
    check_plain("good heads", good_heads);
    check_plain("bad heads", bad_heads);
    check_plain("limits", limits);
    check_plain("fields are found", fields_are_found);
    check_plain("the host of the target", host_of_the_target);
    check_plain("classes of characters", classes);
    check_plain("mutants against a plain parser", mutants);
}
