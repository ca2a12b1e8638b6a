/* SPDX-License-Identifier: MIT */
/* own_test.c: a socket that one task has to itself: bytes through it, waits that fail and are made
 * again, and what others may still do with it. All interleavings of its word: descriptor_model.c. */
#include "io/own.h"
#include "tests/io/peers.h"

static ssize_t read_some(pica_stream *s, char *to, size_t n)
{
    ssize_t rc;
    do
        rc = pi_own_wait(s);
    while (rc == 0 && (rc = pi_own_read(s, to, n)) == -EAGAIN);
    return rc;
}

static ssize_t write_some(pica_stream *s, const struct iovec *parts, int n)
{
    ssize_t rc;
    do
        rc = pi_own_wait_to_write(s);
    while (rc == 0 && (rc = pi_own_writev(s, parts, n)) == -EAGAIN);
    return rc;
}

static int write_all(pica_stream *s, const char *from, size_t n)
{
    for (size_t done = 0; done < n;) {
        struct iovec parts[2] = {
            {.iov_base = (void *)(uintptr_t)(from + done), .iov_len = (n - done + 1) / 2},
            {.iov_base = (void *)(uintptr_t)(from + done + (n - done + 1) / 2),
             .iov_len = (n - done) / 2}};
        ssize_t rc = pi_own_try_write(s, from + done, n - done);
        if (rc == -EAGAIN)
            rc = write_some(s, parts, 1 + (int)(done % 2));
        if (rc < 0)
            return (int)rc;
        done += (size_t)rc;
    }
    return 0;
}

/* What comes goes back, in pieces of its own size, until the end. */
static intptr_t echoes(void *arg)
{
    pica_stream *s = arg;
    static char buffer[32768];
    intptr_t total = 0;
    ssize_t n;
    CHECK_FATAL_OK(pi_own_begin(s));
    for (size_t size = 1; (n = read_some(s, buffer, size)) > 0; size = size * 2 % 32767 + 1) {
        CHECK_OK(write_all(s, buffer, (size_t)n));
        total += n;
    }
    CHECK_EQ(n, 0);
    CHECK_EQ(read_some(s, buffer, 1), 0); /* and so it stays */
    pi_own_end(s);
    pica_close(s);
    return total;
}

static intptr_t reads_back(void *arg)
{
    pica_stream *s = arg;
    uint64_t at = 0, wrong = 0;
    char buffer[5000];
    ssize_t n;
    while ((n = pica_read(s, buffer, sizeof(buffer))) > 0)
        for (ssize_t i = 0; i < n; i++)
            wrong += (buffer[i] & 0xff) != peers_byte(at++);
    CHECK_EQ(n, 0);
    CHECK_EQ(wrong, 0);
    return (intptr_t)at;
}

/* Far more than the sockets hold, by a peer that does not wait for what comes back: so reads
 * and writes both wait, and do not. */
static void bytes_come_back(void)
{
    enum { TOTAL = 4 << 20 };
    pica_stream *near, *far;
    char block[4099];
    peers_pair(&near, &far);
    pica_task *echo = peers_spawn(echoes, far), *reader = peers_spawn(reads_back, near);
    for (uint64_t at = 0; at < TOTAL;) {
        size_t n = TOTAL - at < sizeof(block) ? (size_t)(TOTAL - at) : sizeof(block);
        for (size_t i = 0; i < n; i++)
            block[i] = (char)peers_byte(at + i);
        CHECK_FATAL_OK(pica_write_all(near, block, n, NULL));
        at += n;
    }
    CHECK_OK(pica_shutdown(near, SHUT_WR));
    CHECK_EQ(peers_result(echo), TOTAL);
    CHECK_EQ(peers_result(reader), TOTAL);
    pica_close(near);
}

typedef struct patience {
    pica_stream *s;
    uint32_t given_up; /* [atomic] how often; or that it may */
} patience;

/* A wait that fails by a deadline leaves all as it was: bytes that come later are read. */
static intptr_t gives_up_first(void *arg)
{
    patience *p = arg;
    pica_stream *s = p->s;
    char byte;
    CHECK_FATAL_OK(pi_own_begin(s));
    for (int i = 0; i < 3; i++) {
        pica_scope scope;
        pica_scope_begin(&scope, pica_after(PICA_MS(1)));
        CHECK_EQ(pica_scope_end(&scope, (int)read_some(s, &byte, 1)), -ETIMEDOUT);
    }
    pi_add_relaxed(&p->given_up, 1u);
    CHECK_EQ(read_some(s, &byte, 1), 1);

    peers_fill(s);
    pica_scope scope;
    struct iovec part = {.iov_base = &byte, .iov_len = 1};
    CHECK_EQ(pi_own_try_write(s, &byte, 1), -EAGAIN);
    pica_scope_begin(&scope, pica_after(PICA_MS(1)));
    CHECK_EQ(pica_scope_end(&scope, (int)write_some(s, &part, 1)), -ETIMEDOUT);
    pi_add_relaxed(&p->given_up, 1u);
    int rc = (int)write_some(s, &part, 1);
    CHECK_EQ(pi_own_try_write(s, &byte, 1), 1); /* there is room, of which no event will tell */
    CHECK_EQ(rc, 1);

    CHECK_OK(pica_cancel(pica_self()));
    CHECK_EQ(pi_own_try_write(s, &byte, 1), -ECANCELED);
    CHECK_EQ(pi_own_wait_to_write(s), -ECANCELED);
    CHECK_EQ(pi_own_wait(s), -ECANCELED);
    pi_own_end(s);
    return rc;
}

