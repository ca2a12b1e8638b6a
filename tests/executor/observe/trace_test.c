/* SPDX-License-Identifier: MIT */
/* trace_test.c: what a trace says was all true at one moment, however busily the task goes on.
 *
 * Tasks recurse to a random depth and wait there for that depth's semaphore, over and over; a
 * thread traces them meanwhile. Depth, semaphore and stack in use belong together. */
#include "executor/observe/trace.h"
#include "tests/executor/bodies.h"

#include <pica/sem.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#define TASKS 4
#define DEPTHS 8

static pica_sem sems[DEPTHS];

struct watched {
    pica_task *tasks[TASKS];
    uint32_t stop;                        /* [atomic] */
    uint64_t traced;                      /* [watcher writes, atomic] */
    size_t frames[DEPTHS], stack[DEPTHS]; /* [watcher] as measured at rest */
};

/* Frames as they are, none shared or left out. */
static __attribute__((noinline)) intptr_t waits_at(unsigned depth, unsigned left)
{
    volatile char here[100];
    here[0] = 1;
    intptr_t result = left ? waits_at(depth, left - 1) : pica_sem_acquire(&sems[depth]);
    __asm__ volatile("" : "+r"(result));
    return result + here[0] - 1;
}

static intptr_t waits_once(void *arg)
{
    unsigned depth = (unsigned)(uintptr_t)arg;
    intptr_t result = waits_at(depth, depth);
    __asm__ volatile("" : "+r"(result));
    return result;
}

static intptr_t waits_everywhere(void *arg)
{
    check_rng rng = check_rng_make((uint64_t)(uintptr_t)arg);
    intptr_t rc = 0;
    while (rc == 0)
        rc = waits_once(body_arg((intptr_t)check_rng_below(&rng, DEPTHS)));
    return rc;
}

static intptr_t bottom(void *arg)
{
    intptr_t result = waits_everywhere(arg);
    __asm__ volatile("" : "+r"(result));
    return result;
}

/* Always the same above; what lies below it is what waits_everywhere() has below it. */
static intptr_t at_rest(void *arg)
{
    intptr_t result = waits_once(arg);
    __asm__ volatile("" : "+r"(result));
    return result;
}

static void *watches(void *arg)
{
    struct watched *w = arg;
    pi_trace trace;
    size_t more_frames = 0, more_stack = 0; /* in waits_everywhere() than in at_rest() */
    for (unsigned i = 0; !pi_load_acquire(&w->stop); i++) {
        if (!pi_trace_take(w->tasks[i % TASKS], &trace))
            continue;
        pi_store_release(&w->traced, w->traced + 1);
        CHECK_EQ(trace.awaited.what, PI_FOR_SEMAPHORE);
        size_t depth = (size_t)((pica_sem *)trace.awaited.which - sems);
        CHECK_FATAL(depth < DEPTHS);
        size_t frames = trace.frames - w->frames[depth];
        size_t stack = trace.stack_now - w->stack[depth];
        if (w->traced == 1) {
            more_frames = frames;
            more_stack = stack;
        }
        CHECK_EQ(frames, more_frames);
        CHECK_EQ(stack, more_stack);
        CHECK(trace.is_base);
        CHECK_EQ(trace.chain, 0);
    }
    return NULL;
}

/* What one depth looks like, measured where nothing moves. */
static void measure(struct watched *w)
{
    pi_trace trace;
    for (unsigned depth = 0; depth < DEPTHS; depth++) {
        pica_task *task = body_spawn(at_rest, body_arg((intptr_t)depth));
        BODY_WAITS(task);
        CHECK_FATAL(pi_trace_take(task, &trace));
        w->frames[depth] = trace.frames;
        w->stack[depth] = trace.stack_now;
        CHECK_OK(pica_sem_release(&sems[depth]));
        CHECK_EQ(body_end(task), 0);
        if (depth) {
            CHECK_EQ(w->frames[depth], w->frames[depth - 1] + 1);
            CHECK_LT(w->stack[depth - 1], w->stack[depth]);
        }
    }
}

