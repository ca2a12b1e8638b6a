/* SPDX-License-Identifier: MIT */
/* faults_test.c: memory or descriptors run out while the server serves. A client gets its
 * answer, a 5xx, or the end of the connection; the next one is served as if nothing had been. */
#include "tests/fault.h"
#include "tests/io/http/site.h"

#define H "Host: a\r\n"

static int handle(pica_http_request *req, void *arg)
{
    char piece[4096];
    ssize_t rc;
    (void)arg;
    while ((rc = pica_http_read_body(req, piece, sizeof(piece))) > 0) {
    }
    if (rc == 0)
        rc = pica_http_add_header(req, "X-Field", "value");
    if (rc == 0)
        rc = pica_http_begin(req, 200, "text/plain", -1);
    memset(piece, 'x', sizeof(piece));
    for (int i = 0; rc == 0 && i < 10; i++)
        rc = pica_http_write(req, piece, 300);
    return (int)rc;
}

/* @return 1: answered in full; 0: not, but properly refused or ended */
static int try(const site *s, client *c, const char *text, size_t n)
{
    c->have = 0;
    pica_scope scope;
    pica_scope_begin(&scope, pica_after(PATIENCE));
    intptr_t rc = pica_tcp_connect(&c->stream, &s->at);
    rc = pica_scope_end(&scope, rc);
    CHECK_NE(rc, -ETIMEDOUT);
    if (rc < 0)
        return 0;
    pica_scope_begin(&scope, pica_after(PATIENCE));
    rc = pica_write_all(c->stream, text, n, NULL);
    rc = pica_scope_end(&scope, rc);
    CHECK_NE(rc, -ETIMEDOUT);
    int status = rc < 0 ? 0 : client_answer(c);
    CHECK(status == 200 || status == 0 || status == -1 || status >= 500);
    CHECK(status != 200 || c->length == 3000);
    pica_close(c->stream);
    return status == 200;
}

/* The shapes of requests that need memory of their own. */
static size_t shape(int i, char *text, size_t room)
{
    int n = 0;
    if (i == 0) {
        n = snprintf(text, room, "GET / HTTP/1.1\r\n" H "\r\n");
    } else if (i == 1) {
        n = snprintf(text, room, "GET / HTTP/1.1\r\n" H "X: %08000d\r\n\r\n", 0);
    } else {
        n = snprintf(text, room, "PUT / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n");
        for (int k = 0; k < 20; k++)
            n += snprintf(text + n, room - (size_t)n, "64\r\n%0100d\r\n", k);
        n += snprintf(text + n, room - (size_t)n, "0\r\n\r\n");
    }
    return (size_t)n;
}

static void each_call(fault_call call, int again, int error)
{
    site s;
    client *c = malloc(sizeof(*c));
    char *text = malloc(16384);
    CHECK_FATAL(c && text);
    site_open(&s, handle, NULL, NULL);
    CHECK_EQ(try(&s, c, text, shape(0, text, 16384)), 1); /* what is needed once is there */
    uint64_t failed = 1;
    for (uint64_t k = 1; failed > 0 && k < 100; k++) {
        int answered = 0;
        fault_arm(call, k, again, error);
        for (int i = 0; i < 3; i++)
            answered += try(&s, c, text, shape(i, text, 16384));
        failed = fault_failed(call);
        CHECK(failed > 0 || answered == 3);
        CHECK(failed > 0 || k > 1); /* or the call is never made, and nothing was tested */
        fault_disarm();
        CHECK_EQ(try(&s, c, text, shape(2, text, 16384)), 1);
    }
    CHECK_EQ(failed, 0);
    free(text);
    free(c);
    site_close(&s);
}

static void memory(void)
{
    each_call(FAULT_MALLOC, 0, ENOMEM);
    each_call(FAULT_MALLOC, 1, ENOMEM);
}

static void descriptors(void)
{
    each_call(FAULT_ACCEPT, 0, EMFILE);
    each_call(FAULT_ACCEPT, 0, ECONNABORTED);
}

/* A server that is drained finds connections in its queue that broke there, and more of them than
 * pica_try_accept() passes over: the queue is not empty for that. */
static void broken_in_the_queue(void)
{
    site s;
    site_prepare(&s, handle, NULL, NULL);
    client *c = client_open(&s);
    client_say(c, "GET / HTTP/1.1\r\n" H "\r\n");
    CHECK_EQ(pica_http_drain(s.server, PICA_NEVER), 0); /* nobody serves yet */
    fault_arm(FAULT_ACCEPT, 1, 1, ECONNABORTED);
    CHECK_FATAL_OK(pica_spawn(&s.task, site_serve, &s));
    CHECK_SOON(fault_failed(FAULT_ACCEPT) > 64);
    fault_disarm();
    CHECK_EQ(client_answer(c), 200);
    CHECK(client_ended(c));
    client_close(c);
    CHECK_EQ(site_end(&s), 0);
}

/* @return was the client told? One that is silent for 200 ms meanwhile, as it gets no CPU, is
 * not. */
