/* SPDX-License-Identifier: MIT */
/* response.h: the head of a response as bytes.
 *
 * Pure: writes into memory that the caller has measured with the bounds given here.
 *
 * Most responses begin with the same bytes, which change once a second: a stamp keeps them ready.
 * Each block of work (work.h) has one, so it is warm and nobody else's.
 *
 * Elsewhere: what a handler may say and when it is sent (reply.c).
 */
#ifndef PI_HTTP_RESPONSE_H
#define PI_HTTP_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/** The longest server name, and the bytes of a date, "Sun, 06 Nov 1994 08:49:37 GMT". */
#define PI_HTTP_SERVER_MAX 64
#define PI_HTTP_DATE 29

/** "HTTP/1.1 200 OK\r\nServer: ...\r\nDate: ...\r\n", without the server if it has no name. */
#define PI_HTTP_STAMP_MAX 128
typedef struct pi_http_stamp {
    int64_t second;  /* the one that the date tells */
    uint32_t length; /* bytes of text; behind them it means nothing */
    uint32_t date;   /* where the date begins */
    char text[PI_HTTP_STAMP_MAX];
} pi_http_stamp;

/** Write the date of a second since 1970, from year 1 to 9999, as 29 bytes without a 0. */
void pi_http_put_date(char *to, int64_t second);

/** Set a stamp up. @param server a name without control characters, at most
 *  PI_HTTP_SERVER_MAX bytes; NULL or "": responses name no server */
void pi_http_stamp_init(pi_http_stamp *stamp, const char *server);

/** How the end of a body is told. */
typedef enum pi_http_framing {
    PI_HTTP_LENGTH,    /* Content-Length */
    PI_HTTP_IN_CHUNKS, /* Transfer-Encoding: chunked */
    PI_HTTP_UNTIL_EOF, /* the connection's end; no field */
    PI_HTTP_BODILESS   /* the status (204, 304) allows no body; no field */
} pi_http_framing;

/** What a response's head says about the connection. */
typedef enum pi_http_connection {
    PI_HTTP_CONN_DEFAULT, /* no field */
    PI_HTTP_CONN_CLOSE,
    PI_HTTP_CONN_KEEP /* to HTTP/1.0 clients, which need to be told */
} pi_http_connection;

/** What pi_http_put_head() writes. */
typedef struct pi_http_answer {
    int status; /* 200 to 599 */
    pi_http_framing framing;
    pi_http_connection connection;
    uint64_t length;  /* of the body, with PI_HTTP_LENGTH */
    const char *type; /* Content-Type, or NULL */
    size_t type_len;
    const char *fields; /* more fields, each "Name: value\r\n" */
    size_t fields_len;
} pi_http_answer;

/** The most bytes of a head with that much of type and fields. */
static inline size_t pi_http_head_bound(size_t type_len, size_t fields_len)
{
    return 320 + type_len + fields_len;
}

/** Write a response's head, down to the empty line, as of a second since 1970.
 *  @param to  room for pi_http_head_bound(type_len, fields_len) bytes
 *  @return the end of what was written */
char *pi_http_put_head(char *to, const pi_http_answer *answer, pi_http_stamp *stamp,
                       int64_t second);

/** Write v in decimal, at most 20 bytes. @return the end */
char *pi_http_put_decimal(char *to, uint64_t v);

/** Room for pi_http_put_chunk(). */
#define PI_HTTP_CHUNK_LINE 18

/** Write the line before a chunk of n bytes, n > 0. @return the end */
char *pi_http_put_chunk(char *to, size_t n);

/** The words for a status; "" for one that no standard names. */
const char *pi_http_reason(int status);

#endif
