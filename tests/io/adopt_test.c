/* SPDX-License-Identifier: MIT */
/* adopt_test.c: descriptors that come from elsewhere: pipes, UNIX sockets, listeners, and
 * ones whose open file somebody else holds too. */
#include "tests/io/peers.h"

#include <signal.h>
#include <sys/un.h>

static intptr_t drain(void *arg)
{
    char buffer[700];
    intptr_t sum = 0;
    ssize_t n;
    while ((n = pica_read(arg, buffer, sizeof(buffer))) > 0)
        sum += n;
    return n < 0 ? n : sum;
}

static intptr_t pour(void *arg)
{
    static const char block[300000];
    struct iovec iov[2] = {{(void *)(uintptr_t)block, 1000}, {(void *)(uintptr_t)block, 1000}};
    CHECK_OK(pica_write_all(arg, block, sizeof(block), NULL));
    intptr_t n = pica_writev(arg, iov, 2);
    CHECK_OK(n);
    pica_close(arg);
    return (intptr_t)sizeof(block) + n;
}

static void through(int from, int to)
{
    pica_stream *in, *out;
    CHECK_FATAL_OK(pica_stream_adopt(&in, from));
    CHECK_FATAL_OK(pica_stream_adopt(&out, to));
    CHECK(fcntl(from, F_GETFL) & O_NONBLOCK);
    CHECK(fcntl(from, F_GETFD) & FD_CLOEXEC);
    pica_task *reader = peers_spawn(drain, in);
    pica_task *writer = peers_spawn(pour, out);
    intptr_t written = peers_result(writer);
    CHECK_LT(300000, written);
    CHECK_EQ(peers_result(reader), written);
    pica_close(in);
}

static void pipes(void)
{
    int ends[2];
    CHECK_FATAL(pipe(ends) == 0);
    through(ends[0], ends[1]);
}

/* What lies in one piece comes in several, and the other way round. */
static void pieces(void)
{
    int ends[2];
    pica_stream *in, *out;
    char a[2], b[8];
    const struct iovec from[2] = {{(char[]){"pi"}, 2}, {(char[]){"ca"}, 2}};
    const struct iovec to[2] = {{a, sizeof(a)}, {b, sizeof(b)}};
    CHECK_FATAL(pipe(ends) == 0);
    CHECK_FATAL_OK(pica_stream_adopt(&in, ends[0]));
    CHECK_FATAL_OK(pica_stream_adopt(&out, ends[1]));
    CHECK_EQ(pica_write(out, "magpie", 6), 6);
    CHECK_EQ(pica_readv(in, to, 2), 6);
    CHECK_MEM(a, "ma", 2);
    CHECK_MEM(b, "gpie", 4);
    CHECK_EQ(pica_writev(out, from, 2), 4);
    CHECK_EQ(pica_read(in, b, sizeof(b)), 4);
    CHECK_MEM(b, "pica", 4);
    pica_close(out);
    CHECK_EQ(pica_readv(in, to, 2), 0);
    pica_close(in);
}

static void unix_sockets(void)
{
    int ends[2];
    CHECK_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    through(ends[0], ends[1]);
}

/* A read of a UNIX socket ends at a passed descriptor, short of what there is: the next
 * one must not wait. */
