/* SPDX-License-Identifier: MIT */
/* case_parked.c: what a task costs that sleeps: resident memory with page tables, and how
 * many mappings the process then has. Beside it, one page touched in every 64 KiB of a plain
 * mapping, which is the least that a stack of its own can cost.
 *
 * Each round is a process of its own, so that none starts with the stacks of the last. */
#include "executor/base/atomics.h"
#include "perf/bench/cases.h"
#include "perf/common/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define STRIDE ((size_t)64 << 10)

/* What a round's process reports. */
typedef struct outcome {
    int rc;
    double bytes, raw_bytes, mappings;
} outcome;

typedef struct crowd {
    size_t count;
    size_t started; /* [atomic] */
} crowd;

/* Resident memory and page tables, in bytes. */
static double memory(void)
{
    char line[256];
    double kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    if (f == NULL)
        return 0;
    while (fgets(line, sizeof line, f) != NULL) {
        long n;
        if (sscanf(line, "VmRSS: %ld", &n) == 1 || sscanf(line, "VmPTE: %ld", &n) == 1)
            kib += (double)n;
    }
    fclose(f);
    return kib * 1024;
}

static double mappings(void)
{
    FILE *f = fopen("/proc/self/maps", "r");
    if (f == NULL)
        return 0;
    double n = 0;
    for (int c; (c = getc(f)) != EOF;)
        n += c == '\n';
    fclose(f);
    return n;
}

static double raw_bytes(size_t count)
{
    size_t length = count * STRIDE;
    char *base = mmap(NULL, length, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return 0;
    madvise(base, length, MADV_NOHUGEPAGE);
    double before = memory();
    for (size_t i = 0; i < count; i++)
        base[i * STRIDE + STRIDE - 64] = 1;
    double bytes = (memory() - before) / (double)count;
    munmap(base, length);
    return bytes;
}

static intptr_t sleeper(void *arg)
{
    crowd *c = arg;
    pi_add_relaxed(&c->started, 1);
    return pica_sleep(PICA_NEVER);
}

/* Yields now and then, so that those that were spawned start: otherwise their objects and
 * their stacks would come in two separate waves. */
static intptr_t gather_crowd(void *arg)
{
    crowd *c = arg;
    for (size_t i = 0; i < c->count; i++) {
        int rc = pica_spawn(NULL, sleeper, c);
        if (rc == 0 && i % 64 == 63)
            rc = pica_yield();
        if (rc < 0)
            return rc;
    }
    while (pi_load_relaxed(&c->started) < c->count) {
        int rc = pica_sleep(PICA_MS(1));
        if (rc < 0)
            return rc;
    }
    return pica_sleep(PICA_MS(10)); /* the last one parks */
}

static int measure(outcome *o, size_t count, unsigned workers)
{
    pica_options options = PICA_OPTIONS_INIT;
    options.workers = workers;
    options.flags = PICA_NO_SPARE;
    pica_executor *ex;
    int rc = pica_executor_create(&ex, &options);
    if (rc < 0)
        return rc;
    crowd c = {.count = count};
    double before = memory();
    pica_task *task;
    intptr_t result = 0;
    rc = pica_executor_spawn(ex, &task, gather_crowd, &c);
    if (rc == 0)
        rc = pica_await(task, &result);
    if (rc == 0)
        rc = (int)result;
    o->bytes = (memory() - before) / (double)count;
    o->mappings = mappings();
    if (rc == 0)
        pica_unref(task);
    int cancelled = pica_executor_shutdown(ex, 0);
    if (rc == 0 && cancelled != 1)
        rc = cancelled < 0 ? cancelled : -EBADMSG; /* all of them were still asleep */
    pica_executor_destroy(ex);
    return rc;
}

/* Fork, measure in the child, bring the outcome home through a pipe. */
static int round_in_child(outcome *o, size_t count, unsigned workers)
{
    int ends[2];
    if (pipe(ends) != 0)
        return -errno;
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0) {
        memset(o, 0, sizeof *o);
        o->raw_bytes = raw_bytes(count < 100000 ? count : 100000);
        o->rc = measure(o, count, workers);
        _exit(write(ends[1], o, sizeof *o) == (ssize_t)sizeof *o ? 0 : 1);
    }
    close(ends[1]);
    ssize_t n = read(ends[0], o, sizeof *o);
    close(ends[0]);
    waitpid(pid, NULL, 0);
    return n == (ssize_t)sizeof *o ? o->rc : -EIO;
}

int pb_case_parked(const pb_settings *s)
{
    pb_series bytes = {.n = 0}, raw = {.n = 0}, maps = {.n = 0};
    unsigned workers = pb_workers(s, 1);
    /* Nothing here depends on the machine's mood, so a few rounds are enough. */
    for (unsigned round = 0; round < (s->repeat + 2) / 3; round++) {
        outcome o;
        int rc = round_in_child(&o, s->count, workers);
        if (rc < 0)
            return rc;
        pb_series_add(&bytes, o.bytes);
        pb_series_add(&raw, o.raw_bytes);
        pb_series_add(&maps, o.mappings);
    }
    pb_report(s, "parked", "memory each", workers, "bytes", &bytes, &raw);
    pb_report(s, "parked", "mappings of the process", workers, "mappings", &maps, NULL);
    return 0;
}
