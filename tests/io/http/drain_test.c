/* SPDX-License-Identifier: MIT */
/* drain_test.c: how a server ends that is drained. One that is cancelled is in cut_test.c. */
#include "io/http/server.h"
#include "io/http/sweep.h"
#include "io/sys.h"
#include "tests/io/http/play.h"

static intptr_t drain(void *arg)
{
    site *s = arg;
    return pica_http_drain(s->server, pica_after(PATIENCE));
}

/* The first client of a site, whose handler waits until it is told. */
static client *client_that_waits(const site *s, const scene *sc)
{
    client *c = client_open(s);
    client_say(c, WAIT);
    CHECK_HITS(&sc->entered, 1);
    return c;
}

/* --- Draining ------------------------------------------------------------------------------- */

/* @return did it take them neither a grace nor a timeout? */
static bool idle_ones_end(unsigned pace, void *unused)
{
    (void)pace, (void)unused;
    scene sc = {0};
    site s;
    site_open(&s, play, &sc, NULL);
    client *c[5];
    for (int i = 0; i < 5; i++) {
        c[i] = client_open(&s);
        client_say(c[i], GET);
        CHECK_EQ(client_answer(c[i]), 200);
        CHECK(!client_has(c[i], "Connection"));
    }
    int64_t before = pica_now();
    site_close(&s);
    int64_t took = pica_now() - before;
    for (int i = 0; i < 5; i++) {
        CHECK(client_ended(c[i]));
        client_close(c[i]);
    }
    return took < PICA_MS(900);
}

static void idle_ones_end_at_once(void)
{
    CHECK_PACED(idle_ones_end, NULL);
}

static bool is_refused(const site *s)
{
    pica_stream *late;
    int rc = pica_tcp_connect(&late, &s->at);
    if (rc == 0)
        pica_close(late);
    return rc == -ECONNREFUSED;
}

/* All have ended by themselves, and so the drain and the server do. */
static void ends_drained(site *s, pica_task *drainer)
{
    intptr_t rc = -1;
    CHECK_OK(pica_await(drainer, &rc));
    CHECK_EQ(rc, 0);
    pica_unref(drainer);
    CHECK_EQ(site_end(s), 0);
}

/* Busy, queued behind a pipe, connected but silent: each is answered once, then closed. */
static void all_are_answered(void)
{
    scene sc = {0};
    site s;
    site_open(&s, play, &sc, NULL);
    client *busy = client_that_waits(&s, &sc), *silent = client_open(&s);
    CHECK_SOON(pica_http_connections(s.server) == 2);

    pica_task *drainer;
    CHECK_FATAL_OK(pica_spawn(&drainer, drain, &s));
    /* The listener closes once its queue is empty, although connections go on. */
    CHECK_SOON(is_refused(&s));
    CHECK_EQ(pica_task_status(drainer) == PICA_DONE, false);
    client_say(silent, GET);
    if (client_answer(silent) == 200)
        CHECK(client_has(silent, "\r\nConnection: close\r\n") && client_ended(silent));
    else /* which takes a machine that stood still */
        CHECK_LE(s.server->grace, pica_now());

    check_hit(&sc.leave);
    CHECK_EQ(client_answer(busy), 200);
    CHECK(client_has(busy, "\r\nConnection: close\r\n") && client_ended(busy));
    ends_drained(&s, drainer);
    client_close(busy);
    client_close(silent);
}

/* Connections beyond the limit stand in the listen queue; they get their answer too. */
static void the_queue_is_answered(void)
{
    scene sc = {0};
    site s;
    pica_http_options o = PICA_HTTP_OPTIONS_INIT;
    o.max_connections = 1;
    site_open(&s, play, &sc, &o);
    client *c[6];
    c[0] = client_that_waits(&s, &sc);
    for (int i = 1; i < 6; i++) {
        c[i] = client_open(&s);
        client_say(c[i], GET);
    }
    CHECK_OK(pica_sleep(PICA_MS(20))); /* in which the others would have got in */
    CHECK_EQ(check_hits(&sc.entered), 1);
    pica_task *drainer;
    CHECK_FATAL_OK(pica_spawn(&drainer, drain, &s));
    CHECK_SOON(pi_load_acquire(&s.server->draining));
    check_hit(&sc.leave);
    for (int i = 0; i < 6; i++) {
        CHECK_EQ(client_answer(c[i]), 200);
        CHECK(client_has(c[i], "\r\nConnection: close\r\n") && client_ended(c[i]));
        client_close(c[i]);
    }
    ends_drained(&s, drainer);
}

