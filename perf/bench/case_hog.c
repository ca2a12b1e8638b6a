/* SPDX-License-Identifier: MIT */
/* case_hog.c: 64 connections that ask 20 times a second each, of a server with two workers
 * in which a task computes without a break; and of the same server without that task. The
 * 99th percentile, counted from the time at which each request was planned. */
#include "perf/bench/cases.h"
#include "perf/common/answer.h"
#include "perf/common/loadrun.h"

#include <stdio.h>

static int once(const pb_settings *s, unsigned workers, bool hog, pb_series *p99_us)
{
    char count[12];
    snprintf(count, sizeof count, "%u", workers);
    char *argv[] = {"pica-service",       "http",
                    "--workers",          count,
                    "--control",          PICA_STRINGIFY(PB_CONTROL_FD),
                    hog ? "--hog" : NULL, NULL};
    pb_process server;
    int rc = pb_server_start(&server, argv, -1);
    if (rc < 0)
        return rc;
    const pb_load load = {.body = PB_BODY,
                          .connections = 64,
                          .rate = 64 * 20,
                          .seconds = s->seconds > 0 ? s->seconds : 3,
                          .warmup = 0.3,
                          .cpu = -1};
    pb_loaded got;
    rc = pb_load_run(&load, &server, &got, NULL, NULL);
    pb_process_stop(&server);
    if (rc == 0 && p99_us != NULL)
        pb_series_add(p99_us, got.p99_us);
    return rc;
}

int pb_case_hog(const pb_settings *s)
{
    pb_series with = {.n = 0}, without = {.n = 0};
    unsigned workers = pb_workers(s, 2);
    for (unsigned round = 0; round <= s->repeat; round++) {
        bool hog = round % 2 == 0;
        int rc = 0;
        for (int i = 0; rc == 0 && i < 2; i++, hog = !hog)
            rc = once(s, workers, hog, round == 0 ? NULL : hog ? &with : &without);
        if (rc < 0)
            return rc;
    }
    pb_report(s, "hog", "64 x 20/s beside a hog, p99", workers, "us", &with, &without);
    return 0;
}
