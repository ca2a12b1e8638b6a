/* SPDX-License-Identifier: MIT */
/* result.h: what the demo found out, and how it is written down as JSON.
 *
 * An act has rows; a row is one server under one load. The report (report.c) is made from
 * the JSON alone, so it can be made again from any result.json. */
#ifndef PB_RESULT_H
#define PB_RESULT_H

#include "perf/common/loadrun.h"

#define PB_ROWS_MAX 6
#define PB_ACTS 3

typedef struct pb_row {
    const char *server; /* "raw" or "pica" */
    char label[56];
    unsigned workers;
    bool hog;           /* somebody asked for /hog all the while */
    double hog_answers; /* how often that was answered, in all rounds */
    pb_loaded got;
} pb_row;

typedef struct pb_act {
    const char *name;  /* "throughput", "latency", "hog" */
    const char *title; /* one line */
    unsigned connections;
    double rate; /* 0: closed loop */
    unsigned n;
    pb_row rows[PB_ROWS_MAX];
} pb_act;

/** Write everything to a file. @return 0 or a negative code */
int pb_result_write(const char *path, const pb_act acts[PB_ACTS], double seconds);

#endif
