/* SPDX-License-Identifier: MIT */
/* server_test.c: what a client sees of the server, over loopback: framing, bodies both ways,
 * refusals. Its end is in drain_test.c and cut_test.c, its timeouts in timeouts_test.c. */
#include "tests/executor/death.h"
#include "tests/io/http/site.h"

#define H "Host: a\r\n"
#define BIG 100000

/* --- The handler: a path for each thing to try -------------------------------------------- */

static int echo_request(pica_http_request *req)
{
    char text[512];
    const char *name, *value, *query = pica_http_query(req), *agent = pica_http_header(req, "x-a");
    int n = snprintf(text, sizeof(text), "%s %s %s %d %s %zu", pica_http_method(req),
                     pica_http_path(req), query ? query : "-", pica_http_version(req),
                     agent ? agent : "-", pica_http_header_count(req));
    for (size_t i = 0; pica_http_header_at(req, i, &name, &value) == 0; i++)
        if ((size_t)n + strlen(name) + strlen(value) + 3 < sizeof(text))
            n += sprintf(text + n, " %s=%s", name, value);
    return pica_http_reply(req, 200, "text/plain", text, (size_t)n);
}

/* Count and sum up the body. */
static int sum_body(pica_http_request *req)
{
    unsigned char piece[1000];
    unsigned long n = 0, sum = 0;
    ssize_t got;
    while ((got = pica_http_read_body(req, piece, sizeof(piece))) > 0)
        for (ssize_t i = 0; i < got; i++, n++)
            sum = sum * 31 + piece[i];
    if (got == -EMSGSIZE || got == -PICA_EPROTO_HTTP) /* and stays so */
        CHECK_EQ(pica_http_read_body(req, piece, sizeof(piece)), got);
    if (got < 0)
        return (int)got;
    CHECK_EQ(pica_http_content_length(req),
             pica_http_header(req, "Transfer-Encoding") ? -1 : (int64_t)n);
    char text[64];
    int length = snprintf(text, sizeof(text), "%lu %lu", n, sum);
    return pica_http_reply(req, 200, NULL, text, (size_t)length);
}

static int stream(pica_http_request *req, int64_t length, int pieces)
{
    char piece[100];
    memset(piece, 'x', sizeof(piece));
    int rc = pica_http_begin(req, 200, "text/plain", length);
    for (int i = 0; rc == 0 && i < pieces; i++)
        rc = pica_http_write(req, piece, sizeof(piece));
    return rc;
}

static check_latch early_seen;

/* The second half only once the client has the first. */
static int in_halves(pica_http_request *req)
{
    int rc = pica_http_begin(req, 200, NULL, 9);
    if (rc == 0)
        rc = pica_http_write(req, "early", 5);
    if (rc == 0)
        rc = pica_http_flush(req);
    CHECK_HITS(&early_seen, 1);
    return rc ? rc : pica_http_write(req, "late", 4);
}

static __attribute__((noinline)) int use_stack(pica_http_request *req, size_t bytes)
{
    volatile char *block = __builtin_alloca(bytes);
    for (size_t i = 0; i < bytes; i += 512)
        block[i] = 2;
    return pica_http_reply(req, 200, NULL, "deep", (size_t)(block[0] + block[512]));
}

static int add_fields(pica_http_request *req)
{
    char long_value[8192];
    pica_addr peer;
    CHECK_EQ(pica_http_peer(req, &peer), 0);
    CHECK_NE(pica_addr_port(&peer), 0);
    memset(long_value, 'v', sizeof(long_value));
    long_value[sizeof(long_value) - 1] = '\0';
    CHECK_EQ(pica_http_add_header(req, "X-One", "1"), 0);
    CHECK_EQ(pica_http_add_header(req, "x y", "1"), -EINVAL);
    CHECK_EQ(pica_http_add_header(req, "", "1"), -EINVAL);
    CHECK_EQ(pica_http_add_header(req, "X", "a\r\nb: c"), -EINVAL);
    CHECK_EQ(pica_http_add_header(req, "content-LENGTH", "1"), -EINVAL);
    CHECK_EQ(pica_http_add_header(req, "X-Long", long_value), -ENOSPC);
    CHECK_EQ(pica_http_add_header(req, "X-Two", ""), 0);
    long_value[400] = '\0';
    CHECK_EQ(pica_http_add_header(req, "X-Three", long_value), 0);
    CHECK_EQ(pica_http_write(req, "x", 1), -EPROTO);
    CHECK_EQ(pica_http_reply(req, 99, NULL, NULL, 0), -EINVAL);
    CHECK_EQ(pica_http_reply(req, 600, NULL, NULL, 0), -EINVAL);
    CHECK_EQ(pica_http_reply(req, 200, "a\nb", NULL, 0), -EINVAL);
    CHECK_EQ(pica_http_reply(req, 204, NULL, "x", 1), -EINVAL);
    CHECK_EQ(pica_http_reply(req, 200, NULL, NULL, 1), -EINVAL);
    CHECK_EQ(pica_http_begin(req, 200, NULL, -EIO), -EINVAL); /* no length, but an error's code */
    CHECK_EQ(pica_http_read_body(req, long_value, 0), -EINVAL);
    CHECK_EQ(pica_http_reply(req, 201, NULL, "ok", 2), 0);
    CHECK_EQ(pica_http_reply(req, 200, NULL, NULL, 0), -EALREADY);
    CHECK_EQ(pica_http_begin(req, 200, NULL, 0), -EALREADY);
    CHECK_EQ(pica_http_add_header(req, "X", "late"), -EALREADY);
    return 0;
}

