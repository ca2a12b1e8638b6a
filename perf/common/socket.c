/* SPDX-License-Identifier: MIT */
/* socket.c: see socket.h. */
#include "perf/common/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

static struct sockaddr_in loopback(int port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int fail(int fd)
{
    int rc = -errno;
    close(fd);
    return rc;
}

void pb_nodelay(int fd)
{
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

int pb_listen(int *port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    struct sockaddr_in at = loopback(*port);
    socklen_t length = sizeof at;
    if (bind(fd, (struct sockaddr *)&at, length) != 0 || listen(fd, 65535) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &length) != 0)
        return fail(fd);
    *port = ntohs(at.sin_port);
    return fd;
}

int pb_connect(int port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    struct sockaddr_in at = loopback(port);
    if (connect(fd, (struct sockaddr *)&at, sizeof at) != 0 || fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
        return fail(fd);
    pb_nodelay(fd);
    return fd;
}
