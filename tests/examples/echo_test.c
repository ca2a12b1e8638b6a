/* SPDX-License-Identifier: MIT */
/* echo_test.c: the README's server answers, as its readers will try it.
 *
 * Starts the program given as the argument on a free port of the loopback device, opens
 * several connections at once, and checks on each that every byte comes back in order and
 * that the server closes when the client has finished. Then it ends the server by SIGTERM.
 *
 * Plain POSIX, nothing of pica: what is tested is a program, seen from outside.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS 8
#define BYTES 20000 /* several of the server's buffers, fewer than a socket buffer holds */

static pid_t server;

static void fail(const char *what)
{
    fprintf(stderr, "echo_test: %s\n", what);
    if (server > 0)
        kill(server, SIGKILL);
    exit(1);
}

static void fail_errno(const char *what)
{
    perror(what);
    fail("a system call failed");
}

/* A port that nobody uses now. Another process may take it before the server does; then the
 * server ends, connecting fails, and the test says so. */
static struct sockaddr_in free_address(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, length) < 0 ||
        getsockname(fd, (struct sockaddr *)&at, &length) < 0)
        fail_errno("no free port");
    close(fd);
    return at;
}

static void start_server(char *program, const struct sockaddr_in *at)
{
    char address[32];
    snprintf(address, sizeof address, "127.0.0.1:%d", ntohs(at->sin_port));
    char *argv[] = {program, address, NULL};
    server = fork();
    if (server < 0)
        fail_errno("fork");
    if (server == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execv(program, argv);
        _exit(127);
    }
}

static int connect_soon(const struct sockaddr_in *at)
{
    const struct timespec pause = {.tv_nsec = 20000000};
    const struct timeval limit = {.tv_sec = 10};
    for (int i = 0; i < 500; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
            fail_errno("socket");
        if (connect(fd, (const struct sockaddr *)at, sizeof *at) == 0) {
            if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) < 0)
                fail_errno("setsockopt");
            return fd;
        }
        close(fd);
        if (waitpid(server, NULL, WNOHANG) == server) {
            server = 0;
            fail("the server has ended");
        }
        nanosleep(&pause, NULL);
    }
    fail("no connection");
    return -1;
}

static unsigned char pattern(int connection, size_t i)
{
    return (unsigned char)(i * 7 + i / 251 + (size_t)connection);
}

static void send_all(int fd, int connection)
{
    unsigned char bytes[BYTES];
    for (size_t i = 0; i < BYTES; i++)
        bytes[i] = pattern(connection, i);
    for (size_t sent = 0; sent < BYTES;) {
        ssize_t n = write(fd, bytes + sent, BYTES - sent);
        if (n < 0)
            fail_errno("write");
        sent += (size_t)n;
    }
    if (shutdown(fd, SHUT_WR) < 0)
        fail_errno("shutdown");
}

static void expect_all(int fd, int connection)
{
    unsigned char bytes[BYTES + 1];
    size_t have = 0;
    ssize_t n;
    do { /* where there is a time limit, a process that was stopped meanwhile is told EINTR */
        n = read(fd, bytes + have, sizeof bytes - have);
        have += n > 0 ? (size_t)n : 0;
    } while (n > 0 || (n < 0 && errno == EINTR));
    if (n < 0)
        fail_errno("read");
    if (have != BYTES)
        fail("fewer or more bytes came back than were sent");
    for (size_t i = 0; i < BYTES; i++)
        if (bytes[i] != pattern(connection, i))
            fail("a byte came back wrong");
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fputs("usage: echo_test PROGRAM\n", stderr);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    struct sockaddr_in at = free_address();
    start_server(argv[1], &at);

    int fd[CONNECTIONS];
    for (int i = 0; i < CONNECTIONS; i++)
        fd[i] = connect_soon(&at);
    for (int i = CONNECTIONS - 1; i >= 0; i--)
        send_all(fd[i], i);
    for (int i = 0; i < CONNECTIONS; i++) {
        expect_all(fd[i], i);
        close(fd[i]);
    }

    int status = 0;
    if (kill(server, SIGTERM) < 0 || waitpid(server, &status, 0) != server)
        fail_errno("ending the server");
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGTERM) {
        fprintf(stderr, "the server did not live until SIGTERM: status %#x\n", (unsigned)status);
        return 1;
    }
    puts("ok");
    return 0;
}
