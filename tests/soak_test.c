/* SPDX-License-Identifier: MIT */
/* soak_test.c: a service that lives for long. Echo, cancels, time-outs, timers and spawns from
 * plain threads, all at once; memory, descriptors and mappings stay as they were, everybody
 * gets on all the time, and nothing is lost.
 *
 * PICA_SOAK_SECONDS says for how long; `tests/run soak` gives it half an hour. */
#include "executor/base/atomics.h"
#include "tests/io/peers.h"
#include "tests/proc.h"

#include <pica/sem.h>
#include <pthread.h>
#include <time.h>

#define CLIENTS 12
#define VICTIMS 8
#define SLEEPERS 200
#define THREADS 2
#define SECONDS 6  /* unless PICA_SOAK_SECONDS says otherwise */
#define SAMPLES 20 /* the first quarter warms up */
#define STILL 4    /* over so many samples nobody may stand still */
#define BLOCK 2048

/* What goes round, and how often it has; by kind, so that a stall of one shows. */
enum { ECHOES, CANCELS, TIMEOUTS, NAPS, SPAWNS, KINDS };
static const char *const kinds[KINDS] = {"echoes", "cancels", "time-outs", "naps", "spawns"};
static uint64_t done[KINDS];    /* [atomic, relaxed] */
static uint64_t began, ended;   /* [atomic, relaxed] functions of spawned tasks */
static uint64_t looks, waiting; /* [atomic, relaxed] see watches() */
static uint32_t stop;           /* [atomic] */
static int64_t seconds;         /* [const] how long */
static pica_addr where;
static pica_sem permits;

static bool goes_on(void)
{
    return !pi_load_relaxed(&stop);
}

static int64_t up_to(check_rng *rng, int64_t ns)
{
    return (int64_t)check_rng_below(rng, (uint64_t)ns);
}

static void count(unsigned kind)
{
    pi_add_relaxed(&done[kind], 1u);
}

/* ---- echo ---- */

static intptr_t echoes(void *arg)
{
    pica_stream *stream = arg;
    char block[BLOCK];
    ssize_t n;
    pi_add_relaxed(&began, 1u);
    while ((n = pica_read(stream, block, sizeof(block))) > 0 &&
           pica_write_all(stream, block, (size_t)n, NULL) == 0) {
    }
    pica_close(stream);
    pi_add_relaxed(&ended, 1u);
    return 0;
}

static intptr_t serves(void *arg)
{
    pica_listener *listener = arg;
    pica_stream *stream;
    while (pica_accept(listener, &stream, NULL) == 0) {
        pica_task *task = NULL;
        CHECK_FATAL_OK(pica_spawn(&task, echoes, stream));
        pica_detach(task); /* a peer that breaks off is no failure */
    }
    return 0;
}

static bool one_echo(pica_stream *stream, check_rng *rng)
{
    char out[BLOCK], in[BLOCK];
    size_t size = 1 + check_rng_below(rng, BLOCK), got = 0;
    memset(out, (int)check_rng_below(rng, 256), size);
    if (!CHECK_OK(pica_write_all(stream, out, size, NULL)))
        return false;
    while (got < size) {
        ssize_t n = pica_read(stream, in + got, size - got);
        if (!CHECK_LT(0, n))
            return false;
        got += (size_t)n;
    }
    count(ECHOES);
    return CHECK_MEM(in, out, size);
}

/* Wait for bytes that never come, until the scope's deadline; the stream is as good as before. */
static void one_timeout(pica_stream *stream, check_rng *rng)
{
    pica_scope scope;
    char byte;
    pica_scope_begin(&scope, pica_after(up_to(rng, PICA_MS(2))));
    CHECK_EQ(pica_scope_end(&scope, pica_read(stream, &byte, 1)), -ETIMEDOUT);
    count(TIMEOUTS);
}

static intptr_t asks(void *arg)
{
    check_rng rng = check_rng_make((uintptr_t)arg);
    pica_stream *stream;
    while (goes_on()) {
        CHECK_FATAL_OK(pica_tcp_connect(&stream, &where));
        uint64_t rounds = check_rng_below(&rng, 8) ? 500 + check_rng_below(&rng, 1000) : 1;
        while (rounds-- > 0 && goes_on() && one_echo(stream, &rng))
            if (check_rng_below(&rng, 64) == 0)
                one_timeout(stream, &rng);
        pica_close(stream);
    }
    return 0;
}

/* ---- cancels ---- */

