/* SPDX-License-Identifier: MIT */
/* parser.c: see parser.h.
 *
 * Always true
 *   1. Bytes are judged from left to right, and the first bad one decides: a prefix that is
 *      refused is refused with the same status by every longer one.
 *   2. head->at is the start of a line, and all lines before it are in the head; an
 *      unfinished line leaves no trace.
 *   3. Nothing behind bytes + n is read.
 *
 * Callers: any; a head is its caller's. A typical request has 40 to 100 bytes: one table
 * look-up a byte costs less than setting up anything cleverer; values, which are longer,
 * go by 16 and by 8 where SSE2 is there.
 */
#include "io/http/parser.h"

#include "executor/base/atomics.h"

#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* What a byte may be part of. Token: RFC 9110, 5.6.2. Target: visible, but no '#', which
 * begins a fragment and is never sent. Host: uri-host and port of RFC 3986, uncut. Value:
 * visible, blank, tab, or beyond ASCII. */
enum { TOKEN = 1, TARGET = 2, HOST = 4, VALUE = 8 };

/* clang-format off */
static const uint8_t class_of[256] = {
     0,  0,  0,  0,  0,  0,  0,  0,  0,  8,  0,  0,  0,  0,  0,  0,
     0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,
     8, 15, 10,  9, 15, 15, 15, 15, 14, 14, 15, 15, 14, 15, 15, 10,
    15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 14, 14, 10, 14, 10, 10,
    10, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15,
    15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 14, 10, 14, 11, 15,
    11, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15,
    15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 10, 11, 10, 15,  0,
     8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,
     8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,
     8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,
     8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,
     8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,
     8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,
     8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,
     8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,
};
/* clang-format on */

static bool is(unsigned char c, unsigned classes)
{
    return class_of[c] & classes;
}

bool pi_http_is_token(unsigned char c)
{
    return is(c, TOKEN);
}

bool pi_http_is_value(unsigned char c)
{
    return is(c, VALUE);
}

/* The first byte in [p, end) that is of none of the classes, or end. */
static inline const char *skip(const char *p, const char *end, unsigned classes)
{
    for (; end - p >= 4; p += 4) {
        if (!is((unsigned char)p[0], classes))
            return p;
        if (!is((unsigned char)p[1], classes))
            return p + 1;
        if (!is((unsigned char)p[2], classes))
            return p + 2;
        if (!is((unsigned char)p[3], classes))
            return p + 3;
    }
    while (p < end && is((unsigned char)*p, classes))
        p++;
    return p;
}

#if defined(__SSE2__)
/* A bit for each of 16 bytes: it can't stand in a value. */
static unsigned not_value(__m128i v)
{
    __m128i high = _mm_cmpeq_epi8(_mm_max_epu8(v, _mm_set1_epi8(0x20)), v);
    __m128i tab = _mm_cmpeq_epi8(v, _mm_set1_epi8(0x09));
    __m128i del = _mm_cmpeq_epi8(v, _mm_set1_epi8(0x7f));
    __m128i good = _mm_andnot_si128(del, _mm_or_si128(high, tab));
    return ~(unsigned)_mm_movemask_epi8(good);
}
#endif

/* The first byte in [p, end) that can't stand in a value, or end. */
static const char *skip_value(const char *p, const char *end)
{
#if defined(__SSE2__)
    for (; end - p >= 16; p += 16) {
        unsigned bad = not_value(_mm_loadu_si128((const __m128i *)(const void *)p)) & 0xffff;
        if (bad)
            return p + __builtin_ctz(bad);
    }
    if (end - p >= 8) {
        /* The last 8 bytes overlap those before. */
        unsigned bad = not_value(_mm_loadl_epi64((const __m128i *)(const void *)p)) & 0xff;
        if (bad)
            return p + __builtin_ctz(bad);
        bad = not_value(_mm_loadl_epi64((const __m128i *)(const void *)(end - 8))) & 0xff;
        return bad ? end - 8 + __builtin_ctz(bad) : end;
    }
#endif
    return skip(p, end, VALUE);
}

static inline uint64_t load8(const char *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}

static inline uint32_t load4(const char *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}

