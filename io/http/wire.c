/* SPDX-License-Identifier: MIT */
/* wire.c: see wire.h. */
#include "io/http/wire.h"

#include "executor/base/alloc.h"

#include <pica/task.h>

#include <string.h>

/* For how many bytes (and for PI_HTTP_LINGER_NS) an answered client may go on sending
 * before the socket is closed under it. Closing with input unread resets the connection, and
 * the reset can overtake the answer. */
#define LINGER_MAX 262144

/* --- Waiting -------------------------------------------------------------------------------- */

/* As pica_read(), but -EAGAIN: the sweep has ended the wait. */
static ssize_t read_some(pi_http_conn *c, char *to, size_t n)
{
    ssize_t rc;
    do {
        rc = pi_own_wait(c->stream);
        if (rc == 0)
            rc = pi_own_read(c->stream, to, n);
    } while (rc == -EAGAIN && !pi_http_wait_is_over(c));
    return rc;
}

/* As pica_writev(), likewise. */
static ssize_t write_some(pi_http_conn *c, const struct iovec *parts, int n)
{
    ssize_t rc;
    do {
        rc = pi_own_wait_to_write(c->stream);
        if (rc == 0)
            rc = pi_own_writev(c->stream, parts, n);
    } while (rc == -EAGAIN && !pi_http_wait_is_over(c));
    return rc;
}

ssize_t pi_http_receive(pi_http_conn *c, char *to, size_t n)
{
    ssize_t rc = read_some(c, to, n);
    (void)pi_http_leave_wait(c);
    if (PI_UNLIKELY(rc < 0)) {
        if (rc == -EAGAIN)
            return -ETIMEDOUT;
        if (rc != -ECANCELED)
            c->failed = (int)rc;
    }
    return rc;
}

ssize_t pi_http_found_nothing_slow(pi_http_conn *c)
{
    return pi_http_wait_is_over(c) ? 0 : -EAGAIN;
}

/* --- Input ---------------------------------------------------------------------------------- */

int pi_http_make_room(pi_http_conn *c, uint32_t from, size_t size)
{
    char *to = c->in;
    if (size > c->in_size) {
        to = pi_malloc(size);
        if (!to)
            return -ENOMEM;
    }
    memmove(to, c->in + from, c->end - from);
    if (to != c->in) {
        if (c->in != c->work->in)
            pi_free(c->in);
        c->in = to;
        c->in_size = (uint32_t)size;
    }
    c->head_at -= from < c->head_at ? from : c->head_at;
    c->body_at -= from < c->body_at ? from : c->body_at;
    c->pos -= from;
    c->end -= from;
    return 0;
}

void pi_http_give_large_slow(pi_http_conn *c)
{
    if (c->in != c->work->in)
        pi_free(c->in);
    if (c->out != c->work->out)
        pi_free(c->out);
}

/* --- Output --------------------------------------------------------------------------------- */

static void reset_output(pi_http_conn *c)
{
    c->out_len = 0;
    if (PI_UNLIKELY(c->out != c->work->out)) {
        pi_free(c->out);
        c->out = c->work->out;
        c->out_size = PI_HTTP_OUT_SMALL;
    }
}

/* Write all parts. Each write that moves something begins a new wait. */
static int write_parts(pi_http_conn *c, struct iovec *parts, int n)
{
    while (n > 0) {
        if (parts->iov_len == 0) {
            parts++;
            n--;
            continue;
        }
        pi_http_wait(c, PI_HTTP_WRITE);
        ssize_t rc = write_some(c, parts, n);
        (void)pi_http_leave_wait(c);
        if (PI_UNLIKELY(rc < 0))
            return c->failed = rc == -EAGAIN ? -ETIMEDOUT : (int)rc;
        for (size_t done = (size_t)rc; done > 0;) {
            size_t step = done < parts->iov_len ? done : parts->iov_len;
            parts->iov_base = (char *)parts->iov_base + step;
            parts->iov_len -= step;
            done -= step;
            if (done > 0) {
                parts++;
                n--;
            }
        }
    }
    return 0;
}