/* 205 never has a body, and says so, as its status alone does not. */
static int reset_content(pica_http_request *req)
{
    CHECK_EQ(pica_http_reply(req, 205, NULL, "x", 1), -EINVAL);
    CHECK_EQ(pica_http_begin(req, 205, NULL, 1), -EINVAL);
    if (pica_http_query(req))
        return pica_http_reply(req, 205, NULL, NULL, 0);
    CHECK_EQ(pica_http_begin(req, 205, NULL, -1), 0);
    CHECK_EQ(pica_http_write(req, "x", 1), -EOVERFLOW);
    return 0;
}

/* 204 has none, which its status says. */
static int no_content(pica_http_request *req)
{
    CHECK_EQ(pica_http_content_length(req), 0);
    CHECK_EQ(pica_http_begin(req, 204, NULL, 1), -EINVAL);
    if (pica_http_query(req))
        return pica_http_reply(req, 204, NULL, NULL, 0);
    CHECK_EQ(pica_http_begin(req, 204, NULL, -1), 0);
    CHECK_EQ(pica_http_write(req, NULL, 1), -EINVAL);
    CHECK_EQ(pica_http_write(req, "x", 1), -EOVERFLOW);
    CHECK_EQ(pica_http_write(req, "", 0), 0);
    return 0;
}

static int handle(pica_http_request *req, void *arg)
{
    const char *path = pica_http_path(req);
    static const char big[BIG];
    (void)arg;
    if (!strcmp(path, "/sum"))
        return sum_body(req);
    if (!strcmp(path, "/ignore"))
        return pica_http_reply(req, 200, NULL, "ignored", 7);
    if (!strcmp(path, "/big"))
        return pica_http_reply(req, 200, NULL, big, sizeof(big));
    if (!strcmp(path, "/chunks"))
        return stream(req, -1, 1000);
    if (!strcmp(path, "/counted"))
        return stream(req, 100000, 1000);
    if (!strcmp(path, "/short"))
        return stream(req, 100000, 999);
    if (!strcmp(path, "/long"))
        return CHECK_EQ(stream(req, 99, 1), -EOVERFLOW) ? -EIO : 0;
    if (!strcmp(path, "/cut")) {
        int rc = stream(req, -1, 3);
        return rc ? rc : -EIO;
    }
    if (!strcmp(path, "/halves"))
        return in_halves(req);
    if (!strcmp(path, "/deep"))
        return use_stack(req, (size_t)200 << 10);
    if (!strcmp(path, "/none"))
        return no_content(req);
    if (!strcmp(path, "/reset"))
        return reset_content(req);
    if (!strcmp(path, "/fields"))
        return add_fields(req);
    if (!strcmp(path, "/fail"))
        return -EIO;
    if (!strcmp(path, "/slow")) /* something of its own was, not the client */
        return -ETIMEDOUT;
    if (!strcmp(path, "/mute"))
        return 0;
    if (!strcmp(path, "/bye")) {
        pica_http_close_after(req);
        return pica_http_reply(req, 200, NULL, "bye", 3);
    }
    return echo_request(req);
}

/* Say text on a connection of its own. @return the status, with the connection closed */
static int ask(const site *s, const char *text)
{
    client *c = client_open(s);
    client_say(c, text);
    int status = client_answer(c);
    CHECK(status < 0 || client_ended(c));
    client_close(c);
    return status;
}