static void of_one_moment(void)
{
    struct watched w = {.stop = 0};
    pthread_t thread;
    for (unsigned i = 0; i < DEPTHS; i++)
        CHECK_OK(pica_sem_init(&sems[i], 0));
    measure(&w);
    for (unsigned i = 0; i < TASKS; i++)
        w.tasks[i] = body_spawn(bottom, body_arg((intptr_t)i));
    for (unsigned i = 0; i < TASKS; i++)
        BODY_WAITS(w.tasks[i]);
    CHECK_FATAL(pthread_create(&thread, NULL, watches, &w) == 0);
    uint64_t rounds = check_rounds(50000), enough = check_rounds(5000);
    for (uint64_t i = 0; i < rounds || pi_load_acquire(&w.traced) < enough; i++) {
        CHECK_OK(pica_sem_release(&sems[i % DEPTHS]));
        if (i % 4 == 0)
            CHECK_OK(pica_yield());
        if (i > rounds) /* the watcher gets too little of the processors */
            CHECK_OK(pica_sleep(PICA_US(20)));
    }
    pi_store_release(&w.stop, 1u);
    pthread_join(thread, NULL);
    for (unsigned i = 0; i < TASKS; i++)
        CHECK_OK(pica_cancel(w.tasks[i]));
    for (unsigned i = 0; i < TASKS; i++)
        CHECK_EQ(body_end(w.tasks[i]), -ECANCELED);
}

/* --- A task that ends in the middle of a look ---------------------------------------------- */

/* Made by hand: a fiber on which `base` runs `inner` inline. A signal comes between any two
 * instructions of the look, as another worker might: the fiber then goes on, `inner` ends, and its
 * link is one of a queue's, which may lead anywhere; with the next signal it stands again. */
static struct {
    pi_fiber fiber;
    pica_task base, inner;
    uint64_t goes; /* [atomic] how often it went on */
} made;

static void goes_on(int number)
{
    uint64_t word = made.fiber.wait.word;
    (void)number;
    if (PI_WAIT_STATE(word) == PI_PARKED) {
        pi_store_relaxed(&made.fiber.wait.word, pi_wait_as(word, PI_WOKEN));
        pi_store_relaxed(&made.inner.outer, (pica_task *)(uintptr_t)40);
        pi_store_relaxed(&made.goes, made.goes + 1);
    } else {
        pi_store_relaxed(&made.inner.outer, &made.base);
        pi_store_relaxed(&made.fiber.wait.word, pi_wait_as(pi_wait_next(word, 1), PI_PARKED));
    }
}

static timer_t signals_every(long ns)
{
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1};
    struct itimerspec period = {{0, ns}, {0, ns}};
    event._sigev_un._tid = gettid();
    CHECK_FATAL(signal(SIGUSR1, goes_on) != SIG_ERR);
    CHECK_FATAL(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    CHECK_FATAL(timer_settime(timer, 0, &period, NULL) == 0);
    return timer;
}

static void a_chain_that_ends(void)
{
    pi_trace trace;
    made.base = (pica_task){.id = 1, .fiber = &made.fiber};
    made.inner = (pica_task){.id = 2, .fiber = &made.fiber, .outer = &made.base};
    made.fiber = (pi_fiber){.base = &made.base, .current = &made.inner};
    made.fiber.wait.word = pi_wait_as(pi_wait_next(0, 1), PI_PARKED);
    timer_t timer = signals_every(20000);
    uint64_t enough = check_rounds(3000);
    for (uint64_t i = 0; pi_load_relaxed(&made.goes) < enough; i++) {
        if (!pi_trace_take(i % 2 ? &made.base : &made.inner, &trace))
            continue;
        CHECK_EQ(trace.base_id, 1);
        CHECK_EQ(trace.is_base, i % 2);
        CHECK_EQ(trace.runs_inline, i % 2 ? 2 : 0);
        CHECK_EQ(trace.chain, 1);
        CHECK_EQ(trace.chain_ids[0], 2);
    }
    CHECK_OK(timer_delete(timer));
    CHECK(signal(SIGUSR1, SIG_DFL) != SIG_ERR);
}

CHECK_MAIN
{
    check_plain("a chain that ends", a_chain_that_ends);
    check_run("of one moment", of_one_moment);
}
