/* SPDX-License-Identifier: MIT */
/* faults_test.c: registering with the reactor fails, and memory runs out: the call says so,
 * the descriptor is as usable as before, nothing is left behind. All registrations fail meanwhile,
 * not only the first: that may be the monitor's, which has a busy machine's worker rescued. */
#include "tests/fault.h"
#include "tests/io/peers.h"

#include <sys/eventfd.h>

static intptr_t read_byte(void *arg)
{
    char byte;
    return pica_read(arg, &byte, 1);
}

static void registering_a_reader(void)
{
    int raw;
    char byte;
    pica_stream *s = peers_stream(&raw);
    fault_arm(FAULT_EPOLL_CTL, 1, 1, ENOSPC);
    CHECK_EQ(pica_read(s, &byte, 1), -ENOSPC);
    CHECK_LE(1, fault_failed(FAULT_EPOLL_CTL));
    fault_disarm();
    pica_task *task = peers_spawn(read_byte, s);
    PEERS_UNTIL_WAITING(task);
    peers_send(raw, "x", 1);
    CHECK_EQ(peers_result(task), 1);
    close(raw);
    pica_close(s);
}

static void registering_a_writer(void)
{
    int raw;
    char byte = 0;
    static char block[65536];
    pica_stream *s = peers_local_stream(&raw);
    peers_fill(s);
    fault_arm(FAULT_EPOLL_CTL, 1, 1, ENOMEM);
    CHECK_EQ(pica_write(s, &byte, 1), -ENOMEM);
    size_t written = 99;
    fault_arm(FAULT_EPOLL_CTL, 1, 1, ENOMEM);
    CHECK_EQ(pica_write_all(s, &byte, 1, &written), -ENOMEM);
    CHECK_EQ(written, 0);
    fault_disarm();
    while (recv(raw, block, sizeof(block), MSG_DONTWAIT) > 0)
        ;
    CHECK_EQ(pica_write(s, &byte, 1), 1);
    close(raw);
    pica_close(s);
}

static void registering_a_listener(void)
{
    pica_addr at;
    pica_stream *s = NULL;
    pica_listener *l = peers_listen(&at);
    fault_arm(FAULT_EPOLL_CTL, 1, 1, ENOSPC);
    CHECK_EQ(pica_accept(l, &s, NULL), -ENOSPC);
    fault_disarm();
    CHECK(s == NULL);
    int raw = peers_raw_connect(&at);
    CHECK_OK(pica_accept(l, &s, NULL));
    pica_close(s);
    pica_listener_close(l);
    close(raw);
}

static void registering_a_connect(void)
{
    pica_addr at;
    pica_stream *s = NULL;
    int raw = peers_raw_listen(&at, 8);
    fault_arm(FAULT_EPOLL_CTL, 1, 1, ENOSPC);
    int rc = pica_tcp_connect(&s, &at);
    CHECK(rc == -ENOSPC ? !s : rc == 0); /* it may not have had to wait */
    fault_disarm();
    fault_arm(FAULT_SOCKET, 1, 0, ENFILE);
    pica_stream *other = NULL;
    CHECK_EQ(pica_tcp_connect(&other, &at), -ENFILE);
    pica_listener *l = NULL;
    fault_arm(FAULT_SOCKET, 1, 0, ENFILE);
    CHECK_EQ(pica_tcp_listen(&l, &at, NULL), -ENFILE);
    fault_disarm();
    CHECK(!other && !l);
    pica_close(s);
    close(raw);
}

/* "Every address" is every one that there is; an address of IPv6's own is not. */
static void without_ipv6(void)
{
    static const int errors[] = {EAFNOSUPPORT, EADDRNOTAVAIL};
    pica_addr every, own, at;
    pica_listener *l = NULL;
    pica_stream *s = NULL;
    CHECK_FATAL_OK(pica_addr_parse(&every, "*:0", 0));
    CHECK_FATAL_OK(pica_addr_parse(&own, "[::1]:0", 0));
    for (unsigned i = 0; i < 2; i++) {
        fault_arm(FAULT_SOCKET, 1, 0, errors[i]);
        CHECK_FATAL_OK(pica_tcp_listen(&l, &every, NULL));
        CHECK_EQ(fault_failed(FAULT_SOCKET), 1);
        fault_disarm();
        CHECK_OK(pica_listener_addr(l, &at));
        CHECK_EQ(at.storage.ss_family, AF_INET);
        int raw = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct sockaddr_in to;
        memcpy(&to, &at.storage, sizeof(to));
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        CHECK(connect(raw, (struct sockaddr *)&to, sizeof(to)) == 0);
        CHECK_OK(pica_accept(l, &s, NULL));
        pica_close(s);
        close(raw);
        l = pica_listener_close(l);
        fault_arm(FAULT_SOCKET, 1, 0, errors[i]);
        CHECK_EQ(pica_tcp_listen(&l, &own, NULL), -errors[i]);
        pica_listen_options options = PICA_LISTEN_OPTIONS_INIT;
        options.flags = PICA_LISTEN_V6ONLY;
        fault_arm(FAULT_SOCKET, 1, 0, errors[i]);
        CHECK_EQ(pica_tcp_listen(&l, &every, &options), -errors[i]);
        fault_arm(FAULT_SOCKET, 1, 1, errors[i]);
        CHECK_EQ(pica_tcp_listen(&l, &every, NULL), -errors[i]);
        fault_disarm();
        CHECK(!l);
    }
}

static void registering_a_foreign_one(void)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    fault_arm(FAULT_EPOLL_CTL, 1, 1, ENOSPC);
    CHECK_EQ(pica_poll_fd(fd, POLLIN, PICA_NEVER), -ENOSPC);
    fault_disarm();
    CHECK_EQ(pica_poll_fd(fd, POLLIN, 0), -ETIMEDOUT);
    close(fd);
}

/* The first descriptor needs a slab: no memory, no socket. An accept waits for memory. */
static void no_slab(void)
{
    pica_addr at = peers_any();
    pica_listener *l = NULL;
    pica_stream *s = NULL;
    int raw[2];
    peers_raw_pair(&raw[0], &raw[1]);
    int flags = fcntl(raw[0], F_GETFL);
    fault_arm(FAULT_MALLOC, 1, 1, ENOMEM);
    CHECK_EQ(pica_tcp_listen(&l, &at, NULL), -ENOMEM);
    CHECK_EQ(pica_tcp_connect(&s, &at), -ENOMEM);
    CHECK_EQ(pica_stream_adopt(&s, raw[0]), -ENOMEM);
    CHECK_EQ(pica_poll_fd(raw[0], POLLIN, PICA_NEVER), -ENOMEM);
    fault_disarm();
    CHECK(!l && !s);
    CHECK_EQ(fcntl(raw[0], F_GETFL), flags);
    close(raw[0]);
    close(raw[1]);
}

CHECK_MAIN
{
    check_run("no slab", no_slab);
    check_run("registering a reader", registering_a_reader);
    check_run("registering a writer", registering_a_writer);
    check_run("registering a listener", registering_a_listener);
    check_run("registering a connect", registering_a_connect);
    check_run("registering a foreign one", registering_a_foreign_one);
    check_run("without IPv6", without_ipv6);
}
