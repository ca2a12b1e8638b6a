/* SPDX-License-Identifier: MIT */
/* hostile_test.c: clients that mean harm. Each of them ends as http.h says, in the time that it
 * says; a client that behaves is served meanwhile; and nothing is left over. How a connection
 * ends where nobody means harm is in drain_test.c. */
#include "executor/sched/worker.h"
#include "io/http/sweep.h"
#include "tests/io/http/site.h"

#include <errno.h>
#include <poll.h>

#define H "Host: a\r\n"
#define GET "GET / HTTP/1.1\r\n" H "\r\n"

/* "/": at once. "/late": reads a body, within 100 ms altogether. "/sum": reads a body, answers its
 * length. "/pour": writes until nobody takes it. All others: the path, so that answers differ. */
static int handle(pica_http_request *req, void *arg)
{
    char piece[4096] = "";
    const char *path = pica_http_path(req);
    ssize_t rc = 0;
    size_t n = 0;
    (void)arg;
    if (!strcmp(path, "/late") || !strcmp(path, "/sum")) {
        pica_scope scope;
        pica_scope_begin(&scope, !strcmp(path, "/late") ? pica_after(PICA_MS(100)) : PICA_NEVER);
        while ((rc = pica_http_read_body(req, piece, sizeof(piece))) > 0)
            n += (size_t)rc;
        rc = pica_scope_end(&scope, rc);
        if (rc < 0)
            return (int)rc;
        n = (size_t)snprintf(piece, sizeof(piece), "%zu", n);
        return pica_http_reply(req, 200, NULL, piece, n);
    }
    if (!strcmp(path, "/pour")) {
        rc = pica_http_begin(req, 200, NULL, -1);
        while (rc == 0)
            rc = pica_http_write(req, piece, sizeof(piece));
        return (int)rc;
    }
    return pica_http_reply(req, 200, NULL, path, strlen(path));
}

static pica_http_options patient(void)
{
    pica_http_options o = PICA_HTTP_OPTIONS_INIT;
    o.head_timeout_ns = o.body_timeout_ns = o.write_timeout_ns = o.idle_timeout_ns = PICA_SEC(60);
    return o;
}

/* One who behaves is served. */
static void behave(const site *s)
{
    client *c = client_open(s);
    for (int i = 0; i < 3; i++) {
        client_say(c, "GET /good HTTP/1.1\r\n" H "\r\n");
        CHECK_EQ(client_answer(c), 200);
        CHECK_STR(c->body, "/good");
    }
    client_close(c);
}

/* All harm is over: every connection has ended, whatever its client still holds. */
static void is_over(site *s)
{
    behave(s);
    CHECK_SOON(pica_http_connections(s->server) == 0);
    site_close(s);
}

static void set_linger(const pica_stream *stream, int on)
{
    struct linger at_once = {.l_onoff = on};
    CHECK_EQ(setsockopt(pica_stream_fd(stream), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)),
             0);
}

/* Close by RST. */
static void reset(client *c)
{
    set_linger(c->stream, 1);
    client_close(c);
}

/* --- Slowly --------------------------------------------------------------------------------- */

/* Says the beginning, and then a byte every few milliseconds, for as long as somebody listens. */
typedef struct dribbler {
    const site *site;
    const char *beginning;
    int status; /* that it has to get; 0: no answer */
} dribbler;

/* Wait some milliseconds for an answer. @return bytes of it, 0: the end, -ETIMEDOUT: none */
static ssize_t listen_a_little(client *c)
{
    pica_scope scope;
    pica_scope_begin(&scope, pica_after(PICA_MS(4)));
    ssize_t rc = pica_read(c->stream, c->in, sizeof(c->in));
    rc = pica_scope_end(&scope, rc);
    c->have = rc > 0 ? (size_t)rc : 0;
    return rc;
}

/* @return did it go on all the time? Who gets no CPU for as long as the server waits for it to
 * read the answer is reset. */
static intptr_t dribble(void *arg)
{
    const dribbler *d = arg;
    int status = 200;
    bool in_time = true;
    int64_t last = pica_now();
    client *c = client_open(d->site);
    client_say(c, d->beginning);
    for (int i = 0; status == 200 && in_time && i < 5000; i++) {
        size_t n;
        int wrote = 0;
        ssize_t rc = listen_a_little(c);
        if (rc != -ETIMEDOUT)
            status = client_answer(c);
        else if (*d->beginning)
            wrote = pica_write_all(c->stream, "1", 1, &n);
        int64_t now = pica_now();
        in_time = now - last < PI_HTTP_LINGER_NS / 2;
        last = now;
        if (wrote < 0)
            break;
    }
    if (in_time) {
        CHECK_EQ(status, d->status);
        CHECK(client_ended(c));
    }
    client_close(c);
    return in_time;
}

