/* SPDX-License-Identifier: MIT */
/* accept_test.c: listening, and taking connections when the system is short or they break.
 * Linked with fault.h's accept4(). */
#include "tests/fault.h"
#include "tests/io/peers.h"

#include <sys/resource.h>

static intptr_t take_one(void *arg)
{
    pica_stream *s = NULL;
    int rc = pica_accept(arg, &s, NULL);
    CHECK((rc == 0) == (s != NULL));
    pica_close(s);
    return rc;
}

static void broken_connections(void)
{
    static const int errors[] = {ECONNABORTED, EPROTO,      ENETDOWN,    EHOSTDOWN, ENONET,
                                 EHOSTUNREACH, ENETUNREACH, ENOPROTOOPT, EINTR,     ETIMEDOUT};
    pica_addr at;
    pica_listener *l = peers_listen(&at);
    for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
        int raw = peers_raw_connect(&at);
        fault_arm(FAULT_ACCEPT, 1, 0, errors[i]);
        CHECK_EQ(take_one(l), 0);
        CHECK_EQ(fault_failed(FAULT_ACCEPT), 1);
        close(raw);
    }
    fault_arm(FAULT_ACCEPT, 1, 0, EOPNOTSUPP);
    CHECK_EQ(take_one(l), -EOPNOTSUPP);
    fault_disarm();
    pica_listener_close(l);
}

/* An error without an end does not take the worker for itself. */
static void always_broken(void)
{
    pica_addr at;
    pica_listener *l = peers_listen(&at);
    fault_arm(FAULT_ACCEPT, 1, 1, EPERM);
    pica_scope scope;
    pica_scope_begin(&scope, pica_after(PICA_MS(30)));
    CHECK_EQ(pica_scope_end(&scope, take_one(l)), -ETIMEDOUT);
    CHECK_LT(fault_failed(FAULT_ACCEPT), 1000);
    pica_stream *s = NULL;
    CHECK_EQ(pica_try_accept(l, &s, NULL), -EPERM);
    fault_disarm();
    pica_listener_close(l);
}

static void shortage_ends(void)
{
    static const int errors[] = {EMFILE, ENFILE, ENOBUFS, ENOMEM};
    pica_addr at;
    pica_listener *l = peers_listen(&at);
    for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
        int raw = peers_raw_connect(&at);
        fault_arm(FAULT_ACCEPT, 1, 0, errors[i]);
        int64_t began = pica_now();
        CHECK_EQ(take_one(l), 0);
        CHECK_LE(began + PICA_MS(5), pica_now());
        fault_arm(FAULT_ACCEPT, 1, 0, errors[i]);
        pica_stream *s = NULL;
        CHECK_EQ(pica_try_accept(l, &s, NULL), -errors[i]);
        CHECK(s == NULL);
        close(raw);
    }
    fault_disarm();
    pica_listener_close(l);
}

/* How often it may have been tried by now: at once, then after 5 ms, 10 ms and so on up to 1 s. */
static uint64_t tries_since(int64_t began)
{
    uint64_t tries = 1;
    int64_t left = pica_now() - began;
    for (int64_t pause = PICA_MS(5); left >= pause; tries++) {
        left -= pause;
        pause = pause * 2 < PICA_SEC(1) ? pause * 2 : PICA_SEC(1);
    }
    return tries;
}

/* The pause can be cut short by a cancel and by a close, not by new connections; what
 * stands in the queue stays there. */
static void shortage_lasts(void)
{
    pica_addr at;
    pica_listener *l = peers_listen(&at);
    int raw[3];
    raw[0] = peers_raw_connect(&at);
    int64_t began = pica_now();
    fault_arm(FAULT_ACCEPT, 1, 1, EMFILE);
    pica_task *task = peers_spawn(take_one, l);
    CHECK_SOON(fault_failed(FAULT_ACCEPT) >= 3);
    for (int i = 1; i < 3; i++)
        raw[i] = peers_raw_connect(&at);
    CHECK_OK(pica_sleep(PICA_MS(5)));
    uint64_t tries = fault_failed(FAULT_ACCEPT);
    CHECK_LE(tries, tries_since(began));
    pica_cancel(task);
    CHECK_EQ(peers_result(task), -ECANCELED);
    fault_disarm();
    for (int i = 0; i < 2; i++)
        CHECK_EQ(take_one(l), 0);
    fault_arm(FAULT_ACCEPT, 1, 1, EMFILE);
    task = peers_spawn(take_one, l);
    CHECK_SOON(fault_failed(FAULT_ACCEPT) >= 2);
    pica_listener_close(l);
    CHECK_EQ(peers_result(task), -EBADF);
    fault_disarm();
    for (int i = 0; i < 3; i++)
        close(raw[i]);
}

/* The real thing: no descriptor is left in the process. */
static void no_descriptor_left(void)
{
    enum { MOST = 1024 };
    int taken[MOST], n = 0;
    pica_addr at;
    pica_listener *l = peers_listen(&at);
    int raw = peers_raw_connect(&at);
    struct pollfd queued = {.fd = pica_listener_fd(l), .events = POLLIN};
    CHECK_EQ(poll(&queued, 1, 5000), 1);
    struct rlimit before, low;
    CHECK_FATAL(getrlimit(RLIMIT_NOFILE, &before) == 0);
    low = before;
    low.rlim_cur = 200;
    CHECK_FATAL(setrlimit(RLIMIT_NOFILE, &low) == 0);
    while (n < MOST && (taken[n] = dup(raw)) >= 0)
        n++;
    pica_stream *s = NULL;
    CHECK_EQ(pica_try_accept(l, &s, NULL), -EMFILE);
    CHECK_EQ(pica_tcp_connect(&s, &at), -EMFILE);
    pica_listener *other = NULL;
    CHECK_EQ(pica_tcp_listen(&other, &at, NULL), -EMFILE);
    pica_task *task = peers_spawn(take_one, l);
    PEERS_UNTIL_WAITING(task);
    while (n > 0)
        close(taken[--n]);
    CHECK_EQ(peers_result(task), 0);
    CHECK_FATAL(setrlimit(RLIMIT_NOFILE, &before) == 0);
    close(raw);
    pica_listener_close(l);
}