static void short_read_of_a_unix_socket(void)
{
    int ends[2];
    char buffer[64], control[CMSG_SPACE(sizeof(int))] = {0};
    CHECK_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    struct iovec iov = {(void *)(uintptr_t) "first", 5};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    *c = (struct cmsghdr){
        .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
    memcpy(CMSG_DATA(c), &ends[1], sizeof(int));
    pica_stream *s;
    CHECK_FATAL_OK(pica_stream_adopt(&s, ends[0]));
    CHECK_EQ(sendmsg(ends[1], &message, 0), 5);
    peers_send(ends[1], "second", 6);
    CHECK_EQ(pica_read(s, buffer, sizeof(buffer)), 5);
    CHECK_EQ(pica_read(s, buffer, sizeof(buffer)), 6);
    CHECK_MEM(buffer, "second", 6);
    close(ends[1]);
    CHECK_EQ(pica_read(s, buffer, sizeof(buffer)), 0);
    pica_close(s);
}

/* The library's own SIGPIPE is taken back; the host's, pending before, stays. */
static void broken_pipe(void)
{
    int ends[2];
    pica_stream *out;
    sigset_t pending;
    CHECK_FATAL(pipe(ends) == 0);
    CHECK_FATAL_OK(pica_stream_adopt(&out, ends[1]));
    CHECK_EQ(pica_write(out, "x", 1), 1);
    close(ends[0]);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(pica_write(out, "x", 1), -EPIPE);
    sigpending(&pending);
    CHECK(!sigismember(&pending, SIGPIPE));
    pica_close(out);
}

static void listeners(void)
{
    pica_addr at, peer;
    pica_listener *l;
    pica_stream *a, *b;
    int raw = peers_raw_listen(&at, 5);
    CHECK_EQ(pica_stream_adopt(&a, raw), -EINVAL);
    CHECK_FATAL_OK(pica_listener_adopt(&l, raw));
    CHECK_FATAL_OK(pica_tcp_connect(&a, &at));
    CHECK_EQ(pica_listener_adopt(&l, pica_stream_fd(a)), -EINVAL);
    CHECK_FATAL_OK(pica_accept(l, &b, &peer));
    int nodelay = 0;
    socklen_t length = sizeof(nodelay);
    CHECK_EQ(getsockopt(pica_stream_fd(b), IPPROTO_TCP, TCP_NODELAY, &nodelay, &length), 0);
    CHECK_EQ(nodelay, 1);
    pica_close(a);
    pica_close(b);
    pica_listener_close(l);
}

static void not_adopted(void)
{
    pica_stream *s = NULL;
    pica_listener *l = NULL;
    FILE *plain = tmpfile();
    CHECK_FATAL(plain != NULL);
    int flags = fcntl(fileno(plain), F_GETFL);
    CHECK_EQ(pica_stream_adopt(&s, fileno(plain)), -EPERM);
    CHECK_EQ(fcntl(fileno(plain), F_GETFL), flags);
    CHECK_EQ(fclose(plain), 0); /* it has remained ours */
    CHECK_EQ(pica_stream_adopt(&s, -1), -EBADF);
    CHECK_EQ(pica_stream_adopt(NULL, 0), -EINVAL);
    CHECK_EQ(pica_listener_adopt(&l, -1), -EBADF);
    int ends[2];
    CHECK_FATAL(pipe(ends) == 0);
    CHECK_EQ(pica_listener_adopt(&l, ends[0]), -EINVAL);
    close(ends[0]);
    close(ends[1]);
    CHECK(s == NULL && l == NULL);
}

static intptr_t reads_a_byte(void *arg)
{
    char byte;
    return pica_read(arg, &byte, 1);
}

static intptr_t polls(void *arg)
{
    return pica_poll_fd(*(int *)arg, POLLIN, PICA_NEVER);
}

/* What belongs to a stream or listener, or to somebody who waits, is not adopted until then. */
static void adopted_twice(void)
{
    pica_addr at;
    pica_listener *l, *second = NULL;
    pica_stream *s, *other = NULL;
    int raw, ends[2];
    char byte;
    s = peers_stream(&raw);
    pica_task *reader = peers_spawn(reads_a_byte, s);
    PEERS_UNTIL_WAITING(reader);
    CHECK_EQ(pica_stream_adopt(&other, pica_stream_fd(s)), -EBUSY);
    CHECK(!other);
    peers_send(raw, "x", 1);
    CHECK_EQ(peers_result(reader), 1); /* its registration is still its own */
    pica_close(s);
    close(raw);

    CHECK_FATAL_OK(pica_listener_adopt(&l, peers_raw_listen(&at, 5)));
    CHECK_EQ(pica_listener_adopt(&second, pica_listener_fd(l)), -EBUSY);
    CHECK(!second);
    pica_listener_close(l);

    CHECK_FATAL(pipe2(ends, O_CLOEXEC) == 0);
    pica_task *poller = peers_spawn(polls, &ends[0]);
    PEERS_UNTIL_WAITING(poller);
    CHECK_EQ(pica_stream_adopt(&s, ends[0]), -EBUSY);
    CHECK_EQ(fcntl(ends[0], F_GETFL) & O_NONBLOCK, 0); /* it is as it was */
    CHECK_EQ(write(ends[1], "y", 1), 1);
    CHECK_EQ(peers_result(poller), POLLIN);
    CHECK_FATAL_OK(pica_stream_adopt(&s, ends[0]));
    CHECK_EQ(pica_read(s, &byte, 1), 1);
    pica_close(s);
    close(ends[1]);
}

/* The open file outlives the number, and so would its registration. */
static void the_file_lives_on(void)
{
    int raw;
    pica_stream *s = peers_stream(&raw);
    int other = dup(pica_stream_fd(s));
    for (int i = 0; i < 20; i++) {
        pica_scope scope;
        char byte;
        pica_scope_begin(&scope, pica_after(PICA_MS(1)));
        CHECK_EQ(pica_scope_end(&scope, pica_read(s, &byte, 1)), -ETIMEDOUT);
        int number = pica_stream_fd(s);
        pica_close(s);
        peers_send(raw, "x", 1);
        CHECK_EQ(recv(other, &byte, 1, 0), 1);
        CHECK_EQ(fcntl(other, F_DUPFD_CLOEXEC, number), number);
        CHECK_FATAL_OK(pica_stream_adopt(&s, number));
    }
    pica_close(s);
    close(other);
    close(raw);
}

CHECK_MAIN
{
    check_run("pipes", pipes);
    check_run("pieces through a pipe", pieces);
    check_run("UNIX sockets", unix_sockets);
    check_run("a short read of a UNIX socket", short_read_of_a_unix_socket);
    check_run("a broken pipe", broken_pipe);
    check_run("listeners", listeners);
    check_run("what is not adopted", not_adopted);
    check_run("adopted twice", adopted_twice);
    check_run("the file lives on", the_file_lives_on);
}