/* --- Requests ------------------------------------------------------------------------------- */

static void keep_alive(void)
{
    site s;
    site_open(&s, handle, NULL, NULL);
    client *c = client_open(&s);
    for (int i = 0; i < 3; i++) {
        client_say(c, "GET /p?q=1 HTTP/1.1\r\nHost: h\r\nX-A:  v \r\n\r\n");
        CHECK_EQ(client_answer(c), 200);
        CHECK_STR(c->body, "GET /p q=1 11 v 2 Host=h X-A=v");
        CHECK(client_has(c, "HTTP/1.1 200 OK\r\nServer: pica\r\nDate: "));
        CHECK(client_has(c, " GMT\r\nContent-Type: text/plain\r\nContent-Length: 30\r\n\r\n"));
    }
    client_say(c, "GET http://other:81/p?q=1 HTTP/1.1\r\nHost: h\r\nX-A: v\r\n\r\n");
    CHECK_EQ(client_answer(c), 200);
    CHECK_STR(c->body, "GET /p q=1 11 v 2 Host=other:81 X-A=v");
    /* HTTP/1.0 keeps the connection only if asked, and is told. */
    client_say(c, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    CHECK_EQ(client_answer(c), 200);
    CHECK(client_has(c, "\r\nConnection: keep-alive\r\n"));
    client_say(c, "GET http://h?q HTTP/1.0\r\n\r\n");
    CHECK_EQ(client_answer(c), 200);
    CHECK_STR(c->body, "GET / q 10 - 0");
    CHECK(client_has(c, "\r\nConnection: close\r\n"));
    CHECK(client_ended(c));
    client_close(c);
    CHECK_EQ(ask(&s, "GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n"), 200);
    CHECK_EQ(ask(&s, "GET /bye HTTP/1.1\r\n" H "\r\n"), 200);
    site_close(&s);
}

/* Many requests in one write, cut anywhere: the answers come in order. */
static void pipelined(void)
{
    enum { REQUESTS = 60 };
    site s;
    site_open(&s, handle, NULL, NULL);
    check_rng rng = check_rng_make(1);
    char *text = malloc(8192), want[64];
    CHECK_FATAL(text);
    for (unsigned round = 0; round < 4; round++) {
        client *c = client_open(&s);
        size_t n = 0;
        for (int i = 0; i < REQUESTS; i++)
            n += (size_t)snprintf(text + n, 8192 - n,
                                  i % 3 ? "GET /%d HTTP/1.1\r\n" H "\r\n"
                                        : "PUT /%d HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello",
                                  i);
        for (size_t at = 0; at < n;) {
            size_t piece = round == 0 ? n : 1 + (size_t)check_rng_below(&rng, round * 30);
            piece = piece < n - at ? piece : n - at;
            client_send(c, text + at, piece);
            at += piece;
            if (round)
                CHECK_OK(pica_yield());
        }
        for (int i = 0; i < REQUESTS; i++) {
            CHECK_EQ(client_answer(c), 200);
            snprintf(want, sizeof(want), "%s /%d - 11 - %d", i % 3 ? "GET" : "PUT", i,
                     i % 3 ? 1 : 2);
            CHECK(!strncmp(c->body, want, strlen(want)));
        }
        client_close(c);
    }
    free(text);
    site_close(&s);
}

static void malformed(void)
{
    static const struct {
        int status;
        const char *text;
    } cases[] = {
        {400, "nonsense\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\n\r\n"},
        {400, "GET / HTTP/1.1\nHost: a\n\n"},
        {400, "GET / HTTP/1.1\r\n" H "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"},
        {417, "GET / HTTP/1.1\r\n" H "Expect: more\r\n\r\n"},
        {501, "CONNECT a:1 HTTP/1.1\r\n" H "\r\n"},
        {505, "GET / HTTP/3.0\r\n" H "\r\n"},
        {413, "PUT /sum HTTP/1.1\r\n" H "Content-Length: 1048577\r\n\r\n"},
        {400, "PUT /sum HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\nxyz"},
        {413, "PUT /sum HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n100001\r\n"},
        {500, "GET /fail HTTP/1.1\r\n" H "\r\n"},
        {500, "GET /mute HTTP/1.1\r\n" H "\r\n"},
        {500, "GET /slow HTTP/1.1\r\n" H "\r\n"},
        {500, "PUT /slow HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nabc"},
    };
    site s;
    site_open(&s, handle, NULL, NULL);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        client *c = client_open(&s);
        /* A good one before it is still answered, and nothing behind it is looked at. */
        client_say(c, "GET / HTTP/1.1\r\n" H "\r\n");
        client_say(c, cases[i].text);
        client_say(c, "GET / HTTP/1.1\r\n" H "\r\n");
        CHECK_EQ(client_answer(c), 200);
        CHECK_EQ(client_answer(c), cases[i].status);
        CHECK(client_has(c, "\r\nConnection: close\r\n"));
        CHECK(client_ended(c));
        client_close(c);
    }
    site_close(&s);
}

