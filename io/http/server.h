/* SPDX-License-Identifier: MIT */
/* server.h: what a server's connections share, and the seam between server.c (which
 * connections there are) and conn.c (what one of them does). */
#ifndef PI_HTTP_SERVER_H
#define PI_HTTP_SERVER_H

#include "executor/base/lock.h"
#include "io/http/response.h"

#include <pica/group.h>
#include <pica/http.h>
#include <pica/sem.h>

typedef struct pica_http_request pi_http_conn; /* conn.h */

/** A place in a ring of connections. */
typedef struct pi_http_link {
    struct pi_http_link *next, *prev; /* [serving's lock] */
} pi_http_link;

/** One call of pica_http_serve(), in its frame. */
typedef struct pi_http_serving {
    /* The line that each request looks at; the group tells whether it is cancelled. */
    pica_http_server *server __attribute__((aligned(PI_CACHE_LINE))); /* [const] */
    struct pi_http_spares *spares;                                    /* [const] */
    uint32_t closing; /* [atomic] relaxed: each answer is its connection's last; once 1 it stays */
    pica_group group; /* the acceptor and all connections */

    pica_listener *listener;      /* [acceptor, then the caller] NULL: closed */
    pica_task *acceptor;          /* [server's lock, once] NULL: not spawned */
    struct pi_http_serving *next; /* [server's lock] */
    bool told;                    /* [server's lock] the acceptor has been cancelled */
    bool ending;                  /* [caller] the acceptor has ended */
    bool cut;                     /* [caller] the group has been cancelled */
    int64_t looked;               /* [caller] when the sweep looked at those who write */
    bool fences;                  /* [const] the process can't membarrier (sweep.h) */
    int accept_rc;                /* [caller] what it came to */
    int queued; /* [caller] of those that stood in the listen queue as it ended: how many still
                   do; below 0: unknown */

    pi_lock lock;       /* guards conns, and pinned in each of them */
    pi_http_link conns; /* [lock] the ring's head */
    uint64_t open;      /* [atomic] relaxed: a count; the group orders their end */
} pi_http_serving;

struct pica_http_server {
    /* The line that each request looks at. */
    pica_http_handler handler; /* [const] this and all up to the permits, but `draining` */
    void *arg;
    uint32_t max_head;
    uint32_t draining; /* [atomic] release: grace is set; once 1 it stays */
    uint64_t max_body;
    int64_t head_timeout, body_timeout, write_timeout, idle_timeout; /* ns */
    int64_t tick;                                                    /* ns between two sweeps */
    size_t stack_size;
    pi_http_stamp stamp; /* [const] as that of each block of work begins */

    pica_sem permits;          /* connections that may still be opened */
    pi_lock lock;              /* guards servings */
    pi_http_serving *servings; /* [lock] */
    uint32_t cut;              /* [atomic] relaxed: some were cancelled at the deadline */
    int64_t deadline;          /* [lock writes, atomic] relaxed: when to cancel what is left */
    int64_t grace;             /* [const once draining] when a fresh connection has had its time */
};

/** Make a connection's object, linked to its serving. @return 0 or -ENOMEM */
int pi_http_conn_new(pi_http_conn **out, pi_http_serving *serving, pica_stream *stream);

/** A connection's task: serve it to its end, close it, free the object. @return 0 */
intptr_t pi_http_conn_run(void *conn);

/** Close and free one whose task has come to its end, or will never run. Also outside of tasks. */
void pi_http_conn_drop(void *conn);

#endif
