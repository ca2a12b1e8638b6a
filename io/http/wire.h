/* SPDX-License-Identifier: MIT */
/* wire.h: what a connection's task reads and writes: its waits, and its two buffers.
 *
 * Always true
 *   1. Output leaves in the order of the requests.
 *   2. One read and one write per request, or per bunch of requests that came together: a
 *      short read lets the socket's next read park without a system call.
 *   3. A connection has work while it has input or output, or answers a request.
 *
 * What each request does is inline, for what sys.h says of coming back from the kernel. Where calls
 * go by their names, as tests/faults wants, they are in functions, so that it knows each site.
 *
 * Callers: the connection's task alone.
 * Elsewhere: what is waited for, and the sweep that ends waits (sweep.h).
 */
#ifndef PI_HTTP_WIRE_H
#define PI_HTTP_WIRE_H

#include "io/http/sweep.h"
#include "io/own.h"

/* --- Waiting -------------------------------------------------------------------------------- */

/** Read into [to, to + n), in the phase that was said, and leave that phase.
 *  @return as pica_read(), and an error is the connection's; -ETIMEDOUT where the sweep ended it */
ssize_t pi_http_receive(pi_http_conn *c, char *to, size_t n);

/* --- Input ---------------------------------------------------------------------------------- */

/** Buffers that are no longer those of the block of work go back by themselves. */
void pi_http_give_large_slow(pi_http_conn *c);

/** The input and output buffers go back; what they hold is lost. */
static inline void pi_http_give_work(pi_http_conn *c)
{
    pi_http_work *work = c->work;
    if (!work)
        return;
    if (PI_UNLIKELY(c->in != work->in || c->out != work->out))
        pi_http_give_large_slow(c);
    pi_http_work_give(c->serving->spares, work);
    c->work = NULL;
    c->pos = c->end = c->out_len = 0;
}

static inline int pi_http_take_work(pi_http_conn *c)
{
    pi_http_work *work = pi_http_work_take(c->serving->spares, &c->serving->server->stamp);
    if (!work)
        return -ENOMEM;
    c->work = work;
    c->in = work->in;
    c->in_size = PI_HTTP_IN_SMALL;
    c->pos = c->end = 0;
    c->out = work->out;
    c->out_size = PI_HTTP_OUT_SMALL;
    c->out_len = 0;
    return 0;
}

/** The rare part of the next one: there was nothing to read.
 *  @return -EAGAIN: wait again; 0: the sweep has ended the wait */
ssize_t pi_http_found_nothing_slow(pi_http_conn *c);

/** Wait for another request, which has no buffers until it comes.
 *  @return as pica_read(); 0 also where the sweep has ended the wait */
static inline __attribute__((always_inline)) ssize_t pi_http_receive_first(pi_http_conn *c)
{
    ssize_t rc;
    pi_http_give_work(c);
    if (PI_LIKELY(c->served)) /* else it has been FRESH since it was accepted */
        pi_http_wait(c, PI_HTTP_IDLE);
    do {
        rc = pi_own_wait(c->stream);
        if (rc == 0)
            rc = pi_http_take_work(c);
        if (rc == 0)
            rc = PI_BARE_CALLS ? pi_own_read_here(c->stream, c->in, c->in_size)
                               : pi_own_read(c->stream, c->in, c->in_size);
        if (PI_UNLIKELY(rc <= 0))
            pi_http_give_work(c);
    } while (rc == -EAGAIN && (rc = pi_http_found_nothing_slow(c)) == -EAGAIN);
    if (PI_UNLIKELY(pi_http_leave_wait(c)))
        c->last = true;
    if (PI_UNLIKELY(rc < 0) && rc != -ECANCELED)
        c->failed = (int)rc;
    return rc;
}

/** See to it that in[from] and the bytes behind it lie at the buffer's start and that size
 *  bytes of buffer are there. All positions move along. @return 0 or -ENOMEM */
int pi_http_make_room(pi_http_conn *c, uint32_t from, size_t size);

/* --- Output --------------------------------------------------------------------------------- */

/** Room for n more bytes in a row behind out[out_len]. May send what is
 *  there. @return 0 or the connection's error */
int pi_http_reserve(pi_http_conn *c, size_t n);

/** Append to the output; what is too much to gather is sent at once, with all before it.
 *  @param parts  n of them, at most 3; changed by the call
 *  @return 0 or the connection's error */
int pi_http_send(pi_http_conn *c, struct iovec *parts, int n);

/** A piece of which nothing is sent, as the answer to HEAD has no body. The handler must hear of a
 *  cancel, and let others run, all the same. @return 0; -ECANCELED; the connection's error */
int pi_http_send_nothing(pi_http_conn *c);

/** The same for one part, which most often fits. */
static inline int pi_http_append(pi_http_conn *c, const void *bytes, size_t n)
{
    if (PI_UNLIKELY(c->failed || n > c->out_size - c->out_len)) {
        struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = n};
        return pi_http_send(c, &part, 1);
    }
    memcpy(c->out + c->out_len, bytes, n);
    c->out_len += (uint32_t)n;
    return 0;
}

/** Send all output. @return 0 or the connection's error */
int pi_http_flush(pi_http_conn *c);

/** The same, in the middle of an answer, which may be as long as it likes: a hurried worker's task
 *  yields after it (stream.h). */
int pi_http_flush_for_handler(pi_http_conn *c);

/** As pi_http_flush(), after a first try to write it that gave `done`. */
int pi_http_flush_slow(pi_http_conn *c, ssize_t done);

/** The same, inline: before the wait for another request. */
static inline __attribute__((always_inline)) int pi_http_flush_here(pi_http_conn *c)
{
    if (!PI_BARE_CALLS || c->failed || c->out_len == 0)
        return pi_http_flush(c);
    ssize_t done = pi_own_try_write_here(c->stream, c->out, c->out_len);
    if (PI_UNLIKELY(done != (ssize_t)c->out_len || c->out != c->work->out))
        return pi_http_flush_slow(c, done);
    c->out_len = 0;
    return 0;
}

/* --- The end -------------------------------------------------------------------------------- */

/** Everything has been said: let the client read it before the socket goes. */
void pi_http_linger(pi_http_conn *c);

#endif