/* Waits for bytes, for a permit, for time, whatever: until it is cancelled. */
static intptr_t waits(void *arg)
{
    intptr_t kind = (intptr_t)arg;
    intptr_t rc;
    pi_add_relaxed(&began, 1u);
    if (kind == 0) {
        pica_stream *stream;
        char byte;
        rc = pica_tcp_connect(&stream, &where);
        if (rc == 0) {
            rc = pica_read(stream, &byte, 1);
            pica_close(stream);
        }
    } else if (kind == 1) {
        rc = pica_sem_acquire(&permits);
        if (rc == 0) {
            rc = pica_sleep(PICA_NEVER);
            pica_sem_release(&permits);
        }
    } else {
        rc = pica_sleep(PICA_NEVER);
    }
    pi_add_relaxed(&ended, 1u);
    return rc;
}

static intptr_t cancels(void *arg)
{
    check_rng rng = check_rng_make(1000 + (uintptr_t)arg);
    while (goes_on()) {
        /* A connection costs a port for a minute: not too many. */
        intptr_t kind = check_rng_below(&rng, 50) == 0 ? 0 : 1 + (intptr_t)check_rng_below(&rng, 2);
        pica_task *task = peers_spawn(waits, (void *)kind);
        intptr_t result = 0;
        CHECK_OK(pica_sleep(up_to(&rng, PICA_MS(1))));
        CHECK_OK(pica_cancel(task));
        CHECK_OK(pica_await(task, &result));
        CHECK_EQ(result, -ECANCELED);
        pica_unref(task);
        count(CANCELS);
    }
    return 0;
}

/* ---- timers, strangers ---- */

static intptr_t naps(void *arg)
{
    check_rng rng = check_rng_make(2000 + (uintptr_t)arg);
    while (goes_on()) {
        CHECK_OK(pica_sleep(up_to(&rng, PICA_MS(40))));
        count(NAPS);
    }
    return 0;
}

static intptr_t answers(void *arg)
{
    pi_add_relaxed(&began, 1u);
    int rc = (intptr_t)arg % 2 ? pica_yield() : 0;
    pi_add_relaxed(&ended, 1u);
    return rc < 0 ? rc : (intptr_t)arg;
}

static void *stranger(void *arg)
{
    pica_executor *ex = arg;
    for (intptr_t i = 0; goes_on(); i++) {
        pica_task *task;
        intptr_t result = -1;
        CHECK_FATAL_OK(pica_executor_spawn(ex, &task, answers, (void *)i));
        CHECK_OK(pica_join(task, &result));
        CHECK_EQ(result, i);
        pica_unref(task);
        CHECK_OK(pica_sem_acquire(&permits));
        pica_sem_release(&permits);
        count(SPAWNS);
        check_let_pass(PICA_US(200));
    }
    return NULL;
}

/* ---- what it takes ---- */

typedef struct sample {
    long resident_kib, descriptors, mappings;
    uint64_t done[KINDS];
    uint64_t looks, waiting; /* so far, see watches() */
    int64_t cpu_ns;          /* of the process, so far */
} sample;

static sample take_sample(void)
{
    sample s = {0};
    uint64_t mapped, resident;
    proc_memory(&mapped, &resident);
    s.resident_kib = (long)(resident / 1024);
    s.mappings = (long)proc_mappings();
    s.descriptors = (long)proc_entries("/proc/self/fd");
    for (unsigned i = 0; i < KINDS; i++)
        s.done[i] = pi_load_relaxed(&done[i]);
    struct timespec cpu;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    s.cpu_ns = PICA_SEC(cpu.tv_sec) + cpu.tv_nsec;
    s.looks = pi_load_relaxed(&looks);
    s.waiting = pi_load_relaxed(&waiting);
    return s;
}

/* ---- whose fault it is ---- */

static void *watches(void *arg)
{
    while (goes_on()) {
        pi_add_relaxed(&looks, 1u);
        if (proc_others_run())
            pi_add_relaxed(&waiting, 1u);
        check_let_pass(PICA_MS(5));
    }
    return arg;
}

/* Nobody got on from one sample to the other. If meanwhile there was mostly a thread that wanted
 * a CPU, but all of them together got little of one, others had it. If all slept, a wake-up was
 * lost; if they computed, somebody was passed over. */
static bool others_had_the_cpus(const sample *from, const sample *to, int64_t ns)
{
    return (to->waiting - from->waiting) * 2 > to->looks - from->looks &&
           to->cpu_ns - from->cpu_ns < ns / 2;
}

/* What they all do, if some kind has stood still. */
static void look_closer(const sample *before, const sample *after)
{
    for (unsigned i = 0; i < KINDS; i++) {
        if (before->done[i] == after->done[i]) {
            printf("no %s since the last sample\n", kinds[i]);
            fflush(stdout);
            (void)pica_dump(check_executor(), STDOUT_FILENO);
            return;
        }
    }
}

