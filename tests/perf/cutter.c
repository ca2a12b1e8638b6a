/* SPDX-License-Identifier: MIT */
/* cutter.c: an HTTP client with bad manners. For some seconds, again and again, it connects
 * and leaves in one of several ways: in the middle of a request, before the answer, by reset,
 * by half-close, without a word. In between it behaves, and checks what it gets to the byte.
 *
 *     cutter PORT SECONDS      exit code 0: every answer was right
 */
#include "perf/common/answer.h"
#include "perf/common/clock.h"
#include "perf/common/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static const char request[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
#define REQUEST (sizeof request - 1)
#define PIPELINED 5
#define PIECES 50

static unsigned long answers, wrong;

static bool send_all(int fd, const char *data, size_t n)
{
    return send(fd, data, n, MSG_NOSIGNAL) == (ssize_t)n;
}

static void reset_close(int fd)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(fd);
}

/* It waits for 5 s, in short pieces. Of a pause of the whole machine only one of them ends, while
 * the server has stood still as well; where there is a time limit, who was stopped is told EINTR. */
static ssize_t receive(int fd, char *in, size_t room)
{
    ssize_t got = -1;
    for (int i = 0; i < PIECES && got < 0; i++)
        if ((got = recv(fd, in, room, 0)) < 0 && errno != EAGAIN && errno != EINTR)
            break;
    return got;
}

/* Read until n answers are complete. */
static bool right_answers(int fd, int n)
{
    char in[4096];
    size_t have = 0;
    const char *at = in;
    while (n > 0) {
        in[have] = 0;
        char *end = strstr(at, "\r\n\r\n");
        size_t body = sizeof PB_BODY - 1;
        if (end != NULL && (size_t)(in + have - (end + 4)) >= body) {
            if (memcmp(at, "HTTP/1.1 200 OK\r\n", 17) != 0 || memcmp(end + 4, PB_BODY, body) != 0)
                return false;
            at = end + 4 + body;
            n--;
            answers++;
            continue;
        }
        ssize_t got = receive(fd, in + have, sizeof in - 1 - have);
        if (got <= 0)
            return false;
        have += (size_t)got;
    }
    return at == in + have;
}

static bool behave(int fd)
{
    char several[PIPELINED * REQUEST];
    for (int i = 0; i < PIPELINED; i++)
        memcpy(several + (size_t)i * REQUEST, request, REQUEST);
    if (!send_all(fd, several, sizeof several) || !right_answers(fd, PIPELINED))
        return false;
    /* in two pieces, then the writing end is closed: the answer still comes, then the end */
    char byte;
    return send_all(fd, request, 11) && send_all(fd, request + 11, REQUEST - 11) &&
           shutdown(fd, SHUT_WR) == 0 && right_answers(fd, 1) && receive(fd, &byte, 1) == 0;
}

/* Malformed: 400, and the connection is closed. */
static bool refused(int fd)
{
    char in[1024];
    size_t have = 0;
    if (!send_all(fd, "GET / HTTP/1.1\r\nHost : x\r\n\r\n", 28))
        return false;
    for (ssize_t n; have < sizeof in && (n = receive(fd, in + have, sizeof in - have)) != 0;) {
        if (n < 0)
            return false;
        have += (size_t)n;
    }
    return have >= 13 && memcmp(in, "HTTP/1.1 400 ", 13) == 0;
}

static void one_connection(int port, unsigned kind)
{
    int fd = pb_connect(port);
    if (fd < 0 || fcntl(fd, F_SETFL, 0) != 0) {
        wrong++;
        return;
    }
    struct timeval piece = {.tv_usec = 5000000 / PIECES};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &piece, sizeof piece);
    bool good = true;
    switch (kind) {
    case 0: /* without a word */
        break;
    case 1: /* in the middle of a request */
        good = send_all(fd, request, REQUEST / 2);
        break;
    case 2: /* before the answer */
        good = send_all(fd, request, REQUEST);
        break;
    case 3: /* before the answer, by reset */
        good = send_all(fd, request, REQUEST);
        reset_close(fd);
        fd = -1;
        break;
    case 4: /* half a request, by reset */
        good = send_all(fd, request, REQUEST / 2);
        reset_close(fd);
        fd = -1;
        break;
    case 5:
        good = refused(fd);
        break;
    default:
        good = behave(fd);
        break;
    }
    if (fd >= 0)
        close(fd);
    wrong += !good;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fputs("usage: cutter PORT SECONDS\n", stderr);
        return 2;
    }
    int port = atoi(argv[1]);
    unsigned long connections = 0;
    for (int64_t end = pb_now() + (int64_t)(atof(argv[2]) * 1e9); pb_now() < end; connections++)
        one_connection(port, (unsigned)(connections % 8));
    printf("%lu connections, %lu right answers, %lu wrong\n", connections, answers, wrong);
    return wrong == 0 && answers > 0 ? 0 : 1;
}