/* pi_http_same(), for n bytes and a word of as many, 4 at least. Both are known to the compiler,
 * which leaves one to three comparisons; the last one may overlap the one before. */
static inline __attribute__((always_inline)) bool is_word(const char *bytes, const char *lower,
                                                          size_t n)
{
    if (n < 8)
        return !((((load4(bytes) | 0x20202020) ^ load4(lower))) |
                 ((load4(bytes + n - 4) | 0x20202020) ^ load4(lower + n - 4)));
    const uint64_t small = 0x2020202020202020;
    uint64_t differ = (load8(bytes + n - 8) | small) ^ load8(lower + n - 8);
    for (size_t i = 0; i + 8 < n; i += 8)
        differ |= (load8(bytes + i) | small) ^ load8(lower + i);
    return !differ;
}
#define IS_WORD(bytes, literal) is_word((bytes), (literal), sizeof(literal) - 1)

/* --- The request line ------------------------------------------------------------------ */

/* Find the path in the target. @return 0 or -400 */
static int read_target(pi_http_head *head, const char *base)
{
    const char *target = base + head->target;
    size_t n = head->target_len;
    head->path = head->target;
    head->path_len = head->target_len;
    if (PI_LIKELY(target[0] == '/'))
        return 0;
    if (n == 1 && target[0] == '*')
        return head->method_len == 7 && !memcmp(base + head->method, "OPTIONS", 7) ? 0 : -400;

    size_t authority = n > 7 && pi_http_same(target, 7, "http://")    ? 7
                       : n > 8 && pi_http_same(target, 8, "https://") ? 8
                                                                      : 0;
    if (!authority)
        return -400;
    size_t path = authority;
    while (path < n && target[path] != '/' && target[path] != '?')
        path++;
    if (path == authority || target[authority] == ':' ||
        skip(target + authority, target + path, HOST) != target + path)
        return -400;
    head->flags |= PI_HTTP_ABSOLUTE;
    head->path = (uint16_t)(head->target + path);
    head->path_len = (uint16_t)(n - path);
    return 0;
}

/* Read "HTTP/1.x" CR LF. @return bytes, 0: more are needed, or a negated status */
static int read_version(pi_http_head *head, const char *p, const char *end)
{
    if (PI_LIKELY(end - p >= 10 && !memcmp(p, "HTTP/1.1\r\n", 10))) {
        head->minor = 1;
        return 10;
    }
    static const char shape[] = "HTTP/d.d\r\n";
    for (int i = 0; i < 10; i++) {
        if (i == 8) {
            if (p[5] != '1' || p[7] > '1')
                return -505;
            head->minor = (uint8_t)(p[7] - '0');
        }
        if (p + i == end)
            return 0;
        if (shape[i] == 'd' ? p[i] < '0' || p[i] > '9' : p[i] != shape[i])
            return -400;
    }
    return 10;
}

/* Read the line at p. @return bytes, 0: more are needed, or a negated status */
static int request_line(pi_http_head *head, const char *base, const char *p, const char *end)
{
    const char *start = p;
    if (PI_LIKELY(end - p >= 4 && !memcmp(p, "GET ", 4)))
        p += 3;
    while (p < end && is((unsigned char)*p, TOKEN))
        if (++p - start > PI_HTTP_METHOD_MAX)
            return -501;
    if (PI_UNLIKELY(p == end))
        return 0;
    if (PI_UNLIKELY(*p != ' ' || p == start))
        return -400;
    head->method = (uint16_t)(start - base);
    head->method_len = (uint16_t)(p - start);
    head->flags &= (uint16_t)~PI_HTTP_IS_HEAD;
    if (head->method_len == 4 && !memcmp(start, "HEAD", 4))
        head->flags |= PI_HTTP_IS_HEAD;
    if (head->method_len == 7 && !memcmp(start, "CONNECT", 7))
        return -501;

    const char *target = ++p;
    p = skip(p, end, TARGET);
    if (PI_UNLIKELY(p == end))
        return 0;
    if (PI_UNLIKELY(*p != ' ' || p == target))
        return -400;
    head->target = (uint16_t)(target - base);
    head->target_len = (uint16_t)(p - target);
    head->flags &= (uint16_t)~PI_HTTP_ABSOLUTE;
    int rc = read_target(head, base);
    if (PI_UNLIKELY(rc))
        return rc;

    rc = read_version(head, ++p, end);
    return rc > 0 ? (int)(p + rc - start) : rc;
}