static long most(const sample *samples, unsigned from, unsigned to, size_t field)
{
    long most = 0;
    for (unsigned i = from; i < to; i++) {
        long value = *(const long *)(const void *)((const char *)&samples[i] + field);
        most = value > most ? value : most;
    }
    return most;
}

/* The last quarter needs no more than the second one did. */
static void is_flat(const sample *samples, const char *what, size_t field, long slack)
{
    long before = most(samples, SAMPLES / 4, SAMPLES / 2, field);
    long after = most(samples, SAMPLES - SAMPLES / 4, SAMPLES, field);
    if (!CHECK_LE(after, before + slack))
        printf("%s: %ld before, %ld after\n", what, before, after);
}

static void judge(const sample *samples, int64_t apart_ns)
{
    for (unsigned i = STILL; i < SAMPLES; i++) {
        const sample *from = &samples[i - STILL], *to = &samples[i];
        bool excused = others_had_the_cpus(from, to, STILL * apart_ns);
        for (unsigned kind = 0; kind < KINDS; kind++)
            if (from->done[kind] == to->done[kind] && !CHECK(excused))
                printf("no %s between sample %u and %u: %.2f s of CPU, %llu of %llu times somebody "
                       "wanted one\n",
                       kinds[kind], i - STILL, i, (double)(to->cpu_ns - from->cpu_ns) / 1e9,
                       (unsigned long long)(to->waiting - from->waiting),
                       (unsigned long long)(to->looks - from->looks));
    }
#if !defined(PI_ASAN) && !defined(PI_TSAN) /* which keep what was freed */
    if (!check_emulated()) {
        is_flat(samples, "KiB resident", offsetof(sample, resident_kib), 4096);
        is_flat(samples, "mappings", offsetof(sample, mappings), 16);
    }
#endif
    is_flat(samples, "descriptors", offsetof(sample, descriptors), 2 * (CLIENTS + VICTIMS));
}

static void for_long(void)
{
    static sample samples[SAMPLES];
    bool long_run = seconds != SECONDS;
    pica_executor *ex = check_executor();
    pica_listener *listener = peers_listen(&where);
    pica_task *server = peers_spawn(serves, listener);
    pica_task *tasks[CLIENTS + VICTIMS + SLEEPERS];
    pthread_t threads[THREADS], watcher;
    unsigned n = 0;
    CHECK_FATAL_OK(pica_sem_init(&permits, 3));
    for (uintptr_t i = 0; i < CLIENTS; i++)
        tasks[n++] = peers_spawn(asks, (void *)i);
    for (uintptr_t i = 0; i < VICTIMS; i++)
        tasks[n++] = peers_spawn(cancels, (void *)i);
    for (uintptr_t i = 0; i < SLEEPERS; i++)
        tasks[n++] = peers_spawn(naps, (void *)i);
    for (unsigned i = 0; i < THREADS; i++)
        CHECK_FATAL(pthread_create(&threads[i], NULL, stranger, ex) == 0);
    CHECK_FATAL(pthread_create(&watcher, NULL, watches, NULL) == 0);

    for (unsigned i = 0; i < SAMPLES; i++) {
        CHECK_OK(pica_sleep(PICA_SEC(seconds) / SAMPLES));
        samples[i] = take_sample();
        if (long_run)
            printf("%5.1f %%: %ld KiB, %ld descriptors, %ld mappings; %llu echoes, %llu cancels\n",
                   100.0 * (i + 1) / SAMPLES, samples[i].resident_kib, samples[i].descriptors,
                   samples[i].mappings, (unsigned long long)samples[i].done[ECHOES],
                   (unsigned long long)samples[i].done[CANCELS]);
        fflush(stdout);
        if (i > 0)
            look_closer(&samples[i - 1], &samples[i]);
    }

    judge(samples, PICA_SEC(seconds) / SAMPLES); /* who stands still may never come to an end */
    pi_store_relaxed(&stop, 1u);
    for (unsigned i = 0; i < n; i++)
        CHECK_EQ(peers_result(tasks[i]), 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_join(watcher, NULL);
    pica_listener_close(listener);
    CHECK_EQ(peers_result(server), 0);
    CHECK_SOON(pi_load_relaxed(&began) == pi_load_relaxed(&ended));
    CHECK_EQ(pica_sem_value(&permits), 3);
    CHECK_EQ(pica_sem_destroy(&permits), 0);
}

CHECK_MAIN
{
    const char *text = getenv("PICA_SOAK_SECONDS");
    seconds = text ? atoll(text) : SECONDS;
    check_timeout((unsigned)(seconds + seconds / 10 + 18));
    check_run_in(CHECK_FOUR, "for long", for_long);
}
