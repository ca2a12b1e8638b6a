/* SPDX-License-Identifier: MIT */
/* stop_test.c: a process that is stopped and goes on (SIGSTOP, SIGCONT; a debugger, a shell's ^Z, a
 * frozen container). Time has passed then, all at once, and system calls that were waiting may say
 * EINTR. Each case runs in a child process, which stops itself where it matters; its parent
 * lets it go on. */
#include "executor/sched/reserve.h"
#include "tests/executor/asleep.h"
#include "tests/executor/bodies.h"
#include "tests/extremes/child.h"
#include "tests/extremes/load.h"

#include <pica/scope.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>

#define STOPPED_MS 150 /* longer than any patience of the monitor's */

/* In the child; any thread. All of its threads are stopped when it returns, and on again. */
static void stop_here(void)
{
    kill(getpid(), SIGSTOP);
}

/* In the parent. Whenever the child has stopped, let time pass, do something, and let it go on. */
static void goes_on(pid_t pid, void (*meanwhile)(unsigned stop), unsigned stops)
{
    int state = 0;
    unsigned n = 0;
    while (waitpid(pid, &state, WUNTRACED) == pid && WIFSTOPPED(state)) {
        check_let_pass(PICA_MS(STOPPED_MS));
        if (meanwhile)
            meanwhile(n);
        n++;
        kill(pid, SIGCONT);
    }
    CHECK_EQ(state, 0);
    CHECK_EQ(n, stops);
}

static pica_executor *open_executor(void)
{
    pica_options options = check_options();
    return check_executor_open(&options);
}

/* --- Timers ---------------------------------------------------------------------------------- */

#define SLEEPERS 20

static struct sleeper {
    int64_t due_ns;
    uint32_t woke_as; /* the how manieth */
} sleepers[SLEEPERS];
static uint32_t woken; /* [atomic, relaxed] */

static intptr_t sleeps(void *arg)
{
    struct sleeper *s = arg;
    int rc = pica_sleep_until(s->due_ns);
    CHECK_LE(s->due_ns, pica_now());
    s->woke_as = pi_add_relaxed(&woken, 1u);
    return rc;
}

static unsigned pace; /* at which the child plays its scene, and is stopped */

/* All come due while it is stopped. They wake up, and one after the other, if that means
 * anything. Ends with 2 where one was late to sleep. */
static void timers_child(void)
{
    pica_executor *ex = open_executor();
    pica_task *tasks[SLEEPERS];
    int64_t first = pica_after(PICA_MS(30) * pace);
    for (unsigned i = 0; i < SLEEPERS; i++) {
        struct sleeper *s = &sleepers[i * 7 % SLEEPERS]; /* not spawned in their order */
        s->due_ns = first + PICA_MS(5) * pace * (int64_t)(i * 7 % SLEEPERS);
        tasks[i] = body_spawn_in(ex, sleeps, s);
    }
    for (unsigned i = 0; i < SLEEPERS; i++)
        CHECK_SOON(pica_task_status(tasks[i]) >= PICA_WAITING);
    bool in_time = pica_now() < first;
    uint64_t failures = check_failures();
    stop_here();
    for (unsigned i = 0; i < SLEEPERS; i++)
        CHECK_EQ(body_end(tasks[i]), 0);
    for (unsigned i = 0; in_time && check_mode() == CHECK_ONE && i < SLEEPERS; i++)
        CHECK_EQ(sleepers[i].woke_as, i);
    check_executor_close(ex);
    if (!in_time && check_failures() == failures)
        _exit(2);
}

/* It ends with 2 where it had to wait for a CPU. */
typedef struct paced_child {
    void (*child)(void);
    unsigned stops;
} paced_child;

static bool plays_in_time(unsigned at, void *arg)
{
    const paced_child *p = arg;
    pace = at;
    int state = 0;
    unsigned stops = 0;
    pid_t pid = child_start(p->child);
    while (waitpid(pid, &state, WUNTRACED) == pid && WIFSTOPPED(state)) {
        check_let_pass(PICA_MS(STOPPED_MS) * pace);
        kill(pid, SIGCONT);
        stops++;
    }
    CHECK_EQ(stops, p->stops);
    return state != 0x200 && CHECK_EQ(state, 0);
}

static void timers(void)
{
    CHECK_PACED(plays_in_time, (&(paced_child){timers_child, 1}));
}

#define LONG_NS (PICA_MS(4 * STOPPED_MS) * pace)
#define LATE_NS (PICA_MS(100) * pace)
#define LONG_STOPS 3

static intptr_t sleeps_long(void *arg)
{
    int64_t due = pica_after(LONG_NS);
    int rc = pica_sleep_until(due);
    *(int64_t *)arg = pica_now() - due;
    return rc;
}

