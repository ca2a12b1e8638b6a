/* SPDX-License-Identifier: MIT */
/* site.h: a server on a port of its own and clients that say exactly these bytes, for the
 * tests of io/http. Everything runs in tasks, so one worker is enough. */
#ifndef PICA_TESTS_HTTP_SITE_H
#define PICA_TESTS_HTTP_SITE_H

#include "tests/check.h"
#include "tests/patience.h"

#include <pica/http.h>
#include <pica/scope.h>
#include <pica/task.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

/** Nothing here takes longer, unless it hangs. One deadline, where a task waits: many short ones,
 *  of which a machine that stands still ends but one, would wake who has been forgotten. */
#define PATIENCE PICA_SEC(20)

typedef struct site {
    pica_http_server *server;
    pica_listener *listener;
    pica_addr at;
    pica_task *task; /* runs pica_http_serve(), whose result is its own */
} site;

static inline intptr_t site_serve(void *arg)
{
    site *s = arg;
    return pica_http_serve(s->server, s->listener);
}

/** A server and a listener on 127.0.0.1, which nobody serves yet. */
static inline void site_prepare(site *s, pica_http_handler handler, void *arg,
                                const pica_http_options *options)
{
    CHECK_FATAL_OK(pica_http_server_create(&s->server, handler, arg, options));
    CHECK_FATAL_OK(pica_addr_parse(&s->at, "127.0.0.1:0", 0));
    CHECK_FATAL_OK(pica_tcp_listen(&s->listener, &s->at, NULL));
    CHECK_FATAL_OK(pica_listener_addr(s->listener, &s->at));
}

/** Serve handler on 127.0.0.1. */
static inline void site_open(site *s, pica_http_handler handler, void *arg,
                             const pica_http_options *options)
{
    site_prepare(s, handler, arg, options);
    CHECK_FATAL_OK(pica_spawn(&s->task, site_serve, s));
}

/** Await the end of serving, free the server. @return what pica_http_serve() returned */
static inline int site_end(site *s)
{
    intptr_t rc = 0;
    CHECK_OK(pica_await(s->task, &rc));
    pica_unref(s->task);
    CHECK_EQ(pica_http_connections(s->server), 0);
    pica_http_server_destroy(s->server);
    return (int)rc;
}

/** Drain, and all must have ended by itself. */
static inline void site_close(site *s)
{
    CHECK_EQ(pica_http_drain(s->server, pica_after(PATIENCE)), 0);
    CHECK_EQ(site_end(s), 0);
}

/* --- Clients ---------------------------------------------------------------------------- */

/** A client and the last answer it got. On the heap: a task's stack is small. */
typedef struct client {
    pica_stream *stream;
    size_t have;       /* bytes of in, not looked at yet */
    int status;        /* of the last answer */
    char head[2048];   /* its head, terminated */
    size_t length;     /* its body's, */
    char body[262144]; /* terminated */
    char in[262144];
} client;

static inline client *client_of(pica_stream *stream)
{
    client *c = malloc(sizeof(*c));
    CHECK_FATAL(c);
    c->have = 0;
    c->stream = stream;
    return c;
}

static inline client *client_open(const site *s)
{
    pica_stream *stream;
    CHECK_FATAL_OK(pica_tcp_connect(&stream, &s->at));
    return client_of(stream);
}

static inline void client_close(client *c)
{
    pica_close(c->stream);
    free(c);
}

static inline void client_send(client *c, const char *bytes, size_t n)
{
    pica_scope scope;
    pica_scope_begin(&scope, pica_after(PATIENCE));
    intptr_t rc = pica_write_all(c->stream, bytes, n, NULL);
    CHECK_OK(pica_scope_end(&scope, rc));
}

static inline void client_say(client *c, const char *text)
{
    client_send(c, text, strlen(text));
}

/** Read more into in. @return bytes, 0 at the end, or the error */
static inline ssize_t client_more(client *c)
{
    pica_scope scope;
    CHECK_FATAL(c->have < sizeof(c->in));
    pica_scope_begin(&scope, pica_after(PATIENCE));
    ssize_t rc = pica_read(c->stream, c->in + c->have, sizeof(c->in) - c->have);
    rc = pica_scope_end(&scope, rc);
    CHECK_NE(rc, -ETIMEDOUT);
    c->have += rc > 0 ? (size_t)rc : 0;
    return rc;
}

static inline void client_drop(client *c, size_t n)
{
    memmove(c->in, c->in + n, c->have -= n);
}

/** Take n bytes of body. @return whether they came */
static inline bool client_take(client *c, size_t n)
{
    while (c->have < n)
        if (client_more(c) <= 0)
            return false;
    CHECK_FATAL(c->length + n < sizeof(c->body));
    memcpy(c->body + c->length, c->in, n);
    c->length += n;
    client_drop(c, n);
    return true;
}

/** Take a line with its end into text. @return its length, 0: none came */
static inline size_t client_line(client *c, char *text, size_t room)
{
    char *end;
    while (!(end = memmem(c->in, c->have, "\r\n", 2)))
        if (client_more(c) <= 0)
            return 0;
    size_t n = (size_t)(end + 2 - c->in);
    CHECK_FATAL(n < room);
    memcpy(text, c->in, n);
    text[n] = '\0';
    client_drop(c, n);
    return n;
}

static inline bool client_chunks(client *c)
{
    char line[64];
    for (;;) {
        if (!client_line(c, line, sizeof(line)))
            return false;
        size_t n = strtoul(line, NULL, 16);
        if (n > 0 && !client_take(c, n))
            return false;
        if (!client_line(c, line, sizeof(line)) || !CHECK_STR(line, "\r\n"))
            return false;
        if (n == 0)
            return true;
    }
}

/** Read an answer; for HEAD one without a body. @return its status; 0: the connection has
 *  ended; -1: it ended in the middle */
static inline int client_answer_to(client *c, bool head)
{
    c->status = 0;
    c->length = 0;
    c->body[0] = '\0';
    char *end;
    while (!(end = memmem(c->in, c->have, "\r\n\r\n", 4)))
        if (client_more(c) <= 0)
            return c->have ? -1 : 0;
    size_t n = (size_t)(end + 4 - c->in);
    CHECK_FATAL(n < sizeof(c->head));
    memcpy(c->head, c->in, n);
    c->head[n] = '\0';
    client_drop(c, n);
    CHECK(!strncmp(c->head, "HTTP/1.1 ", 9));
    c->status = atoi(c->head + 9);

    const char *length = strstr(c->head, "\r\nContent-Length: ");
    bool whole = true;
    if (head || c->status < 200 || c->status == 204 || c->status == 304)
        whole = true;
    else if (length)
        whole = client_take(c, strtoul(length + 18, NULL, 10));
    else if (strstr(c->head, "\r\nTransfer-Encoding: chunked\r\n"))
        whole = client_chunks(c);
    else
        while (client_more(c) > 0 || c->have > 0)
            whole = client_take(c, c->have);
    c->body[c->length] = '\0';
    return whole ? c->status : -1;
}

static inline int client_answer(client *c)
{
    return client_answer_to(c, false);
}

static inline bool client_has(const client *c, const char *line)
{
    return strstr(c->head, line) != NULL;
}

/** The server has closed the connection, and said nothing more. */
static inline bool client_ended(client *c)
{
    ssize_t rc = c->have ? 1 : client_more(c);
    return rc == 0 || rc == -ECONNRESET;
}

#endif