static void long_heads(void)
{
    site s;
    site_open(&s, handle, NULL, NULL);
    char *text = malloc(32768);
    CHECK_FATAL(text);
    client *c = client_open(&s);
    for (int length = 1000; length < 16000; length += 2500) {
        int n = snprintf(text, 32768, "GET / HTTP/1.1\r\nX-A: %s\r\nX: %0*d\r\n" H "\r\n", "v",
                         length, 7);
        client_send(c, text, (size_t)n / 2);
        CHECK_OK(pica_sleep(PICA_MS(1))); /* so that it comes in two parts, as a rule */
        client_send(c, text + n / 2, (size_t)(n - n / 2));
        CHECK_EQ(client_answer(c), 200);
        CHECK(!strncmp(c->body, "GET / - 11 v 3 ", 15));
    }
    client_close(c);
    snprintf(text, 32768, "GET / HTTP/1.1\r\nX: %0*d\r\n" H "\r\n", 17000, 7);
    CHECK_EQ(ask(&s, text), 431);
    snprintf(text, 32768, "GET /%0*d HTTP/1.1\r\n" H "\r\n", 17000, 7);
    CHECK_EQ(ask(&s, text), 414);
    free(text);
    site_close(&s);
}

/* --- Bodies of requests --------------------------------------------------------------------- */

static size_t make_body(check_rng *rng, char *text, size_t n, bool chunked, char *want)
{
    unsigned long sum = 0;
    size_t at = (size_t)sprintf(text, "POST /sum HTTP/1.1\r\n" H), left = n;
    at += chunked ? (size_t)sprintf(text + at, "Transfer-Encoding: chunked\r\n\r\n")
                  : (size_t)sprintf(text + at, "Content-Length: %zu\r\n\r\n", n);
    while (left > 0) {
        size_t piece = chunked ? 1 + (size_t)check_rng_below(rng, left) : left;
        if (chunked)
            at += (size_t)sprintf(text + at, piece % 2 ? "%zx\r\n" : "%zX;a=\"b\"\r\n", piece);
        for (size_t i = 0; i < piece; i++) {
            text[at] = (char)check_rng_next(rng);
            sum = sum * 31 + (unsigned char)text[at++];
        }
        if (chunked)
            at += (size_t)sprintf(text + at, "\r\n");
        left -= piece;
    }
    if (chunked)
        at += (size_t)sprintf(text + at, n % 2 ? "0\r\nTrailer: t\r\n\r\n" : "0\r\n\r\n");
    sprintf(want, "%zu %lu", n, sum);
    return at;
}

static void uploads(void)
{
    static const size_t sizes[] = {0, 1, 10, 999, 2048, 5000, 70000, 150000};
    site s;
    site_open(&s, handle, NULL, NULL);
    check_rng rng = check_rng_make(2);
    char *text = malloc(300000), want[64];
    CHECK_FATAL(text);
    client *c = client_open(&s);
    for (unsigned i = 0; i < 2 * sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t n = make_body(&rng, text, sizes[i / 2], i % 2, want);
        size_t cut = (size_t)check_rng_below(&rng, n);
        client_send(c, text, cut);
        CHECK_OK(pica_sleep(PICA_MS(1))); /* as above */
        client_send(c, text + cut, n - cut);
        CHECK_EQ(client_answer(c), 200);
        CHECK_STR(c->body, want);
    }
    client_close(c);
    free(text);
    site_close(&s);
}

