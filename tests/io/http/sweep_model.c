/* SPDX-License-Identifier: MIT */
/* sweep_model.c: a connection's task against the sweep that ends waits (sweep.h), all
 * interleavings. sweep.c is the real one, and so is what a task says of its waits; the task's
 * requests, its client and the socket are here. A socket that has been shut gives what had
 * arrived before, then its end; who finds it empty waits for an event (descriptor.h).
 *
 * What has to hold: nobody shuts the socket while its task is busy and does not know of it, nor while
 * it waits for a request; a wait that lasts too long ends, and no other; who sweeps touches no
 * connection that is gone.
 */
#include "io/http/sweep.h"

#include "executor/base/clock.h"
#include "io/own.h"

#include "tests/model/model.h"

#include <string.h>

#define SECOND INT64_C(1000000000)
#define TIMEOUT (10 * SECOND)

static pica_http_server server;
static pi_http_serving serving;
static pi_http_conn *conn;
static int64_t now;   /* as the sweep reads the clock */
static int64_t began; /* [atomic] the task's wait */

/* The socket. Its kernel orders no memory here, but each of its calls sees the newest. */
static model_event readable;
static uint32_t ready;   /* [atomic] READY of the direction, as in own.h */
static int unsent;       /* what the client has not taken */
static uint32_t arrived; /* [atomic] parts of requests; */
static uint32_t taken;   /* those of them that the task has read */
static uint32_t end_of;  /* [atomic] 1: it has been shut */

static bool busy;            /* the task's: it has left its last wait */
static uint32_t for_request; /* [atomic] 1: its last wait was for a request */
static uint32_t
    waits; /* [atomic] that the task has begun; release: whoever sees it sees the wait */

static uint32_t newest(uint32_t *at)
{
    return pi_add_relaxed(at, 0u);
}

static int64_t newest_time(int64_t *at)
{
    return pi_add_relaxed(at, INT64_C(0));
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *ts);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ts)
{
    (void)clock;
    *ts = (struct timespec){.tv_sec = now / SECOND};
    return 0;
}

static void becomes_readable(void)
{
    (void)pi_xchg_relaxed(&ready, 1u);
    model_wake(&readable);
}

/* The task's wait, or the one before a wait that it knows to be the last ones. */
static void check_is_overdue(void)
{
    int64_t lasted = now - newest_time(&began);
    model_check(serving.ending || lasted >= TIMEOUT || conn->told);
}

int pica_shutdown(pica_stream *stream, int how)
{
    model_check(!stream && (how == SHUT_RD || how == SHUT_RDWR));
    check_is_overdue();
    model_check(!newest(&for_request) || conn->told);
    (void)pi_xchg_relaxed(&end_of, 1u);
    becomes_readable();
    return 0;
}

/* As pi_descriptor_event(), but for its acquire: where READY stands, there is nothing to do. */
void pi_own_nudge(pica_stream *stream)
{
    model_check(!stream);
    check_is_overdue();
    if (!pi_load_relaxed(&ready))
        becomes_readable();
}

int pi_own_unsent(pica_stream *stream)
{
    model_check(!stream);
    return unsent;
}

/* --- The connection's task ------------------------------------------------------------------ */

/* While it is busy, nobody shuts the socket, or it knows. */
static void check_is_told(void)
{
    model_check(!busy || !newest(&end_of) || conn->told & PI_HTTP_SHUT);
}

static void wait_for(pi_http_phase phase)
{
    check_is_told();
    busy = false;
    (void)pi_xchg_relaxed(&began, now);
    (void)pi_xchg_relaxed(&for_request,
                          (uint32_t)(phase == PI_HTTP_FRESH || phase == PI_HTTP_IDLE));
    pi_http_wait(conn, phase);
}

/* The sweep can see the wait. */
static void announce(void)
{
    pi_store_release(&waits, waits + 1);
}

/* Take the input that was waited for. @return false: there is none */
static bool take(void)
{
    bool request = newest(&for_request), over = false;
    while (!over) {
        while (!newest(&ready))
            model_sleep(&readable);
        (void)pi_and_relaxed(&ready, 0u);
        if (newest(&arrived) > taken || newest(&end_of))
            break;
        over = request && pi_http_wait_is_over(conn);
    }
    bool some = !over && newest(&arrived) > taken;
    taken += some;
    pi_http_leave_wait(conn, request ? PI_HTTP_LAST : PI_HTTP_SHUT);
    busy = true;
    if (newest(&arrived) > taken || newest(&end_of)) /* else the read was a short one */
        (void)pi_or_relaxed(&ready, 1u);
    check_is_told();
    return some;
}

static bool receive(pi_http_phase phase)
{
    wait_for(phase);
    announce();
    return take();
}

static void begin(pi_http_phase phase)
{
    conn = model_alloc(sizeof(*conn), 64);
    model_check(conn != NULL);
    conn->serving = &serving;
    conn->fences = serving.fences;
    wait_for(phase);
    pi_http_sweep_enter(conn);
    announce();
}

static void end(void)
{
    check_is_told();
    pi_http_sweep_leave(conn);
    model_free(conn);
}

/* Its first wait may have begun long ago. After a claim no other request follows. */
static void goes_on(unsigned requests)
{
    bool some = take();
    for (unsigned i = 1; some && !conn->told && i < requests; i++)
        some = receive(PI_HTTP_IDLE);
    end();
}

static void goes_on_for_two(void)
{
    goes_on(2);
}

static void serves_one(void)
{
    begin(PI_HTTP_FRESH);
    goes_on(1);
}

