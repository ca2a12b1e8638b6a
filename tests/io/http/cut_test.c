/* SPDX-License-Identifier: MIT */
/* cut_test.c: how connections end that nobody has drained: their server is cancelled, or cut while
 * a handler waits in a shield; their client has left. Those whose time is up are in
 * timeouts_test.c. */
#include "tests/io/http/play.h"

/* --- Cancelled -------------------------------------------------------------------------------- */

static void cancelled(void)
{
    scene sc = {0};
    site s;
    site_open(&s, play, &sc, NULL);
    client *idle = client_open(&s), *busy = client_open(&s);
    client_say(idle, GET);
    CHECK_EQ(client_answer(idle), 200);
    client_say(busy, WAIT);
    CHECK_HITS(&sc.entered, 2);
    CHECK_OK(pica_cancel(s.task));
    CHECK_EQ(site_end(&s), -ECANCELED);
    CHECK_EQ(sc.failed, -ECANCELED);
    CHECK(client_ended(idle) && client_ended(busy));
    client_close(idle);
    client_close(busy);
}

/* --- Cut, but in a shield ---------------------------------------------------------------------- */

/* How a server is cut while a handler waits, and what its task then comes to. */
typedef struct knife {
    bool (*cut)(site *s); /* @return did it still wait? */
    int comes_to;
} knife;

static bool cut_by_drain(site *s)
{
    return pica_http_drain(s->server, pica_after(PICA_MS(20))) == 1;
}

static bool cut_by_cancel(site *s)
{
    CHECK_OK(pica_cancel(s->task));
    CHECK_OK(pica_sleep(PICA_MS(5)));
    (void)pica_cancel(s->task); /* once more, while it waits for the handler */
    return true;
}

static bool cut_by_both(site *s)
{
    CHECK_OK(pica_cancel(s->task));
    return pica_http_drain(s->server, pica_after(PATIENCE)) == 1;
}

static bool cut_by_time(site *s)
{
    (void)s;
    return true;
}

typedef struct briefly {
    site *site;
    int64_t ns;
} briefly;

static intptr_t serve_briefly(void *arg)
{
    const briefly *b = arg;
    pica_scope scope;
    pica_scope_begin(&scope, pica_after(b->ns));
    return pica_scope_end(&scope, site_serve(b->site));
}

/* The first client, whose handler waits. @return NULL: the server was cut before */
static client *client_that_is_served(site *s, const scene *sc, const char *request)
{
    pica_stream *stream;
    size_t n;
    if (pica_tcp_connect(&stream, &s->at) < 0)
        return NULL;
    client *c = client_of(stream);
    if (pica_write_all(stream, request, strlen(request), &n) == 0)
        CHECK_SOON(check_hits(&sc->entered) || pica_task_status(s->task) == PICA_DONE);
    if (check_hits(&sc->entered))
        return c;
    client_close(c);
    return NULL;
}

/* A cut hits no wait inside a shield; what the handler waits for there has its time all the same,
 * and the server ends when that is up. @return was there something to cut? */
static bool shielded(const char *request, const knife *by, const pica_http_options *o, int64_t ns)
{
    scene sc = {0};
    site s;
    briefly b = {&s, ns};
    site_prepare(&s, play, &sc, o);
    CHECK_FATAL_OK(by->cut == cut_by_time ? pica_spawn(&s.task, serve_briefly, &b)
                                          : pica_spawn(&s.task, site_serve, &s));
    client *c = client_that_is_served(&s, &sc, request);
    CHECK(c || by->cut == cut_by_time);
    bool in_time = by->cut(&s) && c;
    CHECK_SOON(pica_task_status(s.task) == PICA_DONE);
    if (c) {
        CHECK_EQ(check_hits(&sc.left), 1);
        CHECK_EQ(sc.failed, -ETIMEDOUT);
        client_close(c); /* or it would never end, where that has failed */
    }
    CHECK_EQ(site_end(&s), by->comes_to);
    return in_time;
}

/* The handler's wait has a time of some times that of the cut. */
static bool cut_by_all(unsigned pace, void *arg)
{
    const knife *by = arg;
    int64_t ns = PICA_MS(50) * pace;
    pica_http_options body = short_timeouts(), write = short_timeouts();
    body.body_timeout_ns = write.write_timeout_ns = ns * 12 / 5;
    bool in_time = shielded(
        "PUT /shield/read HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc", by, &body, ns);
    return shielded("GET /shield/pour HTTP/1.1\r\nHost: a\r\n\r\n", by, &write, ns) && in_time;
}

static void cut_in_a_shield(void)
{
    static knife knives[] = {
        {cut_by_drain, 0},
        {cut_by_cancel, -ECANCELED},
        {cut_by_both, -ECANCELED},
        {cut_by_time, -ETIMEDOUT},
    };
    for (unsigned i = 0; i < sizeof(knives) / sizeof(knives[0]); i++)
        CHECK_PACED(cut_by_all, &knives[i]);
}

/* --- Clients that leave --------------------------------------------------------------------- */

static void reset(client *c)
{
    struct linger at_once = {.l_onoff = 1};
    CHECK_EQ(
        setsockopt(pica_stream_fd(c->stream), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
    client_close(c);
}

static void clients_leave(void)
{
    static const char *const said[] = {
        "",
        "GET",
        "GET / HTTP/1.1\r\nHost:",
        GET,
        GET "GET",
        "GET /pour HTTP/1.1\r\nHost: a\r\n\r\n",
        "PUT /read HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc",
        "PUT /read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"};
    scene sc = {0};
    site s;
    site_open(&s, play, &sc, NULL);
    for (unsigned i = 0; i < 2 * sizeof(said) / sizeof(said[0]); i++) {
        client *c = client_open(&s);
        client_say(c, said[i / 2]);
        CHECK_OK(pica_sleep(PICA_MS(1))); /* as a rule the server is at it by then */
        if (i % 2)
            reset(c);
        else
            client_close(c);
        CHECK_SOON(pica_http_connections(s.server) == 0);
    }
    /* One that has finished sending but still listens gets its answer. */
    client *c = client_open(&s);
    client_say(c, GET);
    CHECK_OK(pica_shutdown(c->stream, SHUT_WR));
    CHECK_EQ(client_answer(c), 200);
    CHECK(client_ended(c));
    client_close(c);
    c = client_open(&s);
    client_say(c, "PUT /read HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
    CHECK_OK(pica_shutdown(c->stream, SHUT_WR));
    CHECK_EQ(client_answer(c), 500);
    CHECK_EQ(sc.failed, -ECONNRESET);
    client_close(c);
    site_close(&s);
}

CHECK_MAIN
{
    check_run("cancelled", cancelled);
    check_run("cut in a shield", cut_in_a_shield);
    check_run("clients leave", clients_leave);
}
