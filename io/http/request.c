/* SPDX-License-Identifier: MIT */
/* request.c: what a handler reads: the head's parts, and the body.
 *
 * Strings are terminated where they lie, when they are asked for: the byte behind a name, a
 * value or the target is a delimiter that nobody needs again once the head is parsed.
 *
 * Callers: the handler of the request, in its task.
 */
#include "io/http/wire.h"

#include "executor/base/atomics.h"

#include <string.h>

/* --- The head ------------------------------------------------------------------------------- */

static char *terminated(pica_http_request *req, unsigned at, unsigned length)
{
    char *p = req->in + req->head_at + at;
    p[length] = '\0';
    return p;
}

const char *pica_http_method(pica_http_request *req)
{
    return terminated(req, req->work->head.method, req->work->head.method_len);
}

const char *pica_http_path(pica_http_request *req)
{
    char *path = terminated(req, req->work->head.path, req->work->head.path_len), *query = path;
    while (*query && *query != '?') /* most paths are too short for memchr() to pay */
        query++;
    *query = '\0';
    return *path ? path : "/"; /* "http://host?query" */
}

const char *pica_http_query(pica_http_request *req)
{
    /* pica_http_path() may have put a 0 in the place of the '?'. Neither occurs before. */
    char *path = terminated(req, req->work->head.path, req->work->head.path_len);
    size_t n = strcspn(path, "?");
    return n < req->work->head.path_len ? path + n + 1 : NULL;
}

int pica_http_version(const pica_http_request *req)
{
    return 10 + req->work->head.minor;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

const char *pica_http_header(pica_http_request *req, const char *name)
{
    size_t n = strlen(name);
    for (unsigned i = 0; i < req->work->head.n_fields; i++) {
        const pi_http_field *f = &req->work->head.fields[i];
        const char *have = req->in + req->head_at + f->name;
        size_t k = 0;
        if (f->name_len != n)
            continue;
        while (k < n && lower(have[k]) == lower(name[k]))
            k++;
        if (k == n)
            return terminated(req, f->value, f->value_len);
    }
    return NULL;
}

size_t pica_http_header_count(const pica_http_request *req)
{
    return req->work->head.n_fields;
}

int pica_http_header_at(pica_http_request *req, size_t index, const char **name, const char **value)
{
    if (index >= req->work->head.n_fields)
        return -EINVAL;
    const pi_http_field *f = &req->work->head.fields[index];
    *name = terminated(req, f->name, f->name_len);
    *value = terminated(req, f->value, f->value_len);
    return 0;
}

int64_t pica_http_content_length(const pica_http_request *req)
{
    return req->chunked ? -1 : (int64_t)req->work->head.length;
}

int pica_http_peer(const pica_http_request *req, pica_addr *out)
{
    return pica_peer_addr(req->stream, out);
}

/* --- The body ------------------------------------------------------------------------------- */

static int body_fails(pi_http_conn *c, int code)
{
    c->keep = false;
    return c->body_failed = code;
}

/* Wait for more of the body, into the caller's or the connection's buffer. Who waits first
 * sends what others wait for. @return > 0, or what the body comes to */
static ssize_t more_body(pi_http_conn *c, char *to, size_t n)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    if (c->asked) {
        c->asked = false;
        int rc =
            c->progress == PI_HTTP_UNANSWERED ? pi_http_append(c, go_on, sizeof(go_on) - 1) : 0;
        if (rc)
            return body_fails(c, rc);
    }
    bool begins = !c->discarding || c->out_len > 0; /* to send that may wait, too */
    int rc = pi_http_flush(c);
    if (rc)
        return body_fails(c, rc);
    if (begins)
        pi_http_begin_time(c);
    else if (pi_http_time_is_over(c, PI_HTTP_BODY))
        return body_fails(c, -ETIMEDOUT);
    pi_http_wait_on(c, PI_HTTP_BODY);
    ssize_t got = pi_http_receive(c, to, n);
    c->late = got == -ECANCELED || got == -ETIMEDOUT;
    if (got == -ECANCELED)
        return got; /* no byte is lost: after an uncancel the body goes on */
    return got > 0 ? got : body_fails(c, got == 0 ? -ECONNRESET : (int)got);
}

static ssize_t read_counted(pi_http_conn *c, char *buffer, size_t n)
{
    if (n > c->body_left)
        n = (size_t)c->body_left;
    if (n == 0)
        return 0;
    size_t have = c->end - c->pos;
    if (have > 0) {
        n = n < have ? n : have;
        memcpy(buffer, c->in + c->pos, n);
        c->pos += (uint32_t)n;
    } else {
        ssize_t rc = more_body(c, buffer, n);
        if (rc < 0)
            return rc;
        n = (size_t)rc;
    }
    c->body_left -= n;
    return (ssize_t)n;
}

static ssize_t read_chunked(pi_http_conn *c, char *buffer, size_t n)
{
    while (!c->ended) {
        size_t used;
        int what = pi_http_chunked_next(&c->work->decoder, c->in + c->pos, c->end - c->pos, &used);
        c->pos += (uint32_t)used;
        if (what == PI_CHUNK_DATA) {
            size_t have = c->end - c->pos;
            n = n < have ? n : have;
            n = n < c->work->decoder.left ? n : (size_t)c->work->decoder.left;
            memcpy(buffer, c->in + c->pos, n);
            c->pos += (uint32_t)n;
            c->work->decoder.left -= n;
            return (ssize_t)n;
        }
        if (what == PI_CHUNK_END) {
            c->ended = true;
        } else if (what == PI_CHUNK_MORE) {
            c->pos = c->end = c->body_at;
            ssize_t rc = more_body(c, c->in + c->pos, c->in_size - c->pos);
            if (rc < 0)
                return rc;
            c->end += (uint32_t)rc;
        } else {
            return body_fails(c, what == -413 ? -EMSGSIZE : -PICA_EPROTO_HTTP);
        }
    }
    return 0;
}

ssize_t pica_http_read_body(pica_http_request *req, void *buffer, size_t n)
{
    if (n == 0 || !buffer)
        return -EINVAL;
    if (req->body_failed)
        return req->body_failed;
    return req->chunked ? read_chunked(req, buffer, n) : read_counted(req, buffer, n);
}

bool pi_http_discard_body(pi_http_conn *c)
{
    /* A client that waits for 100 Continue may or may not send the body after another
     * answer: nobody can tell what comes next. */
    if (c->body_failed || c->asked)
        return false;
    c->discarding = true;
    pi_http_begin_time(c); /* the waits have one time together */
    char waste[1024];
    for (size_t most = PI_HTTP_DISCARD_MAX; !pi_http_body_done(c);) {
        ssize_t rc = pica_http_read_body(c, waste, sizeof(waste));
        if (rc < 0 || (size_t)rc > most)
            return false;
        most -= (size_t)rc;
    }
    return true;
}
