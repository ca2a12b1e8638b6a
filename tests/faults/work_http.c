/* SPDX-License-Identifier: MIT */
/* work_http.c: a server of HTTP and its clients (work.h). A client gets the whole of its answer,
 * an error of the server's, or the end of the connection. */
#include "tests/faults/sites.h"
#include "tests/faults/work.h"

#include <pica/http.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define BODY 3000
/* More than sockets hold, in small pieces and then in one that is too large to be gathered, to a
 * client that reads late: so both wait for room. */
#define LARGE 300000
#define LAST_PIECE 40000
#define BUFFER 8192
#define ROOM 16384

static int answers_at_length(pica_http_request *req)
{
    char *piece = malloc(LAST_PIECE);
    CHECK_FATAL(piece);
    memset(piece, 'x', LAST_PIECE);
    int rc = pica_http_begin(req, 200, "text/plain", LARGE);
    for (int i = 0; rc == 0 && i < (LARGE - LAST_PIECE) / 1000; i++) {
        rc = pica_http_flush(req);
        if (rc == 0)
            rc = pica_http_write(req, piece, 1000);
    }
    if (rc == 0)
        rc = pica_http_write(req, piece, LAST_PIECE);
    free(piece);
    return rc;
}

static int answers(pica_http_request *req, void *arg)
{
    char piece[4096];
    char value[400];
    ssize_t rc;
    (void)arg;
    if (strcmp(pica_http_path(req), "/large") == 0)
        return answers_at_length(req);
    while ((rc = pica_http_read_body(req, piece, sizeof(piece))) > 0) {
    }
    memset(value, 'v', sizeof(value) - 1);
    value[sizeof(value) - 1] = 0;
    if (rc == 0)
        rc = pica_http_add_header(req, "X-Short", "value");
    if (rc == 0)
        rc = pica_http_add_header(req, "X-Long", value);
    pica_addr peer;
    if (rc == 0)
        rc = pica_http_peer(req, &peer);
    if (rc == 0)
        rc = pica_http_begin(req, 200, "text/plain", BODY);
    memset(piece, 'x', sizeof(piece));
    for (int i = 0; rc == 0 && i < BODY / 300; i++)
        rc = pica_http_write(req, piece, 300);
    return (int)rc;
}

/* @return its length */
static size_t request(int shape, char *text, size_t room)
{
    static const char head[] = "HTTP/1.1\r\nHost: a\r\nConnection: close\r\n";
    int n;
    if (shape == 0)
        return (size_t)snprintf(text, room, "GET / %s\r\n", head);
    if (shape == 3)
        return (size_t)snprintf(text, room, "GET /large %s\r\n", head);
    if (shape == 1)
        return (size_t)snprintf(text, room, "GET / %sX: %08000d\r\n\r\n", head, 0);
    n = snprintf(text, room, "PUT / %sTransfer-Encoding: chunked\r\n\r\n", head);
    for (int k = 0; k < 20; k++)
        n += snprintf(text + n, room - (size_t)n, "64\r\n%0100d\r\n", k);
    return (size_t)(n + snprintf(text + n, room - (size_t)n, "0\r\n\r\n"));
}

static intptr_t exchange(const pica_addr *where, const char *text, size_t n, char *answer,
                         size_t room)
{
    pica_stream *stream;
    intptr_t rc = pica_tcp_connect(&stream, where);
    if (rc < 0)
        return rc;
    rc = pica_write_all(stream, text, n, NULL);
    if (rc == 0 && room > ROOM)
        rc = pica_sleep(PICA_MS(1));
    size_t have = 0;
    while (rc >= 0 && have < room - 1) {
        rc = pica_read(stream, answer + have, room - 1 - have);
        if (rc <= 0)
            break;
        have += (size_t)rc;
    }
    answer[have] = 0;
    pica_close(stream);
    return rc < 0 ? rc : (intptr_t)have;
}

static void asks(const pica_addr *where, int shape)
{
    size_t length = shape == 3 ? LARGE : BODY, room = length + ROOM - BODY;
    char *text = malloc(ROOM), *answer = malloc(room);
    CHECK_FATAL(text && answer);
    size_t n = request(shape, text, ROOM);
    pica_scope scope;
    pica_scope_begin(&scope, work_patience());
    intptr_t rc = exchange(where, text, n, answer, room);
    rc = pica_scope_end(&scope, rc);
    if (WORK_FINE(rc) && rc > 0) {
        CHECK(strncmp(answer, "HTTP/1.1 ", 9) == 0);
        const char *body = strstr(answer, "\r\n\r\n");
        bool whole = body && strlen(body + 4) == length && strncmp(answer, "HTTP/1.1 200", 12) == 0;
        if (!whole && CHECK(work_error != 0))
            sites_tell(); /* another status, or an end that comes too early */
        /* What came is right as far as it goes. */
        if (body && strncmp(answer, "HTTP/1.1 200", 12) == 0)
            CHECK_EQ(strspn(body + 4, "x"), strlen(body + 4));
    } else if (rc < 0 || CHECK(work_error != 0)) {
        sites_tell();
    }
    free(text);
    free(answer);
}

static pica_http_server *server;

static intptr_t serves(void *arg)
{
    return pica_http_serve(server, arg);
}

static intptr_t https(void *arg)
{
    pica_addr where;
    pica_listener *listener;
    pica_task *task;
    (void)arg;
    pica_http_options options = PICA_HTTP_OPTIONS_INIT;
    CHECK_EQ(pica_addr_parse(&where, "127.0.0.1", 0), 0);
    if (!WORK_FINE(pica_http_server_create(&server, answers, NULL, &options)))
        return 0;
    int rc = pica_tcp_listen(&listener, &where, NULL);
    if (rc == 0) {
        (void)setsockopt(pica_listener_fd(listener), SOL_SOCKET, SO_SNDBUF, &(int){BUFFER},
                         sizeof(int)); /* its connections inherit that */
        rc = pica_listener_addr(listener, &where);
        if (rc == 0)
            rc = pica_spawn(&task, serves, listener);
        if (rc < 0)
            pica_listener_close(listener);
    }
    if (WORK_FINE(rc)) {
        for (int shape = 0; shape < 4; shape++)
            asks(&where, shape);
        rc = pica_http_drain(server, work_patience());
        CHECK(rc >= 0 || !WORK_FINE(rc));
        intptr_t result = 0;
        CHECK_EQ(pica_await(task, &result), 0);
        if (!work_again || result != -ESHUTDOWN) /* drained before it had begun */
            WORK_FINE(result);
        pica_unref(task);
        CHECK_EQ(pica_http_connections(server), 0);
    }
    pica_http_server_destroy(server);
    return 0;
}

void work_http(void)
{
    pica_options options = work_options(2);
    work_in_executor(&options, https);
}