/* @return have all of them gone on all the time, and ended soon? */
static bool all_dribble(unsigned pace, void *unused)
{
    site s;
    pica_http_options o = patient();
    o.head_timeout_ns = o.body_timeout_ns = PICA_SEC(1); /* enough for who behaves */
    (void)pace, (void)unused; /* what they wait for is the server's own time, a constant */
    site_open(&s, handle, NULL, &o);
    dribbler kinds[] = {
        {&s, "", 0},
        {&s, "GET /", 408},
        {&s, "GET / HTTP/1.1\r\n" H "X: ", 408},
        {&s, GET "GET / HTTP/1.1\r\n" H "X: ", 408},
        {&s, "PUT /late HTTP/1.1\r\n" H "Content-Length: 100000\r\n\r\n", 408},
        {&s, "PUT /late HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n1;", 408},
        {&s, "PUT / HTTP/1.1\r\n" H "Content-Length: 60000\r\n\r\n", 0},
        {&s, "PUT / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n1;", 0}};
    enum { KINDS = sizeof(kinds) / sizeof(kinds[0]), ALL = 5 * KINDS };
    pica_task *t[ALL];
    bool in_time = true;
    int64_t began = pica_now();
    for (int i = 0; i < ALL; i++)
        CHECK_FATAL_OK(pica_spawn(&t[i], dribble, &kinds[i % KINDS]));
    behave(&s);
    for (int i = 0; i < ALL; i++) {
        intptr_t gone_on = 0;
        CHECK_OK(pica_await(t[i], &gone_on));
        in_time = in_time && gone_on;
        pica_unref(t[i]);
    }
    in_time = in_time && pica_now() - began < PICA_SEC(15);
    is_over(&s);
    return in_time;
}

/* Heads, bodies where the handler has set a time, and what it has left of a body last no longer for
 * the bytes that come. */
static void slowly(void)
{
    CHECK_PACED(all_dribble, NULL);
}

/* --- Too much ------------------------------------------------------------------------------- */

/* Requests in a row, far more than the server gathers answers for: all are answered, in order. */
static intptr_t ask_many(void *arg)
{
    client *c = arg;
    char text[64];
    for (int i = 0; i < 3000; i++) {
        snprintf(text, sizeof(text), "GET /%d HTTP/1.1\r\n" H "\r\n", i);
        client_say(c, text);
    }
    return 0;
}

static void many_in_a_row(void)
{
    site s;
    site_open(&s, handle, NULL, NULL);
    client *c = client_open(&s);
    pica_task *asking;
    CHECK_FATAL_OK(pica_spawn(&asking, ask_many, c));
    char want[16];
    for (int i = 0; i < 3000; i++) {
        snprintf(want, sizeof(want), "/%d", i);
        if (!CHECK_EQ(client_answer(c), 200) || !CHECK_STR(c->body, want))
            break;
    }
    CHECK_OK(pica_await(asking, NULL));
    pica_unref(asking);
    client_close(c);
    is_over(&s);
}

/* The same from one who reads no answers: the server stops to read, and ends it in time. */
static void flood(void)
{
    site s;
    pica_http_options o = patient();
    o.write_timeout_ns = PICA_MS(150);
    site_open(&s, handle, NULL, &o);
    client *c = client_open(&s);
    static char requests[64 * (sizeof(GET) - 1)];
    for (size_t i = 0; i < 64; i++)
        memcpy(requests + i * (sizeof(GET) - 1), GET, sizeof(GET) - 1);
    int rc = 0;
    size_t n, sent = 0;
    while (rc == 0 && sent < (size_t)1 << 30) {
        rc = pica_write_all(c->stream, requests, sizeof(requests), &n);
        sent += n;
    }
    CHECK(rc == -EPIPE || rc == -ECONNRESET);
    CHECK_SOON(pica_http_connections(s.server) == 0);
    behave(&s);
    client_close(c);
    is_over(&s);
}