int pi_http_flush_slow(pi_http_conn *c, ssize_t done)
{
    int rc = 0;
    if (done != (ssize_t)c->out_len) {
        size_t from = done > 0 ? (size_t)done : 0;
        struct iovec rest = {.iov_base = c->out + from, .iov_len = c->out_len - from};
        rc = done < 0 && done != -EAGAIN ? (c->failed = (int)done) : write_parts(c, &rest, 1);
    }
    reset_output(c);
    return rc;
}

int pi_http_flush(pi_http_conn *c)
{
    if (c->failed || c->out_len == 0)
        return c->failed;
    /* Nearly always the socket takes all at once, and nobody has to know of a wait. */
    return pi_http_flush_slow(c, pi_own_try_write(c->stream, c->out, c->out_len));
}

int pi_http_flush_for_handler(pi_http_conn *c)
{
    int rc = pi_http_flush(c);
    if (rc == 0)
        pi_yield_after_write();
    return rc;
}

/* There is less room than n bytes: send what is there, or take more. */
static __attribute__((noinline)) int reserve_slow(pi_http_conn *c, size_t n)
{
    if (c->out_len + n > PI_HTTP_OUT_MAX) {
        int rc = pi_http_flush_for_handler(c);
        if (rc || n <= c->out_size)
            return rc;
    }
    size_t size = 4096;
    while (size < c->out_len + n)
        size *= 2;
    char *out = pi_malloc(size);
    if (!out)
        return c->failed = -ENOMEM;
    memcpy(out, c->out, c->out_len);
    if (c->out != c->work->out)
        pi_free(c->out);
    c->out = out;
    c->out_size = (uint32_t)size;
    return c->failed;
}

int pi_http_reserve(pi_http_conn *c, size_t n)
{
    return PI_LIKELY(c->out_len + n <= c->out_size) ? c->failed : reserve_slow(c, n);
}

int pi_http_send(pi_http_conn *c, struct iovec *parts, int n)
{
    size_t total = 0;
    for (int i = 0; i < n; i++)
        total += parts[i].iov_len;
    if (PI_UNLIKELY(c->out_len + total > PI_HTTP_OUT_MAX)) {
        struct iovec all[4] = {{.iov_base = c->out, .iov_len = c->out_len}};
        if (c->failed)
            return c->failed;
        memcpy(all + 1, parts, (size_t)n * sizeof(parts[0]));
        int rc = write_parts(c, all, n + 1);
        reset_output(c);
        if (rc == 0)
            pi_yield_after_write();
        return rc;
    }
    int rc = pi_http_reserve(c, total);
    if (rc)
        return rc;
    for (int i = 0; i < n; i++) {
        memcpy(c->out + c->out_len, parts[i].iov_base, parts[i].iov_len);
        c->out_len += (uint32_t)parts[i].iov_len;
    }
    return 0;
}

int pi_http_send_nothing(pi_http_conn *c)
{
    int rc = c->failed ? c->failed : pi_check_worker();
    return rc == 0 && pi_worker_spend(pi_worker_self()) ? pica_yield() : rc;
}

/* --- The end ---------------------------------------------------------------------------------- */

void pi_http_linger(pi_http_conn *c)
{
    if (pica_shutdown(c->stream, SHUT_WR) < 0)
        return;
    pi_http_wait(c, PI_HTTP_LINGER);
    char waste[1024];
    for (size_t most = LINGER_MAX; most > sizeof(waste);) {
        ssize_t rc = read_some(c, waste, sizeof(waste));
        if (rc <= 0 || pi_http_wait_is_over(c)) /* it may be nudged in vain, while bytes come */
            break;
        most -= (size_t)rc;
    }
}
