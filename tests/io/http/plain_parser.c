/* SPDX-License-Identifier: MIT */
/* plain_parser.c: see plain_parser.h. */
#include "tests/io/http/plain_parser.h"

#include "io/http/parser.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool span(const char *p, const char *end, const char *more, bool words)
{
    for (; p < end; p++) {
        bool alnum = (*p >= '0' && *p <= '9') || ((*p | 32) >= 'a' && (*p | 32) <= 'z');
        if (!(words && alnum) && (!*p || !strchr(more, *p)))
            return false;
    }
    return true;
}

static bool plain_is(const char *p, const char *end, const char *word)
{
    return (size_t)(end - p) == strlen(word) && !strncasecmp(p, word, (size_t)(end - p));
}

static bool plain_field(plain *f, const char *p, const char *end)
{
    const char *colon = memchr(p, ':', (size_t)(end - p));
    if (!colon || colon == p || !span(p, colon, "!#$%&'*+-.^_`|~", true))
        return false;
    const char *v = colon + 1;
    for (; v < end && (*v == ' ' || *v == '\t'); v++)
        ;
    for (; end > v && (end[-1] == ' ' || end[-1] == '\t'); end--)
        ;
    if (plain_is(p, colon, "host")) {
        f->hosts++;
        return span(v, end, "-._~%!$&'()*+,;=:[]", true);
    }
    if (plain_is(p, colon, "content-length")) {
        f->lengths++;
        char digits[64];
        if (v == end || end - v > 60 || !span(v, end, "0123456789", false))
            return false;
        snprintf(digits, sizeof(digits), "%.*s", (int)(end - v), v);
        errno = 0;
        f->length = strtoull(digits, NULL, 10);
        return errno == 0 && f->length <= INT64_MAX;
    }
    if (plain_is(p, colon, "transfer-encoding")) {
        f->codings++;
        f->chunked = true;
        return plain_is(v, end, "chunked") && f->minor;
    }
    return !plain_is(p, colon, "expect") || !f->minor || plain_is(v, end, "100-continue");
}

static bool plain_line(plain *f, const char *p, const char *end)
{
    const char *sp = memchr(p, ' ', (size_t)(end - p));
    if (!sp || sp == p || sp - p > PI_HTTP_METHOD_MAX || !span(p, sp, "!#$%&'*+-.^_`|~", true) ||
        (sp - p == 7 && !memcmp(p, "CONNECT", 7)))
        return false;
    const char *t = sp + 1, *te = memchr(t, ' ', (size_t)(end - t));
    if (!te || te == t || end - te != 9 || memcmp(te, " HTTP/1.", 8) ||
        (te[8] != '0' && te[8] != '1'))
        return false;
    f->minor = te[8] == '1';
    for (const char *c = t; c < te; c++)
        if (*c <= 32 || *c >= 127 || *c == '#')
            return false;
    if (*t == '/')
        return true;
    if (te - t == 1 && *t == '*')
        return sp - p == 7 && !memcmp(p, "OPTIONS", 7);
    size_t scheme = !strncasecmp(t, "http://", 7) ? 7 : !strncasecmp(t, "https://", 8) ? 8 : 0;
    const char *authority = t + scheme, *authority_end = authority + strcspn(authority, "/? ");
    return scheme && authority < authority_end && *authority != ':' &&
           span(authority, authority_end, "-._~%!$&'()*+,;=:[]", true);
}

int plain_parse(plain *f, const char *text, size_t n, size_t limit)
{
    *f = (plain){0};
    const char *p = text, *end = memmem(text, n, "\r\n\r\n", 4);
    if (n >= 2 && !memcmp(p, "\r\n", 2)) {
        p += 2;
        end = memmem(p, n - 2, "\r\n\r\n", 4);
    }
    if (!end || (size_t)(end + 4 - text) > limit)
        return 0;
    for (int line = 0; p < end + 2; line++) {
        const char *eol = memmem(p, (size_t)(end + 4 - p), "\r\n", 2);
        for (const char *c = p; c < eol; c++)
            if (!pi_http_is_value((unsigned char)*c))
                return 0;
        if (line > PI_HTTP_FIELDS_MAX || (line ? !plain_field(f, p, eol) : !plain_line(f, p, eol)))
            return 0;
        p = eol + 2;
    }
    if (f->hosts > 1 || f->lengths > 1 || f->codings > 1 || (f->lengths && f->codings) ||
        (f->minor && !f->hosts))
        return 0;
    return (int)(end + 4 - text);
}