/* --- Fields that say where the request ends, or what becomes of the connection ---------- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static int read_length(pi_http_head *head, const char *p, size_t n)
{
    if (n == 0 || head->flags & (PI_HTTP_HAS_LENGTH | PI_HTTP_CHUNKED))
        return -400;
    uint64_t length = 0;
    bool beyond = false;
    for (size_t i = 0; i < n; i++) {
        if (p[i] < '0' || p[i] > '9')
            return -400;
        uint64_t digit = (uint64_t)(p[i] - '0');
        beyond |= length > ((uint64_t)INT64_MAX - digit) / 10;
        length = beyond ? 0 : length * 10 + digit;
    }
    if (beyond)
        return -413;
    head->flags |= PI_HTTP_HAS_LENGTH;
    head->length = length;
    return 0;
}

/* Take an element of a list: [*at, *at + the return) without blanks around it. *next becomes
 * the place of the one behind it, or NULL. */
static size_t next_element(const char **at, const char *end, const char **next)
{
    const char *p = *at;
    while (p < end && is_blank(*p))
        p++;
    *at = p;
    while (p < end && *p != ',')
        p++;
    *next = p < end ? p + 1 : NULL;
    while (p > *at && is_blank(p[-1]))
        p--;
    return (size_t)(p - *at);
}

static int read_coding(pi_http_head *head, const char *p, size_t n)
{
    if (head->minor == 0 || head->flags & (PI_HTTP_HAS_LENGTH | PI_HTTP_CHUNKED))
        return -400;
    if (pi_http_same(p, n, "chunked")) {
        head->flags |= PI_HTTP_CHUNKED;
        return 0;
    }
    /* A coding before a last `chunked` would be legal, and is not implemented. In any other
     * list nobody can know where the body ends. */
    const char *end = p + n, *next;
    int chunked = 0;
    bool last = false, named = true;
    for (; p; p = next) {
        size_t length = next_element(&p, end, &next);
        last = pi_http_same(p, length, "chunked");
        chunked += last;
        named &= length > 0 && is((unsigned char)*p, TOKEN);
    }
    return named && last && chunked == 1 ? -501 : -400;
}

static void read_connection(pi_http_head *head, const char *p, size_t n)
{
    const char *end = p + n, *next;
    for (; p; p = next) {
        size_t length = next_element(&p, end, &next);
        if (pi_http_same(p, length, "close"))
            head->flags |= PI_HTTP_SAID_CLOSE;
        else if (pi_http_same(p, length, "keep-alive"))
            head->flags |= PI_HTTP_SAID_KEEP;
    }
}

/* @param plain  it has no bytes but those of a host */
static int read_host(pi_http_head *head, bool plain)
{
    if (PI_UNLIKELY(head->flags & PI_HTTP_HAS_HOST || !plain))
        return -400;
    head->flags |= PI_HTTP_HAS_HOST;
    head->host = head->n_fields;
    return 0;
}

/* Look at a field that has been read, but Host. @return 0 or a negated status */
static int read_field(pi_http_head *head, const char *base, const pi_http_field *field)
{
    const char *name = base + field->name, *value = base + field->value;
    switch (field->name_len) {
    case 6:
        if (IS_WORD(name, "expect") && head->minor > 0) {
            if (!pi_http_same(value, field->value_len, "100-continue"))
                return -417;
            head->flags |= PI_HTTP_CONTINUE;
        }
        return 0;
    case 10:
        if (IS_WORD(name, "connection"))
            read_connection(head, value, field->value_len);
        return 0;
    case 14:
        return IS_WORD(name, "content-length") ? read_length(head, value, field->value_len) : 0;
    case 17:
        return IS_WORD(name, "transfer-encoding") ? read_coding(head, value, field->value_len) : 0;
    default:
        return 0;
    }
}

/* --- Lines ----------------------------------------------------------------------------- */

/* Read the field at p, which is not the head's last line. @return bytes, 0: more are
 * needed, or a negated status */
