/* SPDX-License-Identifier: MIT */
/* work_net.c: programs with sockets, pipes and foreign descriptors (work.h). Whatever waits does
 * so in a scope with a deadline: a peer that a fault has ended never answers. */
#include "tests/faults/work.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define LARGE 1500000 /* more than a socket's buffers hold, with BUFFER */
#define BUFFER 200000
#define PIPED 300000 /* more than a pipe holds */

/* How somebody reads or writes. */
typedef enum way {
    WHOLE, /* pica_write_all() */
    PARTS, /* what one call takes, again and again */
    VECTOR,
    WAYS
} way;

static char at(size_t i)
{
    return (char)(i * 7 + i / 256);
}

/* --- Connections ------------------------------------------------------------------------------ */

static pica_listener *listener;

/* Read n bytes and compare. */
static intptr_t takes(pica_stream *stream, size_t n, way how)
{
    char *bytes = malloc(65536);
    CHECK_FATAL(bytes);
    size_t have = 0;
    ssize_t rc = 1;
    while (have < n && rc > 0) {
        size_t room = n - have < 65536 ? n - have : 65536;
        struct iovec parts[2] = {{bytes, 1}, {bytes + 1, room - 1}};
        rc = how == VECTOR ? pica_readv(stream, parts, 2) : pica_read(stream, bytes, room);
        bool right = true;
        for (ssize_t k = 0; k < rc; k++)
            right = right && bytes[k] == at(have + (size_t)k);
        CHECK(right);
        have += rc > 0 ? (size_t)rc : 0;
    }
    free(bytes);
    return rc < 0 ? rc : have < n ? -ECONNRESET : 0;
}

static intptr_t gives(pica_stream *stream, size_t n, way how)
{
    char *bytes = malloc(n);
    CHECK_FATAL(bytes);
    for (size_t i = 0; i < n; i++)
        bytes[i] = at(i);
    size_t done = 0;
    ssize_t rc = how == WHOLE ? pica_write_all(stream, bytes, n, NULL) : 0;
    while (how != WHOLE && rc >= 0 && done < n) {
        struct iovec parts[2] = {{bytes + done, 1}, {bytes + done + 1, n - done - 1}};
        rc = how == VECTOR ? pica_writev(stream, parts, n - done > 1 ? 2 : 1)
                           : pica_write(stream, bytes + done, n - done);
        done += rc > 0 ? (size_t)rc : 0;
    }
    free(bytes);
    return rc < 0 ? rc : 0;
}

/* A connection for each way. Each is read slowly at first, so that its writer has
 * to wait. */
