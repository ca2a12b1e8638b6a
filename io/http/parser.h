/* SPDX-License-Identifier: MIT */
/* parser.h: the head of an HTTP/1.1 request: request line and header fields.
 *
 * Pure: no allocation, no I/O, no copy. A head is parsed where it lies, in one contiguous
 * buffer; what is found is kept as offsets from the head's first byte, so the buffer may be
 * moved between two calls. A head that is still incomplete is parsed again with more bytes,
 * from its first unfinished line on.
 *
 * As strict as RFC 9112 allows a server to be, because whatever one hop reads differently
 * from the next is a way to smuggle a request: lines end with CR LF alone; no folded lines,
 * no blank before a colon, no control characters; Content-Length once and digits only;
 * Transfer-Encoding only as exactly `chunked`, never with a length, never in HTTP/1.0;
 * exactly one Host in HTTP/1.1. The verdict depends on the bytes, never on how they were
 * cut into pieces.
 *
 * Elsewhere: chunked bodies (chunked.h), answers (response.h), connections (conn.h).
 */
#ifndef PI_HTTP_PARSER_H
#define PI_HTTP_PARSER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** The most fields of a head, and the most bytes (offsets have 16 bits). */
#define PI_HTTP_FIELDS_MAX 96
#define PI_HTTP_HEAD_MAX 65535

/** The longest method; RFC 9110 defines none beyond 7 letters. */
#define PI_HTTP_METHOD_MAX 24

/** Bits of pi_http_head.flags. */
enum {
    PI_HTTP_HAS_LENGTH = 1u << 0, /* Content-Length was there */
    PI_HTTP_CHUNKED = 1u << 1,    /* Transfer-Encoding: chunked */
    PI_HTTP_HAS_HOST = 1u << 2,   /* Host was there */
    PI_HTTP_CONTINUE = 1u << 3,   /* Expect: 100-continue, in HTTP/1.1 */
    PI_HTTP_SAID_CLOSE = 1u << 4, /* Connection: close */
    PI_HTTP_SAID_KEEP = 1u << 5,  /* Connection: keep-alive */
    PI_HTTP_KEEP_ALIVE = 1u << 6, /* the verdict: another request may follow */
    PI_HTTP_IS_HEAD = 1u << 7,    /* the method is HEAD */
    PI_HTTP_LINE_DONE = 1u << 8,  /* the request line has been parsed */
    PI_HTTP_ABSOLUTE = 1u << 9    /* the target was "http://..." */
};

/** A header field; offsets from the head's first byte. The value is without the blanks
 *  around it. The byte after each of the two belongs to nobody and may be overwritten. */
typedef struct pi_http_field {
    uint16_t name, name_len;
    uint16_t value, value_len;
} pi_http_field;

/** A parsed head, or how far the parsing got. */
typedef struct pi_http_head {
    uint32_t at;       /* the first line that has not been parsed */
    uint16_t flags;    /* PI_HTTP_... */
    uint16_t n_fields; /* of fields */
    uint16_t method;   /* the byte after it is a blank */
    uint16_t method_len;
    uint16_t target; /* as it was sent; the byte after it is a blank */
    uint16_t target_len;
    uint16_t path;     /* the target behind scheme and authority, query included */
    uint16_t path_len; /* may be 0 with an absolute target */
    uint16_t host;     /* which field is Host, if it was there */
    uint8_t minor;     /* HTTP/1.minor */
    uint64_t length;   /* Content-Length, or 0; at most INT64_MAX */
    pi_http_field fields[PI_HTTP_FIELDS_MAX];
} pi_http_head;

/** Before the first byte of a request. */
static inline void pi_http_head_init(pi_http_head *head)
{
    head->at = 0;
    head->flags = 0;
    head->n_fields = 0;
    head->length = 0;
}

/**
 * Parse a head as far as it has arrived.
 *
 * @param head   as pi_http_head_init() or the call before left it
 * @param bytes  the request from its first byte on, those of earlier calls unchanged
 * @param n      how many there are; may reach beyond the head
 * @param limit  the most bytes that a head may have, at most PI_HTTP_HEAD_MAX
 * @return > 0: the head is complete and has so many bytes; 0: it needs more bytes; < 0: it
 *         is bad, and the negated status says why: 400, 413 (a length beyond int64_t), 414,
 *         417, 431, 501 (CONNECT, an overlong method, a transfer coding), 505. After that the
 *         connection can't be used for requests any more.
 */
int pi_http_parse_head(pi_http_head *head, const char *bytes, size_t n, size_t limit);

/** Of a complete head with an absolute target: let the value of Host, if it was there, be what the
 *  target names, as RFC 9112, 3.2.2, demands. It moves within the target, which is no longer as it
 *  was sent; the path is. Once. */
void pi_http_take_host(pi_http_head *head, char *bytes);

/** Is c a character of a token (a method, a field's name)? */
bool pi_http_is_token(unsigned char c);

/** May c stand in a field's value? */
bool pi_http_is_value(unsigned char c);

/** Are n bytes the word `lower` (letters and '-', in lower case), whatever their case?
 *  The bytes are known to hold no control characters. */
static inline bool pi_http_same(const char *bytes, size_t n, const char *lower)
{
    size_t i = 0;
    for (; i < n && lower[i]; i++)
        if (((unsigned char)bytes[i] | 0x20) != (unsigned char)lower[i])
            return false;
    return i == n && !lower[i];
}

#endif
