/* SPDX-License-Identifier: MIT */
/* conn.h: a connection, which at the same time is the request that its handler sees. */
#ifndef PI_HTTP_CONN_H
#define PI_HTTP_CONN_H

#include "io/http/server.h"
#include "io/http/work.h"

#include <sys/uio.h>

/** The most bytes of answers that are gathered before they are sent. */
#define PI_HTTP_OUT_MAX 16384

/** The most bytes of fields that a handler adds. */
#define PI_HTTP_ADDED_MAX 8192

/** The most bytes of a body that are read only to keep the connection. */
#define PI_HTTP_DISCARD_MAX 65536

/** How far the answer to the current request is. */
typedef enum pi_http_progress {
    PI_HTTP_UNANSWERED = 0,
    PI_HTTP_STREAMING, /* begun; the body is being written */
    PI_HTTP_ANSWERED
} pi_http_progress;

/** The connection that stands at a place in the ring. */
#define PI_HTTP_CONN_OF(at) ((pi_http_conn *)(void *)((char *)(at)-offsetof(pi_http_conn, link)))

struct pica_http_request {
    pica_stream *stream; /* [const] this and the next */
    pi_http_serving *serving;
    int64_t since;    /* [atomic] of the wait, ns; 0: the sweep has not seen it yet (sweep.h) */
    uint32_t phase;   /* [atomic] a pi_http_phase */
    uint32_t claimed; /* [atomic] a phase: the sweep ends the wait in that, if it lasts */
    bool fences;      /* [const] as the serving's */
    bool pinned;      /* [serving's lock writes, atomic] the sweep holds it */

    /* All that follows belongs to the connection's task. */
    bool last;        /* the current request: the sweep has ended the wait for it */
    bool served;      /* a request has been answered */
    bool refused;     /* the server itself answered: nobody knows what the client still sends */
    bool keep;        /* another request may follow this one */
    bool asked;       /* the client waits for 100 Continue */
    bool discarding;  /* the handler has left the rest of the body */
    bool chunked;     /* the body comes in chunks */
    bool ended;       /* its last chunk has been read */
    bool late;        /* the last wait for more of it was in vain */
    uint8_t progress; /* a pi_http_progress */
    uint8_t framing;  /* of a streaming answer, a pi_http_framing */
    int failed;       /* the connection's error, sticky; 0: none */
    int body_failed;  /* what reading the body came to, sticky; 0: no error */

    pi_http_work *work; /* NULL: none, and no input or output */
    char *in;           /* input: work->in or malloc'ed, of in_size bytes */
    uint32_t in_size;
    uint32_t head_at;  /* in[head_at] begins the current request, */
    uint32_t body_at;  /* in[body_at] what follows its head; */
    uint32_t pos, end; /* in[pos, end) is not looked at yet */
    uint32_t out_len, out_size;
    uint32_t added_len;
    char *out;           /* answers to be sent: work->out or malloc'ed, of out_size bytes */
    uint64_t body_left;  /* of a body with a length: bytes not yet read */
    uint64_t reply_left; /* of a streaming answer with a length: bytes not yet written */
    char *added;         /* fields that the handler added; NULL: none yet */
    uint32_t added_size;
    pi_http_link link; /* [serving's lock] */
    int unsent;        /* [sweep] what the client had yet to take when it was looked at last */
};

/* --- reply.c -------------------------------------------------------------------------------- */

/** Answer with a status that the server itself has to give, and do not keep the connection.
 *  A failure is the connection's. */
void pi_http_refuse(pi_http_conn *c, int status);

/** The handler has returned: complete the answer. */
void pi_http_conclude(pi_http_conn *c, int handler_rc);

/* --- request.c ------------------------------------------------------------------------------ */

/** Has the body been read to its end? Length 0 counts. */
static inline bool pi_http_body_done(const pi_http_conn *c)
{
    return c->chunked ? c->ended : c->body_left == 0;
}

/** Read the rest of the body and throw it away. @return true: done, another request may
 *  follow; false: too much, or it failed */
bool pi_http_discard_body(pi_http_conn *c);

#endif
