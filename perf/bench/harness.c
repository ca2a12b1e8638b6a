/* SPDX-License-Identifier: MIT */
/* harness.c: see harness.h. */
#include "perf/bench/harness.h"
#include "executor/base/atomics.h"

#include "perf/common/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_WORKERS 256

/* --- Series ----------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void pb_series_add(pb_series *s, double value)
{
    if (s->n < PB_ROUNDS_MAX)
        s->value[s->n++] = value;
}

static pb_series sorted(const pb_series *s)
{
    pb_series copy = *s;
    qsort(copy.value, copy.n, sizeof *copy.value, by_value);
    return copy;
}

double pb_series_median(const pb_series *s)
{
    pb_series o = sorted(s);
    if (o.n == 0)
        return 0;
    return o.n % 2 == 1 ? o.value[o.n / 2] : (o.value[o.n / 2 - 1] + o.value[o.n / 2]) / 2;
}

double pb_series_min(const pb_series *s)
{
    return s->n > 0 ? sorted(s).value[0] : 0;
}

double pb_series_spread(const pb_series *s)
{
    double median = pb_series_median(s);
    return median > 0 ? (sorted(s).value[s->n - 1] - pb_series_min(s)) / median : 0;
}

/* --- The yardstick ---------------------------------------------------------------------- */

static double locked_adds(void)
{
    enum { ADDS = 60000 };
    uint64_t word = 0;
    int64_t start = pb_now();
    for (int i = 0; i < ADDS; i += 4) {
        pi_add_seq_cst(&word, 1);
        pi_add_seq_cst(&word, 1);
        pi_add_seq_cst(&word, 1);
        pi_add_seq_cst(&word, 1);
    }
    return (double)(pb_now() - start) / ADDS;
}

double pb_locked_add(void)
{
    pb_series s = {.n = 0};
    for (int i = 0; i < 5; i++)
        pb_series_add(&s, locked_adds());
    return pb_series_median(&s);
}

/* --- Reporting -------------------------------------------------------------------------- */

static void report_json(const char *name, const char *variant, unsigned workers, const char *unit,
                        const pb_series *value, double limit)
{
    double median = pb_series_median(value);
    printf("{\"case\":\"%s\",\"variant\":\"%s\",\"workers\":%u,\"unit\":\"%s\",\"median\":%.6g,"
           "\"min\":%.6g,\"spread\":%.3f,",
           name, variant, workers, unit, median, pb_series_min(value), pb_series_spread(value));
    if (limit > 0)
        printf("\"limit\":%.6g,\"ratio\":%.4g}\n", limit, median / limit);
    else
        printf("\"limit\":null,\"ratio\":null}\n");
}

static void report_text(const char *name, const char *variant, unsigned workers, const char *unit,
                        const pb_series *value, double limit)
{
    static bool titled;
    if (!titled)
        printf("%-8s %-34s %2s %12s %-9s %12s %7s %12s %7s\n", "case", "variant", "w", "median",
               "unit", "min", "spread", "limit", "ratio");
    titled = true;
    double median = pb_series_median(value);
    printf("%-8s %-34s %2u %12.6g %-9s %12.6g %6.1f%%", name, variant, workers, median, unit,
           pb_series_min(value), pb_series_spread(value) * 100);
    if (limit > 0)
        printf(" %12.6g %7.3f\n", limit, median / limit);
    else
        printf(" %12s %7s\n", "-", "-");
}

void pb_report(const pb_settings *s, const char *name, const char *variant, unsigned workers,
               const char *unit, const pb_series *value, const pb_series *limit)
{
    double raw = limit != NULL ? pb_series_median(limit) : 0;
    (s->json ? report_json : report_text)(name, variant, workers, unit, value, raw);
    fflush(stdout);
}

/* --- Rounds ----------------------------------------------------------------------------- */

typedef struct turn {
    const pb_probe *probe;
    double value, limit;
} turn;

static intptr_t take_turn(void *arg)
{
    turn *t = arg;
    const pb_probe *p = t->probe;
    double before = p->limit != NULL ? 0 : pb_locked_add();
    t->value = p->round(p->arg);
    t->limit = p->limit != NULL ? 0 : (before + pb_locked_add()) / 2;
    return 0;
}

static int take_turn_in(pica_executor *ex, turn *t)
{
    pica_task *task;
    intptr_t result = 0;
    int rc = pica_executor_spawn(ex, &task, take_turn, t);
    if (rc < 0)
        return rc;
    rc = pica_await(task, &result);
    pica_unref(task);
    return rc < 0 ? rc : (int)result;
}

/* One executor for each number of workers that the probes want; idle ones sleep. */
static int prepare(pica_executor **executors, const pb_probe *probes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned workers = probes[i].workers;
        if (workers == 0 || executors[workers] != NULL)
            continue;
        pica_options options = PICA_OPTIONS_INIT;
        options.workers = workers;
        options.flags = PICA_NO_SPARE; /* or it would help where tasks are spawned for long */
        int rc = pica_executor_create(&executors[workers], &options);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int run_rounds(const pb_settings *s, pica_executor **executors, const pb_probe *probes,
                      size_t n, pb_series *values, pb_series *limits)
{
    for (unsigned round = 0; round <= s->repeat; round++) {
        for (size_t i = 0; i < n; i++) {
            turn t = {.probe = &probes[i]};
            unsigned workers = probes[i].workers;
            int rc = workers > 0 ? take_turn_in(executors[workers], &t) : (int)take_turn(&t);
            if (rc == 0 && probes[i].limit != NULL)
                t.limit = probes[i].limit(probes[i].arg);
            if (rc == 0 && (t.value < 0 || t.limit < 0))
                rc = (int)(t.value < 0 ? t.value : t.limit);
            if (rc < 0) {
                fprintf(stderr, "pica-bench: %s: %s\n", probes[i].variant, pica_strerror(rc));
                return rc;
            }
            if (round == 0)
                continue;
            pb_series_add(&values[i], t.value);
            pb_series_add(&limits[i], t.limit);
        }
    }
    return 0;
}

int pb_measure(const pb_settings *s, const char *name, const pb_probe *probes, size_t n)
{
    pica_executor *executors[MAX_WORKERS + 1] = {NULL};
    pb_series *values = calloc(2 * n, sizeof *values);
    if (values == NULL)
        return -ENOMEM;
    int rc = prepare(executors, probes, n);
    if (rc == 0)
        rc = run_rounds(s, executors, probes, n, values, values + n);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        const pb_probe *p = &probes[i];
        pb_report(s, name, p->variant, p->shown > 0 ? p->shown : p->workers,
                  p->unit != NULL ? p->unit : "ns", &values[i], &values[n + i]);
    }
    for (unsigned i = 0; i <= MAX_WORKERS; i++)
        pica_executor_destroy(executors[i]);
    free(values);
    return rc;
}
