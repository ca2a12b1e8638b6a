/* SPDX-License-Identifier: MIT */
/* wire_test.c: answers to requests that came together leave together, in one write. A write is one
 * segment here, which the client's socket has counted. */
#include "tests/io/http/site.h"

#include <linux/tcp.h>
#include <netinet/in.h>

#define REQUESTS 10

/* Each request comes whole in the first read, so nothing is waited for but the first. */
static int no_reading(pica_http_request *req, void *arg)
{
    (void)arg;
    return pica_http_reply(req, 200, NULL, "ok", 2);
}

static int reading(pica_http_request *req, void *arg)
{
    char piece[64];
    ssize_t rc;
    (void)arg;
    while ((rc = pica_http_read_body(req, piece, sizeof(piece))) > 0) {
    }
    return rc < 0 ? (int)rc : no_reading(req, NULL);
}

/* @return the segments with data that have come; 0: this system does not tell */
static unsigned segments(const client *c)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof(info);
    if (getsockopt(pica_stream_fd(c->stream), IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
        return 0;
    return info.tcpi_data_segs_in;
}

typedef struct pipelined {
    pica_http_handler handler;
    const char *request;
} pipelined;

/* @return did the answers come in one write? Where its worker has to look around in between, a
 * connection's task sends what it has, and lets others run. */
static bool answered_together(unsigned pace, void *arg)
{
    const pipelined *p = arg;
    char text[2048];
    size_t n = 0;
    site s;
    (void)pace;
    site_open(&s, p->handler, NULL, NULL);
    client *c = client_open(&s);
    for (int i = 0; i < REQUESTS; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s", p->request);
    CHECK_LT(n, sizeof(text));
    bool at_once = false;
    for (unsigned tries = 0; tries < 5 && !at_once; tries++) {
        unsigned before = segments(c);
        client_send(c, text, n);
        for (int i = 0; i < REQUESTS; i++)
            CHECK_EQ(client_answer(c), 200);
        at_once = segments(c) == before + 1 || !segments(c);
    }
    client_close(c);
    site_close(&s);
    return at_once;
}

static void together(pica_http_handler handler, const char *request)
{
    CHECK_PACED(answered_together, (&(pipelined){handler, request}));
}

static void without_bodies(void)
{
    together(no_reading, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
}

#define PUT "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"

static void bodies_read(void)
{
    together(reading, PUT);
}

static void bodies_thrown_away(void)
{
    together(no_reading, PUT);
}

static void chunks_thrown_away(void)
{
    together(no_reading, "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                         "5\r\nhello\r\n0\r\n\r\n");
}

CHECK_MAIN
{
    check_run("without bodies", without_bodies);
    check_run("bodies that are read", bodies_read);
    check_run("bodies that nobody reads", bodies_thrown_away);
    check_run("chunks that nobody reads", chunks_thrown_away);
}