/* What is stopped in the midst of a sleep ends it at the time that was said, be it stopped once or
 * thrice. Others want the CPU as well: so some of its tries have to. */
static void one_sleep_child(void)
{
    pica_executor *ex = open_executor();
    int64_t late = 0;
    pica_task *task = body_spawn_in(ex, sleeps_long, &late);
    CHECK_SOON(pica_task_status(task) == PICA_WAITING);
    for (unsigned i = 0; i < LONG_STOPS; i++) {
        stop_here();
        CHECK_SOON(!proc_others_run()); /* the same, again */
    }
    CHECK_EQ(body_end(task), 0);
    CHECK_LE(0, late);
    check_executor_close(ex);
    if (late > LATE_NS)
        _exit(2);
}

static void one_sleep(void)
{
    CHECK_PACED(plays_in_time, (&(paced_child){one_sleep_child, LONG_STOPS}));
}

/* --- A deadline and what it waited for, both while it is stopped ------------------------------ */

#define BYTES 6

static int ends[2]; /* the child's, the parent's */

static uint32_t asked; /* [atomic] for how many bytes it has asked */

static intptr_t reads(void *arg)
{
    pica_stream *stream;
    (void)arg;
    CHECK_FATAL_OK(pica_stream_adopt(&stream, ends[0]));
    for (unsigned i = 0; i < BYTES; i++) {
        unsigned char byte = 255;
        pica_scope scope;
        pi_store_release(&asked, i + 1);
        pica_scope_begin(&scope, pica_after(PICA_MS(STOPPED_MS / 3)));
        intptr_t rc = pica_scope_end(&scope, pica_read(stream, &byte, 1));
        CHECK(rc == 1 || (rc == -ETIMEDOUT && byte == 255));
        if (rc < 0)
            rc = pica_read(stream, &byte, 1); /* then it is still there */
        CHECK_EQ(rc, 1);
        CHECK_EQ(byte, i);
    }
    pica_close(stream);
    return 0;
}

static void deadline_child(void)
{
    pica_executor *ex = open_executor();
    close(ends[1]);
    pica_task *task = body_spawn_in(ex, reads, NULL);
    for (unsigned i = 0; i < BYTES; i++) {
        CHECK_SOON(pi_load_acquire(&asked) == i + 1 && pica_task_status(task) == PICA_WAITING);
        stop_here();
    }
    CHECK_EQ(body_end(task), 0);
    check_executor_close(ex);
}

static void writes_byte(unsigned stop)
{
    CHECK_EQ(write(ends[1], &(unsigned char){(unsigned char)stop}, 1), 1);
}

static void deadline(void)
{
    CHECK_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    pid_t pid = child_start(deadline_child);
    close(ends[0]);
    goes_on(pid, writes_byte, BYTES);
    close(ends[1]);
}

/* --- The monitor ------------------------------------------------------------------------------ */

static intptr_t comes(void *latch)
{
    check_hit(latch);
    return 0;
}

/* Computes, and waits without suspending for what it has spawned: somebody else has to run it. */
static intptr_t is_stuck(void *arg)
{
    check_latch came = {0};
    if (arg)
        stop_here();
    pica_task *task;
    CHECK_FATAL_OK(pica_spawn(&task, comes, &came));
    for (patience p = patience_of(PICA_SEC(12)); !check_hits(&came) && patience_lasts(&p);) {
    }
    intptr_t rc = CHECK_EQ(check_hits(&came), 1) ? 0 : -EIO;
    CHECK_EQ(pica_await(task, NULL), 0);
    pica_unref(task);
    return rc;
}

static intptr_t spins(void *stop)
{
    while (!pi_load_acquire((uint32_t *)stop)) {
    }
    return 0;
}

/* Is it at work, or on its way to rest? Then it may be stuck itself. */
static bool spare_is_up(pica_executor *ex)
{
    const pi_worker *spare = pi_spare_of(ex);
    return spare && !pi_load_relaxed(&spare->at_rest);
}

/* Whatever the monitor is doing when it is stopped, afterwards it still finds help for who is
 * stuck: it sleeps as all workers do, it ticks, or all compute. */