/* Say text, then `fill` again and again, more than the server takes. @return the answer's status */
static int drown(const site *s, const char *text, const char *fill)
{
    client *c = client_open(s);
    char block[4096];
    size_t n = strlen(fill), have = 0, written;
    while (have + n <= sizeof(block))
        for (size_t i = 0; i < n; i++)
            block[have++] = fill[i];
    int rc = pica_write_all(c->stream, text, strlen(text), &written);
    for (int i = 0; rc == 0 && i < 16; i++)
        rc = pica_write_all(c->stream, block, have, &written);
    CHECK_OK(rc);
    int status = client_answer(c);
    CHECK_EQ(client_more(c), 0); /* the end, and no reset */
    client_close(c);
    return status;
}

/* What has no end is refused as soon as it is too much, and its client can read why. */
static void giants(void)
{
    site s;
    pica_http_options o = patient();
    site_open(&s, handle, NULL, &o);
    CHECK_EQ(drown(&s, "GET /", "x"), 414);
    CHECK_EQ(drown(&s, "", "X"), 501); /* a method of that length */
    CHECK_EQ(drown(&s, "GET / HTTP/1.1\r\n" H "X: ", "x"), 431);
    CHECK_EQ(drown(&s, "GET / HTTP/1.1\r\n" H, "X: y\r\n"), 431);
    CHECK_EQ(drown(&s, "GET / HTTP/1.1\r\n" H "X", "x"), 431);
    CHECK_EQ(drown(&s, "PUT /sum HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n1;", "x"), 400);
    CHECK_EQ(drown(&s, "PUT /sum HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n", "0"), 400);
    CHECK_EQ(
        drown(&s, "PUT /sum HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\n", "X: y\r\n"),
        400);
    CHECK_EQ(drown(&s, "PUT /sum HTTP/1.1\r\n" H "Content-Length: 99999999\r\n\r\n", "x"), 413);
    CHECK_EQ(
        drown(&s, "PUT /sum HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\nfffffff\r\n", "x"),
        413);
    is_over(&s);
}

/* --- Half a conversation -------------------------------------------------------------------- */

static const char *const halves[] = {
    "",
    "\r\n",
    "GET / HT",
    "GET / HTTP/1.1\r\n" H,
    GET,
    GET GET "GET /",
    "GET /pour HTTP/1.1\r\n" H "\r\n",
    "PUT /sum HTTP/1.1\r\n" H "Content-Length: 10\r\n\r\n",
    "PUT /sum HTTP/1.1\r\n" H "Content-Length: 10\r\n\r\nabc",
    "PUT / HTTP/1.1\r\n" H "Content-Length: 10\r\n\r\nabc",
    "PUT /sum HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 10\r\n\r\n",
    "PUT /sum HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n5;x",
    "PUT /sum HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n5\r\nab",
    "PUT /sum HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\nX"};
enum { HALVES = sizeof(halves) / sizeof(halves[0]) };

/* Answers that a client gets who says that and half-closes: what was complete is answered, a
 * body that stops short is a failure of the handler's, half a head is nothing. */
static const int answers[HALVES][3] = {{0},           {0},      {0},      {0},      {200, 0},
                                       {200, 200, 0}, {-2},     {500, 0}, {500, 0}, {200, 0},
                                       {100, 500},    {500, 0}, {500, 0}, {500, 0}};

static void half_closed(void)
{
    site s;
    pica_http_options o = patient();
    site_open(&s, handle, NULL, &o);
    for (int i = 0; i < HALVES; i++) {
        client *c = client_open(&s);
        client_say(c, halves[i]);
        CHECK_OK(pica_shutdown(c->stream, SHUT_WR));
        for (int k = 0; k < 3 && answers[i][0] != -2; k++) {
            int status = client_answer(c);
            if (!CHECK_EQ(status, answers[i][k]))
                fprintf(stderr, "after: %s\n", halves[i]);
            if (status <= 0)
                break;
        }
        client_close(c);
        CHECK_SOON(pica_http_connections(s.server) == 0);
    }
    is_over(&s);
}

static void resets(void)
{
    site s;
    pica_http_options o = patient();
    site_open(&s, handle, NULL, &o);
    check_rng rng = check_rng_make(1);
    for (uint64_t i = 0; i < check_rounds(100); i++) {
        client *c = client_open(&s);
        client_say(c, halves[i % HALVES]);
        switch (check_rng_below(&rng, 4)) {
        case 0:
            CHECK_OK(pica_yield());
            break;
        case 1:
            CHECK_OK(pica_sleep((int64_t)check_rng_below(&rng, 1000000)));
            break;
        case 2:
            CHECK_OK(pica_shutdown(c->stream, SHUT_WR));
            break;
        default:
            break;
        }
        reset(c);
    }
    is_over(&s);
}

