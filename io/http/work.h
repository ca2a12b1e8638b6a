/* SPDX-License-Identifier: MIT */
/* work.h: what a connection needs only while it has something to do, and where that comes from.
 *
 * A block is taken when input has arrived and given back before the connection waits for
 * another request, so a silent connection costs little. Each worker keeps the block that it was
 * given last: it is warm, and most requests need no malloc.
 *
 *   1. A place of the spares belongs to the worker of that index, in the one executor that
 *      the serving's tasks run on: it is touched by tasks that run there, between two of their
 *      suspensions.
 *
 * Callers: the tasks of a serving's connections; pi_http_spares_new() and _free() are its own.
 */
#ifndef PI_HTTP_WORK_H
#define PI_HTTP_WORK_H

#include "io/http/chunked.h"
#include "io/http/parser.h"

/** Bytes in and out that need no further malloc; enough for most requests. */
#define PI_HTTP_IN_SMALL 2048
#define PI_HTTP_OUT_SMALL 1024

typedef struct pi_http_work {
    pi_http_head head;
    pi_http_chunked decoder;
    char in[PI_HTTP_IN_SMALL];
    char out[PI_HTTP_OUT_SMALL];
} pi_http_work;

typedef struct pi_http_spares pi_http_spares;

/** Places for a serving's workers. @return them, or NULL: no memory, so none will be kept */
pi_http_spares *pi_http_spares_new(void);

/** Free them and what they hold. NULL is fine. No connection is left. */
void pi_http_spares_free(pi_http_spares *spares);

/** @param spares  or NULL @return a block, not initialised, or NULL: no memory */
pi_http_work *pi_http_work_take(pi_http_spares *spares);
void pi_http_work_give(pi_http_spares *spares, pi_http_work *work);

#endif