static bool no_more_is_accepted(unsigned pace, void *unused)
{
    (void)pace, (void)unused;
    site s;
    site_open(&s, handle, NULL, NULL);
    client *busy = client_open(&s);
    client_say(busy, "GET / HTTP/1.1\r\n" H "\r\n");
    CHECK_EQ(client_answer(busy), 200);
    int64_t since = pica_now();
    fault_arm(FAULT_ACCEPT, 1, 1, EINVAL);
    pica_stream *late = NULL;
    int rc = pica_tcp_connect(&late, &s.at);
    CHECK(rc == 0 || rc == -ECONNRESET); /* the listener may be closed before it has looked */
    CHECK_SOON(fault_failed(FAULT_ACCEPT) > 0);
    bool told = false, ended = false;
    for (int i = 0; i < 200 && !told && !ended; i++) {
        static const char get[] = "GET / HTTP/1.1\r\n" H "\r\n";
        size_t n;
        int64_t asks = pica_now();
        ended = pica_write_all(busy->stream, get, sizeof(get) - 1, &n) < 0 ||
                client_answer(busy) != 200;
        told = !ended && client_has(busy, "\r\nConnection: close\r\n");
        CHECK(!ended || pica_now() - since > PICA_MS(100));
        since = asks;
        CHECK_OK(pica_sleep(PICA_MS(10)));
    }
    CHECK(ended || (told && client_ended(busy)));
    client_close(busy);
    CHECK_EQ(site_end(&s), -EINVAL);
    fault_disarm();
    pica_close(late);
    return told;
}

/* A server that can accept no more ends, although a client goes on and on: it is told. */
static void no_more_to_accept(void)
{
    CHECK_PACED(no_more_is_accepted, NULL);
}

/* A wait ends when its time is up, whatever the kernel refuses. */
static void no_shutdown(void)
{
    site s;
    pica_http_options o = PICA_HTTP_OPTIONS_INIT;
    o.body_timeout_ns = PICA_MS(50);
    site_open(&s, handle, NULL, &o);
    client *c = client_open(&s);
    fault_arm(FAULT_SHUTDOWN, 1, 1, EACCES);
    client_say(c, "PUT / HTTP/1.1\r\n" H "Content-Length: 100\r\n\r\nabc");
    CHECK_EQ(client_answer(c), 408);
    CHECK(client_ended(c));
    CHECK_LT(0, fault_failed(FAULT_SHUTDOWN));
    fault_disarm();
    client_close(c);
    site_close(&s);
}

static void reactor(void)
{
    each_call(FAULT_EPOLL_CTL, 0, ENOSPC);
}

/* No stack for a connection: it alone ends, unanswered. Others are served all the while. */
static void stacks(void)
{
    site s;
    pica_http_options o = PICA_HTTP_OPTIONS_INIT;
    o.stack_size = (size_t)40 << 20; /* so each of them takes a mapping of its own */
    site_open(&s, handle, NULL, &o);
    client *old = client_open(&s);
    client_say(old, "GET / HTTP/1.1\r\n" H "\r\n");
    CHECK_EQ(client_answer(old), 200);

    fault_arm(FAULT_MMAP, 1, 1, ENOMEM);
    client *without = client_open(&s);
    client_say(without, "GET / HTTP/1.1\r\n" H "\r\n");
    CHECK_SOON(fault_failed(FAULT_MMAP) > 0);
    client_say(old, "GET / HTTP/1.1\r\n" H "\r\n");
    CHECK_EQ(client_answer(old), 200);
    CHECK(client_ended(without));
    fault_disarm();
    client_close(without);
    client_say(old, "GET / HTTP/1.1\r\n" H "\r\n");
    CHECK_EQ(client_answer(old), 200);
    client *next = client_open(&s);
    client_say(next, "GET / HTTP/1.1\r\n" H "\r\n");
    CHECK_EQ(client_answer(next), 200);
    client_close(next);
    client_close(old);
    site_close(&s);
}

/* The server is cancelled while a connection waits for a stack: it needs none to end. */
static void cancelled_without(void)
{
    site s;
    pica_http_options o = PICA_HTTP_OPTIONS_INIT;
    o.stack_size = (size_t)40 << 20;
    site_open(&s, handle, NULL, &o);
    CHECK_OK(pica_yield());
    fault_arm(FAULT_MMAP, 1, 1, ENOMEM);
    client *without = client_open(&s);
    CHECK_SOON(fault_failed(FAULT_MMAP) > 0);
    CHECK_OK(pica_cancel(s.task));
    CHECK_EQ(site_end(&s), -ECANCELED);
    CHECK(client_ended(without));
    fault_disarm();
    client_close(without);
}

/* A connection waits for a stack until its time for a first request is up: when it has got one, it
 * ends. */
static void late_stack(void)
{
    site s;
    pica_http_options o = PICA_HTTP_OPTIONS_INIT;
    o.stack_size = (size_t)40 << 20;
    o.head_timeout_ns = PICA_MS(50);
    site_open(&s, handle, NULL, &o);
    CHECK_OK(pica_yield());
    fault_arm(FAULT_MMAP, 1, 1, ENOMEM);
    client *silent = client_open(&s);
    CHECK_SOON(fault_failed(FAULT_MMAP) > 0);
    CHECK_OK(pica_sleep(PICA_MS(150)));
    CHECK_EQ(pica_http_connections(s.server), 1);
    fault_disarm();
    CHECK_SOON(pica_http_connections(s.server) == 0);
    client_close(silent);
    site_close(&s);
}

CHECK_MAIN
{
    check_timeout(60);
    check_run_in(CHECK_ONE | CHECK_TWO, "malloc fails", memory);
    check_run_in(CHECK_TWO, "accept fails", descriptors);
    check_run_in(CHECK_TWO, "broken in the queue", broken_in_the_queue);
    check_run_in(CHECK_TWO, "no more to accept", no_more_to_accept);
    check_run_in(CHECK_TWO, "no shutdown", no_shutdown);
    check_run_in(CHECK_ONE, "the reactor fails", reactor);
    check_run_in(CHECK_ONE | CHECK_TWO, "no stacks", stacks);
    check_run_in(CHECK_ONE | CHECK_TWO, "a late stack", late_stack);
    check_run_in(CHECK_ONE | CHECK_TWO, "cancelled without a stack", cancelled_without);
}