static void serves_two(void)
{
    begin(PI_HTTP_FRESH);
    goes_on(2);
}

/* The second part of its head shares the first one's time. */
static void reads_a_head(void)
{
    begin(PI_HTTP_FRESH);
    if (take()) {
        busy = false;
        (void)pi_xchg_relaxed(&for_request, 0u);
        pi_http_wait_on(conn, PI_HTTP_HEAD);
        (void)take();
    }
    end();
}

/* A request that comes as the wait for it is ended can be read in full: the socket is open, and the
 * wait for the rest has a time of its own. */
static void reads_a_body(void)
{
    begin(PI_HTTP_IDLE);
    if (take()) {
        model_check(!newest(&end_of));
        model_check(receive(PI_HTTP_BODY) || conn->told & PI_HTTP_SHUT);
    }
    end();
}

/* No input comes; then nobody takes what it says of that. */
static void refuses(void)
{
    begin(PI_HTTP_BODY);
    model_check(!take() && conn->told == PI_HTTP_SHUT);
    (void)pi_xchg_relaxed(&end_of, 0u); /* the other direction is open */
    conn->told = 0;
    model_check(!receive(PI_HTTP_WRITE) && conn->told == PI_HTTP_SHUT);
    end();
}

/* --- Others --------------------------------------------------------------------------------- */

static void sends_one(void)
{
    pi_add_relaxed(&arrived, 1u);
    becomes_readable();
}

static void sends_two(void)
{
    sends_one();
    sends_one();
}

/* What one sweep has seen for the first time has had its time at the next. */
static void sweeps(void)
{
    now += 100 * SECOND;
    pi_http_sweep(&serving);
}

static void sweeps_twice(void)
{
    sweeps();
    sweeps();
}

/* The first waits, one after the other, do not last for ever. */
static void ends_waits(unsigned n)
{
    for (unsigned i = 1; i <= n; i++) {
        for (unsigned rounds = 0; pi_load_acquire(&waits) < i; rounds++)
            pi_spin_wait(rounds);
        sweeps_twice();
    }
}

static void ends_one_wait(void)
{
    ends_waits(1);
}

static void ends_two_waits(void)
{
    ends_waits(2);
}

/* --- Set-ups and the end -------------------------------------------------------------------- */

static void setup(bool fences, bool ending)
{
    memset(&server, 0, sizeof(server));
    memset(&serving, 0, sizeof(serving));
    server.head_timeout = server.body_timeout = TIMEOUT;
    server.write_timeout = server.idle_timeout = TIMEOUT;
    serving.server = &server;
    serving.conns.next = serving.conns.prev = &serving.conns;
    serving.fences = fences;
    serving.ending = ending;
    conn = NULL;
    readable.set = busy = false;
    arrived = taken = end_of = waits = for_request = 0;
    ready = 1; /* who asks in vain is told */
    unsent = 7;
    now = began = 0;
}

static void by_membarrier(void)
{
    setup(false, false);
}

static void by_fences(void)
{
    setup(true, false);
}

static void at_the_end(void)
{
    setup(false, true);
}

/* A first request has come, and a sweep has seen the wait for it. */
static void seen(bool fences)
{
    setup(fences, false);
    begin(PI_HTTP_IDLE);
    sweeps();
    arrived = 1;
}

static void seen_by_membarrier(void)
{
    seen(false);
}

static void seen_by_fences(void)
{
    seen(true);
}

static void all_gone(void)
{
    model_check(serving.conns.next == &serving.conns && serving.conns.prev == &serving.conns);
    model_check(taken <= arrived && serving.lock.held == 0);
}

/* It may wait for ever, but only until the next sweep would end that. */
static void can_be_ended(void)
{
    model_check(serving.lock.held == 0);
    model_check(end_of || busy || !conn->claimed);
}

const model_test model_tests[] = {
    {"a silent one", by_membarrier, {serves_one, ends_one_wait}, all_gone, false, 3, 2},
    {"a silent one, fences", by_fences, {serves_one, ends_one_wait}, all_gone, false, 3, 2},
    {"one that refuses", by_membarrier, {refuses, ends_two_waits}, all_gone, false, 3, 1},
    {"a wait of its own", seen_by_membarrier, {goes_on_for_two, sweeps}, can_be_ended, true, 3, 2},
    {"the same, fences", seen_by_fences, {goes_on_for_two, sweeps}, can_be_ended, true, 3, 2},
    {"a request", by_membarrier, {serves_one, sweeps_twice, sends_one}, all_gone, false, 3, 1},
    {"a request, fences", by_fences, {serves_one, sweeps_twice, sends_one}, all_gone, false, 3, 1},
    {"at the end", at_the_end, {serves_one, sweeps_twice, sends_one}, all_gone, false, 3, 1},
    {"two requests", by_membarrier, {serves_two, sweeps_twice, sends_two}, all_gone, false, 3, 1},
    {"two, fences", by_fences, {serves_two, sweeps_twice, sends_two}, all_gone, false, 3, 1},
    {"a body", by_membarrier, {reads_a_body, sweeps_twice, sends_two}, all_gone, false, 3, 1},
    {"a body, fences", by_fences, {reads_a_body, sweeps_twice, sends_two}, all_gone, false, 3, 1},
    {"in parts", by_membarrier, {reads_a_head, sweeps_twice, sends_two}, all_gone, false, 3, 1},
    {0},
};

const model_reason model_reasons[] = {
    {"pi_http_sweep", "acquire load -> relaxed", "server->draining", 1,
     "it publishes grace, which is plain; tests/io/http/drain_test.c reads it under TSan"},
    {0},
};
