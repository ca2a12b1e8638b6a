/* SPDX-License-Identifier: MIT */
/* acts.c: see acts.h. All servers of an act live through it; those that are not loaded
 * sleep. */
#include "perf/show/acts.h"

#include "perf/common/answer.h"
#include "perf/common/json.h"
#include "perf/show/screen.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CONNECTIONS 64
#define ROUNDS 3
#define ROUND_S 1.0
#define RATE 20000.0
#define SLOW_RATE (CONNECTIONS * 20.0)
#define RATE_ROUND_S 1.5

/* The rows' servers. */
typedef struct cast {
    pb_process process[PB_ROWS_MAX];
} cast;

static int enter(cast *c, pb_act *act, const char *server, unsigned workers, const char *label)
{
    char count[12];
    pb_row *row = &act->rows[act->n];
    bool ours = strcmp(server, "pica") == 0;
    char *argv[] = {(char *)(uintptr_t)(ours ? "pica-service" : "raw-server"),
                    "http",
                    "--workers",
                    count,
                    "--control",
                    "3",
                    NULL};
    snprintf(count, sizeof count, "%u", workers);
    *row = (pb_row){.server = server, .workers = workers};
    snprintf(row->label, sizeof row->label, "%s", label);
    int rc = pb_server_start(&c->process[act->n], argv, workers == 1 ? pb_cpu_nth(0) : -1);
    if (rc < 0)
        return rc;
    pb_screen_row(row->label, ours);
    act->n++;
    return 0;
}

static int leave(cast *c, const pb_act *act, int rc)
{
    for (unsigned i = 0; i < act->n; i++) {
        int code = pb_process_stop(&c->process[i]);
        if (rc == 0 && code != 0) {
            fprintf(stderr, "%s ended with exit code %d\n", act->rows[i].label, code);
            rc = -ECHILD;
        }
    }
    pb_screen_end();
    return rc;
}

/* --- Ticks ------------------------------------------------------------------------------ */

typedef struct ticker {
    int row;
    const char *field; /* of the tick line, what the bar shows */
    double scale;
} ticker;

static void tick(void *arg, const char *line)
{
    const ticker *t = arg;
    pb_screen_value(t->row, pb_json_number(line, t->field, 0) * t->scale, "", false);
}

static double tick_s(void)
{
    return pb_screen_live() ? 0.25 : 1;
}

/* --- Rounds ----------------------------------------------------------------------------- */

/* Load one row's server for one round. */
typedef int (*round_fn)(cast *c, pb_act *act, unsigned i, pb_loaded *got);
typedef int (*order_fn)(const void *, const void *);

static int by_cpu(const void *a, const void *b)
{
    double x = ((const pb_loaded *)a)->cpu_us, y = ((const pb_loaded *)b)->cpu_us;
    return (x > y) - (x < y);
}

static int by_rate(const void *a, const void *b)
{
    double x = ((const pb_loaded *)a)->per_second, y = ((const pb_loaded *)b)->per_second;
    return (x > y) - (x < y);
}

static int by_p99(const void *a, const void *b)
{
    double x = ((const pb_loaded *)a)->p99_us, y = ((const pb_loaded *)b)->p99_us;
    return (x > y) - (x < y);
}

/* The median round in an order, with the median of the processor times. */
static pb_loaded typical(pb_loaded rounds[ROUNDS], order_fn order)
{
    qsort(rounds, ROUNDS, sizeof rounds[0], by_cpu);
    double cpu_us = rounds[ROUNDS / 2].cpu_us;
    qsort(rounds, ROUNDS, sizeof rounds[0], order);
    rounds[ROUNDS / 2].cpu_us = cpu_us;
    return rounds[ROUNDS / 2];
}

/* All rows in turn, again and again: a machine that stands still for a moment spoils one round of
 * one row. Each row gets its typical round. */
static int run_rounds(cast *c, pb_act *act, round_fn run, order_fn order)
{
    static pb_loaded got[PB_ROWS_MAX][ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < act->n; i++) {
            int rc = run(c, act, i, &got[i][round]);
            if (rc < 0)
                return rc;
        }
    }
    for (unsigned i = 0; i < act->n; i++)
        act->rows[i].got = typical(got[i], order);
    return 0;
}

/* --- Act one ---------------------------------------------------------------------------- */

static int as_fast_as_it_goes(cast *c, pb_act *act, unsigned i, pb_loaded *got)
{
    bool one = act->rows[i].workers == 1;
    const pb_load load = {.body = PB_BODY,
                          .connections = CONNECTIONS,
                          .seconds = ROUND_S,
                          .warmup = 0.2,
                          .tick = tick_s(),
                          .cpu = one ? pb_cpu_nth(1) : -1};
    ticker t = {.row = (int)i, .field = "per_second", .scale = 1};
    return pb_load_run(&load, &c->process[i], got, tick, &t);
}

static int throughput(cast *c, pb_act *act)
{
    int rc = run_rounds(c, act, as_fast_as_it_goes, by_rate);
    for (unsigned i = 0; rc == 0 && i < act->n; i++) {
        char remark[48];
        const pb_loaded *got = &act->rows[i].got;
        snprintf(remark, sizeof remark, "%.2f us CPU each", got->cpu_us);
        pb_screen_value((int)i, got->per_second, remark, true);
    }
    return rc;
}

