/* SPDX-License-Identifier: MIT */
/* loadrun.h: run the load generator once against a server, and read what it says. */
#ifndef PB_LOADRUN_H
#define PB_LOADRUN_H

#include "perf/common/process.h"

#include <stdbool.h>

/** What to load with; zero means pica-load's default, but for `seconds`. */
typedef struct pb_load {
    bool echo;
    const char *path, *body;
    unsigned connections;
    double rate, seconds, warmup, tick;
    int cpu; /* the one CPU the generator may use, or -1 */
} pb_load;

typedef struct pb_loaded {
    double answers, per_second, errors, unanswered, answer_bytes;
    double cpu_us; /* the server's processor time per answer */
    double mean_us, p50_us, p90_us, p99_us, p999_us, max_us;
    char curve[1024]; /* [[percent, us], ...], as text */
} pb_loaded;

/**
 * Load a server and wait for the result.
 *
 * @param tick  NULL, or called with the text of every tick line
 * @return 0; a negative code, after a line on stderr: the generator could not run, an answer
 *         was wrong or a connection broke (-EBADMSG, with *out set)
 */
int pb_load_run(const pb_load *load, const pb_process *server, pb_loaded *out,
                void (*tick)(void *arg, const char *line), void *arg);

#endif