/* --- Garbage -------------------------------------------------------------------------------- */

/* Some bytes: noise, or a proper request with a few of its bytes changed. */
static size_t garbage(check_rng *rng, char *text, size_t room)
{
    static const char proper[] = "PUT /sum HTTP/1.1\r\n" H "Connection: keep-alive\r\n"
                                 "Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\n\r\n" GET;
    size_t n = sizeof(proper) - 1;
    if (check_rng_below(rng, 3) == 0) {
        n = (size_t)check_rng_below(rng, room);
        for (size_t i = 0; i < n; i++)
            text[i] = (char)check_rng_next(rng);
        return n;
    }
    memcpy(text, proper, n);
    for (uint64_t k = 1 + check_rng_below(rng, 3); k > 0; k--)
        text[check_rng_below(rng, n)] = (char)check_rng_next(rng);
    return n;
}

/* Every answer to it is a proper one, the last is the end, and there is an end. */
static void speak_garbage(const site *s, check_rng *rng)
{
    char text[700];
    size_t n = garbage(rng, text, sizeof(text)), written;
    client *c = client_open(s);
    int rc = pica_write_all(c->stream, text, n, &written);
    CHECK(rc == 0 || rc == -EPIPE || rc == -ECONNRESET);
    rc = pica_shutdown(c->stream, SHUT_WR);
    CHECK(rc == 0 || rc == -ENOTCONN);
    int status, count = 0;
    do
        status = client_answer(c);
    while (status > 0 && ++count < 5);
    CHECK_EQ(status, 0);
    client_close(c);
}

static void noise(void)
{
    site s;
    pica_http_options o = patient();
    site_open(&s, handle, NULL, &o);
    check_rng rng = check_rng_make(2);
    for (uint64_t i = 0; i < check_rounds(300); i++)
        speak_garbage(&s, &rng);
    is_over(&s);
}

/* --- All at once ---------------------------------------------------------------------------- */

typedef struct villain {
    const site *site;
    uint64_t number;
} villain;

static intptr_t harm(void *arg)
{
    const villain *v = arg;
    check_rng rng = check_rng_make(100 + v->number);
    for (uint64_t i = 0; i < check_rounds(30); i++) {
        if (check_rng_below(&rng, 3) == 0) {
            speak_garbage(v->site, &rng);
            continue;
        }
        client *c = client_open(v->site);
        client_say(c, halves[check_rng_below(&rng, HALVES)]);
        if (check_rng_below(&rng, 2))
            CHECK_OK(pica_sleep((int64_t)check_rng_below(&rng, 2000000)));
        if (check_rng_below(&rng, 2))
            reset(c);
        else
            client_close(c);
    }
    return 0;
}

static void all_at_once(void)
{
    enum { VILLAINS = 12 };
    site s;
    pica_http_options o = patient();
    o.max_connections = 8; /* they stand in each other's way, too */
    site_open(&s, handle, NULL, &o);
    villain v[VILLAINS];
    pica_task *t[VILLAINS];
    for (uint64_t i = 0; i < VILLAINS; i++) {
        v[i] = (villain){&s, i};
        CHECK_FATAL_OK(pica_spawn(&t[i], harm, &v[i]));
    }
    for (int i = 0; i < 3; i++)
        behave(&s);
    for (int i = 0; i < VILLAINS; i++) {
        CHECK_OK(pica_await(t[i], NULL));
        pica_unref(t[i]);
    }
    is_over(&s);
}

/* --- Without a pause ------------------------------------------------------------------------- */

static int counts(pica_http_request *req, void *latch)
{
    check_hit(latch);
    return pica_http_reply(req, 200, NULL, "ok", 2);
}

/* With one worker: one who never lets the server wait keeps it for so many requests at most. */
static void without_a_pause(void)
{
    enum { REQUESTS = 512 };
    static char all[REQUESTS * sizeof(GET)];
    check_latch answered = {0};
    uint64_t before = 0, most = 0;
    pica_http_options o = patient();
    site s;
    site_open(&s, counts, &answered, &o);
    client *c = client_open(&s);
    for (unsigned i = 0; i < REQUESTS; i++)
        memcpy(all + i * (sizeof(GET) - 1), GET, sizeof(GET));
    client_send(c, all, strlen(all));
    for (patience p = patience_of(PATIENCE); before < REQUESTS && patience_lasts(&p);) {
        CHECK_OK(pica_yield());
        uint64_t now = check_hits(&answered);
        most = now - before > most ? now - before : most;
        before = now;
    }
    CHECK_EQ(before, REQUESTS);
    CHECK_LE(most, 100);
    client_close(c);
    site_close(&s);
}

