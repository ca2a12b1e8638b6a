/* SPDX-License-Identifier: MIT */
/* sweep_model.c: a connection's task against the sweep that ends waits (sweep.h), all
 * interleavings. sweep.c is the real one, and so is what a task says of its waits; the task's
 * requests, its client and the socket are here. Who finds that empty waits for an event
 * (descriptor.h).
 *
 * What has to hold: a wait that lasts too long ends, and no other; what has come before that is
 * taken; who sweeps touches no connection that is gone.
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
static int64_t began; /* the task's wait */

/* The socket. Its kernel orders no memory here, but each of its calls sees the newest. */
static model_event readable;
static uint32_t ready;   /* [atomic] READY of the direction, as in own.h */
static uint32_t arrived; /* [atomic] parts of requests; */
static uint32_t taken;   /* those of them that the task has read */
static uint32_t waits;   /* [atomic] that the task has begun */
static bool busy;        /* the task's: it has left its last wait */
static int64_t least;    /* the task's: for how long this wait lasts at least */

static uint32_t newest(uint32_t *at)
{
    return pi_add_relaxed(at, 0u);
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

/* As pi_descriptor_event(), but for its acquire: where READY stands, there is nothing to do. */
void pi_own_nudge(pica_stream *stream)
{
    model_check(!stream);
    if (!pi_load_relaxed(&ready))
        becomes_readable();
}

int pi_own_unsent(pica_stream *stream)
{
    model_check(!stream);
    return 7 + (int)taken; /* each write, and what it fills, is another one */
}

/* --- The connection's task ------------------------------------------------------------------ */

static void wait_for(pi_http_phase phase)
{
    busy = false;
    began = now;
    pi_http_wait(conn, phase);
}

/* The sweep can see the wait. */
static void announce(void)
{
    pi_store_relaxed(&waits, waits + 1);
}

/* Read, as read_some(). @return false: the wait is over */
static bool read_one(void)
{
    bool over = false;
    while (!over) {
        while (!newest(&ready))
            model_sleep(&readable);
        (void)pi_and_relaxed(&ready, 0u);
        if (newest(&arrived) > taken)
            break;
        over = pi_http_wait_is_over(conn);
    }
    model_check(!over || now - began >= least);
    taken += !over;
    if (!over && newest(&arrived) > taken) /* else the read was a short one */
        (void)pi_or_relaxed(&ready, 1u);
    return !over;
}

/* Take the input that was waited for. @return false: there is none */
static bool take(void)
{
    bool some = read_one();
    (void)pi_http_leave_wait(conn);
    busy = true;
    return some;
}

/* The same, where that is a request; as pi_http_receive_first(). */
static bool take_first(void)
{
    bool some = read_one();
    conn->last |= pi_http_leave_wait(conn);
    busy = true;
    return some;
}

static bool receive(pi_http_phase phase)
{
    wait_for(phase);
    announce();
    return phase == PI_HTTP_IDLE ? take_first() : take();
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
    pi_http_sweep_leave(conn);
    model_free(conn);
}

/* Its first wait may have begun long ago. After a claim no other request follows. */
static void goes_on(unsigned requests)
{
    bool some = take_first();
    for (unsigned i = 1; some && !conn->last && i < requests; i++)
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

static bool receive_more(void)
{
    busy = false;
    pi_http_wait_on(conn, PI_HTTP_HEAD);
    return take();
}

/* The second part of its head shares the first one's time. */
static void reads_a_head(void)
{
    begin(PI_HTTP_FRESH);
    if (take_first())
        (void)receive_more();
    end();
}

/* The time for a first byte ends earlier in the end, that of the head does not. */
static void begins_a_head(void)
{
    least = SECOND;
    begin(PI_HTTP_FRESH);
    if (take_first()) {
        least = TIMEOUT;
        model_check(!pi_http_time_is_over(conn, PI_HTTP_HEAD));
        (void)receive_more();
    }
    end();
}

/* And so does a part that never comes. */
static void reads_on(void)
{
    begin(PI_HTTP_HEAD);
    if (take() && !pi_http_time_is_over(conn, PI_HTTP_HEAD))
        (void)receive_more();
    end();
}

/* The wait for the rest of a request has a time of its own, also where it came as its time was up. */
static void reads_a_body(void)
{
    begin(PI_HTTP_IDLE);
    if (take_first())
        (void)receive(PI_HTTP_BODY);
    end();
}

static void writes_on(void)
{
    if (take())
        (void)receive(PI_HTTP_WRITE);
    end();
}

/* No input comes; then nobody takes what it says of that. */
static void refuses(void)
{
    begin(PI_HTTP_BODY);
    model_check(!take());
    model_check(!receive(PI_HTTP_WRITE));
    end();
}

/* A connection's task begins late, after its first wait. */
static void begins_late(void)
{
    (void)take_first();
    end();
}

/* All that a client says after its answer is thrown away, in one wait. */
static void lingers(void)
{
    begin(PI_HTTP_BODY); /* for LINGER, whose time is short */
    while (read_one() && !pi_http_wait_is_over(conn)) {
    }
    busy = true;
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

/* Nothing has come, but who waits cannot know. */
static void stirs(void)
{
    becomes_readable();
}

static void sweeps(void)
{
    now += 100 * SECOND;
    pi_http_sweep(&serving);
}

static void sweeps_soon(void)
{
    now += SECOND;
    pi_http_sweep(&serving);
}

static void sweeps_soon_twice(void)
{
    sweeps_soon();
    sweeps_soon();
}

/* What one sweep has seen for the first time has had its time at the next, and not before. */
static void sweeps_twice(void)
{
    sweeps_soon();
    sweeps();
}

/* The wait that one sweep ends may be over, and the next one be seen a moment later. */
static void sweeps_again_soon(void)
{
    sweeps();
    sweeps_soon();
}

/* The first waits, one after the other, do not last for ever. */
static void ends_waits(unsigned n)
{
    for (unsigned i = 1; i <= n; i++) {
        for (unsigned rounds = 0; pi_load_relaxed(&waits) < i; rounds++)
            pi_spin_wait(rounds);
        sweeps_soon(); /* who writes takes something in this one */
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
    arrived = taken = waits = 0;
    ready = 1; /* who asks in vain is told */
    now = began = 0;
    least = TIMEOUT;
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

static void at_the_end_by_fences(void)
{
    setup(true, true);
}

/* What the first wait is for has come, and a sweep has seen that wait. */
static void seen_waiting(pi_http_phase phase, bool fences)
{
    setup(fences, false);
    begin(phase);
    sweeps();
    arrived = 1;
}

static void seen(void)
{
    seen_waiting(PI_HTTP_IDLE, false);
}

static void seen_by_fences(void)
{
    seen_waiting(PI_HTTP_IDLE, true);
}

static void seen_to_write(void)
{
    seen_waiting(PI_HTTP_WRITE, false);
}

/* The acceptor has made the connection, its task has not begun. */
static void accepted(void)
{
    setup(false, false);
    begin(PI_HTTP_FRESH);
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
    model_check(busy || conn->claimed != conn->phase);
}

const model_test model_tests[] = {
    {"a silent one", by_membarrier, {serves_one, ends_one_wait}, all_gone, false, 3, 2},
    {"a silent one, fences", by_fences, {serves_one, ends_one_wait}, all_gone, false, 3, 2},
    {"a wait of its own", seen, {goes_on_for_two, sweeps}, can_be_ended, true, 3, 2},
    {"its own, fences", seen_by_fences, {goes_on_for_two, sweeps}, can_be_ended, true, 3, 2},
    {"soon again", seen, {goes_on_for_two, sweeps_again_soon, stirs}, can_be_ended, true, 3, 2},
    {"written again",
     seen_to_write,
     {writes_on, sweeps_again_soon, stirs},
     can_be_ended,
     true,
     3,
     2},
    {"begins late", accepted, {begins_late, ends_one_wait}, all_gone, false, 3, 2},
    {"a head in the end",
     at_the_end,
     {begins_a_head, sweeps_soon_twice, sends_one},
     can_be_ended,
     true,
     3,
     2},
    {"the same, fences",
     at_the_end_by_fences,
     {begins_a_head, sweeps_soon_twice, sends_one},
     can_be_ended,
     true,
     3,
     2},
    {"one that refuses", by_membarrier, {refuses, ends_two_waits}, all_gone, false, 3, 1},
    {"a request", by_membarrier, {serves_one, sweeps_twice, sends_one}, all_gone, false, 3, 1},
    {"a request, fences", by_fences, {serves_one, sweeps_twice, sends_one}, all_gone, false, 3, 1},
    {"at the end", at_the_end, {serves_one, sweeps_twice, sends_one}, all_gone, false, 3, 1},
    {"two requests", by_membarrier, {serves_two, sweeps_twice, sends_two}, all_gone, false, 3, 1},
    {"two, fences", by_fences, {serves_two, sweeps_twice, sends_two}, all_gone, false, 3, 1},
    {"a body", by_membarrier, {reads_a_body, sweeps_twice, sends_two}, all_gone, false, 3, 1},
    {"a body, fences", by_fences, {reads_a_body, sweeps_twice, sends_two}, all_gone, false, 3, 1},
    {"lingers", by_membarrier, {lingers, ends_one_wait, sends_one}, all_gone, false, 3, 1},
    {"no more of it",
     by_membarrier,
     {reads_on, ends_one_wait, sends_one},
     can_be_ended,
     true,
     3,
     1},
    {"in parts", by_membarrier, {reads_a_head, sweeps_twice, sends_two}, all_gone, false, 3, 1},
    {0},
};

const model_reason model_reasons[] = {
    {"pi_http_sweep", "acquire load -> relaxed", "server->draining", 1,
     "it publishes grace, which is plain; tests/io/http/drain_test.c reads it under TSan"},
    {0},
};