static void trying(void)
{
    pica_addr at, peer;
    pica_listener *l = peers_listen(&at);
    pica_stream *s = NULL;
    CHECK_EQ(pica_try_accept(l, &s, NULL), -EAGAIN);
    int raw = peers_raw_connect(&at);
    struct pollfd queued = {.fd = pica_listener_fd(l), .events = POLLIN};
    CHECK_EQ(poll(&queued, 1, 5000), 1);
    CHECK_OK(pica_try_accept(l, &s, &peer));
    CHECK_EQ(peer.storage.ss_family, AF_INET);
    CHECK_EQ(pica_try_accept(l, &s, NULL), -EAGAIN);
    CHECK_EQ(pica_try_accept(NULL, &s, NULL), -EINVAL);
    CHECK_EQ(pica_accept(l, NULL, NULL), -EINVAL);
    pica_close(s);
    pica_listener_close(l);
    close(raw);
}

static void listening(void)
{
    pica_addr at, again;
    pica_listener *l = NULL, *second = NULL;
    pica_listen_options options = {.size = sizeof(options)};
    CHECK_FATAL_OK(pica_addr_parse(&at, "*:0", 0));
    CHECK_FATAL_OK(pica_tcp_listen(&l, &at, &options));
    CHECK_OK(pica_listener_addr(l, &again));
    CHECK_LT(0, pica_addr_port(&again));
    CHECK_EQ(pica_tcp_listen(&second, &again, NULL), -EADDRINUSE);
    CHECK(second == NULL);

    /* "Every address" means IPv4 as well. */
    pica_addr four;
    pica_stream *s = NULL;
    CHECK_OK(pica_addr_parse(&four, "127.0.0.1", pica_addr_port(&again)));
    CHECK_OK(pica_tcp_connect(&s, &four));
    pica_close(s);
    pica_listener_close(l);

    options.flags = 1u << 30;
    CHECK_EQ(pica_tcp_listen(&l, &at, &options), -EINVAL);
    options.flags = 0;
    options.backlog = -1;
    CHECK_EQ(pica_tcp_listen(&l, &at, &options), -EINVAL);
    options.size = 0;
    CHECK_EQ(pica_tcp_listen(&l, &at, &options), -EINVAL);
    CHECK_EQ(pica_tcp_listen(NULL, &at, NULL), -EINVAL);
    CHECK_EQ(pica_tcp_listen(&l, NULL, NULL), -EINVAL);
    at.length = 3;
    CHECK_EQ(pica_tcp_listen(&l, &at, NULL), -EINVAL);
}

static void reuse_port(void)
{
    pica_addr at = peers_any();
    pica_listener *l = NULL, *second = NULL;
    pica_listen_options options = {.size = sizeof(options), .flags = PICA_LISTEN_REUSEPORT};
    CHECK_FATAL_OK(pica_tcp_listen(&l, &at, &options));
    CHECK_OK(pica_listener_addr(l, &at));
    CHECK_OK(pica_tcp_listen(&second, &at, &options));
    pica_listener_close(l);
    pica_listener_close(second);
}

static int reuses_addresses(pica_listener *l)
{
    int on = -1;
    socklen_t size = sizeof(on);
    CHECK_EQ(getsockopt(pica_listener_fd(l), SOL_SOCKET, SO_REUSEADDR, &on, &size), 0);
    return on;
}

static void reuse_address(void)
{
    pica_addr at = peers_any();
    pica_listener *l = NULL;
    pica_listen_options options = {.size = sizeof(options), .flags = PICA_LISTEN_NO_REUSEADDR};
    CHECK_FATAL_OK(pica_tcp_listen(&l, &at, NULL));
    CHECK_EQ(reuses_addresses(l), 1);
    pica_listener_close(l);
    CHECK_FATAL_OK(pica_tcp_listen(&l, &at, &options));
    CHECK_EQ(reuses_addresses(l), 0);
    pica_listener_close(l);
}

static void v6_only(void)
{
    pica_addr at;
    pica_listener *l = NULL;
    pica_stream *s = NULL;
    pica_listen_options options = {.size = sizeof(options), .flags = PICA_LISTEN_V6ONLY};
    CHECK_OK(pica_addr_parse(&at, "[::]:0", 0));
    int rc = pica_tcp_listen(&l, &at, &options);
    if (rc == -EAFNOSUPPORT || rc == -EADDRNOTAVAIL)
        return;
    CHECK_FATAL_OK(rc);
    CHECK_OK(pica_listener_addr(l, &at));
    CHECK_OK(pica_addr_parse(&at, "127.0.0.1", pica_addr_port(&at)));
    CHECK_EQ(pica_tcp_connect(&s, &at), -ECONNREFUSED);
    pica_listener_close(l);
}

CHECK_MAIN
{
    check_run("broken connections are skipped", broken_connections);
    check_run("always broken", always_broken);
    check_run("a shortage ends", shortage_ends);
    check_run("a shortage lasts", shortage_lasts);
    check_run("no descriptor left", no_descriptor_left);
    check_run("trying", trying);
    check_run("listening", listening);
    check_run("SO_REUSEPORT", reuse_port);
    check_run("SO_REUSEADDR", reuse_address);
    check_run("IPv6 only", v6_only);
}