static void monitor_child(void)
{
    pica_executor *ex = open_executor();
    CHECK_SOON(asleep(ex));
    stop_here();
    CHECK_EQ(body_end(body_spawn_in(ex, is_stuck, NULL)), 0);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(body_end(body_spawn_in(ex, is_stuck, ex)), 0);
    CHECK_SOON(!spare_is_up(ex));
    uint32_t stop = 0;
    unsigned n = pica_executor_workers(ex);
    pica_task *tasks[4];
    for (unsigned i = 0; i < n; i++)
        tasks[i] = body_spawn_in(ex, spins, &stop);
    CHECK_SOON(spare_is_up(ex)); /* it has seen that all are stuck */
    stop_here();
    check_latch came = {0};
    pica_task *task = n == 1 ? body_spawn_in(ex, comes, &came) : NULL;
    if (task)
        CHECK_HITS(&came, 1); /* by the spare */
    pi_store_release(&stop, 1u);
    for (unsigned i = 0; i < n; i++)
        CHECK_EQ(body_end(tasks[i]), 0);
    if (task)
        CHECK_EQ(body_end(task), 0);
    CHECK_EQ(body_end(body_spawn_in(ex, is_stuck, NULL)), 0);
    CHECK_SOON(!pi_spare_works(ex)); /* somebody is well again, so it rests */
    check_executor_close(ex);
}

static void monitor(void)
{
    goes_on(child_start(monitor_child), NULL, 4);
}

/* --- Shutting down ---------------------------------------------------------------------------- */

static intptr_t naps(void *ns)
{
    int rc = pica_sleep((intptr_t)ns);
    return rc < 0 ? rc : 7;
}

static void *stops_who_waits(void *arg)
{
    pica_executor *ex = arg;
    CHECK_SOON(pi_load_relaxed(&ex->draining) && !proc_others_run());
    stop_here();
    return NULL;
}

/* @return of the shutdown, during which the process is stopped; *result: its task's */
static int shuts_down(int64_t nap_ns, int64_t patience_ns, intptr_t *result)
{
    pthread_t stopper;
    pica_executor *ex = open_executor();
    pica_task *task = body_spawn_in(ex, naps, (void *)(intptr_t)nap_ns);
    CHECK_FATAL(pthread_create(&stopper, NULL, stops_who_waits, ex) == 0);
    int64_t deadline_ns = pica_after(patience_ns);
    int rc = pica_executor_shutdown(ex, deadline_ns);
    CHECK(rc == 0 || deadline_ns <= pica_now());
    pthread_join(stopper, NULL);
    *result = body_end(task);
    check_executor_close(ex);
    return rc;
}

/* Its patience is not at an end because it was interrupted; and it is, when the time has come. */
static void shutdown_child(void)
{
    intptr_t result;
    CHECK_EQ(shuts_down(PICA_MS(2 * STOPPED_MS), PICA_SEC(60), &result), 0);
    CHECK_EQ(result, 7);
    CHECK_EQ(shuts_down(PICA_SEC(60), PICA_MS(STOPPED_MS / 2), &result), 1);
    CHECK_EQ(result, -ECANCELED);
}

static void shutting_down(void)
{
    goes_on(child_start(shutdown_child), NULL, 2);
}

/* --- Again and again, under load -------------------------------------------------------------- */

static intptr_t loads(void *arg)
{
    (void)arg;
    load_for(PICA_MS(600) * pace);
    return 0;
}

static void load_child(void)
{
    child_runs(loads);
}

/* @return was it stopped more than three times before it ended? Who stops it waits for a CPU as
 * well. */
static bool load_is_stopped(unsigned at, void *unused)
{
    (void)unused;
    pace = at;
    pid_t pid = child_start(load_child);
    int state = 0, stops = 0;
    check_rng rng = check_rng_make(1);
    while (waitpid(pid, &state, WNOHANG) == 0) {
        check_let_pass(PICA_US(500 + (int64_t)check_rng_below(&rng, 4000)));
        kill(pid, SIGSTOP);
        check_let_pass(PICA_US(500 + (int64_t)check_rng_below(&rng, 8000)));
        kill(pid, SIGCONT);
        stops++;
    }
    CHECK_EQ(state, 0);
    return stops > 3;
}

static void under_load(void)
{
    CHECK_PACED(load_is_stopped, NULL);
}

CHECK_MAIN
{
    check_timeout(60);
    check_plain_in(CHECK_ONE | CHECK_SPARE | CHECK_TWO | CHECK_MIGRATE, "timers", timers);
    check_plain_in(CHECK_ONE | CHECK_TWO, "one sleep", one_sleep);
    check_plain_in(CHECK_ONE | CHECK_TWO | CHECK_MIGRATE, "a deadline", deadline);
    check_plain_in(CHECK_SPARE | CHECK_TWO | CHECK_FOUR, "the monitor", monitor);
    check_plain_in(CHECK_ONE | CHECK_TWO, "shutting down", shutting_down);
    check_plain_in(CHECK_ONE | CHECK_TWO | CHECK_FOUR, "under load", under_load);
}