static intptr_t serves(void *arg)
{
    (void)arg;
    for (way i = WHOLE; i < WAYS; i++) {
        pica_stream *stream;
        pica_addr peer;
        intptr_t rc = pica_accept(listener, &stream, i == WHOLE ? &peer : NULL);
        if (rc < 0)
            return rc;
        rc = pica_sleep(PICA_MS(1));
        if (rc == 0)
            rc = takes(stream, LARGE, i);
        if (rc == 0)
            rc = gives(stream, 1000, i);
        pica_close(stream);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static intptr_t asks(const pica_addr *where, way how)
{
    pica_stream *stream;
    pica_addr addr;
    intptr_t rc = pica_sleep(PICA_US(200)); /* so that the server waits */
    if (rc == 0)
        rc = pica_tcp_connect(&stream, where);
    if (rc < 0)
        return rc;
    (void)setsockopt(pica_stream_fd(stream), SOL_SOCKET, SO_SNDBUF, &(int){BUFFER}, sizeof(int));
    rc = gives(stream, LARGE, how);
    if (rc == 0)
        rc = takes(stream, 1000, how);
    WORK_FINE(pica_local_addr(stream, &addr));
    WORK_FINE(pica_peer_addr(stream, &addr));
    WORK_FINE(pica_set_nodelay(stream, 0));
    WORK_FINE(pica_set_keepalive(stream, 10, 10, 3));
    WORK_FINE(pica_shutdown(stream, SHUT_WR));
    pica_close(stream);
    return rc;
}

static int listens(const char *where, unsigned flags, pica_addr *bound)
{
    pica_listen_options options = {.size = sizeof(options), .flags = flags};
    pica_addr addr;
    int rc = pica_addr_parse(&addr, where, 0);
    CHECK_EQ(rc, 0);
    rc = pica_tcp_listen(&listener, &addr, &options);
    if (rc < 0)
        return rc;
    rc = pica_listener_addr(listener, bound);
    if (rc < 0)
        pica_listener_close(listener);
    return rc;
}

static void connections(void)
{
    pica_addr where;
    if (WORK_FINE(listens("::", 0, &where)))
        pica_listener_close(listener);
    if (!WORK_FINE(listens("127.0.0.1", PICA_LISTEN_REUSEPORT, &where)))
        return;
    pica_group group;
    pica_group_begin_until(&group, work_patience());
    intptr_t rc = pica_group_spawn(&group, serves, NULL);
    for (way i = WHOLE; i < WAYS && rc == 0; i++)
        rc = asks(&where, i);
    WORK_FINE(pica_group_end(&group, rc));
    pica_group_deinit(&group);
    pica_listener_close(listener);
}

/* A listener that somebody else made, and one without a client in its queue. */
static void adopted(void)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    pica_addr where = {.length = sizeof(where.storage)};
    pica_listener *own;
    pica_stream *stream, *other;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_FATAL(fd >= 0 && bind(fd, (struct sockaddr *)&any, sizeof(any)) == 0 &&
                listen(fd, 8) == 0 &&
                getsockname(fd, (struct sockaddr *)&where.storage, &where.length) == 0);
    int rc = pica_listener_adopt(&own, fd);
    /* Told that it is no socket, adopting refuses it as what it then is. */
    if (!(work_error == ENOTSOCK && rc == -EINVAL) && WORK_FINE(rc)) {
        rc = pica_try_accept(own, &other, NULL);
        CHECK(rc == -EAGAIN || !WORK_FINE(rc));
        pica_scope scope;
        pica_scope_begin(&scope, work_patience());
        rc = pica_tcp_connect(&stream, &where);
        if (rc == 0) {
            rc = pica_accept(own, &other, NULL);
            if (rc == 0)
                pica_close(other);
            pica_close(stream);
        }
        WORK_FINE(pica_scope_end(&scope, rc));
        pica_listener_close(own);
    } else {
        close(fd);
    }
}

/* --- Pipes ------------------------------------------------------------------------------------ */

static intptr_t reads_pipe(void *stream)
{
    intptr_t rc = pica_sleep(PICA_MS(1));
    for (way i = WHOLE; i < WAYS && rc == 0; i++)
        rc = takes(stream, PIPED, i);
    if (rc == 0)
        rc = pica_sleep(PICA_US(300)); /* so that the next read, with a vector, waits */
    struct iovec part = {&(char){0}, 1};
    return rc < 0 ? rc : pica_readv(stream, &part, 1);
}

static intptr_t writes_pipe(void *stream)
{
    intptr_t rc = 0;
    for (way i = WHOLE; i < WAYS && rc == 0; i++)
        rc = gives(stream, PIPED, i);
    if (rc == 0)
        rc = pica_sleep(PICA_MS(2));
    return rc < 0 ? rc : pica_write(stream, "x", 1);
}

static void pipes(void)
{
    int ends[2];
    pica_stream *out = NULL, *in = NULL;
    CHECK_FATAL(pipe2(ends, O_CLOEXEC) == 0);
    int rc = pica_stream_adopt(&out, ends[0]);
    if (rc < 0)
        close(ends[0]);
    if (WORK_FINE(rc))
        rc = pica_stream_adopt(&in, ends[1]);
    if (!in)
        close(ends[1]);
    if (WORK_FINE(rc)) {
        pica_group group;
        pica_group_begin_until(&group, work_patience());
        rc = pica_group_spawn(&group, reads_pipe, out);
        if (rc == 0)
            rc = pica_group_spawn(&group, writes_pipe, in);
        WORK_FINE(pica_group_end(&group, rc));
        pica_group_deinit(&group);
        out = pica_close(out);
        ssize_t n = pica_write(in, "x", 1); /* nobody reads it: and no SIGPIPE */
        CHECK(n == -EPIPE || !WORK_FINE(n));
        n = pica_writev(in, &(struct iovec){&(char){0}, 1}, 1);
        CHECK(n == -EPIPE || !WORK_FINE(n));
        rc = pica_write_all(in, "x", 1, NULL);
        CHECK(rc == -EPIPE || !WORK_FINE(rc));
    }
    pica_close(out);
    pica_close(in);
}

/* --- What belongs to others ---------------------------------------------------------------------- */

static intptr_t rings(void *fd)
{
    int rc = pica_sleep(PICA_US(300));
    if (write((int)(intptr_t)fd, &(uint64_t){1}, 8) != 8)
        return -EIO;
    return rc;
}

static void foreign(void)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    pica_group group;
    pica_group_begin_until(&group, work_patience());
    int rc = pica_group_spawn(&group, rings, (void *)(intptr_t)fd);
    if (rc == 0)
        rc = pica_poll_fd(fd, POLLIN, PICA_NEVER);
    CHECK(rc < 0 || rc == POLLIN);
    /* "Registered already" means a second waiter. */
    if (rc != -EBUSY || (work_error != EEXIST && work_standing_error != EEXIST))
        WORK_FINE(rc);
    rc = (int)pica_group_end(&group, 0);
    WORK_FINE(rc);
    pica_group_deinit(&group);
    rc = pica_poll_fd(fd, POLLOUT, PICA_NEVER);
    WORK_FINE(rc);
    close(fd);
}

