/* SPDX-License-Identifier: MIT */
/** @file
 * An HTTP/1.1 server.
 *
 *     static int hello(pica_http_request *req, void *arg)
 *     {
 *         if (strcmp(pica_http_path(req), "/") != 0)
 *             return pica_http_reply(req, 404, NULL, NULL, 0);
 *         return pica_http_reply(req, 200, "text/plain", "Hello, World!", 13);
 *     }
 *
 *     pica_http_server *server = NULL;
 *     int rc = pica_http_server_create(&server, hello, NULL, NULL);
 *     if (rc == 0)
 *         rc = pica_http_serve(server, listener);     // until drained or cancelled
 *     pica_http_server_destroy(server);
 *
 * Connections. Each is a task. It reads a request, calls the handler, sends what that
 *              replied, and goes on to the next, in order; answers to requests that came
 *              together leave together, in one write, but for those before others have to
 *              have their turn. The handler may suspend, spawn, and take its time.
 * Strictness.  What is not proper HTTP/1.1 or HTTP/1.0 by RFC 9112 is refused, before the
 *              handler sees it, with 400 (or 408, 413, 414, 417, 431, 501, 505), and the
 *              connection is closed.
 * Strings.     What the calls on a request return is terminated by 0, lies in the
 *              connection's buffer, and is valid until the handler returns. Nothing is
 *              percent-decoded.
 * Handles.     A request belongs to its handler's task and ends when the handler returns.
 */
#ifndef PICA_HTTP_H
#define PICA_HTTP_H

#include <pica/base.h>
#include <pica/net.h>

PICA_BEGIN_DECLS

typedef struct pica_http_server pica_http_server;
typedef struct pica_http_request pica_http_request;

/**
 * Answers a request, by pica_http_reply() or by pica_http_begin() and pica_http_write().
 *
 * @param arg  what pica_http_server_create() was given
 * @return >= 0: the answer is complete. < 0: it failed. Where nothing had been replied yet
 *         the client then gets 500 (408 for -ETIMEDOUT if it was a wait for the body that was
 *         in vain, 413 for -EMSGSIZE, 400 for -PICA_EPROTO_HTTP, so a failure of
 *         pica_http_read_body() can be returned as it is; nothing for -ECANCELED), an answer
 *         that had begun is cut short, and the connection is closed. >= 0 without a reply
 *         counts as a failure.
 *
 * Where: called in the connection's task, with the stack that pica_http_options asks for.
 */
typedef int (*pica_http_handler)(pica_http_request *req, void *arg);

/** How to serve. Start from PICA_HTTP_OPTIONS_INIT; zero means the default. */
typedef struct pica_http_options {
    size_t size;              /**< sizeof(pica_http_options) */
    uint32_t max_head_bytes;  /**< request line and fields; 0: 16 KiB; 1,024 to 65,535 */
    uint32_t max_connections; /**< 0: 65,536; beyond it clients wait in the listen queue */
    uint64_t max_body_bytes;  /**< 0: 1 MiB; at most INT64_MAX */
    int64_t head_timeout_ns;  /**< from a head's first byte (the first head: from the
                                   connection's start) to its last; 0: 10 s */
    int64_t body_timeout_ns;  /**< for each wait for more of a body; 0: 30 s */
    int64_t write_timeout_ns; /**< while an answer waits for room: how long the client's side may
                                   acknowledge nothing more of it; 0: 30 s. A slow client that
                                   goes on taking something is not cut, however long it takes */
    int64_t idle_timeout_ns;  /**< between two requests; 0: 60 s. Timeouts may come late by
                                   a quarter of the shortest, at most a second */
    size_t stack_size;        /**< bytes that a handler may count on; 0: the executor's;
                                   at most 1 GiB */
    const char *server_name;  /**< the Server field, at most 64 visible characters and blanks;
                                   NULL: "pica"; "": none. Copied */
} pica_http_options;

#ifdef __cplusplus
#define PICA_HTTP_OPTIONS_INIT                                                                     \
    {                                                                                              \
        sizeof(pica_http_options), 0, 0, 0, 0, 0, 0, 0, 0, NULL                                    \
    }
#else
#define PICA_HTTP_OPTIONS_INIT                                                                     \
    {                                                                                              \
        .size = sizeof(pica_http_options)                                                          \
    }
#endif

/* --- Servers ------------------------------------------------------------------------------ */

