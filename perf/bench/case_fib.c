/* SPDX-License-Identifier: MIT */
/* case_fib.c: fib(32) with a task for every call, which does next to nothing: time per task.
 * Then how much faster several workers are than one, beside how much faster as many plain
 * threads are that compute the same by plain calls, dealt out in equal parts. */
#include "executor/base/atomics.h"
#include "perf/bench/cases.h"
#include "perf/common/clock.h"

#include <pthread.h>

#define N 32
#define CALLS 7049155.0 /* fib(32) is called so often, itself included */
#define RESULT 2178309

#define PLAIN_N 40    /* lasts about as long by plain calls as fib(32) does by tasks */
#define PLAIN_PART 28 /* plain threads take fib(28) and fib(27) at a time */

/* --- By tasks --------------------------------------------------------------------------- */

static intptr_t fib(void *arg)
{
    intptr_t n = (intptr_t)arg;
    if (n < 2)
        return n;
    pica_task *a, *b;
    int rc = pica_spawn(&a, fib, (void *)(n - 1));
    if (rc < 0)
        return rc;
    rc = pica_spawn(&b, fib, (void *)(n - 2));
    if (rc < 0)
        return rc;
    intptr_t x = 0, y = 0;
    rc = pica_await(a, &x);
    if (rc == 0)
        rc = pica_await(b, &y);
    pica_unref(a);
    pica_unref(b);
    return rc < 0 ? rc : x + y;
}

/* The same, but the child that was spawned last is awaited first. */
static intptr_t fib_newest(void *arg)
{
    intptr_t n = (intptr_t)arg;
    if (n < 2)
        return n;
    pica_task *a, *b;
    int rc = pica_spawn(&a, fib_newest, (void *)(n - 1));
    if (rc < 0)
        return rc;
    rc = pica_spawn(&b, fib_newest, (void *)(n - 2));
    if (rc < 0)
        return rc;
    intptr_t x = 0, y = 0;
    rc = pica_await(b, &y);
    if (rc == 0)
        rc = pica_await(a, &x);
    pica_unref(a);
    pica_unref(b);
    return rc < 0 ? rc : x + y;
}

static double timed(pica_fn fn)
{
    int64_t start = pb_now();
    intptr_t result = fn((void *)(intptr_t)N);
    double ns = (double)(pb_now() - start) / CALLS;
    if (result < 0)
        return (double)result;
    return result == RESULT ? ns : -EBADMSG;
}

static double in_order(void *arg)
{
    (void)arg;
    return timed(fib);
}

static double newest_first(void *arg)
{
    (void)arg;
    return timed(fib_newest);
}

/* --- The speed-up ----------------------------------------------------------------------- */

typedef struct pair {
    pica_executor *one, *several;
    unsigned threads;
} pair;

static intptr_t timed_task(void *arg)
{
    *(double *)arg = timed(fib);
    return 0;
}

static double in_executor(pica_executor *ex)
{
    pica_task *task;
    double ns = 0;
    int rc = pica_executor_spawn(ex, &task, timed_task, &ns);
    if (rc == 0)
        rc = pica_await(task, NULL);
    if (rc < 0)
        return rc;
    pica_unref(task);
    return ns;
}

static double by_workers(void *arg)
{
    const pair *p = arg;
    double one = in_executor(p->one);
    double several = in_executor(p->several);
    return one < 0 ? one : several < 0 ? several : one / several;
}

static __attribute__((noinline)) long plain_fib(long n)
{
    return n < 2 ? n : plain_fib(n - 1) + plain_fib(n - 2);
}

/* What is left to do: fib(n) is this many times fib(PLAIN_PART) and so many times the one
 * below it. Threads take one after the other. */
typedef struct parts {
    long greater, all, next; /* next: [atomic] */
    long sum;                /* [atomic] */
} parts;

static void *take_parts(void *arg)
{
    parts *p = arg;
    long sum = 0;
    for (long i; (i = pi_add_relaxed(&p->next, 1)) < p->all;)
        sum += plain_fib(i < p->greater ? PLAIN_PART : PLAIN_PART - 1);
    pi_add_relaxed(&p->sum, sum);
    return NULL;
}

static double plain(unsigned threads)
{
    long d = PLAIN_N - PLAIN_PART;
    parts p = {.greater = plain_fib(d + 1), .all = plain_fib(d + 2)};
    pthread_t ids[256];
    int64_t start = pb_now();
    for (unsigned i = 1; i < threads; i++)
        if (pthread_create(&ids[i], NULL, take_parts, &p) != 0)
            return -EAGAIN;
    take_parts(&p);
    for (unsigned i = 1; i < threads; i++)
        pthread_join(ids[i], NULL);
    double ns = (double)(pb_now() - start);
    return p.sum == 102334155 ? ns : -EBADMSG;
}

static double by_threads(void *arg)
{
    const pair *p = arg;
    double one = plain(1);
    double several = plain(p->threads);
    return one < 0 ? one : several < 0 ? several : one / several;
}

static int speed_up(const pb_settings *s)
{
    pair p = {.threads = s->workers > 1 ? s->workers : 2};
    pica_options options = PICA_OPTIONS_INIT;
    options.workers = 1;
    options.flags = PICA_NO_SPARE;
    int rc = pica_executor_create(&p.one, &options);
    options.workers = p.threads;
    if (rc == 0)
        rc = pica_executor_create(&p.several, &options);
    pb_probe probe = {.variant = "speed-up against one worker",
                      .unit = "times",
                      .shown = p.threads,
                      .round = by_workers,
                      .limit = by_threads,
                      .arg = &p};
    if (rc == 0)
        rc = pb_measure(s, "fib", &probe, 1);
    pica_executor_destroy(p.one);
    pica_executor_destroy(p.several);
    return rc;
}

int pb_case_fib(const pb_settings *s)
{
    unsigned workers = pb_workers(s, 1);
    const pb_probe probes[] = {
        {.variant = "a task per call", .workers = workers, .round = in_order},
        {.variant = "the same, newest awaited first", .workers = workers, .round = newest_first}};
    int rc = pb_measure(s, "fib", probes, 2);
    return rc < 0 ? rc : speed_up(s);
}
