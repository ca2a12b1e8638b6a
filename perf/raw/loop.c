/* SPDX-License-Identifier: MIT */
/* loop.c: see loop.h. */
#include "perf/raw/loop.h"

#include "perf/common/socket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BATCH 256

/* recv() and send() would take locked instructions for pthread_cancel(), because a thread answers
 * the control line. */
static ssize_t receive(int fd, void *buffer, size_t n)
{
    return syscall(SYS_recvfrom, fd, buffer, n, (size_t)0, NULL, NULL);
}

static ssize_t transmit(int fd, const void *data, size_t n)
{
    return syscall(SYS_sendto, fd, data, n, (size_t)MSG_NOSIGNAL, NULL, (size_t)0);
}

static void drop(pb_raw_conn *conn)
{
    close(conn->fd);
    free(conn->out);
    free(conn);
}

/* Append to what the socket did not take. */
static bool keep(pb_raw_conn *conn, const char *data, size_t n)
{
    char *room = malloc(conn->unsent + n);
    if (room == NULL)
        return false;
    if (conn->unsent > 0)
        memcpy(room, conn->out + conn->unsent_from, conn->unsent);
    memcpy(room + conn->unsent, data, n);
    free(conn->out);
    conn->out = room;
    conn->unsent += n;
    conn->unsent_from = 0;
    return true;
}

bool pb_raw_send(pb_raw_conn *conn, const char *data, size_t n)
{
    if (conn->unsent > 0)
        return keep(conn, data, n);
    ssize_t sent = transmit(conn->fd, data, n);
    if (sent == (ssize_t)n)
        return true;
    if (sent < 0 && errno != EAGAIN && errno != EINTR)
        return false;
    size_t done = sent < 0 ? 0 : (size_t)sent;
    return keep(conn, data + done, n - done);
}

/* @return false: broken. Afterwards unsent is 0, or an event for EPOLLOUT will come. */
static bool flush(pb_raw_conn *conn)
{
    while (conn->unsent > 0) {
        ssize_t n = transmit(conn->fd, conn->out + conn->unsent_from, conn->unsent);
        if (n < 0)
            return errno == EAGAIN;
        conn->unsent -= (size_t)n;
        conn->unsent_from += (size_t)n;
    }
    return true;
}

static bool serve(pb_raw_loop *loop, pb_raw_conn *conn, uint32_t events)
{
    if (conn->unsent > 0) {
        if (!flush(conn))
            return false;
        if (conn->unsent > 0)
            return true;
        if (conn->closing)
            return false;
        events |= EPOLLIN; /* what came meanwhile was left in the socket */
    }
    if (!(events & ~(uint32_t)EPOLLOUT))
        return true;
    for (;;) {
        bool shared = loop->protocol->shared_buffer;
        char *at = shared ? loop->buffer : conn->in + conn->have;
        size_t room = shared ? PB_RAW_BUFFER : PB_RAW_BUFFER - conn->have;
        ssize_t n = receive(conn->fd, at, room);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        if (n == 0 || !loop->protocol->received(loop, conn, (size_t)n))
            return false;
        if (conn->unsent > 0)
            return true;
        if (conn->closing)
            return false;
        if ((size_t)n < room && !(events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
            return true;
    }
}

static void accept_all(pb_raw_loop *loop)
{
    for (;;) {
        int fd = accept4(loop->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        pb_nodelay(fd);
        pb_raw_conn *conn = malloc(sizeof *conn);
        if (conn == NULL) {
            close(fd);
            continue;
        }
        conn->fd = fd;
        conn->closing = false;
        conn->have = 0;
        conn->unsent = 0;
        conn->out = NULL;
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                    .data.ptr = conn};
        pb_raw_loop *to = &loop->all[loop->next++ % loop->loops];
        if (epoll_ctl(to->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
            drop(conn);
    }
}

int pb_raw_loops_open(pb_raw_loop *loops, unsigned n, int listener, const pb_raw_protocol *protocol)
{
    for (unsigned i = 0; i < n; i++) {
        pb_raw_loop *loop = &loops[i];
        *loop = (pb_raw_loop){
            .listener = i == 0 ? listener : -1, .all = loops, .loops = n, .protocol = protocol};
        loop->epoll = epoll_create1(EPOLL_CLOEXEC);
        loop->buffer = malloc(PB_RAW_BUFFER);
        if (loop->epoll < 0 || loop->buffer == NULL)
            return loop->epoll < 0 ? -errno : -ENOMEM;
    }
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    return epoll_ctl(loops[0].epoll, EPOLL_CTL_ADD, listener, &event) == 0 ? 0 : -errno;
}

void pb_raw_loop_run(pb_raw_loop *loop)
{
    struct epoll_event events[BATCH];
    for (;;) {
        int n = epoll_wait(loop->epoll, events, BATCH, -1);
        for (int i = 0; i < n; i++) {
            pb_raw_conn *conn = events[i].data.ptr;
            if (conn == NULL)
                accept_all(loop);
            else if (!serve(loop, conn, events[i].events))
                drop(conn);
        }
    }
}
