/* SPDX-License-Identifier: MIT */
/* server.c: raw-server, the hand-written epoll servers as a program. See loop.h. */
#include "perf/common/control.h"
#include "perf/common/process.h"
#include "perf/common/socket.h"
#include "perf/raw/loop.h"

#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_THREADS 256

static const char usage[] =
    "usage: raw-server echo|http [--port PORT] [--workers N] [--control FD]\n"
    "\n"
    "A hand-written epoll server on the loopback: the raw equivalent in pica's benchmarks.\n"
    "  --port PORT    where to listen (default: any; it is printed)\n"
    "  --workers N    threads, one loop each (default 1)\n"
    "  --control FD   a control line (perf/common/control.h)\n";

typedef struct settings {
    const pb_raw_protocol *protocol;
    int port, control;
    unsigned workers;
} settings;

static int parse(settings *s, int argc, char **argv)
{
    static const struct option options[] = {{"port", required_argument, NULL, 'p'},
                                            {"workers", required_argument, NULL, 'w'},
                                            {"control", required_argument, NULL, 'c'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    *s = (settings){.control = -1, .workers = 1};
    for (int letter; (letter = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (letter == 'p')
            s->port = atoi(optarg);
        else if (letter == 'w')
            s->workers = (unsigned)atoi(optarg);
        else if (letter == 'c')
            s->control = atoi(optarg);
        else if (letter == 'h') {
            fputs(usage, stdout);
            exit(0);
        } else
            return -EINVAL;
    }
    const char *mode = optind == argc - 1 ? argv[optind] : "";
    s->protocol = strcmp(mode, "echo") == 0   ? &pb_raw_echo
                  : strcmp(mode, "http") == 0 ? &pb_raw_http
                                              : NULL;
    return s->protocol == NULL || s->workers - 1 >= MAX_THREADS ? -EINVAL : 0;
}

static void end(int signal)
{
    (void)signal;
    _exit(0);
}

static void *run(void *loop)
{
    pb_raw_loop_run(loop);
    return NULL;
}

int main(int argc, char **argv)
{
    settings s;
    if (parse(&s, argc, argv) < 0) {
        fputs(usage, stderr);
        return 2;
    }
    signal(SIGTERM, end);
    pb_raise_descriptors();
    static pb_raw_loop loops[MAX_THREADS];
    int rc = pb_listen(&s.port);
    if (rc >= 0)
        rc = pb_raw_loops_open(loops, s.workers, rc, s.protocol);
    if (rc >= 0)
        rc = pb_control_serve(s.control, s.port);
    for (unsigned i = 1; rc >= 0 && i < s.workers; i++) {
        pthread_t thread;
        rc = -pthread_create(&thread, NULL, run, &loops[i]);
    }
    if (rc < 0) {
        fprintf(stderr, "raw-server: %s\n", strerror(-rc));
        return 1;
    }
    if (s.control < 0) {
        printf("raw-server listens on port %d\n", s.port);
        fflush(stdout);
    }
    pb_raw_loop_run(&loops[0]);
}
