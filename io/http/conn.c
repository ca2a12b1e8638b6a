/* SPDX-License-Identifier: MIT */
/* conn.c: a connection's life: read a head, have it answered, go on.
 *
 * Always true
 *   1. head_at <= body_at <= pos <= end <= in_size while a request is being answered; nobody
 *      moves the head then, because the handler holds strings in it.
 *   2. Output leaves before the task waits for input.
 *
 * Callers: the connection's task alone, but pi_http_conn_new(), and pi_http_conn_drop() where
 * that task never runs.
 * Elsewhere: reading and writing (wire.c), the sweep that ends waits (sweep.c), bodies
 * (request.c), answers (reply.c).
 */
#include "io/http/wire.h"

#include "executor/base/alloc.h"
#include "executor/base/assert.h"
#include "executor/sched/worker.h"
#include "io/sys.h"

#include <pica/task.h>
#include <poll.h>

/* --- Heads ------------------------------------------------------------------------------------ */

/* Read more of the head that begins at pos. @return > 0; 0: the client has finished;
 * -ETIMEDOUT, -ENOMEM, the connection's error */
static ssize_t more_head(pi_http_conn *c, bool *timed)
{
    ssize_t rc;
    if (PI_LIKELY(c->pos == c->end)) {
        rc = pi_http_receive_first(c);
    } else {
        size_t size = c->in_size, most = c->serving->server->max_head;
        if (c->end == size) {
            /* The parser refuses a head that fills max_head bytes, so there is more to get. */
            if (c->pos == 0)
                size = size * 2 < most ? size * 2 : most;
            rc = pi_http_make_room(c, c->pos, size);
            if (rc)
                return rc;
        }
        /* A head has one timeout, from its first byte on (the first head: from the start). */
        if (!*timed && c->served)
            pi_http_begin_time(c);
        else if (pi_http_time_is_over(c, PI_HTTP_HEAD))
            return -ETIMEDOUT; /* what has come just in time was not all */
        pi_http_wait_on(c, PI_HTTP_HEAD);
        *timed = true;
        rc = pi_http_receive(c, c->in + c->end, c->in_size - c->end);
    }
    if (PI_LIKELY(rc > 0))
        c->end += (uint32_t)rc;
    return rc;
}

/* Read and parse the next head. @return > 0: its length; 0: there is none, the connection
 * ends; < 0: a negated status to refuse it with */
static int next_head(pi_http_conn *c)
{
    for (bool begun = false, timed = false;;) {
        if (c->pos < c->end) {
            if (!begun)
                pi_http_head_init(&c->work->head);
            begun = true;
            int rc = pi_http_parse_head(&c->work->head, c->in + c->pos, c->end - c->pos,
                                        c->serving->server->max_head);
            if (rc)
                return rc;
        }
        if (c->out_len && pi_http_flush_here(c) < 0)
            return 0;
        ssize_t rc = more_head(c, &timed);
        if (PI_LIKELY(rc > 0))
            continue;
        if (rc == -ENOMEM && c->work)
            return -503;
        return rc == -ETIMEDOUT && c->pos < c->end ? -408 : 0;
    }
}

/* --- Requests ------------------------------------------------------------------------------- */

/* A head of length bytes has been parsed at pos: set its request up.
 * @return 0, or a negated status to refuse it with */
static int begin_request(pi_http_conn *c, int length)
{
    const pica_http_server *server = c->serving->server;
    c->head_at = c->pos;
    c->pos += (uint32_t)length;
    c->body_at = c->pos;
    c->keep = c->work->head.flags & PI_HTTP_KEEP_ALIVE && !c->last;
    c->progress = PI_HTTP_UNANSWERED;
    c->body_failed = 0;
    c->added_len = 0;
    c->discarding = false;
    c->chunked = c->work->head.flags & PI_HTTP_CHUNKED;
    c->ended = false;
    c->body_left = c->work->head.length;
    if (PI_UNLIKELY(c->work->head.flags & PI_HTTP_ABSOLUTE))
        pi_http_take_host(&c->work->head, c->in + c->head_at);
    c->asked = c->work->head.flags & PI_HTTP_CONTINUE && (c->chunked || c->body_left > 0);
    if (c->body_left > server->max_body)
        return -413;
    if (PI_UNLIKELY(c->chunked)) {
        /* The chunks' framing is read into the buffer, behind the head, which stays. */
        pi_http_chunked_init(&c->work->decoder, server->max_body);
        size_t have = c->end - c->head_at;
        if (pi_http_make_room(c, c->head_at, have + 2048) < 0)
            return -503;
    }
    return 0;
}

/* Serve the next request. @return whether another one may follow */
static bool serve_one(pi_http_conn *c)
{
    const pica_http_server *server = c->serving->server;
    int rc = next_head(c);
    if (rc == 0)
        return false;
    c->keep = false;
    if (rc > 0)
        rc = begin_request(c, rc);
    if (rc < 0) {
        pi_http_refuse(c, -rc);
        return false;
    }
    pi_http_conclude(c, server->handler(c, server->arg));
    c->served = true;
    return c->keep && !c->failed && (pi_http_body_done(c) || pi_http_discard_body(c));
}

/* Who sends requests without an end, and before they are answered, must not keep the connection's
 * task running for ever: each that is here already is a turn. (One that is not is waited for, or
 * read; see stream.h.) What is answered does not wait for the others' turns.
 * @return whether to serve it: no, if the task is cancelled */
static inline bool may_go_on(pi_http_conn *c)
{
    if (PI_LIKELY(c->pos == c->end) || !pi_worker_spend(pi_worker_self()))
        return true;
    if (pi_http_flush(c) < 0) /* may suspend */
        return false;
    return !pi_worker_is_due(pi_worker_self()) || pica_yield() == 0;
}

/* --- Beginning and end ---------------------------------------------------------------------- */

int pi_http_conn_new(pi_http_conn **out, pi_http_serving *serving, pica_stream *stream)
{
    pi_http_conn *c = pi_aligned_zalloc(PI_CACHE_LINE, sizeof(*c));
    if (!c)
        return -ENOMEM;
    c->stream = stream;
    c->serving = serving;
    c->fences = serving->fences;
    pi_http_wait(c, PI_HTTP_FRESH);
    pi_http_sweep_enter(c);
    pi_add_relaxed(&serving->open, 1u);
    *out = c;
    return 0;
}

void pi_http_conn_drop(void *conn)
{
    pi_http_conn *c = conn;
    pi_http_serving *serving = c->serving;
    pi_http_sweep_leave(c);
    pica_close(c->stream);
    pi_http_give_work(c);
    pi_free(c->added);
    pi_free(c);
    pica_sem_release(&serving->server->permits);
    pi_sub_relaxed(&serving->open, 1u);
}

/* Has the client sent, or may it still send, what nobody will answer? */
static bool is_talking(const pi_http_conn *c)
{
    if (c->refused)
        return true;
    if (!c->served || !c->work) /* it has not said anything since the last answer */
        return false;
    return c->pos < c->end || !pi_http_body_done(c) ||
           pi_sys_poll_now(pica_stream_fd(c->stream), POLLIN) != 0;
}

intptr_t pi_http_conn_run(void *conn)
{
    pi_http_conn *c = conn;
    int rc = pi_own_begin(c->stream);
    pi_assert(rc == 0);
    (void)rc; /* nobody else has ever had the stream */
    while (serve_one(c) && may_go_on(c)) {
    }
    if (pi_http_flush(c) == 0 && is_talking(c))
        pi_http_linger(c);
    pi_own_end(c->stream);
    pi_http_conn_drop(c);
    return 0;
}
