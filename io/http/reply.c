/* SPDX-License-Identifier: MIT */
/* reply.c: what a handler answers, and what the server answers in its place.
 *
 *     UNANSWERED -reply-> ANSWERED
 *     UNANSWERED -begin-> STREAMING -handler returns-> ANSWERED
 *
 * Always true
 *   1. A head is formatted once per request, into the gathered output.
 *   2. Whether the connection goes on is decided before the head is written, because the head
 *      says so; later it can only be revoked.
 *   3. A field's text that could end its line is refused: answers can't be split.
 *
 * Callers: the request's handler, in its task; conn.c.
 */
#include "io/http/wire.h"

#include "executor/base/alloc.h"
#include "executor/base/atomics.h"
#include "executor/base/clock.h"

#include <string.h>

/* The longest Content-Type. */
#define TYPE_MAX 1024

/* Is there a byte below 0x20, or a 0x7f, among these eight? May err on the side of yes. */
static inline uint64_t looks_bad(const char *p)
{
    const uint64_t ones = 0x0101010101010101, tops = ones << 7;
    uint64_t v, del;
    memcpy(&v, p, 8);
    del = v ^ ones * 0x7f;
    return ((v - ones * 0x20) | (del - ones)) & ~v & tops;
}

/* May these bytes stand in a field's value? Eight at a time; the last eight may overlap others. */
static bool is_text(const char *p, size_t n)
{
    if (PI_LIKELY(n >= 8)) {
        uint64_t bad = looks_bad(p + n - 8);
        for (size_t i = 0; i + 8 < n; i += 8)
            bad |= looks_bad(p + i);
        if (PI_LIKELY(!bad))
            return true;
    }
    for (size_t i = 0; i < n; i++)
        if (!pi_http_is_value((unsigned char)p[i]))
            return false;
    return true;
}

/* --- Fields --------------------------------------------------------------------------------- */

static bool is_reserved(const char *name, size_t n)
{
    static const char *const reserved[] = {"connection", "content-length", "content-type",
                                           "date",       "server",         "transfer-encoding"};
    for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
        if (pi_http_same(name, n, reserved[i]))
            return true;
    return false;
}

int pica_http_add_header(pica_http_request *req, const char *name, const char *value)
{
    if (!name || !value)
        return -EINVAL;
    size_t n = strlen(name), v = strlen(value);
    for (size_t i = 0; i < n; i++)
        if (!pi_http_is_token((unsigned char)name[i]))
            return -EINVAL;
    if (n == 0 || is_reserved(name, n) || !is_text(value, v))
        return -EINVAL;
    if (req->progress != PI_HTTP_UNANSWERED)
        return -EALREADY;
    if (n > PI_HTTP_ADDED_MAX || v > PI_HTTP_ADDED_MAX ||
        req->added_len + n + v + 4 > PI_HTTP_ADDED_MAX)
        return -ENOSPC;
    size_t need = req->added_len + n + v + 4;
    if (need > req->added_size) {
        size_t size = 256;
        while (size < need)
            size *= 2;
        char *added = pi_malloc(size);
        if (!added)
            return -ENOMEM;
        if (req->added)
            memcpy(added, req->added, req->added_len);
        pi_free(req->added);
        req->added = added;
        req->added_size = (uint32_t)size;
    }
    char *to = req->added + req->added_len;
    memcpy(to, name, n);
    memcpy(to + n, ": ", 2);
    memcpy(to + n + 2, value, v);
    memcpy(to + n + 2 + v, "\r\n", 2);
    req->added_len = (uint32_t)need;
    return 0;
}

void pica_http_close_after(pica_http_request *req)
{
    req->keep = false;
}

/* --- The head ------------------------------------------------------------------------------- */

/* May the connection go on after this answer? */
static inline bool may_keep(const pi_http_conn *c, pi_http_framing framing)
{
    if (!c->keep || framing == PI_HTTP_UNTIL_EOF)
        return false;
    if (pi_load_relaxed(&c->serving->closing)) /* who misses it is told by the next sweep */
        return false;
    if (pi_http_body_done(c))
        return true;
    /* The client is told now what pi_http_discard_body() will come to. */
    return !c->asked && !c->body_failed && (c->chunked || c->body_left <= PI_HTTP_DISCARD_MAX);
}

/* Format the head into the output; inline for the two kinds of answers. @return 0 or the
 * connection's error */
static inline __attribute__((always_inline)) int put_head(pi_http_conn *c, int status,
                                                          const char *type, size_t type_len,
                                                          pi_http_framing framing, uint64_t length)
{
    int rc = pi_http_reserve(c, pi_http_head_bound(type_len, c->added_len));
    if (rc)
        return rc;
    c->keep = may_keep(c, framing);
    pi_http_answer answer = {
        .status = status,
        .framing = framing,
        .connection = !c->keep                   ? PI_HTTP_CONN_CLOSE
                      : c->work->head.minor == 0 ? PI_HTTP_CONN_KEEP
                                                 : PI_HTTP_CONN_DEFAULT,
        .length = length,
        .type = type,
        .type_len = type_len,
        .fields = c->added,
        .fields_len = c->added_len,
    };
    char *end = pi_http_put_head(c->out + c->out_len, &answer, &c->work->stamp, pi_wall_s());
    c->out_len = (uint32_t)(end - c->out);
    return 0;
}

/* Statuses whose answers end with the head, and those that have no body: 205 says so, as a
 * client would look for one. */
static bool is_bodiless(int status)
{
    return status == 204 || status == 304;
}

static bool forbids_body(int status)
{
    return is_bodiless(status) || status == 205;
}

