/* SPDX-License-Identifier: MIT */
/* timeouts_test.c: how waits end that last too long, and which do not. */
#include "io/http/sweep.h"
#include "io/stream.h"
#include "tests/io/http/play.h"

#include <netinet/in.h>
#include <unistd.h>

#define POUR "GET /pour HTTP/1.1\r\nHost: a\r\n\r\n"

/* What clients and server do next takes far less than the timeouts, but for one who waits for a CPU:
 * then a scene is played again, with longer ones. @return has all been in time? */
static bool heads_that_last(const site *s)
{
    const int64_t timeout = s->server->head_timeout;
    client *dribbling = client_open(s), *silent = client_open(s), *second = client_open(s);
    client_say(second, GET);
    bool in_time = client_answer(second) == 200;
    int64_t began = pica_now();
    if (in_time)
        client_say(second, "GET /");
    /* Bytes that go on coming do not put it off. */
    for (const char *p = "GET / HTTP/1.1\r\nHost: a\r\nX: slow slow slow"; *p; p++) {
        size_t n;
        int rc = pica_write_all(dribbling->stream, p, 1, &n);
        if (rc < 0)
            break;
        CHECK_OK(pica_sleep(timeout / 16));
    }
    int told = client_answer(dribbling);
    CHECK(told == 408 || told == 0); /* 0: not a byte had come */
    CHECK(client_ended(dribbling));
    if (in_time)
        CHECK_EQ(client_answer(second), 408);
    CHECK(client_ended(second));
    CHECK(client_ended(silent));
    int64_t took = pica_now() - began;
    client_close(dribbling);
    client_close(silent);
    client_close(second);
    return in_time && told == 408 && took >= timeout / 8 * 7;
}

static bool an_idle_one(const site *s)
{
    const int64_t timeout = s->server->idle_timeout;
    client *c = client_open(s);
    bool in_time = true;
    CHECK_OK(pica_sleep(timeout / 3 * 5)); /* not for a connection that has not begun */
    int64_t began = 0;
    for (int i = 0; i < 3 && in_time; i++) {
        size_t n;
        CHECK_OK(pica_sleep(timeout / 6));
        began = pica_now();
        in_time = pica_write_all(c->stream, GET, sizeof(GET) - 1, &n) == 0 &&
                  client_answer(c) == 200 && !client_has(c, "\r\nConnection: close\r\n");
        CHECK(in_time || i > 0);
    }
    CHECK(client_ended(c));
    int64_t took = pica_now() - began;
    client_close(c);
    return in_time && took >= timeout / 6 * 5;
}

/* Let the time of the one connection's wait pass, of which there is some left yet. There is one
 * worker, so nobody else comes in between: the next sweep is the caller's. @return did it wait so? */
static bool outwait(const site *s, pi_http_phase phase, int64_t time)
{
    pi_http_serving *v = s->server->servings;
    int64_t since = 0;
    for (int64_t until = pica_after(time); since == 0 && pica_now() < until;) {
        CHECK_OK(pica_sleep(time / 32)); /* till a sweep has seen it wait */
        if (v->conns.next == &v->conns || v->conns.next->next != &v->conns)
            return false;
        const pi_http_conn *c = PI_HTTP_CONN_OF(v->conns.next);
        if (pi_load_acquire(&c->phase) == phase && !pi_load_relaxed(&c->claimed))
            since = pi_load_relaxed(&c->since);
    }
    if (since == 0)
        return false;
    while (pica_now() - since <= time) {
    }
    return true;
}

/* A head comes at the very moment that the wait for it is ended: its body has its time all the
 * same. */
static bool a_head_at_the_end(const site *s)
{
    client *c = client_open(s);
    client_say(c, GET);
    CHECK_EQ(client_answer(c), 200);
    bool in_time = outwait(s, PI_HTTP_IDLE, s->server->idle_timeout);
    if (in_time) {
        client_say(c, "PUT /read HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n");
        pi_http_sweep(s->server->servings);
        CHECK_OK(pica_sleep(PICA_MS(5)));
        client_say(c, "abc");
        CHECK_EQ(client_answer(c), 200);
        CHECK(client_has(c, "\r\nConnection: close\r\n"));
        CHECK(client_ended(c));
    }
    client_close(c);
    return in_time;
}

