/* SPDX-License-Identifier: MIT */
/* case_wake.c: a round trip between two tasks pinned to two workers, by semaphores, beside
 * one between two threads by eventfds. Either the partner has gone to sleep each time (the
 * caller computes for a while before it calls), or the two call each other at once.
 *
 * Workers and threads are pinned to two CPUs alike: the kernel would otherwise put the two
 * threads on one CPU at times, which is another question. */
#include "perf/bench/cases.h"
#include "perf/common/clock.h"
#include "perf/common/hist.h"
#include "perf/common/process.h"

#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

typedef struct trips {
    int count;
    int64_t pause_ns; /* computed before each */
    pica_sem there, back;
    int there_fd, back_fd;
    int cpu[2]; /* read before anything is pinned */
    pb_hist hist;
} trips;

static double median(const trips *t)
{
    return (double)pb_hist_quantile(&t->hist, 0.5);
}

/* --- Tasks ------------------------------------------------------------------------------ */

static intptr_t caller(void *arg)
{
    trips *t = arg;
    pb_pin(t->cpu[0]);
    for (int i = 0; i < t->count; i++) {
        pb_burn(t->pause_ns);
        int64_t start = pb_now();
        pica_sem_release(&t->there);
        int rc = pica_sem_acquire(&t->back);
        if (rc < 0)
            return rc;
        pb_hist_add(&t->hist, pb_now() - start);
    }
    return 0;
}

static intptr_t partner(void *arg)
{
    trips *t = arg;
    pb_pin(t->cpu[1]);
    for (int i = 0; i < t->count; i++) {
        int rc = pica_sem_acquire(&t->there);
        if (rc < 0)
            return rc;
        pica_sem_release(&t->back);
    }
    return 0;
}

static double by_tasks(void *arg)
{
    trips *t = arg;
    memset(&t->hist, 0, sizeof t->hist);
    pica_attr attr = PICA_ATTR_INIT;
    pica_task *tasks[2];
    for (unsigned i = 0; i < 2; i++) {
        attr.pin = i + 1;
        int rc = pica_spawn_with(&tasks[i], i == 0 ? caller : partner, t, &attr);
        if (rc < 0)
            return rc;
    }
    for (int i = 0; i < 2; i++) {
        intptr_t result = 0;
        int rc = pica_join(tasks[i], &result);
        if (rc < 0 || result < 0)
            return rc < 0 ? rc : (double)result;
        pica_unref(tasks[i]);
    }
    return median(t);
}

/* --- Threads ---------------------------------------------------------------------------- */

static void *thread_partner(void *arg)
{
    trips *t = arg;
    eventfd_t value;
    pb_pin(t->cpu[1]);
    for (int i = 0; i < t->count; i++)
        if (eventfd_read(t->there_fd, &value) != 0 || eventfd_write(t->back_fd, 1) != 0)
            break;
    return NULL;
}

static void *thread_caller(void *arg)
{
    trips *t = arg;
    eventfd_t value;
    pb_pin(t->cpu[0]);
    for (int i = 0; i < t->count; i++) {
        pb_burn(t->pause_ns);
        int64_t start = pb_now();
        if (eventfd_write(t->there_fd, 1) != 0 || eventfd_read(t->back_fd, &value) != 0)
            break;
        pb_hist_add(&t->hist, pb_now() - start);
    }
    return NULL;
}

static double by_threads(void *arg)
{
    trips *t = arg;
    pthread_t threads[2];
    memset(&t->hist, 0, sizeof t->hist);
    t->there_fd = eventfd(0, EFD_CLOEXEC);
    t->back_fd = eventfd(0, EFD_CLOEXEC);
    if (t->there_fd < 0 || t->back_fd < 0)
        return -EMFILE;
    if (pthread_create(&threads[0], NULL, thread_caller, t) != 0 ||
        pthread_create(&threads[1], NULL, thread_partner, t) != 0)
        return -EAGAIN;
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    close(t->there_fd);
    close(t->back_fd);
    return t->hist.total == (uint64_t)t->count ? median(t) : -EIO;
}

int pb_case_wake(const pb_settings *s)
{
    static trips asleep = {.count = 1000, .pause_ns = 300000};
    static trips at_once = {.count = 10000};
    for (unsigned i = 0; i < 2; i++)
        asleep.cpu[i] = at_once.cpu[i] = pb_cpu_nth(i);
    const pb_probe probes[] = {{.variant = "round trip, partner asleep",
                                .workers = 2,
                                .round = by_tasks,
                                .limit = by_threads,
                                .arg = &asleep},
                               {.variant = "round trip, at once",
                                .workers = 2,
                                .round = by_tasks,
                                .limit = by_threads,
                                .arg = &at_once}};
    return pb_measure(s, "wake", probes, 2);
}