int pb_act_throughput(pb_act *act)
{
    static cast c;
    unsigned cpus = pb_cpus();
    char several[2][40];
    *act = (pb_act){.name = "throughput",
                    .title = "Act one: as fast as it goes (64 connections, closed loop)",
                    .connections = CONNECTIONS};
    pb_screen_act(act->title, "requests/s", 0, 1000);
    snprintf(several[0], sizeof several[0], "epoll by hand, %u threads", cpus);
    snprintf(several[1], sizeof several[1], "pica, %u workers", cpus);
    int rc = enter(&c, act, "raw", 1, "epoll by hand, 1 thread");
    if (rc == 0)
        rc = enter(&c, act, "pica", 1, "pica, 1 worker");
    if (rc == 0 && cpus > 1)
        rc = enter(&c, act, "raw", cpus, several[0]);
    if (rc == 0 && cpus > 1)
        rc = enter(&c, act, "pica", cpus, several[1]);
    if (rc == 0)
        rc = throughput(&c, act);
    return leave(&c, act, rc);
}

/* --- Acts two and three ----------------------------------------------------------------- */

/* Load one row's server at the act's rate; meanwhile somebody may ask for /hog without end. */
static int at_rate(cast *c, pb_act *act, unsigned i, pb_loaded *got)
{
    pb_row *row = &act->rows[i];
    const pb_load load = {.body = PB_BODY,
                          .connections = CONNECTIONS,
                          .rate = act->rate,
                          .seconds = RATE_ROUND_S,
                          .warmup = 0.3,
                          .tick = tick_s(),
                          .cpu = -1};
    ticker t = {.row = (int)i, .field = "p99_us", .scale = 0.001};
    pb_process hog = {.control = -1};
    if (row->hog) {
        char port[12], time[16];
        snprintf(port, sizeof port, "%d", c->process[i].port);
        snprintf(time, sizeof time, "%g", RATE_ROUND_S);
        char *argv[] = {"pica-load", "--port",        port, "--path",    "/hog", "--body",
                        PB_BODY,     "--connections", "1",  "--seconds", time,   NULL};
        int rc = pb_program_start(&hog, argv, -1, -1);
        if (rc < 0)
            return rc;
    }
    int rc = pb_load_run(&load, &c->process[i], got, tick, &t);
    if (row->hog) {
        char line[4096] = "";
        if (fgets(line, sizeof line, hog.out) != NULL)
            row->hog_answers += pb_json_number(line, "answers", 0);
        if (pb_process_wait(&hog) != 0 && rc == 0)
            rc = -EBADMSG;
    }
    return rc;
}

static int latency(cast *c, pb_act *act)
{
    int rc = run_rounds(c, act, at_rate, by_p99);
    for (unsigned i = 0; rc == 0 && i < act->n; i++) {
        char remark[48];
        const pb_loaded *got = &act->rows[i].got;
        snprintf(remark, sizeof remark, "p50 %.2f, p99.9 %.2f ms", got->p50_us / 1000,
                 got->p999_us / 1000);
        pb_screen_value((int)i, got->p99_us / 1000, remark, true);
    }
    return rc;
}

int pb_act_latency(pb_act *act)
{
    static cast c;
    unsigned cpus = pb_cpus();
    char labels[2][40];
    *act = (pb_act){.name = "latency",
                    .title = "Act two: 20,000 requests/s, evenly spaced, timed from the plan",
                    .connections = CONNECTIONS,
                    .rate = RATE};
    pb_screen_act(act->title, "ms p99", 0.02, 2);
    snprintf(labels[0], sizeof labels[0], "epoll by hand, %u threads", cpus);
    snprintf(labels[1], sizeof labels[1], "pica, %u workers", cpus);
    int rc = enter(&c, act, "raw", cpus, labels[0]);
    if (rc == 0)
        rc = enter(&c, act, "pica", cpus, labels[1]);
    if (rc == 0)
        rc = latency(&c, act);
    return leave(&c, act, rc);
}

int pb_act_hog(pb_act *act)
{
    static cast c;
    unsigned workers = pb_cpus() > 1 ? pb_cpus() : 2;
    *act = (pb_act){.name = "hog",
                    .title = "Act three: a handler computes for 50 ms, again and again; everybody "
                             "else's p99",
                    .connections = CONNECTIONS,
                    .rate = SLOW_RATE};
    pb_screen_act(act->title, "ms p99", 0.05, 60);
    int rc = enter(&c, act, "pica", workers, "pica, nobody computes");
    if (rc == 0)
        rc = enter(&c, act, "pica", workers, "pica, one computes");
    if (rc == 0)
        rc = enter(&c, act, "raw", workers, "epoll by hand, one computes");
    for (unsigned i = 1; i < act->n; i++)
        act->rows[i].hog = true;
    if (rc == 0)
        rc = latency(&c, act);
    return leave(&c, act, rc);
}
