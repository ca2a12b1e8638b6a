/* SPDX-License-Identifier: MIT */
/* control.c: see control.h. */
#include "perf/common/control.h"

#include "perf/common/clock.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static int say(int fd, const char *word, long long number)
{
    char line[48];
    int n = snprintf(line, sizeof line, "%s %lld\n", word, number);
    return send(fd, line, (size_t)n, MSG_NOSIGNAL) == n ? 0 : -EPIPE;
}

static void *answer(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char letter;
    for (;;) {
        ssize_t n = read(fd, &letter, 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n != 1 || letter == 'q') {
            kill(getpid(), SIGTERM);
            return NULL;
        }
        if (letter == 'c')
            say(fd, "cpu", pb_cpu());
    }
}

int pb_control_serve(int fd, int port)
{
    if (fd < 0)
        return 0;
    int rc = say(fd, "ready", port);
    if (rc < 0)
        return rc;
    pthread_t thread;
    rc = pthread_create(&thread, NULL, answer, (void *)(intptr_t)fd);
    if (rc == 0)
        pthread_detach(thread);
    return -rc;
}

/* The number of the next line, which starts with `word`. */
static int64_t listen_for(int fd, const char *word)
{
    char line[64];
    size_t have = 0;
    while (have + 1 < sizeof line) {
        ssize_t n = read(fd, line + have, 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n != 1)
            return -EPIPE;
        if (line[have++] == '\n')
            break;
    }
    line[have] = 0;
    char name[16];
    long long number;
    if (sscanf(line, "%15s %lld", name, &number) != 2 || name[0] != word[0])
        return -EPIPE;
    return number;
}

int pb_control_port(int fd)
{
    return (int)listen_for(fd, "ready");
}

int64_t pb_control_cpu(int fd)
{
    if (send(fd, "c", 1, MSG_NOSIGNAL) != 1)
        return -EPIPE;
    return listen_for(fd, "cpu");
}