/* So it is for the end of a head that comes at the very moment that its time is up; and the
 * connection goes on. */
static bool a_head_in_time(const site *s)
{
    client *c = client_open(s);
    client_say(c, GET);
    bool in_time = client_answer(c) == 200;
    if (in_time)
        client_say(c, "PUT /read HTTP/1.1\r\nHost: a\r\n");
    in_time = in_time && outwait(s, PI_HTTP_HEAD, s->server->head_timeout);
    if (in_time) {
        client_say(c, "Content-Length: 3\r\n\r\n");
        pi_http_sweep(s->server->servings);
        CHECK_OK(pica_sleep(PICA_MS(5)));
        client_say(c, "abc");
        CHECK_EQ(client_answer(c), 200);
        client_say(c, GET);
        CHECK_EQ(client_answer(c), 200);
        CHECK(!client_has(c, "\r\nConnection: close\r\n"));
    }
    client_close(c);
    return in_time;
}

/* A client that sends its body too slowly, and goes on sending, is not reset: with some systems it
 * could not read then that it was refused. */
static bool a_body_that_goes_on(const site *s)
{
    client *c = client_open(s);
    client_say(c, "PUT /read HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc");
    int64_t said = pica_now();
    CHECK_OK(pica_sleep(s->server->body_timeout + PICA_MS(50)));
    int rc = 0;
    for (int i = 0; i < 10 && rc == 0; i++) {
        size_t n;
        rc = pica_write_all(c->stream, "d", 1, &n);
        CHECK_OK(pica_sleep(PICA_MS(5)));
    }
    bool in_time = pica_now() - said < s->server->body_timeout + PI_HTTP_LINGER_NS / 2;
    CHECK((rc == 0 && client_answer(c) == 408) || !in_time);
    client_close(c);
    return in_time;
}

/* @return a descriptor of a new connection whose kernel takes in so many bytes and twice that */
static int connect_with_room(const site *s, int bytes)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    to.sin_port = htons(pica_addr_port(&s->at));
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)), 0);
    CHECK_FATAL_OK(connect(fd, (const struct sockaddr *)&to, sizeof(to)));
    return fd;
}

/* A client that takes little at a time is not cut; one that has taken nothing for a while is. The
 * kernel says that there is room only where a third of its buffer has been taken, which lasts
 * longer here; that some has been taken it learns with every eighth read, or earlier. */
static bool a_slow_reader(const site *s)
{
    const int64_t timeout = s->server->write_timeout;
    bool in_time = true;
    const scene *sc = s->server->arg;
    int64_t reads[8] = {0}; /* when each of the last ones was */
    enum { READ = 2048 };
    pica_stream *stream;
    CHECK_FATAL_OK(pica_stream_adopt(&stream, connect_with_room(s, 8 * READ)));
    client *c = client_of(stream);
    client_say(c, POUR);
    int64_t began = pica_now(), last = began;
    for (unsigned i = 0; in_time && last - began < 2 * timeout; i++) {
        CHECK_OK(pica_sleep(timeout / 40));
        ssize_t rc = pica_read(c->stream, c->in, READ);
        last = pica_now();
        in_time = last - (i < 8 ? began : reads[i % 8]) < timeout / 2;
        CHECK(!in_time || (rc > 0 && check_hits(&sc->left) == 0));
        reads[i % 8] = last;
    }
    if (in_time) {
        CHECK_OK(pica_sleep(timeout / 3));
        CHECK_SOON(pica_http_connections(s->server) == 0);
        CHECK_LT(timeout / 2, pica_now() - last);
    }
    client_close(c);
    return in_time;
}

/* One that takes some at the very moment that its time is up has all of it again. */
static bool a_reader_at_the_end(const site *s)
{
    int fd = connect_with_room(s, 16384);
    CHECK_EQ(send(fd, POUR, sizeof(POUR) - 1, MSG_NOSIGNAL), sizeof(POUR) - 1);
    CHECK_SOON(pica_http_connections(s->server) == 1);
    pi_http_serving *v = s->server->servings;
    bool in_time = outwait(s, PI_HTTP_WRITE, s->server->write_timeout);
    if (in_time) {
        static char bytes[32768]; /* a task has a small stack */
        const pi_http_conn *c = PI_HTTP_CONN_OF(v->conns.next);
        CHECK_LT(0, recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT));
        int64_t now = pica_now();
        pi_http_sweep(v);
        CHECK_EQ(pi_load_relaxed(&c->claimed), 0);
        CHECK_LE(now, pi_load_relaxed(&c->since));
    }
    close(fd);
    CHECK_SOON(pica_http_connections(s->server) == 0);
    return in_time;
}

