/* SPDX-License-Identifier: MIT */
/* peers.h: the other end of a connection, for the tests of io/: streams whose peer is a
 * plain blocking socket in the test's hand, and pairs of streams. All on loopback; all end
 * the program where they fail, since nothing could be tested then. */
#ifndef PICA_TESTS_IO_PEERS_H
#define PICA_TESTS_IO_PEERS_H

#include "executor/base/atomics.h"
#include "tests/check.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pica/net.h>
#include <pica/scope.h>
#include <pica/task.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/** Loopback with a port of the kernel's choice; another of its 16 million addresses each
 *  time, for a connection that has ended keeps its port for a minute, and there are 28,000. */
static inline pica_addr peers_any(void)
{
    static uint32_t calls; /* [atomic, relaxed] */
    uint32_t n = pi_add_relaxed(&calls, 1u) + (uint32_t)getpid() * 7919;
    char text[20];
    pica_addr at;
    snprintf(text, sizeof(text), "127.%u.%u.%u", 1 + (n >> 16) % 250, (n >> 8) % 256, 1 + n % 250);
    CHECK_FATAL_OK(pica_addr_parse(&at, text, 0));
    return at;
}

/** A listener, and where it listens. */
static inline pica_listener *peers_listen(pica_addr *at)
{
    pica_addr any = peers_any();
    pica_listener *l = NULL;
    CHECK_FATAL_OK(pica_tcp_listen(&l, &any, NULL));
    CHECK_FATAL_OK(pica_listener_addr(l, at));
    return l;
}

/** A plain blocking socket that listens. */
static inline int peers_raw_listen(pica_addr *at, int backlog)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *at = peers_any();
    CHECK_FATAL(fd >= 0);
    CHECK_FATAL(bind(fd, (struct sockaddr *)&at->storage, at->length) == 0);
    CHECK_FATAL(listen(fd, backlog) == 0);
    CHECK_FATAL(getsockname(fd, (struct sockaddr *)&at->storage, &at->length) == 0);
    return fd;
}

/** A plain blocking socket, connected. */
static inline int peers_raw_connect(const pica_addr *at)
{
    int fd = socket(at->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_FATAL(fd >= 0);
    CHECK_FATAL(connect(fd, (const struct sockaddr *)&at->storage, at->length) == 0);
    return fd;
}

/** Two plain blocking TCP sockets, connected with each other. */
static inline void peers_raw_pair(int *a, int *b)
{
    pica_addr at;
    int l = peers_raw_listen(&at, 1);
    *a = peers_raw_connect(&at);
    *b = accept4(l, NULL, NULL, SOCK_CLOEXEC);
    CHECK_FATAL(*b >= 0);
    close(l);
}

/** A stream and its peer, a plain blocking socket. */
static inline pica_stream *peers_stream(int *raw)
{
    pica_stream *s = NULL;
    int mine;
    peers_raw_pair(&mine, raw);
    CHECK_FATAL_OK(pica_stream_adopt(&s, mine));
    return s;
}

/** Two streams, connected with each other. */
static inline void peers_pair(pica_stream **a, pica_stream **b)
{
    int raw;
    *a = peers_stream(&raw);
    CHECK_FATAL_OK(pica_stream_adopt(b, raw));
}

/** A stream that is not TCP, and its peer, a plain blocking socket. */
static inline pica_stream *peers_local_stream(int *raw)
{
    int ends[2];
    pica_stream *s = NULL;
    CHECK_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    CHECK_FATAL_OK(pica_stream_adopt(&s, ends[0]));
    *raw = ends[1];
    return s;
}

/** Fill the buffers between such a stream and its peer, so that the next write waits. With TCP they
 *  are full only until the peer's kernel acknowledges, some 40 ms later, which makes room again. */
static inline void peers_fill(pica_stream *s)
{
    static const char block[65536];
    while (send(pica_stream_fd(s), block, sizeof(block), MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
    }
}

static inline void peers_send(int raw, const void *bytes, size_t n)
{
    CHECK_FATAL(send(raw, bytes, n, MSG_NOSIGNAL) == (ssize_t)n);
}

/** A task that is expected to end within ten seconds. @return its result */
static inline intptr_t peers_result(pica_task *task)
{
    intptr_t result = -EINPROGRESS;
    CHECK_EQ(pica_join_until(task, &result, pica_after(PICA_SEC(10))), 0);
    pica_unref(task);
    return result;
}

static inline pica_task *peers_spawn(pica_fn fn, void *arg)
{
    pica_task *task = NULL;
    CHECK_FATAL_OK(pica_spawn(&task, fn, arg));
    return task;
}

/** Until the task waits in a call (it has nothing else to wait for). */
#define PEERS_UNTIL_WAITING(task) CHECK_SOON(pica_task_status(task) == PICA_WAITING)

static inline int peers_byte(uint64_t at)
{
    return (int)((at * 131 + (at >> 8) * 17 + (at >> 16)) & 0xff);
}

#endif
