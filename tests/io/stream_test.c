/* SPDX-License-Identifier: MIT */
/* stream_test.c: bytes through TCP streams: what arrives, how an end looks, what a short
 * read may mean. Waits that end otherwise are in wait_test.c. */
#include "executor/sched/worker.h"
#include "tests/io/peers.h"

#include <limits.h>
#include <pthread.h>
#include <signal.h>

/* --- Echo --------------------------------------------------------------------------------- */

static intptr_t echo_one(void *arg)
{
    pica_stream *s = arg;
    char buffer[512];
    intptr_t total = 0;
    ssize_t n;
    while ((n = pica_read(s, buffer, sizeof(buffer))) > 0) {
        CHECK_OK(pica_write_all(s, buffer, (size_t)n, NULL));
        total += n;
    }
    CHECK_EQ(n, 0);
    pica_close(s);
    return total;
}

static void echo_between(const pica_addr *bind_to)
{
    pica_listener *l = NULL;
    pica_addr at, peer, local;
    CHECK_FATAL_OK(pica_tcp_listen(&l, bind_to, NULL));
    CHECK_FATAL_OK(pica_listener_addr(l, &at));
    pica_stream *client = NULL, *server = NULL;
    CHECK_FATAL_OK(pica_tcp_connect(&client, &at));
    CHECK_FATAL_OK(pica_accept(l, &server, &peer));
    CHECK_OK(pica_local_addr(client, &local));
    CHECK_EQ(local.length, peer.length);
    CHECK_MEM(&local.storage, &peer.storage, peer.length);
    CHECK_OK(pica_peer_addr(client, &peer));
    CHECK_EQ(pica_addr_port(&peer), pica_addr_port(&at));

    pica_task *echo = peers_spawn(echo_one, server);
    char message[64], back[64];
    intptr_t sum = 0;
    for (int i = 0; i < 200; i++) {
        memset(message, i, sizeof(message));
        size_t n = (size_t)(1 + i % 64), got = 0;
        CHECK_EQ(pica_write(client, message, n), n);
        while (got < n) {
            ssize_t m = pica_read(client, back + got, sizeof(back) - got);
            if (!CHECK(m > 0))
                break;
            got += (size_t)m;
        }
        CHECK_EQ(got, n);
        CHECK_MEM(message, back, n);
        sum += (intptr_t)n;
    }
    CHECK_OK(pica_shutdown(client, SHUT_WR));
    CHECK_EQ(pica_read(client, back, sizeof(back)), 0);
    CHECK_EQ(pica_read(client, back, sizeof(back)), 0);
    CHECK_EQ(peers_result(echo), sum);
    pica_close(client);
    pica_listener_close(l);
}

static void echo_v4(void)
{
    pica_addr at = peers_any();
    echo_between(&at);
}

static void echo_v6(void)
{
    pica_addr at;
    int probe = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_OK(pica_addr_parse(&at, "[::1]:0", 0));
    bool there = probe >= 0 && bind(probe, (struct sockaddr *)&at.storage, at.length) == 0;
    close(probe);
    if (there)
        echo_between(&at);
}

static intptr_t echo_client(void *arg)
{
    const pica_addr *at = arg;
    pica_stream *s = NULL;
    char message[64], back[64];
    CHECK_FATAL_OK(pica_tcp_connect(&s, at));
    for (int i = 0; i < 50; i++) {
        memset(message, i, sizeof(message));
        CHECK_OK(pica_write_all(s, message, sizeof(message), NULL));
        for (size_t got = 0; got < sizeof(back);) {
            ssize_t n = pica_read(s, back + got, sizeof(back) - got);
            if (!CHECK(n > 0))
                break;
            got += (size_t)n;
        }
        CHECK_MEM(message, back, sizeof(back));
    }
    pica_close(s);
    return 0;
}

enum { CLIENTS = 50 };

static intptr_t echo_server(void *arg)
{
    pica_listener *l = arg;
    pica_stream *s;
    pica_task *echoes[CLIENTS];
    int rc, n = 0;
    while ((rc = pica_accept(l, &s, NULL)) == 0)
        echoes[n++] = peers_spawn(echo_one, s);
    CHECK_EQ(n, CLIENTS);
    while (n > 0)
        CHECK_EQ(peers_result(echoes[--n]), 50 * 64);
    return rc;
}

