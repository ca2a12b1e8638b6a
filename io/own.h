/* SPDX-License-Identifier: MIT */
/* own.h: a socket that one task has to itself, for as long as it lives.
 *
 * pica_read() and pica_write() enter a direction and leave it again, because somebody else may
 * come in between, or close: two compare-and-swaps each. A server's connection is read, written
 * and closed by its own task alone; it enters both directions once, and its calls go on from
 * there. Others may still use what belongs to no direction: pica_shutdown(), the addresses.
 *
 *   1. From begin to end both directions are USED, by the owner. Calls that fail come back in.
 *   2. Input: READY is taken off before the read that it allows. Output: READY stays on until the
 *      kernel says EAGAIN; then it is taken off, and the write tried once more, before a wait.
 *   3. So whoever waits has looked after READY was taken off, as in descriptor.h.
 *
 * Callers: the task that began. Reading is two calls, so that no buffer is held by who waits, and
 * so is writing, so that who has waited in vain can give up:
 *
 *     do
 *         rc = pi_own_wait(stream);
 *     while (rc == 0 && (rc = pi_own_read(stream, buffer, n)) == -EAGAIN);
 */
#ifndef PI_IO_OWN_H
#define PI_IO_OWN_H

#include "executor/sched/check.h"
#include "io/stream.h"
#include "io/sys.h"

/** Enter both directions of a socket, from a task. @return 0; -EBUSY, -EBADF */
int pi_own_begin(pica_stream *stream);

/** Leave them. The stream can be closed then. */
void pi_own_end(pica_stream *stream);

/** Wait until a read may find something. Now and then it yields instead (stream.h).
 *  @return 0; -ECANCELED; what pi_direction_await() says */
int pi_own_wait(pica_stream *stream);

/** Read what is there, up to n bytes, n > 0; never suspends.
 *  @return as pica_read(); -EAGAIN: nothing, wait again */
ssize_t pi_own_read(pica_stream *stream, void *buffer, size_t n);

/** End the owner's wait, or its next one in each direction, as if it were over: its read or write
 *  then says -EAGAIN. Any thread that keeps the stream open. Who says first by a store what it is
 *  about fences in between, and so does the owner between a call that was in vain and his look at
 *  that: then one of the two sees the other. */
void pi_own_nudge(pica_stream *stream);

/** How much of what was written the peer has not acknowledged. Any thread that keeps the stream
 *  open. @return bytes; below 0: unknown */
int pi_own_unsent(pica_stream *stream);

/** Wait until a write may find room; as pi_own_wait(). */
int pi_own_wait_to_write(pica_stream *stream);

/** As pica_write() and pica_writev(), of at least one byte, but without a wait: -EAGAIN. The first
 *  is tried where none is due, the second after pi_own_wait_to_write(), and never suspends.
 *  @param parts  n of them, at least 1 */
ssize_t pi_own_try_write(pica_stream *stream, const void *buffer, size_t n);
ssize_t pi_own_writev(pica_stream *stream, const struct iovec *parts, int n);

/* --- Inline: for the one caller whose calls are made most, where calls are bare (sys.h) ------- */

static inline __attribute__((always_inline)) ssize_t
pi_own_read_here(pica_stream *stream, void *buffer, size_t n)
{
    pi_descriptor *d = pi_of_stream(stream);
    ssize_t rc = pi_sys_recv(d->fd, buffer, n);
    bool emptied = d->kind & PI_KIND_TCP && rc > 0 && (size_t)rc < n &&
                   !(pi_load_relaxed(&d->in.word) & PI_FINAL);
    if (PI_UNLIKELY(!emptied) && rc != -EAGAIN)
        pi_direction_make_ready(&d->in);
    return rc;
}

/** A call goes on without a wait, but now and then yields first. @return 0 or -ECANCELED */
int pi_own_yield_slow(pi_descriptor *d, pi_direction *dir);
static inline int pi_own_go_on(pi_descriptor *d, pi_direction *dir, uint8_t *streak)
{
    return PI_UNLIKELY(pi_streak_is_over(streak, dir == &d->in)) ? pi_own_yield_slow(d, dir) : 0;
}

static inline __attribute__((always_inline)) ssize_t
pi_own_try_write_here(pica_stream *stream, const void *buffer, size_t n)
{
    pi_descriptor *d = pi_of_stream(stream);
    int rc = pi_check_worker();
    if (rc < 0)
        return rc;
    if (PI_UNLIKELY(!pi_direction_is_ready(&d->out)))
        return -EAGAIN;
    rc = pi_own_go_on(d, &d->out, &d->out_streak);
    return PI_UNLIKELY(rc < 0) ? rc : pi_sys_send(d->fd, buffer, n);
}

#endif
