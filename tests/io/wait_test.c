/* SPDX-License-Identifier: MIT */
/* wait_test.c: waits for descriptors that end otherwise than by readiness: by cancel,
 * deadline and close, and by a second waiter; and that nothing is lost over it. */
#include "executor/base/atomics.h"
#include "tests/executor/death.h"
#include "tests/io/peers.h"

/* --- One of each wait ------------------------------------------------------------------------ */

enum { READS, WRITES, ACCEPTS, CONNECTS, POLLS, WAITS };

typedef struct scene {
    int what;
    int raw;       /* the peer, or a listener with a full queue */
    int filler[2]; /* what fills that queue */
    pica_stream *stream;
    pica_listener *listener;
    pica_addr at;
} scene;

static void scene_open(scene *x, int what)
{
    *x = (scene){.what = what, .raw = -1, .filler = {-1, -1}};
    if (what == ACCEPTS) {
        x->listener = peers_listen(&x->at);
    } else if (what == CONNECTS) {
        /* A backlog of 0 holds one connection; the next SYN is dropped. */
        x->raw = peers_raw_listen(&x->at, 0);
        for (int i = 0; i < 2; i++) {
            x->filler[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
            (void)!connect(x->filler[i], (struct sockaddr *)&x->at.storage, x->at.length);
        }
    } else if (what == WRITES) {
        x->stream = peers_local_stream(&x->raw);
        peers_fill(x->stream);
    } else {
        x->stream = peers_stream(&x->raw);
    }
}

static void scene_close(scene *x)
{
    pica_close(x->stream);
    pica_listener_close(x->listener);
    for (int i = 0; i < 2; i++)
        if (x->filler[i] >= 0)
            close(x->filler[i]);
    if (x->raw >= 0)
        close(x->raw);
}

/* Waits until something ends it. */
static intptr_t scene_wait(void *arg)
{
    scene *x = arg;
    char byte = 0;
    pica_stream *s = NULL;
    intptr_t rc;
    switch (x->what) {
    case READS:
        return pica_read(x->stream, &byte, 1);
    case WRITES:
        return pica_write(x->stream, &byte, 1);
    case ACCEPTS:
        rc = pica_accept(x->listener, &s, NULL);
        break;
    case CONNECTS:
        rc = pica_tcp_connect(&s, &x->at);
        break;
    default:
        return pica_poll_fd(x->raw, POLLIN, PICA_NEVER);
    }
    CHECK((rc == 0) == (s != NULL));
    pica_close(s);
    return rc;
}

static void cancelled(void)
{
    for (int what = 0; what < WAITS; what++) {
        scene x;
        scene_open(&x, what);
        pica_task *task = peers_spawn(scene_wait, &x);
        PEERS_UNTIL_WAITING(task);
        CHECK_OK(pica_cancel(task));
        CHECK_EQ(peers_result(task), -ECANCELED);
        /* On entry too. */
        task = peers_spawn(scene_wait, &x);
        CHECK_OK(pica_cancel(task));
        CHECK_EQ(peers_result(task), -ECANCELED);
        scene_close(&x);
    }
}

static void timed_out(void)
{
    for (int what = 0; what < WAITS; what++) {
        scene x;
        scene_open(&x, what);
        pica_scope scope;
        int64_t deadline = pica_after(PICA_MS(2));
        pica_scope_begin(&scope, deadline);
        CHECK_EQ(pica_scope_end(&scope, scene_wait(&x)), -ETIMEDOUT);
        CHECK_LE(deadline, pica_now());
        scene_close(&x);
    }
}

static void closed(void)
{
    for (int what = 0; what <= ACCEPTS; what++) {
        scene x;
        scene_open(&x, what);
        pica_task *task = peers_spawn(scene_wait, &x);
        PEERS_UNTIL_WAITING(task);
        int fd = x.stream ? pica_stream_fd(x.stream) : pica_listener_fd(x.listener);
        CHECK_OK(fcntl(fd, F_GETFD));
        pica_stream *s = x.stream;
        pica_listener *l = x.listener;
        x.stream = pica_close(s);
        x.listener = pica_listener_close(l);
        /* The waiter was in no system call, so the number is free at once. */
        CHECK(fcntl(fd, F_GETFD) < 0);
        CHECK_EQ(peers_result(task), -EBADF);
        if (s) {
            char byte = 0;
            CHECK_EQ(pica_stream_fd(s), -EBADF);
            CHECK_EQ(pica_read(s, &byte, 1), -EBADF);
            CHECK_EQ(pica_write(s, &byte, 1), -EBADF);
            CHECK_EQ(pica_shutdown(s, SHUT_RDWR), -EBADF);
            CHECK_EQ(pica_set_nodelay(s, 1), -EBADF);
        } else {
            pica_stream *none = NULL;
            CHECK_EQ(pica_listener_fd(l), -EBADF);
            CHECK_EQ(pica_accept(l, &none, NULL), -EBADF);
            CHECK_EQ(pica_try_accept(l, &none, NULL), -EBADF);
        }
        scene_close(&x);
    }
}

static void second_waiter(void)
{
    for (int what = 0; what <= ACCEPTS; what++) {
        scene x;
        scene_open(&x, what);
        pica_task *task = peers_spawn(scene_wait, &x);
        PEERS_UNTIL_WAITING(task);
        CHECK_EQ(scene_wait(&x), -EBUSY);
        if (what == READS) /* the other direction is free */
            CHECK_EQ(pica_write(x.stream, "x", 1), 1);
        pica_cancel(task);
        CHECK_EQ(peers_result(task), -ECANCELED);
        pica_scope scope; /* and afterwards this one */
        pica_scope_begin(&scope, pica_after(PICA_MS(1)));
        CHECK_EQ(pica_scope_end(&scope, scene_wait(&x)), -ETIMEDOUT);
        scene_close(&x);
    }
}

/* --- Nothing is lost -------------------------------------------------------------------------- */

typedef struct trickling {
    int raw;
    uint64_t bytes;
} trickling;

static intptr_t trickle(void *arg)
{
    const trickling *t = arg;
    int raw = t->raw;
    check_rng rng = check_rng_make(3);
    for (uint64_t i = 0; i < t->bytes; i++) {
        char byte = (char)peers_byte(i);
        peers_send(raw, &byte, 1);
        if (check_rng_below(&rng, 4) == 0)
            (void)!pica_sleep((int64_t)check_rng_below(&rng, 60000));
    }
    shutdown(raw, SHUT_WR);
    return (intptr_t)t->bytes;
}

/* @return has the reader's deadline passed at times? Which of two random times is the shorter is
 * chance. */
static bool bytes_between_deadlines(unsigned pace, void *unused)
{
    trickling t = {.bytes = check_rounds(3000) * pace};
    pica_stream *s = peers_stream(&t.raw);
    pica_task *sender = peers_spawn(trickle, &t);
    check_rng rng = check_rng_make(100 + pace);
    (void)unused;
    uint64_t got = 0, timeouts = 0;
    for (;;) {
        unsigned char buffer[3];
        pica_scope scope;
        pica_scope_begin(&scope, pica_after((int64_t)check_rng_below(&rng, 60000)));
        ssize_t n = pica_scope_end(&scope, pica_read(s, buffer, 1 + check_rng_below(&rng, 3)));
        if (n == -ETIMEDOUT) {
            timeouts++;
            continue;
        }
        if (n <= 0) {
            CHECK_EQ(n, 0);
            break;
        }
        for (ssize_t i = 0; i < n; i++)
            if (buffer[i] != peers_byte(got + (uint64_t)i))
                check_fail(__FILE__, __LINE__, "byte %llu is wrong", (unsigned long long)got);
        got += (uint64_t)n;
    }
    CHECK_EQ(peers_result(sender), got);
    close(t.raw);
    pica_close(s);
    return timeouts > 0;
}

/* A reader whose deadline passes again and again gets every byte once. */
static void no_byte_is_lost(void)
{
    CHECK_PACED(bytes_between_deadlines, NULL);
}

typedef struct knocking {
    pica_addr at;
    uint64_t times;
} knocking;

static intptr_t knock(void *arg)
{
    const knocking *k = arg;
    check_rng rng = check_rng_make(5);
    for (uint64_t i = 0; i < k->times; i++) {
        int raw = peers_raw_connect(&k->at);
        unsigned char number[2] = {(unsigned char)i, (unsigned char)(i >> 8)};
        peers_send(raw, number, 2);
        close(raw);
        if (check_rng_below(&rng, 3) == 0)
            (void)!pica_sleep((int64_t)check_rng_below(&rng, 200000));
    }
    return (intptr_t)k->times;
}

/* @return has the acceptor given up at times? */
static bool connections_between_deadlines(unsigned pace, void *unused)
{
    knocking k = {.times = check_rounds(300) * pace};
    pica_listener *l = peers_listen(&k.at);
    pica_task *knocker = peers_spawn(knock, &k);
    check_rng rng = check_rng_make(200 + pace);
    uint64_t taken = 0, timeouts = 0;
    (void)unused;
    while (taken < k.times) {
        pica_stream *s = NULL;
        pica_scope scope;
        pica_scope_begin(&scope, pica_after((int64_t)check_rng_below(&rng, 100000)));
        int rc = (int)pica_scope_end(&scope, pica_accept(l, &s, NULL));
        if (rc == -ETIMEDOUT) {
            CHECK(s == NULL);
            timeouts++;
            continue;
        }
        unsigned char number[2] = {0, 0};
        if (!CHECK_OK(rc))
            break;
        CHECK_EQ(pica_read(s, number, 2), 2);
        CHECK_EQ(number[0] | number[1] << 8, taken & 0xffff);
        taken++;
        pica_close(s);
    }
    CHECK_EQ(peers_result(knocker), taken);
    pica_listener_close(l);
    return timeouts > 0;
}

/* An acceptor that gives up again and again takes every connection, in order. */
static void no_connection_is_lost(void)
{
    CHECK_PACED(connections_between_deadlines, NULL);
}

static intptr_t write_for_ever(void *arg)
{
    static const char block[5000];
    intptr_t sum = 0;
    for (;;) {
        ssize_t n = pica_write(arg, block, sizeof(block));
        if (n < 0) {
            CHECK_EQ(n, -ECANCELED);
            return sum;
        }
        sum += n;
    }
}

/* What a cancelled writer counted is what arrives. */
static void what_was_written_arrives(void)
{
    for (uint64_t round = 0; round < check_rounds(20); round++) {
        int raw;
        static char block[65536];
        pica_stream *s = peers_stream(&raw);
        pica_task *writer = peers_spawn(write_for_ever, s);
        intptr_t arrived = 0;
        ssize_t n;
        for (uint64_t i = 0; i < round; i++) {
            if ((n = recv(raw, block, sizeof(block), MSG_DONTWAIT)) > 0)
                arrived += n;
            CHECK_OK(pica_yield());
        }
        pica_cancel(writer);
        intptr_t written = peers_result(writer);
        pica_close(s);
        while ((n = recv(raw, block, sizeof(block), 0)) > 0)
            arrived += n;
        CHECK_EQ(arrived, written);
        close(raw);
    }
}

/* --- Others run, too --------------------------------------------------------------------------- */

static intptr_t count_turns(void *arg)
{
    uint64_t *turns = arg;
    while (pica_yield() == 0)
        pi_store_relaxed(turns, pi_load_relaxed(turns) + 1);
    return 0;
}

/* A stream that always has bytes, or room, does not keep its task running for ever. */
static void a_busy_stream_lets_others_run(void)
{
    enum { CALLS = 2000 };
    static char block[4 * CALLS];
    int raw;
    char byte;
    uint64_t turns = 0;
    pica_stream *s = peers_stream(&raw);
    peers_send(raw, block, sizeof(block));
    pica_task *other = peers_spawn(count_turns, &turns);
    for (int i = 0; i < CALLS; i++)
        CHECK_EQ(pica_read(s, &byte, 1), 1);
    uint64_t after_reads = pi_load_relaxed(&turns);
    CHECK_LT(CALLS / 100, after_reads);
    for (int i = 0; i < CALLS; i++)
        CHECK_EQ(pica_write(s, &byte, 1), 1);
    CHECK_LT(after_reads + CALLS / 100, pi_load_relaxed(&turns));
    pica_cancel(other);
    CHECK_EQ(peers_result(other), 0);
    close(raw);
    pica_close(s);
}

/* --- Misuse ------------------------------------------------------------------------------------ */

static intptr_t closes_twice(void *arg)
{
    pica_addr at;
    pica_listener *l = peers_listen(&at);
    pica_listener_close(l);
    pica_listener_close(l);
    return (intptr_t)arg;
}

static void closed_twice(void)
{
    death_says_in_task(closes_twice, "a stream or listener was closed twice");
}

/* --- Slots are reused ------------------------------------------------------------------------- */

typedef struct reuse {
    check_latch stop;
    uint64_t salt;
} reuse;

static intptr_t read_my_tag(void *arg)
{
    unsigned char got[2] = {0, 0};
    ssize_t n = pica_read(arg, got, 2);
    return n < 0 ? n : n == 0 ? -ENODATA : got[0];
}

/* Close in the same moment as bytes arrive, so that events of an earlier life of a slot are
 * about when the next one begins. A reader may see its own bytes, the end or the close,
 * never another connection's and never nothing. (It waits first: a handle must not be used
 * for the first time after its close.) */
static intptr_t reuser(void *arg)
{
    reuse *r = arg;
    check_rng rng = check_rng_make(r->salt);
    uint64_t rounds = check_rounds(300);
    for (uint64_t i = 0; i < rounds; i++) {
        int raw;
        unsigned char tag = (unsigned char)(1 + (r->salt * 16 + i) % 255);
        pica_stream *s = peers_stream(&raw);
        pica_task *reader = peers_spawn(read_my_tag, s);
        PEERS_UNTIL_WAITING(reader);
        bool ends = check_rng_below(&rng, 3) == 0;
        bool close_first = check_rng_below(&rng, 3) != 0;
        if (ends)
            shutdown(raw, SHUT_WR);
        else
            peers_send(raw, &tag, 1);
        if (check_rng_below(&rng, 4) == 0)
            CHECK_OK(pica_yield());
        if (close_first)
            pica_close(s);
        intptr_t rc = peers_result(reader);
        CHECK(rc == (ends ? -ENODATA : tag) || (close_first && rc == -EBADF));
        if (!close_first)
            pica_close(s);
        close(raw);
    }
    return 0;
}

static void slots_are_reused(void)
{
    enum { N = 4 };
    reuse jobs[N];
    pica_task *tasks[N];
    for (int i = 0; i < N; i++) {
        jobs[i] = (reuse){.salt = (uint64_t)i};
        tasks[i] = peers_spawn(reuser, &jobs[i]);
    }
    for (int i = 0; i < N; i++) {
        intptr_t rc = -1;
        CHECK_EQ(pica_join(tasks[i], &rc), 0);
        CHECK_EQ(rc, 0);
        pica_unref(tasks[i]);
    }
}

/* --- A storm ---------------------------------------------------------------------------------- */

static intptr_t storm_writer(void *arg)
{
    ssize_t n;
    do
        n = pica_write(arg, "0123456789", 10);
    while (n > 0);
    return n;
}

static intptr_t storm_reader(void *arg)
{
    char buffer[64];
    ssize_t n;
    do
        n = pica_read(arg, buffer, sizeof(buffer));
    while (n > 0);
    return n;
}

/* Readers and writers on both ends while one end is closed and tasks are cancelled. */
static void storm(void)
{
    check_rng rng = check_rng_make(8);
    for (uint64_t round = 0; round < check_rounds(100); round++) {
        pica_stream *ends[2];
        pica_task *tasks[4];
        peers_pair(&ends[0], &ends[1]);
        for (int i = 0; i < 4; i++)
            tasks[i] = peers_spawn(i & 1 ? storm_writer : storm_reader, ends[i >> 1]);
        for (uint64_t i = check_rng_below(&rng, 4); i > 0; i--)
            CHECK_OK(pica_yield());
        if (check_rng_below(&rng, 2))
            pica_cancel(tasks[check_rng_below(&rng, 4)]);
        pica_close(ends[round & 1]);
        for (int i = 0; i < 4; i++) {
            intptr_t rc = peers_result(tasks[i]);
            CHECK(rc == 0 || rc == -EBADF || rc == -ECANCELED || rc == -EPIPE || rc == -ECONNRESET);
        }
        pica_close(ends[!(round & 1)]);
    }
}

/* --- A waiter of another executor ------------------------------------------------------------ */

static intptr_t reads_one(void *arg)
{
    char byte = 0;
    pica_stream *s = arg;
    return pica_read(s, &byte, 1);
}

/* A stream belongs to an executor, and no other's task should wait for it. Where one did, and its
 * executor is gone, the descriptor still names its wait: no event may follow that. */
static void a_waiter_whose_executor_is_gone(void)
{
    int raw;
    char byte = 0;
    pica_stream *s = peers_stream(&raw);
    pica_task *task = peers_spawn(reads_one, s); /* so that it is registered here */
    PEERS_UNTIL_WAITING(task);
    peers_send(raw, "a", 1);
    CHECK_EQ(peers_result(task), 1);
    pica_options options = check_options();
    pica_executor *other = check_executor_open(&options);
    CHECK_FATAL_OK(pica_executor_spawn(other, &task, reads_one, s));
    PEERS_UNTIL_WAITING(task);
    peers_send(raw, "b", 1);
    CHECK_EQ(peers_result(task), 1);
    check_executor_close(other);
    peers_send(raw, "c", 1);
    for (int i = 0; i < 3; i++) /* while nobody waits */
        CHECK_OK(pica_sleep(PICA_MS(1)));
    CHECK_EQ(pica_read(s, &byte, 1), 1);
    CHECK_EQ(byte, 'c');
    pica_close(s);
    close(raw);
}

CHECK_MAIN
{
    check_run("cancelled in each wait", cancelled);
    check_run("timed out in each wait", timed_out);
    check_run("closed in each wait", closed);
    check_run("a second waiter is told", second_waiter);
    check_run("no byte is lost", no_byte_is_lost);
    check_run("no connection is lost", no_connection_is_lost);
    check_run("what was written arrives", what_was_written_arrives);
    check_run_in(CHECK_ONE, "a busy stream lets others run", a_busy_stream_lets_others_run);
    check_plain("closed twice", closed_twice);
    check_run("slots are reused", slots_are_reused);
    check_run("a storm of closes and cancels", storm);
    check_run("a waiter whose executor is gone", a_waiter_whose_executor_is_gone);
}
