/* SPDX-License-Identifier: MIT */
/* harness.h: how pica-bench measures and what it prints.
 *
 * A case has probes; a probe is a function that runs once a round and returns one number.
 * Rounds interleave: every probe has its turn in every round, each beside the raw equivalent
 * it is compared with, so that whatever else the machine does falls on both. The first round
 * warms up and does not count. What is reported is the median over the rounds, for the probe
 * and for its limit, and the ratio of the two.
 *
 * The limit of an in-memory probe is a locked add ("LA"), measured in the same task before
 * and after it: it scales with the machine's mood as the atomic operations do that a
 * scheduler consists of.
 */
#ifndef PB_HARNESS_H
#define PB_HARNESS_H

#include <pica/executor.h>
#include <pica/group.h>
#include <pica/sem.h>
#include <pica/task.h>

#include <stdbool.h>

#define PB_ROUNDS_MAX 101

typedef struct pb_settings {
    unsigned workers; /* 0: the case's own */
    unsigned repeat;  /* rounds that count */
    bool json;
    double seconds; /* a window of echo, http and hog */
    size_t count;   /* tasks of parked */
} pb_settings;

/** The numbers of one probe or limit. */
typedef struct pb_series {
    double value[PB_ROUNDS_MAX];
    unsigned n;
} pb_series;

void pb_series_add(pb_series *s, double value);
double pb_series_median(const pb_series *s);
double pb_series_min(const pb_series *s);

/** (greatest - least) / median. */
double pb_series_spread(const pb_series *s);

/** What one round came to; negative: it failed, with that error code. */
typedef double pb_round(void *arg);

typedef struct pb_probe {
    const char *variant;
    unsigned workers; /* of the executor that it runs in; 0: on a plain thread */
    pb_round *round;
    void *arg;
    pb_round *limit;  /* runs on a plain thread; NULL: a locked add, in the same task */
    const char *unit; /* of both; NULL: "ns" */
    unsigned shown;   /* number of workers to report; 0: as above */
} pb_probe;

/** Measure and report probes. @return 0 or a negative code */
int pb_measure(const pb_settings *s, const char *name, const pb_probe *probes, size_t n);

/** Report one line. limit NULL: there is nothing to compare with. */
void pb_report(const pb_settings *s, const char *name, const char *variant, unsigned workers,
               const char *unit, const pb_series *value, const pb_series *limit);

/** Nanoseconds of a locked add, here and now. */
double pb_locked_add(void);

/** The number of workers: what the flag says, or the case's own. */
static inline unsigned pb_workers(const pb_settings *s, unsigned otherwise)
{
    return s->workers > 0 ? s->workers : otherwise;
}

#endif