/* With one worker: who gives way after a request, also between two that came together, has
 * sent its answer. */
static int is_hurried(pica_http_request *req, void *latch)
{
    pi_worker *worker = pi_worker_self();
    check_hit(latch);
    pi_store_relaxed(&worker->look_at, worker->turns); /* as the monitor, in a long turn */
    return pica_http_reply(req, 200, NULL, "ok", 2);
}

static void answered_before_a_pause(void)
{
    static const char *const said[] = {GET, GET GET};
    for (unsigned i = 0; i < 2; i++) {
        check_latch answered = {0};
        pica_http_options o = patient();
        site s;
        site_open(&s, is_hurried, &answered, &o);
        client *c = client_open(&s);
        client_say(c, said[i]);
        for (patience p = patience_of(PATIENCE); !check_hits(&answered) && patience_lasts(&p);)
            CHECK_OK(pica_yield());
        CHECK_EQ(check_hits(&answered), 1);
        /* It may be under way in the kernel. The server can't run meanwhile. */
        struct pollfd in = {.fd = pica_stream_fd(c->stream), .events = POLLIN};
        char byte;
        CHECK_EQ(poll(&in, 1, 10000), 1);
        CHECK_EQ(recv(in.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT), 1);
        for (unsigned n = 0; n <= i; n++)
            CHECK_EQ(client_answer(c), 200);
        client_close(c);
        site_close(&s);
    }
}

/* With one worker: who streams an answer, and computes for long between its pieces, gives way after
 * each of them. */
enum { PIECES = 100 };

static int streams_and_is_hurried(pica_http_request *req, void *latch)
{
    static const char piece[PI_HTTP_OUT_MAX];
    int rc = pica_http_begin(req, 200, NULL, -1);
    for (unsigned i = 0; i < PIECES && rc == 0; i++) {
        pi_worker *worker = pi_worker_self();
        pi_store_relaxed(&worker->look_at, worker->turns); /* as the monitor, in a long turn */
        check_hit(latch);
        rc = pica_http_write(req, piece, i % 2 ? 1 : sizeof(piece)); /* alone; gathered */
        if (rc == 0 && i % 2)
            rc = pica_http_flush(req);
    }
    return rc;
}

/* Out of line: errno is the thread's. @return whether more may come */
static __attribute__((noinline)) bool reads_all(const client *c)
{
    char bytes[4096];
    ssize_t n;
    while ((n = recv(pica_stream_fd(c->stream), bytes, sizeof(bytes), MSG_DONTWAIT)) > 0) {
    }
    return n < 0 && errno == EAGAIN;
}

static void streamed_with_pauses(void)
{
    check_latch pieces = {0};
    uint64_t before = 0, most = 0;
    pica_http_options o = patient();
    site s;
    site_open(&s, streams_and_is_hurried, &pieces, &o);
    client *c = client_open(&s);
    client_say(c, GET);
    bool more = true;
    for (patience p = patience_of(PATIENCE); more && before < PIECES && patience_lasts(&p);) {
        CHECK_OK(pica_yield());
        more = reads_all(c);
        uint64_t now = check_hits(&pieces);
        most = now - before > most ? now - before : most;
        before = now;
    }
    CHECK_EQ(before, PIECES);
    CHECK_LE(most, 2);
    client_close(c);
    site_close(&s);
}

CHECK_MAIN
{
    check_run_in(CHECK_ONE | CHECK_TWO | CHECK_MIGRATE, "slowly", slowly);
    check_run("many in a row", many_in_a_row);
    check_run_in(CHECK_ONE, "streamed with pauses", streamed_with_pauses);
    check_run_in(CHECK_ONE, "without a pause", without_a_pause);
    check_run_in(CHECK_ONE, "answered before a pause", answered_before_a_pause);
    check_run_in(CHECK_ONE | CHECK_TWO | CHECK_MIGRATE, "a flood", flood);
    check_run("giants", giants);
    check_run("half-closed", half_closed);
    check_run("resets", resets);
    check_run("noise", noise);
    check_run("all at once", all_at_once);
}
