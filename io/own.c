/* SPDX-License-Identifier: MIT */
/* own.c: see own.h. */
#include "io/own.h"

#include "executor/base/assert.h"

int pi_own_begin(pica_stream *stream)
{
    pi_descriptor *d = pi_of_stream(stream);
    bool in, out;
    int rc = pi_direction_enter(&d->in, &in);
    if (rc < 0)
        return rc;
    rc = pi_direction_enter(&d->out, &out);
    if (rc < 0) {
        pi_direction_leave(d, &d->in, in);
        return rc;
    }
    pi_direction_make_ready(&d->in); /* who asks in vain is told by the kernel */
    pi_direction_make_ready(&d->out);
    return 0;
}

void pi_own_end(pica_stream *stream)
{
    pi_descriptor *d = pi_of_stream(stream);
    pi_direction_leave(d, &d->in, true);
    pi_direction_leave(d, &d->out, true);
}

/* A wait or a yield that failed has left the direction. @return rc, why it did */
static __attribute__((noinline, cold)) int come_back_slow(pi_direction *dir, int rc)
{
    bool ready;
    int again = pi_direction_enter(dir, &ready);
    pi_assert(again == 0);
    (void)again;
    pi_direction_make_ready(dir);
    return rc;
}

/* The kernel has said that there is nothing, or is not asked. @return 0: ask */
static inline int await(pi_descriptor *d, pi_direction *dir, uint8_t *streak)
{
    *streak = 0;
    int rc = pi_direction_await(d, dir);
    pi_wait_prefetch_next();
    return PI_UNLIKELY(rc < 0) ? come_back_slow(dir, rc) : 0;
}

int pi_own_yield_slow(pi_descriptor *d, pi_direction *dir)
{
    int rc = pi_streak_end_slow(d, dir, true);
    return PI_UNLIKELY(rc < 0) ? come_back_slow(dir, rc) : 0;
}

static inline int wait_for(pi_descriptor *d, pi_direction *dir, uint8_t *streak)
{
    int rc = pi_check_worker();
    if (rc < 0)
        return rc;
    if (!pi_direction_is_ready(dir))
        return await(d, dir, streak);
    rc = pi_own_go_on(d, dir, streak);
    if (rc == 0)
        pi_direction_take_ready(dir);
    return rc;
}

int pi_own_wait(pica_stream *stream)
{
    pi_descriptor *d = pi_of_stream(stream);
    return wait_for(d, &d->in, &d->in_streak);
}

int pi_own_wait_to_write(pica_stream *stream)
{
    pi_descriptor *d = pi_of_stream(stream);
    return wait_for(d, &d->out, &d->out_streak);
}

void pi_own_nudge(pica_stream *stream)
{
    pi_descriptor *d = pi_of_stream(stream);
    (void)pi_descriptor_event(d, pi_load_relaxed(&d->generation), EPOLLIN | EPOLLOUT);
}

int pi_own_unsent(pica_stream *stream)
{
    return pi_sys_unsent(pi_of_stream(stream)->fd);
}

ssize_t pi_own_read(pica_stream *stream, void *buffer, size_t n)
{
    return pi_own_read_here(stream, buffer, n);
}

ssize_t pi_own_try_write(pica_stream *stream, const void *buffer, size_t n)
{
    return pi_own_try_write_here(stream, buffer, n);
}

ssize_t pi_own_writev(pica_stream *stream, const struct iovec *parts, int n)
{
    pi_descriptor *d = pi_of_stream(stream);
    ssize_t rc = n == 1 ? pi_sys_send(d->fd, parts->iov_base, parts->iov_len)
                        : pi_sys_sendv(d->fd, parts, n);
    if (rc != -EAGAIN)
        pi_direction_make_ready(&d->out);
    return rc;
}