static int field_line(pi_http_head *head, const char *base, const char *p, const char *end)
{
    if (PI_UNLIKELY(head->n_fields == PI_HTTP_FIELDS_MAX))
        return -431;
    const char *name = p;
    p = skip(p, end, TOKEN);
    if (PI_UNLIKELY(p == end))
        return 0;
    if (PI_UNLIKELY(*p != ':' || p == name))
        return -400;
    const char *name_end = p++;
    while (p < end && is_blank(*p))
        p++;
    /* A host's bytes are all among a value's: looked at once, they need no other look. */
    const char *value = p, *host_end = NULL;
    if (name_end - name == 4 && IS_WORD(name, "host"))
        p = host_end = skip(p, end, HOST);
    const char *value_end = p < end && *p == '\r' ? p : skip_value(p, end);
    if (PI_UNLIKELY(value_end == end))
        return 0;
    if (PI_UNLIKELY(*value_end != '\r'))
        return -400;
    if (PI_UNLIKELY(value_end + 1 == end))
        return 0;
    if (PI_UNLIKELY(value_end[1] != '\n'))
        return -400;
    const char *next = value_end + 2;
    while (value_end > value && is_blank(value_end[-1]))
        value_end--;

    pi_http_field *field = &head->fields[head->n_fields];
    field->name = (uint16_t)(name - base);
    field->name_len = (uint16_t)(name_end - name);
    field->value = (uint16_t)(value - base);
    field->value_len = (uint16_t)(value_end - value);
    int rc = host_end ? read_host(head, value_end == host_end) : read_field(head, base, field);
    if (PI_UNLIKELY(rc))
        return rc;
    head->n_fields++;
    return (int)(next - name);
}

/* All fields are there: what do they come to? @return 0 or a negated status */
static int conclude(pi_http_head *head)
{
    unsigned flags = head->flags;
    if (PI_UNLIKELY(head->minor > 0 && !(flags & PI_HTTP_HAS_HOST)))
        return -400;
    bool keep = head->minor > 0 || flags & PI_HTTP_SAID_KEEP;
    if (keep && !(flags & PI_HTTP_SAID_CLOSE))
        head->flags |= PI_HTTP_KEEP_ALIVE;
    return 0;
}

int pi_http_parse_head(pi_http_head *head, const char *bytes, size_t n, size_t limit)
{
    const char *end = bytes + (n < limit ? n : limit), *p = bytes + head->at;
    int rc = 0;

    if (PI_UNLIKELY(head->at == 0 && p < end && *p == '\r')) {
        /* One empty line before a request is forgiven, as RFC 9112 asks for. */
        if (end - p < 2)
            return n < limit ? 0 : -414;
        if (p[1] != '\n')
            return -400;
        head->at = 2;
        p += 2;
    }
    if (!(head->flags & PI_HTTP_LINE_DONE)) {
        rc = request_line(head, bytes, p, end);
        if (PI_UNLIKELY(rc <= 0))
            return rc < 0 ? rc : n < limit ? 0 : -414;
        p += rc;
        head->flags |= PI_HTTP_LINE_DONE;
    }
    while (p < end && *p != '\r') {
        rc = field_line(head, bytes, p, end);
        if (PI_UNLIKELY(rc < 0))
            return rc;
        if (PI_UNLIKELY(rc == 0))
            break;
        p += rc;
    }
    head->at = (uint32_t)(p - bytes);
    if (end - p >= 2 && *p == '\r') {
        if (PI_UNLIKELY(p[1] != '\n'))
            return -400;
        rc = conclude(head);
        return rc ? rc : (int)(p + 2 - bytes);
    }
    return n < limit ? 0 : -431;
}

void pi_http_take_host(pi_http_head *head, char *bytes)
{
    if (!(head->flags & PI_HTTP_HAS_HOST))
        return;
    /* The byte behind it belongs to the path. The second slash before it gives its place. */
    pi_http_field *field = &head->fields[head->host];
    bool plain = bytes[head->target + 4] == ':'; /* "http:", not "https:" */
    field->value = (uint16_t)(head->target + (plain ? 6 : 7));
    field->value_len = (uint16_t)(head->path - field->value - 1);
    memmove(bytes + field->value, bytes + field->value + 1, field->value_len);
}