static void expects(void)
{
    site s;
    site_open(&s, handle, NULL, NULL);
    client *c = client_open(&s);
    client_say(c, "PUT /sum HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    CHECK_EQ(client_answer(c), 100);
    client_say(c, "ab");
    CHECK_EQ(client_answer(c), 200);
    CHECK_STR(c->body, "2 3105");
    /* A body that is there already needs no go-ahead. */
    client_say(c, "PUT /sum HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 2\r\n\r\nab");
    CHECK_EQ(client_answer(c), 200);
    /* A handler that does not want it: the answer at once, and the connection ends. */
    client_say(c, "PUT /ignore HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    CHECK_EQ(client_answer(c), 200);
    CHECK(client_has(c, "\r\nConnection: close\r\n"));
    CHECK(client_ended(c));
    client_close(c);
    site_close(&s);
}

/* A body that the handler leaves alone: a small one is read for it, a large one ends the
 * connection, and the answer arrives in both cases. */
static void unread_bodies(void)
{
    site s;
    site_open(&s, handle, NULL, NULL);
    char *waste = calloc(1, 200000);
    CHECK_FATAL(waste);
    client *c = client_open(&s);
    client_say(c, "PUT /ignore HTTP/1.1\r\n" H "Content-Length: 65536\r\n\r\n");
    client_send(c, waste, 65536);
    CHECK_EQ(client_answer(c), 200);
    client_say(c, "PUT /ignore HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"
                  "3\r\nabc\r\n0\r\n\r\nGET /next HTTP/1.1\r\n" H "\r\n");
    CHECK_EQ(client_answer(c), 200);
    CHECK_EQ(client_answer(c), 200);
    CHECK(!strncmp(c->body, "GET /next", 9));
    client_say(c, "PUT /ignore HTTP/1.1\r\n" H "Content-Length: 200000\r\n\r\n");
    client_send(c, waste, 200000);
    CHECK_EQ(client_answer(c), 200);
    CHECK(client_has(c, "\r\nConnection: close\r\n"));
    CHECK_STR(c->body, "ignored");
    CHECK(client_ended(c));
    client_close(c);
    free(waste);
    site_close(&s);
}

/* --- Answers -------------------------------------------------------------------------------- */

static void answers(void)
{
    site s;
    site_open(&s, handle, NULL, NULL);
    client *c = client_open(&s);
    static const char *const long_ones[] = {"big", "chunks", "counted"};
    char text[128];
    for (int i = 0; i < 3; i++) {
        snprintf(text, sizeof(text), "GET /%s HTTP/1.1\r\n" H "\r\n", long_ones[i]);
        client_say(c, text);
        CHECK_EQ(client_answer(c), 200);
        CHECK_EQ(c->length, BIG);
        CHECK_EQ(c->body[BIG - 1], i ? 'x' : 0);
        CHECK_EQ(client_has(c, "\r\nTransfer-Encoding: chunked\r\n"), i == 1);
        /* HEAD: the same head, no body; the next answer follows at once. */
        snprintf(text, sizeof(text), "HEAD /%s HTTP/1.1\r\n" H "\r\n", long_ones[i]);
        client_say(c, text);
        CHECK_EQ(client_answer_to(c, true), 200);
        CHECK_EQ(client_has(c, "\r\nContent-Length: 100000\r\n"), i != 1);
    }
    client_say(c, "GET /none HTTP/1.1\r\n" H "\r\nGET /none?whole HTTP/1.1\r\n" H "\r\n");
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(client_answer(c), 204);
        CHECK(!client_has(c, "Content-Length") && !client_has(c, "Transfer-Encoding"));
    }
    client_say(c, "GET /fields HTTP/1.1\r\n" H "\r\n");
    CHECK_EQ(client_answer(c), 201);
    CHECK(client_has(c, "\r\nX-One: 1\r\nX-Two: \r\nX-Three: vvvvv"));
    CHECK(!client_has(c, "X-Long"));
    CHECK_STR(c->body, "ok");
    client_say(c, "GET /reset HTTP/1.1\r\n" H "\r\nGET /reset?whole HTTP/1.1\r\n" H "\r\n");
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(client_answer(c), 205);
        CHECK(client_has(c, "\r\nContent-Length: 0\r\n") && c->length == 0);
    }
    client_say(c, "GET /after HTTP/1.1\r\n" H "\r\n");
    CHECK_EQ(client_answer(c), 200);
    CHECK(!client_has(c, "X-One"));
    /* To HTTP/1.0 a body of unknown length lasts until the end. */
    client_say(c, "GET /chunks HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    CHECK_EQ(client_answer(c), 200);
    CHECK_EQ(c->length, BIG);
    CHECK(client_has(c, "\r\nConnection: close\r\n") && client_ended(c));
    client_close(c);
    site_close(&s);
}

static void flushed_answers(void)
{
    site s;
    early_seen = (check_latch){0};
    site_open(&s, handle, NULL, NULL);
    client *c = client_open(&s);
    client_say(c, "GET /halves HTTP/1.1\r\n" H "\r\n");
    while (!memmem(c->in, c->have, "early", 5) && CHECK(client_more(c) > 0)) {
    }
    CHECK(!memmem(c->in, c->have, "late", 4));
    check_hit(&early_seen);
    CHECK_EQ(client_answer(c), 200);
    CHECK_STR(c->body, "earlylate");
    client_close(c);
    site_close(&s);
}

static void stacks_of_handlers(void)
{
    site s;
    pica_http_options o = PICA_HTTP_OPTIONS_INIT;
    o.stack_size = (size_t)256 << 10;
    site_open(&s, handle, NULL, &o);
    client *c = client_open(&s);
    client_say(c, "GET /deep HTTP/1.1\r\n" H "\r\n");
    CHECK_EQ(client_answer(c), 200);
    CHECK_STR(c->body, "deep");
    client_close(c);
    site_close(&s);
}

/* An answer that its handler does not complete can't be taken for a whole one. */
static void cut_answers(void)
{
    static const char *const paths[] = {"short", "long", "cut"};
    site s;
    site_open(&s, handle, NULL, NULL);
    for (int i = 0; i < 3; i++) {
        char text[64];
        snprintf(text, sizeof(text), "GET /%s HTTP/1.1\r\n" H "\r\n", paths[i]);
        CHECK_EQ(ask(&s, text), -1);
    }
    site_close(&s);
}

static void server_names(void)
{
    static const char *const names[] = {"", "a b/1.2", NULL};
    for (int i = 0; i < 3; i++) {
        site s;
        pica_http_options o = PICA_HTTP_OPTIONS_INIT;
        o.server_name = names[i];
        site_open(&s, handle, NULL, &o);
        client *c = client_open(&s);
        client_say(c, "GET / HTTP/1.1\r\n" H "\r\n");
        CHECK_EQ(client_answer(c), 200);
        CHECK_EQ(client_has(c, "\r\nServer: "), i != 0);
        CHECK(client_has(c, i == 0   ? "OK\r\nDate: "
                            : i == 1 ? "\r\nServer: a b/1.2\r\n"
                                     : ": pica\r"));
        client_close(c);
        site_close(&s);
    }
}

static intptr_t destroys_while_it_serves(void *arg)
{
    site s;
    (void)arg;
    site_open(&s, handle, NULL, NULL);
    CHECK_OK(pica_yield());
    pica_http_server_destroy(s.server);
    return 0;
}

static void misuse(void)
{
    death_says_in_task(destroys_while_it_serves, "the server still serves");
}

static void bad_options(void)
{
    pica_http_server *server = NULL;
    CHECK_EQ(pica_http_server_create(NULL, handle, NULL, NULL), -EINVAL);
    CHECK_EQ(pica_http_server_create(&server, NULL, NULL, NULL), -EINVAL);
    for (int i = 0; i < 9; i++) {
        pica_http_options o = PICA_HTTP_OPTIONS_INIT;
        char name[66];
        memset(name, 'n', 65);
        name[65] = '\0';
        o.max_head_bytes = i == 0 ? 1023 : i == 1 ? 65536 : 0;
        o.head_timeout_ns = i == 2 ? -1 : 0;
        o.server_name = i == 3 ? "a\r\nb" : i == 4 ? name : NULL;
        o.max_body_bytes = i == 5 ? (uint64_t)INT64_MAX + 1 : 0;
        o.size = i == 6 ? 0 : sizeof(o);
        o.max_connections = i == 7 ? UINT32_MAX : 0;
        o.stack_size = i == 8 ? SIZE_MAX : 0;
        CHECK_EQ(pica_http_server_create(&server, handle, NULL, &o), -EINVAL);
    }
    CHECK(!server);
    CHECK_EQ(pica_http_drain(NULL, 0), -EPERM);
    CHECK_EQ(pica_http_serve(NULL, NULL), -EPERM);
    CHECK(!pica_http_server_destroy(NULL));
}

CHECK_MAIN
{
    check_run("keep-alive", keep_alive);
    check_run("pipelined requests", pipelined);
    check_run("malformed requests", malformed);
    check_run("long heads", long_heads);
    check_run("uploads", uploads);
    check_run("100-continue", expects);
    check_run("unread bodies", unread_bodies);
    check_run("answers", answers);
    check_run("answers cut short", cut_answers);
    check_run("flushed answers", flushed_answers);
    check_run("stacks of handlers", stacks_of_handlers);
    check_run("server names", server_names);
    check_plain("misuse", misuse);
    check_plain("bad options", bad_options);
}