/**
 * Create a server. It listens nowhere until pica_http_serve().
 *
 * @param out      the server; release it with pica_http_server_destroy()
 * @param handler  answers the requests of all connections, in parallel
 * @param arg      passed to handler; outlives the server
 * @param options  NULL for the defaults; read during the call only
 * @return 0; -EINVAL (NULL, an option out of range); -ENOMEM
 * Where: anywhere. Never suspends.
 */
PICA_API PICA_NODISCARD int pica_http_server_create(pica_http_server **out,
                                                    pica_http_handler handler, void *arg,
                                                    const pica_http_options *options);

/**
 * Accept connections and serve them, until the server is drained or the caller cancelled.
 *
 * All connections have ended when it returns. One for which memory or a stack is lacking is
 * closed, unanswered; the others do not learn of it. One server may serve several listeners,
 * each in a call of its own. If the server was drained before the call, what stands in the listen
 * queue is still answered.
 *
 * @param listener  the server's from the call on, whatever it returns: it closes it as soon
 *                  as it accepts no more
 * @return 0: drained, now or before, in time or not; -ECANCELED: the caller was cancelled, and
 *         the connections cut in the middle of what they did (a handler in a shield is waited
 *         for; its waits for the client have their limits there, too); -EINVAL (NULL); -ENOMEM;
 *         what pica_accept() failed with, after the requests that were being served
 *
 * Where: a task (elsewhere -EPERM). Suspends; a cancellation point.
 */
PICA_API PICA_NODISCARD int pica_http_serve(pica_http_server *server, pica_listener *listener);

/**
 * End a server gracefully, as on SIGTERM.
 *
 * What has been accepted or stands in the listen queue is answered once, with
 * `Connection: close`, and closed; then the listener is closed as well, which resets who has got
 * into the queue in the meantime and found no room. A connection that
 * waits between two requests is closed once it has been silent for a fifth of a second; a
 * request that has arrived on it is answered first. One that has not sent its first request
 * yet gets a second for it, and one that was refused (400, 408, 413) a second in which its client
 * can read that.
 *
 * @param deadline_ns  when to cancel what is left; PICA_NEVER: never. Of several drains the
 *                     earliest counts, also where its caller waits no longer
 * @return 0: all ended by themselves; 1: some had to be cancelled; -ECANCELED: the caller was
 *         cancelled, the draining goes on; -EDEADLK: a handler of this server, which would wait
 *         for itself (nothing has happened); -EPERM: a plain thread; -EINVAL: NULL
 *
 * Where: a task, but no handler of this server: let it wake one that drains. Suspends; a
 *        cancellation point. Again, or by several at once: all wait for the same end.
 */
PICA_API PICA_NODISCARD int pica_http_drain(pica_http_server *server, int64_t deadline_ns);

/** The number of open connections; out of date when it is read. Where: anywhere. */
PICA_API size_t pica_http_connections(const pica_http_server *server);

/** Free a server. NULL is fine; one that still serves: abort(). @return NULL. Where: anywhere. */
PICA_API pica_http_server *pica_http_server_destroy(pica_http_server *server);

/* --- Requests: for the handler alone. None of these suspends, but pica_http_read_body() ---- */

/** The method as it was sent, "GET". Methods are case-sensitive. */
PICA_API const char *pica_http_method(pica_http_request *req);

/** The path, "/a/b"; without the query; without scheme and host if a proxy named them; "*"
 *  for OPTIONS *. */
PICA_API const char *pica_http_path(pica_http_request *req);

/** What follows the first '?', perhaps ""; NULL: there is none. */
PICA_API const char *pica_http_query(pica_http_request *req);

/** 10 for HTTP/1.0, 11 for HTTP/1.1. */
PICA_API int pica_http_version(const pica_http_request *req);

/** The value of the first field with that name, whatever the case; NULL: there is none. That of
 *  Host, if it was sent, is what the request's target names, where that names one ("GET
 *  http://host/path"). */
PICA_API const char *pica_http_header(pica_http_request *req, const char *name);

/** The number of fields. */
PICA_API size_t pica_http_header_count(const pica_http_request *req);

/** The field at an index, in the order in which they were sent.
 *  @return 0, with *name and *value set; -EINVAL: index out of range */
PICA_API PICA_NODISCARD int pica_http_header_at(pica_http_request *req, size_t index,
                                                const char **name, const char **value);