/* Some more of what has one time altogether comes at the very moment that this is up, but not all.
 * @return was all in time? */
static bool some_at_the_end(const site *s, client *c, pi_http_phase phase, int64_t time)
{
    pi_http_serving *v = s->server->servings;
    bool in_time = outwait(s, phase, time);
    if (in_time) {
        const pi_http_conn *conn = PI_HTTP_CONN_OF(v->conns.next);
        client_say(c, "x");
        pi_http_sweep(v);
        CHECK_OK(pica_sleep(PICA_MS(5)));
        CHECK(v->conns.next != &conn->link || pi_load_acquire(&conn->phase) == PI_HTTP_LINGER);
    }
    return in_time;
}

static bool a_head_that_goes_on(const site *s)
{
    client *c = client_open(s);
    client_say(c, GET);
    CHECK_EQ(client_answer(c), 200);
    client_say(c, "GET / HTTP/1.1\r\nHost: a\r\nX: ");
    bool in_time = some_at_the_end(s, c, PI_HTTP_HEAD, s->server->head_timeout);
    CHECK(client_answer(c) == 408 || !in_time);
    client_close(c);
    CHECK_SOON(pica_http_connections(s->server) == 0);
    return in_time;
}

static bool a_body_that_nobody_reads(const site *s)
{
    client *c = client_open(s);
    client_say(c, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n");
    CHECK_EQ(client_answer(c), 200);
    bool in_time = some_at_the_end(s, c, PI_HTTP_BODY, s->server->body_timeout);
    client_close(c);
    CHECK_SOON(pica_http_connections(s->server) == 0);
    return in_time;
}

/* A client that has been answered, and sends something at the very moment that it has talked for too
 * long, does not keep its connection for that. */
static bool a_talker(const site *s)
{
    client *c = client_open(s);
    client_say(c, "nonsense\r\n\r\n");
    CHECK_EQ(client_answer(c), 400);
    bool in_time = outwait(s, PI_HTTP_LINGER, PI_HTTP_LINGER_NS);
    if (in_time) {
        client_say(c, "x");
        pi_http_sweep(s->server->servings);
        CHECK_SOON(pica_http_connections(s->server) == 0);
    }
    client_close(c);
    return in_time;
}

/* So it is for a connection whose task was so late to begin that its time was up before. */
static bool a_late_beginning(const site *s)
{
    int silent = connect_with_room(s, 65536);
    bool in_time = false;
    for (int i = 0; i < 10000 && pica_http_connections(s->server) == 0; i++)
        CHECK_OK(pica_yield());
    pi_http_serving *v = s->server->servings;
    if (v && v->conns.next != &v->conns) {
        pica_stream *stream = PI_HTTP_CONN_OF(v->conns.next)->stream;
        in_time = !(pi_load_relaxed(&pi_of_stream(stream)->in.word) & PI_USED);
    }
    if (in_time) {
        pi_http_sweep(v);
        int64_t began = pica_now();
        while (pica_now() - began <= s->server->head_timeout) {
        }
        pi_http_sweep(v);
        CHECK_SOON(pica_http_connections(s->server) == 0);
    }
    close(silent);
    CHECK_SOON(pica_http_connections(s->server) == 0);
    return in_time;
}

typedef struct timed {
    bool (*once)(const site *s);
    pica_http_options options; /* at pace 1 */
} timed;

static bool in_time_at(unsigned pace, void *arg)
{
    const timed *t = arg;
    scene sc = {0};
    site s;
    pica_http_options o = t->options;
    o.head_timeout_ns *= pace;
    o.body_timeout_ns *= pace;
    o.write_timeout_ns *= pace;
    o.idle_timeout_ns *= pace;
    site_open(&s, play, &sc, &o);
    bool in_time = t->once(&s);
    site_close(&s);
    return in_time;
}

static void in_time(bool (*once)(const site *s), const pica_http_options *options)
{
    CHECK_PACED(in_time_at, (&(timed){once, *options}));
}

static void head_timeout(void)
{
    pica_http_options o = short_timeouts();
    o.head_timeout_ns = PICA_MS(80);
    in_time(heads_that_last, &o);
}

static void idle_timeout(void)
{
    pica_http_options o = short_timeouts();
    o.idle_timeout_ns = PICA_MS(60);
    in_time(an_idle_one, &o);
}

static void a_head_at_the_end_of_idleness(void)
{
    pica_http_options o = short_timeouts();
    o.idle_timeout_ns = PICA_MS(80);
    in_time(a_head_at_the_end, &o);
}

static void a_head_at_the_end_of_its_time(void)
{
    pica_http_options o = short_timeouts();
    o.head_timeout_ns = PICA_MS(80);
    in_time(a_head_in_time, &o);
}

static void head_goes_on(void)
{
    pica_http_options o = short_timeouts();
    o.head_timeout_ns = PICA_MS(400);
    in_time(a_head_that_goes_on, &o);
}

static void body_not_read(void)
{
    pica_http_options o = short_timeouts();
    o.body_timeout_ns = PICA_MS(400);
    in_time(a_body_that_nobody_reads, &o);
}

static void talks_for_ever(void)
{
    pica_http_options o = short_timeouts();
    in_time(a_talker, &o);
}

static void late_beginning(void)
{
    pica_http_options o = short_timeouts();
    o.head_timeout_ns = PICA_MS(80);
    in_time(a_late_beginning, &o);
}

static void slow_reader(void)
{
    pica_http_options o = short_timeouts();
    o.write_timeout_ns = PICA_MS(400);
    in_time(a_slow_reader, &o);
}

static void reader_at_the_end(void)
{
    pica_http_options o = short_timeouts();
    o.write_timeout_ns = PICA_MS(80);
    in_time(a_reader_at_the_end, &o);
}

static void body_timeout(void)
{
    scene sc = {0};
    site s;
    pica_http_options o = short_timeouts();
    o.body_timeout_ns = PICA_MS(50);
    site_open(&s, play, &sc, &o);
    client *c = client_open(&s);
    client_say(c, "PUT /read HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc");
    CHECK_EQ(client_answer(c), 408);
    CHECK_EQ(sc.failed, -ETIMEDOUT);
    CHECK(client_ended(c));
    client_close(c);
    site_close(&s);
}

static void body_goes_on(void)
{
    pica_http_options o = short_timeouts();
    o.body_timeout_ns = PICA_MS(50);
    in_time(a_body_that_goes_on, &o);
}

static void write_timeout(void)
{
    scene sc = {0};
    site s;
    pica_http_options o = short_timeouts();
    o.write_timeout_ns = PICA_MS(60);
    site_open(&s, play, &sc, &o);
    client *c = client_open(&s);
    client_say(c, POUR); /* and reads nothing */
    CHECK_HITS(&sc.left, 1);
    CHECK_EQ(sc.failed, -ETIMEDOUT);
    CHECK_SOON(pica_http_connections(s.server) == 0);
    client_close(c);
    site_close(&s);
}

CHECK_MAIN
{
    check_run_in(CHECK_TWO, "head timeout", head_timeout);
    check_run_in(CHECK_TWO, "idle timeout", idle_timeout);
    check_run_in(CHECK_TWO, "body timeout", body_timeout);
    check_run_in(CHECK_TWO, "a body that goes on", body_goes_on);
    check_run_in(CHECK_TWO, "write timeout", write_timeout);
    check_run_in(CHECK_TWO, "a slow reader", slow_reader);
    check_run_in(CHECK_ONE, "a reader at the end of its time", reader_at_the_end);
    check_run_in(CHECK_ONE, "a head at the end of idleness", a_head_at_the_end_of_idleness);
    check_run_in(CHECK_ONE, "a head at the end of its time", a_head_at_the_end_of_its_time);
    check_run_in(CHECK_ONE, "a head that goes on", head_goes_on);
    check_run_in(CHECK_ONE, "a body that nobody reads", body_not_read);
    check_run_in(CHECK_ONE, "who talks for ever", talks_for_ever);
    check_run_in(CHECK_ONE, "a late beginning", late_beginning);
}