/* What reply and begin check alike. @return 0 or the error; *type_len set */
static int check_answer(const pi_http_conn *c, int status, const char *type, size_t *type_len)
{
    if (c->progress != PI_HTTP_UNANSWERED)
        return -EALREADY;
    if (status < 200 || status > 599)
        return -EINVAL;
    *type_len = type ? strlen(type) : 0;
    return *type_len > TYPE_MAX || !is_text(type, *type_len) ? -EINVAL : 0;
}

/* --- Whole answers -------------------------------------------------------------------------- */

/* A whole answer, which may be given.
 * @return 0 or the connection's error */
static int answer_whole(pi_http_conn *c, int status, const char *type, size_t type_len,
                        const void *body, size_t n)
{
    int rc = put_head(c, status, type, type_len,
                      is_bodiless(status) ? PI_HTTP_BODILESS : PI_HTTP_LENGTH, n);
    if (rc)
        return rc;
    c->progress = PI_HTTP_ANSWERED;
    if (n == 0 || c->work->head.flags & PI_HTTP_IS_HEAD)
        return 0;
    return pi_http_append(c, body, n);
}

int pica_http_reply(pica_http_request *req, int status, const char *type, const void *body,
                    size_t n)
{
    size_t type_len;
    int rc = check_answer(req, status, type, &type_len);
    if (rc)
        return rc;
    if (n > 0 && (!body || forbids_body(status)))
        return -EINVAL;
    return answer_whole(req, status, type, type_len, body, n);
}

void pi_http_refuse(pi_http_conn *c, int status)
{
    char text[64];
    const char *reason = pi_http_reason(status);
    size_t n = (size_t)(pi_http_put_decimal(text, (unsigned)status) - text), r = strlen(reason);
    text[n++] = ' ';
    memcpy(text + n, reason, r);
    n += r;
    text[n++] = '\n';
    c->keep = false;
    c->refused = true;
    c->added_len = 0;
    /* An error is the connection's, and that ends anyway. */
    (void)answer_whole(c, status, "text/plain", 10, text, n);
}

/* --- Answers in pieces ---------------------------------------------------------------------- */

int pica_http_begin(pica_http_request *req, int status, const char *type, int64_t length)
{
    size_t type_len;
    int rc = check_answer(req, status, type, &type_len);
    if (rc)
        return rc;
    pi_http_framing framing = is_bodiless(status)                   ? PI_HTTP_BODILESS
                              : length >= 0 || forbids_body(status) ? PI_HTTP_LENGTH
                              : req->work->head.minor == 0          ? PI_HTTP_UNTIL_EOF
                                                                    : PI_HTTP_IN_CHUNKS;
    if (length < -1 || (forbids_body(status) && length > 0))
        return -EINVAL;
    req->reply_left = length > 0 ? (uint64_t)length : 0;
    rc = put_head(req, status, type, type_len, framing, req->reply_left);
    if (rc)
        return rc;
    req->framing = (uint8_t)framing;
    req->progress = PI_HTTP_STREAMING;
    return 0;
}

int pica_http_write(pica_http_request *req, const void *data, size_t n)
{
    if (req->progress != PI_HTTP_STREAMING)
        return -EPROTO;
    if (n > 0 && !data)
        return -EINVAL;
    if (req->framing == PI_HTTP_BODILESS && n > 0)
        return -EOVERFLOW;
    if (req->framing == PI_HTTP_LENGTH && n > req->reply_left)
        return -EOVERFLOW;
    bool sends = n > 0 && !(req->work->head.flags & PI_HTTP_IS_HEAD);
    int rc = sends ? 0 : pi_http_send_nothing(req);
    if (rc)
        return rc;
    if (req->framing == PI_HTTP_LENGTH)
        req->reply_left -= n;
    if (!sends)
        return 0;
    char line[PI_HTTP_CHUNK_LINE], end[] = "\r\n";
    struct iovec parts[3] = {{.iov_base = line},
                             {.iov_base = (void *)(uintptr_t)data, .iov_len = n},
                             {.iov_base = end, .iov_len = 2}};
    if (req->framing != PI_HTTP_IN_CHUNKS)
        return pi_http_append(req, data, n);
    parts[0].iov_len = (size_t)(pi_http_put_chunk(line, n) - line);
    return pi_http_send(req, parts, 3);
}

int pica_http_flush(pica_http_request *req)
{
    return pi_http_flush_for_handler(req);
}

/* End a streaming answer. @return whether it is complete */
static bool end_stream(pi_http_conn *c)
{
    if (c->framing == PI_HTTP_LENGTH)
        return c->reply_left == 0 || c->work->head.flags & PI_HTTP_IS_HEAD;
    if (c->framing == PI_HTTP_IN_CHUNKS && !(c->work->head.flags & PI_HTTP_IS_HEAD)) {
        return pi_http_append(c, "0\r\n\r\n", 5) == 0;
    }
    return true;
}

/* The status for a handler that failed before it answered. */
static int status_of(const pi_http_conn *c, int rc)
{
    switch (rc) {
    case -EMSGSIZE:
        return 413;
    case -ETIMEDOUT: /* clients may send again what was answered with 408 */
        return c->late ? 408 : 500;
    case -PICA_EPROTO_HTTP:
        return 400;
    default:
        return 500;
    }
}

void pi_http_conclude(pi_http_conn *c, int handler_rc)
{
    if (PI_LIKELY(c->progress == PI_HTTP_ANSWERED)) {
        if (handler_rc < 0)
            c->keep = false;
    } else if (c->progress == PI_HTTP_UNANSWERED) {
        if (handler_rc == -ECANCELED)
            c->keep = false;
        else
            pi_http_refuse(c, status_of(c, handler_rc));
    } else if (handler_rc < 0 || !end_stream(c)) {
        /* Cut short: what has been gathered may go, the body's end may not. */
        c->keep = false;
    }
}