static void failed_waits(void)
{
    int raw;
    patience p = {.s = peers_local_stream(&raw)};
    static char waste[65536];
    pica_task *task = peers_spawn(gives_up_first, &p);
    CHECK_SOON(pi_load_relaxed(&p.given_up) == 1);
    CHECK_EQ(pica_read(p.s, waste, 1), -EBUSY); /* the owner is still inside */
    peers_send(raw, "x", 1);
    CHECK_SOON(pi_load_relaxed(&p.given_up) == 2);
    CHECK_EQ(pica_write(p.s, waste, 1), -EBUSY);
    while (pica_task_status(task) != PICA_DONE) {
        (void)!recv(raw, waste, sizeof(waste), MSG_DONTWAIT);
        CHECK_OK(pica_yield());
    }
    CHECK_EQ(peers_result(task), 1);
    close(raw);
    pica_close(p.s);
}

/* Each nudge ends one wait, for input or for room, or the next one; then there is nothing. */
static intptr_t is_nudged(void *arg)
{
    patience *p = arg;
    char byte = 'x';
    struct iovec part = {.iov_base = &byte, .iov_len = 1};
    CHECK_FATAL_OK(pi_own_begin(p->s));
    peers_fill(p->s);
    for (int i = 0; i < 4; i++) {
        int rc;
        do {
            rc = pi_own_wait(p->s);
            CHECK_EQ(pi_own_read(p->s, &byte, 1), -EAGAIN);
        } while (rc == 0 && pi_load_acquire(&p->given_up) == 0);
        CHECK_OK(rc);
        pi_store_relaxed(&p->given_up, 0u);
        do {
            rc = pi_own_wait_to_write(p->s);
            CHECK_EQ(pi_own_writev(p->s, &part, 1), -EAGAIN);
        } while (rc == 0 && pi_load_acquire(&p->given_up) == 0);
        CHECK_OK(rc);
        pi_store_relaxed(&p->given_up, 0u);
    }
    pi_own_end(p->s);
    return 0;
}

static void nudged(void)
{
    int raw;
    patience p = {.s = peers_local_stream(&raw)};
    pica_task *task = peers_spawn(is_nudged, &p);
    for (int i = 0; i < 8; i++) {
        if (i % 4 < 2)
            PEERS_UNTIL_WAITING(task);
        pi_store_release(&p.given_up, 1u);
        pi_own_nudge(p.s);
        CHECK_SOON(pi_load_relaxed(&p.given_up) == 0);
    }
    CHECK_EQ(peers_result(task), 0);
    close(raw);
    pica_close(p.s);
}

/* Others are told that somebody is inside, may shut the socket, and can use it again later. */
static intptr_t waits_for_end(void *arg)
{
    pica_stream *s = arg;
    char byte;
    CHECK_FATAL_OK(pi_own_begin(s));
    CHECK_EQ(pi_own_begin(s), -EBUSY);
    ssize_t rc = read_some(s, &byte, 1);
    pi_own_end(s);
    return rc;
}

static void others(void)
{
    int raw;
    char byte = 'x';
    pica_addr at;
    pica_stream *s = peers_stream(&raw);
    pica_task *task = peers_spawn(waits_for_end, s);
    PEERS_UNTIL_WAITING(task);
    CHECK_EQ(pica_read(s, &byte, 1), -EBUSY);
    CHECK_EQ(pica_write(s, &byte, 1), -EBUSY);
    CHECK_OK(pica_local_addr(s, &at));
    CHECK_OK(pica_shutdown(s, SHUT_RD));
    CHECK_EQ(peers_result(task), 0);
    CHECK_EQ(pica_write(s, &byte, 1), 1);
    CHECK_EQ(pica_read(s, &byte, 1), 0);
    close(raw);
    pica_close(s);
}

/* A peer that never lets it wait does not keep its task running for ever. */
static intptr_t reads_without_end(void *arg)
{
    pica_stream *s = arg;
    char byte;
    intptr_t n = 0;
    CHECK_FATAL_OK(pi_own_begin(s));
    while (read_some(s, &byte, 1) == 1)
        n++;
    pi_own_end(s);
    return n;
}

static void busy_peer(void)
{
    enum { BYTES = 10000 };
    int raw;
    static const char bytes[BYTES];
    pica_stream *s = peers_stream(&raw);
    peers_send(raw, bytes, BYTES);
    pica_task *task = peers_spawn(reads_without_end, s);
    CHECK_OK(pica_yield());
    long turns = 0;
    for (; turns < 1000000 && pica_task_status(task) != PICA_WAITING; turns++)
        CHECK_OK(pica_yield());
    if (check_mode() == CHECK_ONE)
        CHECK_LT(BYTES / PI_STREAK_MAX / 2, turns);
    shutdown(raw, SHUT_WR);
    CHECK_EQ(peers_result(task), BYTES);
    close(raw);
    pica_close(s);
}

CHECK_MAIN
{
    check_run("bytes come back", bytes_come_back);
    check_run("failed waits", failed_waits);
    check_run("nudged", nudged);
    check_run("others", others);
    check_run("a busy peer", busy_peer);
}