static void many_connections(void)
{
    pica_addr at;
    pica_listener *l = peers_listen(&at);
    pica_task *server = peers_spawn(echo_server, l);
    pica_task *clients[CLIENTS];
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = peers_spawn(echo_client, &at);
    for (int i = 0; i < CLIENTS; i++)
        CHECK_EQ(peers_result(clients[i]), 0);
    pica_listener_close(l);
    CHECK_EQ(peers_result(server), -EBADF);
}

/* --- Bulk --------------------------------------------------------------------------------- */

typedef struct bulk {
    pica_stream *stream;
    uint64_t bytes, seed;
} bulk;

static intptr_t bulk_writer(void *arg)
{
    bulk *b = arg;
    check_rng rng = check_rng_make(b->seed);
    static const size_t most = 100000;
    char *block = malloc(most);
    CHECK_FATAL(block != NULL);
    for (uint64_t at = 0; at < b->bytes;) {
        uint64_t n = 1 + check_rng_below(&rng, most);
        if (n > b->bytes - at)
            n = b->bytes - at;
        for (uint64_t i = 0; i < n; i++)
            block[i] = (char)peers_byte(at + i + b->seed);
        if (check_rng_below(&rng, 2)) {
            struct iovec iov[3] = {{block, n / 3}, {block + n / 3, 0}, {block + n / 3, n - n / 3}};
            ssize_t m = pica_writev(b->stream, iov, 3);
            if (!CHECK_OK(m))
                break;
            at += (uint64_t)m;
        } else {
            size_t m = 0;
            if (!CHECK_OK(pica_write_all(b->stream, block, n, &m)))
                break;
            CHECK_EQ(m, n);
            at += m;
        }
    }
    CHECK_OK(pica_shutdown(b->stream, SHUT_WR));
    free(block);
    return 0;
}

static intptr_t bulk_reader(void *arg)
{
    bulk *b = arg;
    check_rng rng = check_rng_make(b->seed + 1);
    static const size_t most = 50000;
    unsigned char *block = malloc(most);
    CHECK_FATAL(block != NULL);
    uint64_t at = 0;
    uint64_t wrong = 0;
    for (;;) {
        size_t n = 2 + check_rng_below(&rng, most - 2);
        struct iovec iov[2] = {{block, n / 2}, {block + n / 2, n - n / 2}};
        ssize_t m = check_rng_below(&rng, 2) ? pica_readv(b->stream, iov, 2)
                                             : pica_read(b->stream, block, n);
        if (m <= 0) {
            CHECK_EQ(m, 0);
            break;
        }
        for (ssize_t i = 0; i < m; i++)
            wrong += block[i] != peers_byte(at + (uint64_t)i + b->seed);
        at += (uint64_t)m;
    }
    CHECK_EQ(wrong, 0);
    CHECK_EQ(at, b->bytes);
    free(block);
    return 0;
}

/* Both directions of one stream at once, with full buffers. */
static void bulk_both_ways(void)
{
    pica_stream *a, *b;
    peers_pair(&a, &b);
    const uint64_t bytes = check_rounds(8) << 20;
    bulk jobs[4] = {{a, bytes, 1}, {b, bytes, 1}, {b, bytes, 7}, {a, bytes, 7}};
    pica_task *tasks[4];
    for (int i = 0; i < 4; i++)
        tasks[i] = peers_spawn(i % 2 ? bulk_reader : bulk_writer, &jobs[i]);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(peers_result(tasks[i]), 0);
    pica_close(a);
    pica_close(b);
}

/* --- Ends --------------------------------------------------------------------------------- */

/* Bytes and FIN arrive before the first look, so that there is one event for both, or none:
 * the short read must not be taken for the last thing that there is to know. */
static void data_with_its_end(void)
{
    for (int delayed = 0; delayed < 2; delayed++) {
        int raw;
        char buffer[100];
        pica_stream *s = peers_stream(&raw);
        if (delayed) { /* registered already */
            pica_scope scope;
            pica_scope_begin(&scope, pica_after(PICA_MS(1)));
            CHECK_EQ(pica_scope_end(&scope, pica_read(s, buffer, 100)), -ETIMEDOUT);
        }
        peers_send(raw, "abc", 3);
        close(raw);
        CHECK_EQ(pica_read(s, buffer, 100), 3);
        CHECK_EQ(pica_read(s, buffer, 100), 0);
        CHECK_EQ(pica_read(s, buffer, 100), 0);
        pica_close(s);
    }
}