/* @return was the late one answered? */
static bool a_late_one_has_its_time(unsigned pace, void *unused)
{
    (void)pace, (void)unused; /* the grace is a constant */
    scene sc = {0};
    site s;
    pica_http_options o = PICA_HTTP_OPTIONS_INIT;
    o.max_connections = 1;
    site_open(&s, play, &sc, &o);
    client *busy = client_that_waits(&s, &sc), *late = client_open(&s);
    pica_task *drainer;
    CHECK_FATAL_OK(pica_spawn(&drainer, drain, &s));
    CHECK_SOON(pi_load_acquire(&s.server->draining));
    CHECK_OK(pica_sleep(s.server->grace - pica_now() + PICA_MS(20)));
    int64_t let_in = pica_now();
    check_hit(&sc.leave);
    CHECK_EQ(client_answer(busy), 200);
    CHECK(client_ended(busy));
    CHECK_OK(pica_sleep(PICA_MS(50))); /* in which it is accepted, and looked at */
    size_t n;
    bool answered =
        pica_write_all(late->stream, GET, sizeof(GET) - 1, &n) == 0 && client_answer(late) == 200;
    bool in_time = pica_now() - let_in < PI_HTTP_GRACE_NS;
    CHECK(answered || !in_time);
    if (answered)
        CHECK(client_has(late, "\r\nConnection: close\r\n") && client_ended(late));
    ends_drained(&s, drainer);
    client_close(busy);
    client_close(late);
    return answered;
}

/* Who gets in only when the time for first requests is over has some of his own. */
static void late_ones_have_their_time(void)
{
    CHECK_PACED(a_late_one_has_its_time, NULL);
}

/* A server that can take no more connections has no queue to empty where none stood in it: it
 * listens no more, and clients that go on coming do not keep it. */
static void a_full_one_listens_no_more(void)
{
    scene sc = {0};
    site s;
    pica_http_options o = PICA_HTTP_OPTIONS_INIT;
    o.max_connections = 1;
    site_prepare(&s, play, &sc, &o);
    bool queue_is_known = pi_sys_queued(pica_listener_fd(s.listener)) >= 0; /* by an emulator not */
    CHECK_FATAL_OK(pica_spawn(&s.task, site_serve, &s));
    client *busy = client_that_waits(&s, &sc);
    pica_task *drainer;
    CHECK_FATAL_OK(pica_spawn(&drainer, drain, &s));
    /* Who came before it has seen its queue would stand in that. */
    CHECK_SOON(!queue_is_known || pica_listener_fd(s.listener) == -EBADF);
    CHECK_SOON(!queue_is_known || is_refused(&s)); /* the kernel's end of it comes a moment later */
    CHECK_EQ(pica_task_status(drainer) == PICA_DONE, false);
    check_hit(&sc.leave);
    CHECK_EQ(client_answer(busy), 200);
    CHECK(client_ended(busy));
    ends_drained(&s, drainer);
    client_close(busy);
}

/* A request that nobody will answer, because it came too late for that: the answer before it is
 * followed by the end, not by a reset, which might overtake it. */