/** The body's length in bytes, 0 without a body; -1: it comes in chunks. */
PICA_API int64_t pica_http_content_length(const pica_http_request *req);

/** The client's address. @return 0; the kernel's codes */
PICA_API PICA_NODISCARD int pica_http_peer(const pica_http_request *req, pica_addr *out);

/**
 * Read some of the body; wait for the first byte.
 *
 * A client that expects `100 Continue` gets it at the first call. What the handler leaves
 * unread is read and thrown away after the answer, up to 64 KiB and for body_timeout_ns
 * altogether; beyond, the connection is closed.
 *
 * @param n  bytes of buffer, at least 1
 * @return bytes read, at most n; 0: the body's end; -EMSGSIZE: more than max_body_bytes;
 *         -PICA_EPROTO_HTTP: malformed chunks; -ETIMEDOUT: body_timeout_ns passed;
 *         -ECONNRESET: the client left before the end; -ECANCELED (nothing was read);
 *         -EINVAL; other codes of the kernel
 *
 * Where: the handler's task. Suspends; a cancellation point.
 */
PICA_API PICA_NODISCARD ssize_t pica_http_read_body(pica_http_request *req, void *buffer, size_t n);

/* --- Answers: for the handler alone --------------------------------------------------------- */

/**
 * Add a field to the answer. Before pica_http_reply() or pica_http_begin().
 *
 * @param name   copied. Those that the server itself sends (Connection, Content-Length,
 *               Content-Type, Date, Server, Transfer-Encoding) are not for this call
 * @param value  copied
 * @return 0; -EINVAL (a name that is no token or is the server's own, control characters in
 *         the value); -EALREADY: the answer has begun; -ENOSPC: more than 8 KiB of fields;
 *         -ENOMEM
 * Where: the handler's task. Never suspends.
 */
PICA_API PICA_NODISCARD int pica_http_add_header(pica_http_request *req, const char *name,
                                                 const char *value);

/** Close the connection after this answer. Say it before the answer begins, so that it can
 *  tell the client. Where: the handler's task. Never suspends. */
PICA_API void pica_http_close_after(pica_http_request *req);

/**
 * Answer, whole. A small body leaves with the handler's return, perhaps together with other
 * answers; one of 16 KiB and more is sent before the call returns. HEAD gets the head alone.
 *
 * @param status  200 to 599
 * @param type    the Content-Type, or NULL
 * @param body    n bytes, needed during the call only; NULL if n is 0
 * @return 0; -EINVAL (status out of range, type with control characters or beyond 1 KiB, a
 *         body where status 204, 205 or 304 forbids one); -EALREADY: answered before; -ENOMEM;
 *         -EPIPE, -ECONNRESET: the client has gone; -ETIMEDOUT: it takes nothing;
 *         -ECANCELED. After a failure of the connection there is nothing left to do but return
 * Where: the handler's task. May suspend; a cancellation point where it does.
 */
PICA_API PICA_NODISCARD int pica_http_reply(pica_http_request *req, int status, const char *type,
                                            const void *body, size_t n);

/**
 * Begin an answer whose body follows by pica_http_write(). It ends with the handler's return.
 *
 * @param length  of the whole body in bytes; -1: not known (it is sent in chunks, or, to an
 *                HTTP/1.0 client, until the connection is closed)
 * @return as pica_http_reply(); -EINVAL also for a length below -1
 * Where: the handler's task. May suspend; a cancellation point where it does.
 */
PICA_API PICA_NODISCARD int pica_http_begin(pica_http_request *req, int status, const char *type,
                                            int64_t length);

/**
 * Send more of the body. It is gathered up to 16 KiB, unless pica_http_flush() is called.
 *
 * @param data  n bytes, needed during the call only
 * @return 0; -EPROTO: no answer has begun, or it was whole; -EOVERFLOW: more than
 *         pica_http_begin() promised; otherwise as pica_http_reply()
 * Where: the handler's task. May suspend; a cancellation point where it does.
 */
PICA_API PICA_NODISCARD int pica_http_write(pica_http_request *req, const void *data, size_t n);

/** Send what has been gathered. @return 0; the failures of the connection, as pica_http_reply().
 *  Where: the handler's task. May suspend; a cancellation point where it does. */
PICA_API PICA_NODISCARD int pica_http_flush(pica_http_request *req);

PICA_END_DECLS

#endif
