/* SPDX-License-Identifier: MIT */
/* case_serve.c: echo and HTTP, pica's server beside a hand-written epoll loop.
 *
 * Both servers live through the whole case, each in a process of its own, and are loaded in
 * turn by a generator in a third; the one that is not loaded sleeps. With one worker the
 * server has one CPU to itself and the generator another, so that neither moves about. What
 * counts is the processor time that the server says it took, per answer, and the generator's
 * 99th percentile in a closed loop. */
#include "perf/bench/cases.h"
#include "perf/common/answer.h"
#include "perf/common/loadrun.h"

#include <stdint.h>
#include <stdio.h>

/* The same for both: how each is loaded. */
typedef struct contest {
    const char *name;
    bool echo;
    const char *each; /* what an answer is called */
    unsigned connections[2];
} contest;

typedef struct side {
    pb_process server;
    pb_series cpu_us, p99_us;
    double answer_bytes;
} side;

static int start(side *to, const char *program, const contest *c, unsigned workers)
{
    char count[12];
    snprintf(count, sizeof count, "%u", workers);
    char *argv[] = {(char *)(uintptr_t)program,
                    (char *)(uintptr_t)(c->echo ? "echo" : "http"),
                    "--workers",
                    count,
                    "--control",
                    PICA_STRINGIFY(PB_CONTROL_FD),
                    NULL};
    return pb_server_start(&to->server, argv, workers == 1 ? pb_cpu_nth(0) : -1);
}

static int load(side *on, const pb_settings *s, const contest *c, unsigned connections,
                unsigned workers, bool counts)
{
    const pb_load load = {.echo = c->echo,
                          .body = c->echo ? NULL : PB_BODY,
                          .connections = connections,
                          .seconds = s->seconds > 0 ? s->seconds : 1,
                          .warmup = 0.2,
                          .cpu = workers == 1 ? pb_cpu_nth(1) : -1};
    pb_loaded got;
    int rc = pb_load_run(&load, &on->server, &got, NULL, NULL);
    if (rc < 0 || !counts)
        return rc;
    on->answer_bytes = got.answer_bytes;
    pb_series_add(&on->cpu_us, got.cpu_us);
    pb_series_add(&on->p99_us, got.p99_us);
    return 0;
}

static void report(const pb_settings *s, const contest *c, const side *raw, const side *pica,
                   unsigned connections, unsigned workers)
{
    char variant[64];
    snprintf(variant, sizeof variant, "%u connections, CPU per %s", connections, c->each);
    pb_report(s, c->name, variant, workers, "us", &pica->cpu_us, &raw->cpu_us);
    snprintf(variant, sizeof variant, "%u connections, p99", connections);
    pb_report(s, c->name, variant, workers, "us", &pica->p99_us, &raw->p99_us);
    if (pica->answer_bytes != raw->answer_bytes)
        fprintf(stderr,
                "pica-bench %s: answers of %.0f and %.0f bytes: the two do not do the same\n",
                c->name, pica->answer_bytes, raw->answer_bytes);
}

/* Who goes first changes from round to round. */
static int rounds(const pb_settings *s, const contest *c, side *raw, side *pica,
                  unsigned connections, unsigned workers)
{
    raw->cpu_us.n = raw->p99_us.n = pica->cpu_us.n = pica->p99_us.n = 0;
    for (unsigned round = 0; round <= s->repeat; round++) {
        side *first = round % 2 == 0 ? raw : pica;
        side *second = round % 2 == 0 ? pica : raw;
        int rc = load(first, s, c, connections, workers, round > 0);
        if (rc == 0)
            rc = load(second, s, c, connections, workers, round > 0);
        if (rc < 0)
            return rc;
    }
    report(s, c, raw, pica, connections, workers);
    return 0;
}

static int run(const pb_settings *s, const contest *c)
{
    unsigned workers = pb_workers(s, 1);
    static side raw, pica;
    int rc = start(&raw, "raw-server", c, workers);
    if (rc == 0)
        rc = start(&pica, "pica-service", c, workers);
    for (int i = 0; rc == 0 && i < 2; i++)
        rc = rounds(s, c, &raw, &pica, c->connections[i], workers);
    pb_process_stop(&raw.server);
    int code = pb_process_stop(&pica.server);
    if (rc == 0 && code != 0) {
        fprintf(stderr, "pica-service ended with exit code %d\n", code);
        rc = -EBADMSG;
    }
    return rc;
}

int pb_case_echo(const pb_settings *s)
{
    const contest c = {"echo", true, "message", {64, 1000}};
    return run(s, &c);
}

int pb_case_http(const pb_settings *s)
{
    const contest c = {"http", false, "request", {64, 256}};
    return run(s, &c);
}