static void the_last_answer_is_not_reset(void)
{
    scene sc = {0};
    site s;
    site_open(&s, play, &sc, NULL);
    client *c = client_open(&s);
    client_say(c, "GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK_HITS(&sc.entered, 1);
    client_say(c, GET);
    pica_task *drainer;
    CHECK_FATAL_OK(pica_spawn(&drainer, drain, &s));
    CHECK_SOON(is_refused(&s));
    check_hit(&sc.leave);
    CHECK_EQ(client_answer(c), 200);
    CHECK(client_has(c, "\r\nConnection: close\r\n"));
    CHECK_EQ(client_more(c), 0);
    client_close(c);
    ends_drained(&s, drainer);
}

/* One of many clients: asks, and goes on to ask, until it is told that this was the last
 * answer. None of its requests is lost, if there is a CPU for it to ask. */
typedef struct crowd {
    site *site;
    check_latch connected, late;
} crowd;

static intptr_t ask_for_ever(void *arg)
{
    crowd *of = arg;
    int64_t since = pica_now();
    client *c = client_open(of->site);
    check_hit(&of->connected);
    intptr_t answers = 0;
    do {
        size_t n;
        int64_t asks = pica_now();
        int rc = pica_write_all(c->stream, GET, sizeof(GET) - 1, &n);
        if (rc < 0 || client_answer(c) != 200) {
            CHECK_LE(PICA_MS(100), pica_now() - since); /* silent for 200 ms: then it is closed */
            check_hit(&of->late);
            client_close(c);
            return answers;
        }
        since = asks;
        answers++;
    } while (!client_has(c, "\r\nConnection: close\r\n"));
    CHECK(client_ended(c));
    client_close(c);
    return answers;
}

static void drained_under_load(void)
{
    enum { CLIENTS = 12 };
    scene sc = {0};
    site s;
    site_open(&s, play, &sc, NULL);
    crowd all = {.site = &s};
    pica_task *t[CLIENTS];
    for (int i = 0; i < CLIENTS; i++)
        CHECK_FATAL_OK(pica_spawn(&t[i], ask_for_ever, &all));
    CHECK_HITS(&all.connected, CLIENTS);
    CHECK_HITS(&sc.entered, 200);
    site_close(&s);
    intptr_t answers = 0;
    for (int i = 0; i < CLIENTS; i++) {
        intptr_t n = 0;
        CHECK_OK(pica_await(t[i], &n));
        CHECK(n > 0 || check_hits(&all.late));
        answers += n;
        pica_unref(t[i]);
    }
    CHECK_EQ(answers, check_hits(&sc.entered)); /* what was handled has arrived */
}

static void the_deadline_cuts(void)
{
    scene sc = {0};
    site s;
    site_open(&s, play, &sc, NULL);
    client *c = client_that_waits(&s, &sc);
    CHECK_EQ(pica_http_drain(s.server, pica_after(PICA_MS(30))), 1);
    CHECK_EQ(sc.failed, -ECANCELED);
    CHECK(client_ended(c));
    client_close(c);
    CHECK_EQ(site_end(&s), 0);
}

/* Who comes first, the drain or the serving, must not matter to a client in the listen queue. */
static void drained_as_it_begins(void)
{
    scene sc = {0};
    for (unsigned round = 0; round < 12; round++) {
        site s;
        site_prepare(&s, play, &sc, NULL);
        client *c = client_open(&s);
        client_say(c, GET);
        CHECK_FATAL_OK(pica_spawn(&s.task, site_serve, &s));
        for (unsigned i = 0; i < round % 4; i++)
            CHECK_OK(pica_yield());
        CHECK_EQ(pica_http_drain(s.server, pica_after(PATIENCE)), 0);
        CHECK_EQ(client_answer(c), 200);
        CHECK(client_ended(c));
        CHECK_EQ(site_end(&s), 0);
        CHECK(is_refused(&s));
        client_close(c);
    }
}

/* Has pica_http_serve() left the server? What pica_http_drain() asks every 5 ms. */
static bool is_left(pica_http_server *server)
{
    pi_lock_acquire(&server->lock);
    bool left = !server->servings;
    pi_lock_release(&server->lock);
    return left;
}

/* Once a drain has returned, nobody touches the server any more: it may go at once, although
 * the task that served has yet to end. Here it goes as soon as that can be, and another one that
 * is not drained takes its memory, so a late reader takes it for his own. ThreadSanitizer sees that
 * each time, as nothing orders his reading before the end. */
static void destroyed_by_who_drained_it(void)
{
    scene sc = {0};
    for (uint64_t round = 0; round < check_rounds(300); round++) {
        site s;
        site_open(&s, play, &sc, NULL);
        CHECK_SOON(!is_left(s.server));
        pica_scope scope;
        pica_scope_begin(&scope, 0);
        intptr_t rc = pica_http_drain(s.server, pica_after(PATIENCE));
        rc = pica_scope_end(&scope, rc); /* it goes on, or is at its end already */
        CHECK(rc == -ETIMEDOUT || rc == 0);
        while (!is_left(s.server))
            CHECK_OK(pica_yield());
        pica_http_server *other = NULL;
        pica_http_server_destroy(s.server);
        CHECK_FATAL_OK(pica_http_server_create(&other, play, &sc, NULL));
        rc = -1;
        CHECK_OK(pica_await(s.task, &rc));
        CHECK_EQ(rc, 0);
        pica_unref(s.task);
        pica_http_server_destroy(other);
    }
}

typedef struct briefly {
    site *site;
    int64_t ns;
} briefly;

static intptr_t drain_briefly(void *arg)
{
    const briefly *b = arg;
    return pica_http_drain(b->site->server, pica_after(b->ns));
}

/* @return was its caller cancelled before it came? */
static bool a_deadline_outlives_its_caller(unsigned pace, void *unused)
{
    (void)unused;
    scene sc = {0};
    site s;
    site_open(&s, play, &sc, NULL);
    client *c = client_that_waits(&s, &sc);
    briefly b = {&s, PICA_MS(50) * pace};
    pica_task *brief;
    intptr_t rc = 0;
    CHECK_FATAL_OK(pica_spawn(&brief, drain_briefly, &b));
    CHECK_SOON(is_refused(&s));
    bool in_time = pica_cancel(brief) == 0;
    CHECK_OK(pica_await(brief, &rc));
    in_time = in_time && rc == -ECANCELED;
    CHECK(in_time || rc == 1);
    pica_unref(brief);
    CHECK_EQ(pica_http_drain(s.server, PICA_NEVER), 1);
    CHECK_EQ(sc.failed, -ECANCELED);
    CHECK(client_ended(c));
    client_close(c);
    CHECK_EQ(site_end(&s), 0);
    return in_time;
}

/* A deadline holds, although who set it was cancelled and others have set later ones. */
static void deadlines_outlive_their_callers(void)
{
    CHECK_PACED(a_deadline_outlives_its_caller, NULL);
}

/* An answer that has no end ends with the drain's deadline, also where nothing of it is sent. */
static int streams_for_ever(pica_http_request *req, void *arg)
{
    scene *sc = arg;
    int rc = pica_http_begin(req, 200, NULL, -1);
    check_hit(&sc->entered);
    for (int64_t until = pica_after(PATIENCE); rc == 0 && pica_now() < until;) {
        rc = pica_http_write(req, "tick", 4);
        if (rc == 0)
            rc = pica_http_flush(req);
    }
    sc->failed = rc;
    return rc;
}

static void without_an_end(void)
{
    for (unsigned head = 0; head < 2; head++) {
        scene sc = {0};
        site s;
        site_open(&s, streams_for_ever, &sc, NULL);
        client *c = client_open(&s);
        client_say(c, head ? "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n" : GET);
        CHECK_HITS(&sc.entered, 1);
        CHECK_EQ(pica_http_drain(s.server, pica_after(PICA_MS(20))), 1);
        CHECK_EQ(sc.failed, -ECANCELED);
        client_close(c);
        CHECK_EQ(site_end(&s), 0);
    }
}

static intptr_t drains_too(void *arg)
{
    return pica_http_drain(arg, PICA_NEVER);
}

/* From a handler, by itself or by a task on its stack: an error, of which nothing comes. */
static int drains(pica_http_request *req, void *arg)
{
    site *s = arg;
    intptr_t rc = 0;
    pica_task *task;
    CHECK_EQ(pica_http_drain(s->server, PICA_NEVER), -EDEADLK);
    CHECK_FATAL_OK(pica_spawn(&task, drains_too, s->server));
    pica_scope scope;
    pica_scope_begin(&scope, pica_after(PICA_MS(50)));
    intptr_t awaited = pica_scope_end(&scope, pica_await(task, &rc));
    CHECK(rc == -EDEADLK || (awaited == -ETIMEDOUT && rc == -ECANCELED)); /* stolen, it waits */
    pica_unref(task);
    return pica_http_reply(req, 200, NULL, "still here", 10);
}

static void drained_by_a_handler(void)
{
    site s;
    site_open(&s, drains, &s, NULL);
    client *c = client_open(&s);
    client_say(c, GET);
    CHECK_EQ(client_answer(c), 200);
    client_close(c);
    site_close(&s);
}

static void drained_again(void)
{
    scene sc = {0};
    site s;
    site_open(&s, play, &sc, NULL);
    CHECK_EQ(pica_http_drain(s.server, pica_after(PATIENCE)), 0);
    CHECK_EQ(pica_http_drain(s.server, 0), 0);
    CHECK_EQ(site_end(&s), 0);
    CHECK_EQ(pica_http_drain(NULL, 0), -EINVAL);
    CHECK_EQ(pica_http_serve(NULL, NULL), -EINVAL);
}

CHECK_MAIN
{
    check_run("idle connections end at once", idle_ones_end_at_once);
    check_run("all are answered", all_are_answered);
    check_run("the queue is answered", the_queue_is_answered);
    check_run("late ones have their time", late_ones_have_their_time);
    check_run("a full one listens no more", a_full_one_listens_no_more);
    check_run("the last answer is not reset", the_last_answer_is_not_reset);
    check_run("drained under load", drained_under_load);
    check_run("the deadline cuts", the_deadline_cuts);
    check_run("drained as it begins", drained_as_it_begins);
    check_run("destroyed by who drained it", destroyed_by_who_drained_it);
    check_run("deadlines outlive their callers", deadlines_outlive_their_callers);
    check_run("drained again", drained_again);
    check_run("without an end", without_an_end);
    check_run("drained by a handler", drained_by_a_handler);
}
