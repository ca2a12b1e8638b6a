/* SPDX-License-Identifier: MIT */
/* stream.c: bytes in and out, and what else one does with a stream.
 *
 * Reading and writing have one shape: enter the direction, try the system call, wait on
 * EAGAIN, leave. Between the event and the bytes lies one system call, because the call
 * that found less than it asked for on a TCP socket stands for the EAGAIN: the next one
 * waits without asking first. Not so for other kinds, nor once FINAL is latched; a user
 * who makes a TCP socket read in records (kernel TLS) has to adopt it as what it then is.
 */
#include "io/stream.h"

#include "executor/sched/worker.h"
#include "io/sys.h"

#include <pica/task.h>

#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

int pi_streak_end_slow(pi_descriptor *d, pi_direction *dir, bool ready)
{
    uint32_t *last = dir == &d->in ? &d->in_turns : &d->out_turns;
    const pi_worker *worker = pi_worker_self();
    uint32_t turns = pi_load_relaxed(&worker->turns);
    uint32_t others = turns - *last;
    *last = turns;
    if (others >= PI_STREAK_MAX && !pi_worker_is_due(worker))
        return 0;
    int rc = pica_yield();
    if (rc < 0)
        pi_direction_leave(d, dir, ready);
    return rc;
}

void pi_yield_after_write_slow(void)
{
    (void)!pica_yield();
}

/* The entry of a read or write. @return 0: the caller uses dir */
static inline int begin(pi_descriptor *d, pi_direction *dir, uint8_t *streak, bool *try_first)
{
    int rc = pi_direction_enter(dir, try_first);
    return rc < 0 ? rc : pi_streak(d, dir, streak, *try_first);
}

/* The kernel has said EAGAIN. @return 0: try again; an error: dir has been left */
static inline int await(pi_descriptor *d, pi_direction *dir, uint8_t *streak)
{
    *streak = 0;
    int rc = pi_direction_await(d, dir);
    pi_wait_prefetch_next();
    return rc;
}

/* @param asked  how much there was room for: a TCP socket that gave less is empty */
static inline ssize_t end_read(pi_descriptor *d, ssize_t got, size_t asked)
{
    bool emptied = d->kind & PI_KIND_TCP && got > 0 && (size_t)got < asked;
    pi_direction_leave(d, &d->in, !emptied);
    return got;
}

/* The bytes of a vector; what does not fit into size_t the kernel refuses anyway. */
static size_t total(const struct iovec *iov, int parts)
{
    size_t sum = 0;
    for (int i = 0; i < parts; i++)
        if (__builtin_add_overflow(sum, iov[i].iov_len, &sum))
            return SIZE_MAX;
    return sum;
}

static bool is_vector(const struct iovec *iov, int parts)
{
    return parts >= 0 && parts <= IOV_MAX && (parts == 0 || iov);
}

/* Reading and writing are written once, for a buffer and for a vector. Each caller knows which it
 * has, so the loops are inlined and the other case vanishes. */
#define PER_CALLER static inline __attribute__((always_inline))
typedef enum pi_shape { BUFFER, VECTOR } pi_shape;

PER_CALLER ssize_t receive(const pi_descriptor *d, pi_shape shape, void *to, size_t n, int parts)
{
    if (shape == BUFFER)
        return d->kind & PI_KIND_SOCKET ? pi_sys_recv(d->fd, to, n) : pi_sys_read(d->fd, to, n);
    return d->kind & PI_KIND_SOCKET ? pi_sys_recvv(d->fd, to, parts)
                                    : pi_sys_readv(d->fd, to, parts);
}

/* @param to    the buffer or the vector
 * @param n     the bytes in all
 * @param parts of a vector */
PER_CALLER ssize_t read_some(pica_stream *stream, pi_shape shape, void *to, size_t n, int parts)
{
    pi_descriptor *d = pi_of_stream(stream);
    bool try_first = true;
    ssize_t rc = pi_descriptor_check(d);
    if (rc == 0)
        rc = begin(d, &d->in, &d->in_streak, &try_first);
    if (rc < 0)
        return rc;
    if (n == 0) {
        pi_direction_leave(d, &d->in, try_first);
        return 0;
    }
    for (;;) {
        if (try_first) {
            rc = receive(d, shape, to, n, parts);
            if (rc != -EAGAIN)
                return end_read(d, rc, n);
        }
        rc = await(d, &d->in, &d->in_streak);
        if (rc < 0)
            return rc;
        try_first = true;
    }
}

ssize_t pica_read(pica_stream *stream, void *buffer, size_t n)
{
    return read_some(stream, BUFFER, buffer, n, 0);
}

ssize_t pica_readv(pica_stream *stream, const struct iovec *iov, int n)
{
    if (!is_vector(iov, n))
        return -EINVAL;
    return read_some(stream, VECTOR, (void *)(uintptr_t)iov, total(iov, n), n);
}

PER_CALLER ssize_t send_once(const pi_descriptor *d, pi_shape shape, const void *from, size_t n,
                             int parts)
{
    if (shape == VECTOR)
        return d->kind & PI_KIND_SOCKET ? pi_sys_sendv(d->fd, from, parts)
                                        : pi_sys_writev(d->fd, from, parts);
    const struct iovec all = {.iov_base = (void *)(uintptr_t)from, .iov_len = n};
    return d->kind & PI_KIND_SOCKET ? pi_sys_send(d->fd, from, n) : pi_sys_writev(d->fd, &all, 1);
}