static intptr_t read_all(void *arg)
{
    char buffer[100];
    intptr_t sum = 0;
    ssize_t n;
    while ((n = pica_read(arg, buffer, sizeof(buffer))) > 0)
        sum += n;
    return n < 0 ? n : sum;
}

/* The end at any moment around the bytes before it. */
static void the_end_is_seen(void)
{
    for (uint64_t round = 0; round < check_rounds(200); round++) {
        int raw;
        pica_stream *s = peers_stream(&raw);
        pica_task *reader = peers_spawn(read_all, s);
        peers_send(raw, "abc", 3);
        if (round % 3 == 0)
            CHECK_OK(pica_yield());
        peers_send(raw, "de", 2);
        if (round % 2 == 0)
            CHECK_OK(pica_yield());
        shutdown(raw, SHUT_WR);
        CHECK_EQ(peers_result(reader), 5);
        close(raw);
        pica_close(s);
    }
}

static void half_closed(void)
{
    pica_stream *a, *b;
    char buffer[8];
    peers_pair(&a, &b);
    CHECK_OK(pica_shutdown(a, SHUT_WR));
    CHECK_EQ(pica_read(b, buffer, 8), 0);
    CHECK_EQ(pica_write(b, "still", 5), 5);
    CHECK_EQ(pica_read(a, buffer, 8), 5);
    CHECK_EQ(pica_write(a, "x", 1), -EPIPE); /* and no SIGPIPE: the process lives */
    CHECK_EQ(pica_shutdown(a, 99), -EINVAL);
    pica_close(a);
    pica_close(b);
}

static intptr_t read_once(void *arg)
{
    char buffer[8];
    return pica_read(arg, buffer, sizeof(buffer));
}

