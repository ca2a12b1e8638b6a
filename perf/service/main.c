/* SPDX-License-Identifier: MIT */
/* main.c: pica-service as a program: options, signals, the listener. See service.h. */
#include "perf/common/control.h"
#include "perf/common/process.h"
#include "perf/service/service.h"

#include <getopt.h>
#include <pica/executor.h>
#include <pica/task.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

static const char usage[] =
    "usage: pica-service http|echo [--port PORT] [--workers N] [--hog] [--control FD]\n"
    "\n"
    "A service on pica, on the loopback. SIGTERM drains it.\n"
    "  --port PORT    where to listen (default: any; it is printed)\n"
    "  --workers N    (default: the CPUs there are)\n"
    "  --hog          with a task that computes without a break (http)\n"
    "  --control FD   a control line (perf/common/control.h)\n";

static void quiet_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
}

int pb_service_wait_for_signal(void)
{
    sigset_t set;
    quiet_signals(&set);
    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0)
        return -EMFILE;
    int rc = pica_poll_fd(fd, POLLIN, PICA_NEVER);
    close(fd);
    return rc < 0 ? rc : 0;
}

static int parse(pb_service *s, int argc, char **argv)
{
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'}, {"workers", required_argument, NULL, 'w'},
        {"hog", no_argument, NULL, 'o'},        {"control", required_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},       {NULL, 0, NULL, 0}};
    *s = (pb_service){.control = -1};
    for (int letter; (letter = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (letter) {
        case 'p':
            s->port = atoi(optarg);
            break;
        case 'w':
            s->workers = (unsigned)atoi(optarg);
            break;
        case 'o':
            s->hog = true;
            break;
        case 'c':
            s->control = atoi(optarg);
            break;
        case 'h':
            fputs(usage, stdout);
            exit(0);
        default:
            return -EINVAL;
        }
    }
    const char *mode = optind == argc - 1 ? argv[optind] : "";
    s->http = strcmp(mode, "http") == 0;
    if (!s->http && strcmp(mode, "echo") != 0)
        return -EINVAL;
    return s->port < 0 || s->port > 65535 || s->workers > 256 || (s->hog && !s->http) ? -EINVAL : 0;
}

static int open_listener(pb_service *s, pica_listener **out)
{
    pica_addr addr;
    int rc = pica_addr_parse(&addr, "127.0.0.1", (uint16_t)s->port);
    if (rc == 0)
        rc = pica_tcp_listen(out, &addr, NULL);
    if (rc < 0)
        return rc;
    rc = pica_listener_addr(*out, &addr);
    if (rc == 0) {
        s->port = pica_addr_port(&addr);
        rc = pb_control_serve(s->control, s->port);
    }
    if (rc < 0)
        pica_listener_close(*out);
    return rc;
}

static intptr_t serve(void *arg)
{
    pb_service *s = arg;
    pica_listener *listener;
    int rc = open_listener(s, &listener);
    if (rc < 0)
        return rc;
    if (s->control < 0) {
        printf("pica-service: %s://127.0.0.1:%d, %u workers, malloc: %s\n",
               s->http ? "http" : "tcp", s->port, pica_executor_workers(pica_executor_self()),
               pica_allocator());
        fflush(stdout);
    }
    return s->http ? pb_service_http(s, listener) : pb_service_echo(s, listener);
}

int main(int argc, char **argv)
{
    pb_service s;
    if (parse(&s, argc, argv) < 0) {
        fputs(usage, stderr);
        return 2;
    }
    sigset_t set;
    quiet_signals(&set);
    sigprocmask(SIG_BLOCK, &set, NULL); /* before there are threads: they inherit it */
    pb_raise_descriptors();
    pica_options options = PICA_OPTIONS_INIT;
    options.workers = s.workers;
    intptr_t rc = pica_run(serve, &s, &options);
    if (rc < 0) {
        fprintf(stderr, "pica-service: port %d: %s\n", s.port, pica_strerror(rc));
        return 1;
    }
    return 0;
}