/* Write once; the caller uses d->out. @return > 0: it still does; an error: it has been left */
PER_CALLER ssize_t write_once(pi_descriptor *d, pi_shape shape, const void *from, size_t n,
                              int parts, bool try_first)
{
    for (;;) {
        if (try_first) {
            ssize_t rc = send_once(d, shape, from, n, parts);
            if (rc >= 0)
                return rc;
            if (rc != -EAGAIN) {
                pi_direction_leave(d, &d->out, true);
                return rc;
            }
        }
        int rc = await(d, &d->out, &d->out_streak);
        if (rc < 0)
            return rc;
        try_first = true;
    }
}

PER_CALLER ssize_t write_some(pica_stream *stream, pi_shape shape, const void *from, size_t n,
                              int parts)
{
    pi_descriptor *d = pi_of_stream(stream);
    bool try_first = true;
    ssize_t rc = pi_descriptor_check(d);
    if (rc == 0)
        rc = begin(d, &d->out, &d->out_streak, &try_first);
    if (rc < 0)
        return rc;
    if (n > 0)
        rc = write_once(d, shape, from, n, parts, try_first);
    if (rc >= 0) {
        pi_direction_leave(d, &d->out, n > 0 || try_first);
        pi_yield_after_write();
    }
    return rc;
}

ssize_t pica_write(pica_stream *stream, const void *buffer, size_t n)
{
    return write_some(stream, BUFFER, buffer, n, 0);
}

ssize_t pica_writev(pica_stream *stream, const struct iovec *iov, int n)
{
    return is_vector(iov, n) ? write_some(stream, VECTOR, iov, total(iov, n), n) : -EINVAL;
}

int pica_write_all(pica_stream *stream, const void *buffer, size_t n, size_t *written)
{
    pi_descriptor *d = pi_of_stream(stream);
    const char *rest = buffer;
    size_t done = 0;
    bool try_first = true;
    ssize_t rc = pi_descriptor_check(d);
    if (rc == 0)
        rc = begin(d, &d->out, &d->out_streak, &try_first);
    if (rc == 0) {
        /* The direction stays ours throughout, so that nobody writes into the middle. */
        bool untouched = try_first;
        while (done < n && (rc = write_once(d, BUFFER, rest, n - done, 0, try_first)) >= 0) {
            rest += rc;
            done += (size_t)rc;
            try_first = untouched = true;
        }
        if (rc >= 0)
            pi_direction_leave(d, &d->out, untouched);
    }
    if (written)
        *written = done;
    if (rc < 0)
        return (int)rc;
    pi_yield_after_write();
    return 0;
}

pica_stream *pica_close(pica_stream *stream)
{
    if (stream)
        pi_descriptor_close(pi_of_stream(stream));
    return NULL;
}

/* What follows belongs to no direction: a share keeps the number open over the call. */

int pica_shutdown(pica_stream *stream, int how)
{
    pi_descriptor *d = pi_of_stream(stream);
    int rc = d ? pi_descriptor_hold(d) : -EINVAL;
    if (rc < 0)
        return rc;
    rc = pi_sys_shutdown(d->fd, how);
    pi_descriptor_drop(d, 1);
    return rc;
}

static int get_address(pi_descriptor *d, pica_addr *out, bool peer)
{
    pica_addr addr = {.length = sizeof(addr.storage)};
    int rc = d && out ? pi_descriptor_hold(d) : -EINVAL;
    if (rc < 0)
        return rc;
    struct sockaddr *to = (struct sockaddr *)&addr.storage;
    rc = peer ? pi_sys_peer_addr(d->fd, to, &addr.length)
              : pi_sys_local_addr(d->fd, to, &addr.length);
    pi_descriptor_drop(d, 1);
    if (rc == 0)
        *out = addr;
    return rc;
}

int pica_local_addr(const pica_stream *stream, pica_addr *out)
{
    return get_address(pi_of_stream(stream), out, false);
}

int pica_peer_addr(const pica_stream *stream, pica_addr *out)
{
    return get_address(pi_of_stream(stream), out, true);
}

int pica_listener_addr(const pica_listener *listener, pica_addr *out)
{
    return get_address(pi_of_listener(listener), out, false);
}

int pica_set_nodelay(pica_stream *stream, int on)
{
    pi_descriptor *d = pi_of_stream(stream);
    int rc = d ? pi_descriptor_hold(d) : -EINVAL;
    if (rc < 0)
        return rc;
    rc = pi_sys_set_option(d->fd, IPPROTO_TCP, TCP_NODELAY, on != 0);
    pi_descriptor_drop(d, 1);
    return rc;
}

int pica_set_keepalive(pica_stream *stream, int idle_s, int interval_s, int count)
{
    pi_descriptor *d = pi_of_stream(stream);
    int rc = d ? pi_descriptor_hold(d) : -EINVAL;
    if (rc < 0)
        return rc;
    if (idle_s > 0) {
        rc = pi_sys_set_option(d->fd, IPPROTO_TCP, TCP_KEEPIDLE, idle_s);
        if (rc == 0)
            rc = pi_sys_set_option(d->fd, IPPROTO_TCP, TCP_KEEPINTVL, interval_s);
        if (rc == 0)
            rc = pi_sys_set_option(d->fd, IPPROTO_TCP, TCP_KEEPCNT, count);
    } else if (idle_s < 0) {
        rc = -EINVAL;
    }
    if (rc == 0)
        rc = pi_sys_set_option(d->fd, SOL_SOCKET, SO_KEEPALIVE, idle_s > 0);
    pi_descriptor_drop(d, 1);
    return rc;
}

static int borrowed_fd(const pi_descriptor *d)
{
    if (!d)
        return -EINVAL;
    return pi_load_acquire(&d->life) & PI_LIFE_CLOSED ? -EBADF : d->fd;
}

int pica_stream_fd(const pica_stream *stream)
{
    return borrowed_fd(pi_of_stream(stream));
}

int pica_listener_fd(const pica_listener *listener)
{
    return borrowed_fd(pi_of_listener(listener));
}