static void reset(void)
{
    int raw;
    char buffer[8];
    pica_stream *s = peers_stream(&raw);
    pica_task *reader = peers_spawn(read_once, s);
    PEERS_UNTIL_WAITING(reader);
    const struct linger now = {.l_onoff = 1, .l_linger = 0};
    CHECK_EQ(setsockopt(raw, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
    close(raw);
    CHECK_EQ(peers_result(reader), -ECONNRESET);
    CHECK_EQ(pica_read(s, buffer, 8), 0);
    CHECK_EQ(pica_write(s, "x", 1), -EPIPE);
    pica_close(s);
}

static void refused(void)
{
    pica_addr at;
    pica_stream *s = NULL;
    int raw = peers_raw_listen(&at, 1);
    close(raw);
    CHECK_EQ(pica_tcp_connect(&s, &at), -ECONNREFUSED);
    CHECK(s == NULL);
    at.storage.ss_family = AF_UNIX;
    CHECK_EQ(pica_tcp_connect(&s, &at), -EAFNOSUPPORT);
    CHECK_EQ(pica_tcp_connect(&s, NULL), -EINVAL);
    CHECK_EQ(pica_tcp_connect(NULL, &at), -EINVAL);
}

/* Reading stops at the urgent byte, so the bytes after it come by a read of their own. */
static void urgent_byte(void)
{
    int raw;
    char buffer[64];
    pica_stream *s = peers_stream(&raw);
    pica_task *reader = peers_spawn(read_once, s);
    PEERS_UNTIL_WAITING(reader);
    peers_send(raw, "x", 1);
    CHECK_EQ(peers_result(reader), 1);
    peers_send(raw, "abc", 3);
    CHECK_EQ(send(raw, "!", 1, MSG_OOB), 1);
    peers_send(raw, "def", 3);
    shutdown(raw, SHUT_WR);
    size_t got = 0;
    ssize_t n;
    while ((n = pica_read(s, buffer + got, sizeof(buffer) - got)) > 0)
        got += (size_t)n;
    CHECK_EQ(n, 0);
    CHECK_EQ(got, 6);
    CHECK_MEM(buffer, "abcdef", 6);
    close(raw);
    pica_close(s);
}

/* --- Arguments, options ---------------------------------------------------------------------- */

static void vectors(void)
{
    pica_stream *a, *b;
    char left[3], right[8];
    struct iovec out[3] = {
        {(void *)(uintptr_t) "ab", 2}, {NULL, 0}, {(void *)(uintptr_t) "cdef", 4}};
    struct iovec in[2] = {{left, 3}, {right, 8}};
    peers_pair(&a, &b);
    CHECK_EQ(pica_writev(a, out, 3), 6);
    CHECK_EQ(pica_readv(b, in, 2), 6);
    CHECK_MEM(left, "abc", 3);
    CHECK_MEM(right, "def", 3);
    CHECK_EQ(pica_writev(a, out, -1), -EINVAL);
    CHECK_EQ(pica_writev(a, out, IOV_MAX + 1), -EINVAL);
    CHECK_EQ(pica_readv(b, in, -1), -EINVAL);
    CHECK_EQ(pica_readv(b, in, IOV_MAX + 1), -EINVAL);
    CHECK_EQ(pica_writev(a, NULL, 0), 0);
    CHECK_EQ(pica_readv(b, NULL, 0), 0);
    CHECK_EQ(pica_writev(a, out + 1, 1), 0);
    CHECK_EQ(pica_read(b, left, 0), 0);
    CHECK_EQ(pica_write(a, left, 0), 0);
    CHECK_EQ(pica_write_all(a, left, 0, NULL), 0);
    size_t written = 7;
    CHECK_EQ(pica_write(a, NULL, 3), -EFAULT);
    CHECK_EQ(pica_write_all(a, NULL, 3, &written), -EFAULT);
    CHECK_EQ(written, 0);
    CHECK_EQ(pica_read(NULL, left, 1), -EINVAL);
    CHECK_EQ(pica_write(NULL, left, 1), -EINVAL);
    pica_close(a);
    pica_close(b);
    CHECK(pica_close(NULL) == NULL);
    CHECK(pica_listener_close(NULL) == NULL);
}

static int int_option(int fd, int level, int name)
{
    int value = -1;
    socklen_t length = sizeof(value);
    return getsockopt(fd, level, name, &value, &length) ? -1 : value;
}

static void options(void)
{
    pica_addr at;
    pica_listener *l = peers_listen(&at);
    pica_stream *client = NULL, *server = NULL;
    CHECK_FATAL_OK(pica_tcp_connect(&client, &at));
    CHECK_FATAL_OK(pica_accept(l, &server, NULL));
    const int fds[3] = {pica_stream_fd(client), pica_stream_fd(server), pica_listener_fd(l)};
    for (int i = 0; i < 3; i++) {
        CHECK(fcntl(fds[i], F_GETFL) & O_NONBLOCK);
        CHECK(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
        CHECK_EQ(int_option(fds[i], IPPROTO_TCP, TCP_NODELAY), 1);
    }
    CHECK_OK(pica_set_nodelay(server, 0));
    CHECK_EQ(int_option(fds[1], IPPROTO_TCP, TCP_NODELAY), 0);
    CHECK_OK(pica_set_keepalive(server, 30, 5, 4));
    CHECK_EQ(int_option(fds[1], SOL_SOCKET, SO_KEEPALIVE), 1);
    CHECK_EQ(int_option(fds[1], IPPROTO_TCP, TCP_KEEPIDLE), 30);
    CHECK_EQ(int_option(fds[1], IPPROTO_TCP, TCP_KEEPINTVL), 5);
    CHECK_EQ(int_option(fds[1], IPPROTO_TCP, TCP_KEEPCNT), 4);
    CHECK_OK(pica_set_keepalive(server, 0, 0, 0));
    CHECK_EQ(int_option(fds[1], SOL_SOCKET, SO_KEEPALIVE), 0);
    CHECK_EQ(pica_set_keepalive(server, -1, 0, 0), -EINVAL);
    pica_close(client);
    pica_close(server);
    pica_listener_close(l);
}

/* --- Where the calls may be made -------------------------------------------------------------- */

static void *on_a_plain_thread(void *arg)
{
    char byte = 0;
    pica_stream *s = arg, *other = NULL;
    pica_listener *l = NULL;
    pica_addr at = peers_any();
    CHECK_EQ(pica_read(s, &byte, 1), -EPERM);
    CHECK_EQ(pica_write(s, &byte, 1), -EPERM);
    CHECK_EQ(pica_tcp_listen(&l, &at, NULL), -EPERM);
    CHECK_EQ(pica_tcp_connect(&other, &at), -EPERM);
    CHECK_EQ(pica_stream_adopt(&other, 0), -EPERM);
    CHECK_EQ(pica_poll_fd(0, POLLIN, PICA_NEVER), -EPERM);
    return NULL;
}

static void plain_thread(void)
{
    int raw;
    pthread_t thread;
    pica_stream *s = peers_stream(&raw);
    CHECK_FATAL(pthread_create(&thread, NULL, on_a_plain_thread, s) == 0);
    pthread_join(thread, NULL);
    close(raw);
    pica_close(s);
}

static intptr_t without_reactor(void *arg)
{
    pica_stream *s = NULL;
    pica_listener *l = NULL;
    pica_addr at = peers_any();
    CHECK_EQ(pica_tcp_listen(&l, &at, NULL), -ENOSYS);
    CHECK_EQ(pica_tcp_connect(&s, &at), -ENOSYS);
    CHECK_EQ(pica_stream_adopt(&s, 0), -ENOSYS);
    CHECK_EQ(pica_listener_adopt(&l, 0), -ENOSYS);
    CHECK_EQ(pica_poll_fd(0, POLLIN, PICA_NEVER), -ENOSYS);
    return (intptr_t)arg;
}

static void futex_driver(void)
{
    pica_options own = check_options();
    own.driver = PICA_DRIVER_FUTEX;
    CHECK_EQ(pica_run(without_reactor, NULL, &own), 0);
}

/* What is still open when the executor ends is closed by it. */
/* --- Fairness ----------------------------------------------------------------------------- */

static intptr_t raises(void *arg)
{
    pi_store_release((uint32_t *)arg, 1u);
    return 0;
}

/* With one worker: who never has to wait lets others run all the same, after 64 calls (the first
 * streak may be forgiven, because others ran before it). */
static void lets_others_run(void)
{
    pica_stream *a, *b;
    peers_pair(&a, &b);
    uint32_t ran = 0;
    pica_task *other = peers_spawn(raises, &ran);
    unsigned calls = 0;
    while (calls < 1000 && !pi_load_acquire(&ran)) {
        CHECK_EQ(pica_write(a, "x", 1), 1);
        calls++;
    }
    CHECK_LE(calls, 2 * 64 + 1);
    CHECK_EQ(peers_result(other), 0);
    pica_close(a);
    pica_close(b);
}

/* The monitor finds that turns are long here: sooner. */
static void lets_others_run_when_hurried(void)
{
    pica_stream *a, *b;
    peers_pair(&a, &b);
    uint32_t ran = 0;
    pica_task *other = peers_spawn(raises, &ran);
    CHECK_EQ(pica_write(a, "x", 1), 1);
    CHECK_EQ(pi_load_acquire(&ran), 0);
    pi_worker *worker = pi_worker_self();
    pi_store_relaxed(&worker->look_at, worker->turns); /* as the monitor */
    CHECK_EQ(pica_write(a, "x", 1), 1);
    CHECK_EQ(pi_load_acquire(&ran), 1);
    CHECK_EQ(peers_result(other), 0);
    pica_close(a);
    pica_close(b);
}

static intptr_t leaves_open(void *arg)
{
    int *fds = arg;
    pica_addr at;
    pica_stream *s;
    pica_listener *l = peers_listen(&at);
    CHECK_FATAL_OK(pica_tcp_connect(&s, &at));
    fds[0] = pica_listener_fd(l);
    fds[1] = pica_stream_fd(s);
    return 0;
}

static void left_open(void)
{
    int fds[2] = {-1, -1};
    pica_options own = check_options();
    CHECK_EQ(pica_run(leaves_open, fds, &own), 0);
    CHECK(fds[0] >= 0 && fcntl(fds[0], F_GETFD) < 0);
    CHECK(fds[1] >= 0 && fcntl(fds[1], F_GETFD) < 0);
}

CHECK_MAIN
{
    check_run("echo over IPv4", echo_v4);
    check_run("echo over IPv6", echo_v6);
    check_run("many connections", many_connections);
    check_run("bulk both ways", bulk_both_ways);
    check_run("data with its end", data_with_its_end);
    check_run("the end is seen", the_end_is_seen);
    check_run("half-closed", half_closed);
    check_run("reset by peer", reset);
    check_run("refused", refused);
    check_run("urgent byte", urgent_byte);
    check_run("vectors and empty buffers", vectors);
    check_run("options", options);
    check_run_in(CHECK_ONE, "lets others run", lets_others_run);
    check_run_in(CHECK_ONE, "lets others run when hurried", lets_others_run_when_hurried);
    check_run("plain thread", plain_thread);
    check_plain("futex driver", futex_driver);
    check_plain("left open", left_open);
}