static intptr_t nets(void *arg)
{
    (void)arg;
    connections();
    adopted();
    pipes();
    foreign();
    return 0;
}

void work_net(void)
{
    pica_options options = work_options(2);
    work_in_executor(&options, nets);
}

/* --- A careless host --------------------------------------------------------------------------- */

static intptr_t leaves_it_open(void *arg)
{
    pica_addr where;
    (void)arg;
    return listens("127.0.0.1", 0, &where);
}

/* What is still open at the end is closed with the executor. */
void work_left_open(void)
{
    pica_options options = work_options(1);
    WORK_FINE(pica_run(leaves_it_open, NULL, &options));
}

/* --- A stuck worker ----------------------------------------------------------------------------- */

static uint64_t rescues(void)
{
    pica_stats s = {.size = sizeof(s)};
    return pica_executor_stats(pica_executor_self(), &s) == 0 ? s.rescues : 0;
}

static intptr_t hogs(void *arg)
{
    (void)arg;
    for (int64_t until = pica_after(PICA_MS(4)); pica_now() < until;) {
    }
    return pica_yield();
}

/* One worker after the other computes and computes, until the other serves it. */
static intptr_t is_rescued(void *arg)
{
    (void)arg;
    int64_t until = pica_after(work_again ? PICA_MS(50) : PICA_SEC(3));
    for (unsigned i = 0; rescues() < 3 && pica_now() < until; i++) {
        pica_task *task;
        pica_attr attr = PICA_ATTR_INIT;
        attr.pin = 1 + i % 2;
        if (WORK_FINE(pica_spawn_with(&task, hogs, NULL, &attr))) {
            intptr_t result = 0;
            WORK_FINE(pica_join(task, &result));
            WORK_FINE(result);
            pica_unref(task);
        }
    }
    return 0;
}

static intptr_t comes(void *arg)
{
    check_hit(arg);
    return 0;
}

/* The only worker computes, until somebody else runs what it has spawned. */
static intptr_t is_stood_in_for(void *arg)
{
    check_latch came = {0};
    pica_task *task;
    (void)arg;
    if (!WORK_FINE(pica_spawn(&task, comes, &came)))
        return 0;
    for (int64_t until = work_patience(); !check_hits(&came) && pica_now() < until;) {
    }
    intptr_t result = 0;
    CHECK_EQ(pica_await(task, &result), 0);
    WORK_FINE(result);
    pica_unref(task);
    return 0;
}

void work_alone(void)
{
    pica_options options = work_options(1);
    work_in_executor(&options, is_stood_in_for);
}

void work_rescue(void)
{
    pica_options options = work_options(2);
    work_in_executor(&options, is_rescued);
}
