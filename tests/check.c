/* SPDX-License-Identifier: MIT */
/* check.c: see check.h. Registers the cases, runs them mode by mode, watches the clock,
 * counts, and compares the process's descriptors and threads before and after each case.
 * Knows no executor: what needs one goes through check_hook(). */
#include "tests/check.h"

#include "executor/base/atomics.h"
#include "tests/check_private.h"
#include "tests/proc.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define MAX_CASES 256
#define MAX_PRINTED 20
#define POLL_NS PICA_SEC(10)
#define ROUNDS_NS PICA_SEC(10)
#define PACED_TRIES 12
#define PACED_NS PICA_SEC(40) /* in which the last one has to begin */
#define PUT_OFF_MAX 7         /* times that a case's end may be put off */

typedef struct test_case {
    const char *name;
    void (*fn)(void);
    unsigned modes; /* 0: plain, once */
    unsigned timeout_s;
    bool in_task;
} test_case;

static const struct {
    unsigned bit;
    const char *name;
} modes[] = {
    {0, "plain"},
    {CHECK_ONE, "one"},
    {CHECK_SPARE, "spare"},
    {CHECK_TWO, "two"},
    {CHECK_FOUR, "four"},
    {CHECK_MIGRATE, "migrate"},
    {CHECK_NO_INLINE, "noinline"},
};

static const check_hooks *hooks; /* [atomic] release and acquire: the watcher reads it as well */

void check_hook(const check_hooks *h)
{
    pi_store_release(&hooks, h);
}

static const check_hooks *hooked(void)
{
    return pi_load_acquire(&hooks);
}

static test_case cases[MAX_CASES];
static unsigned n_cases;
static unsigned cases_run; /* [main thread] in all modes, the current one included */
static int64_t begun_ns;   /* [atomic, relaxed] when the current one began */
static unsigned timeout_s = 30;
static const char *program;
static uint64_t seed;
static bool stops; /* [const] at the first failure */

static unsigned mode_now;          /* [main thread writes, between cases] */
static const char *mode_name = ""; /* as mode_now */
static const char *case_name = ""; /* as mode_now */
static uint64_t passed;            /* [atomic, relaxed] counters, no partner */
static uint64_t failed;            /* [atomic, relaxed] */

/* --- Counting and printing ---------------------------------------------------------------- */

void check_pass(void)
{
    pi_add_relaxed(&passed, 1u);
}

uint64_t check_failures(void)
{
    return pi_load_relaxed(&failed);
}

void check_dump(void)
{
    if (hooked())
        hooked()->dump();
}

static uint64_t checks_made(void)
{
    return pi_load_relaxed(&passed) + pi_load_relaxed(&failed);
}

/* One write(2) a line: whole lines from many threads, and no lock that a task could take
 * along to another thread. */
static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...)
{
    char line[1024];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (n >= (int)sizeof(line)) {
        n = (int)sizeof(line) - 1;
        line[n - 1] = '\n';
    }
    if (n > 0 && write(STDERR_FILENO, line, (size_t)n) < 0)
        abort();
}

void check_fail(const char *file, int line, const char *format, ...)
{
    uint64_t before = pi_add_relaxed(&failed, 1u);
    if (before >= MAX_PRINTED) {
        if (before == MAX_PRINTED)
            say("(more failures are counted, not printed)\n");
        return;
    }
    char what[600];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    say("%s:%d: failed: %s [%s, %s, PICA_TEST_SEED=%llu]\n", file, line, what, case_name, mode_name,
        (unsigned long long)seed);
    if (stops)
        _exit(1);
}

void check_die(const char *text, const char *file, int line)
{
    check_fail(file, line, "%s; can't go on", text);
    if (hooked())
        hooked()->dump();
    _exit(1);
}

bool check_str(const char *a, const char *b, const char *at, const char *bt, const char *file,
               int line)
{
    bool ok = a && b ? strcmp(a, b) == 0 : a == b;
    if (ok)
        check_pass();
    else
        check_fail(file, line, "%s == %s: \"%.200s\" and \"%.200s\"", at, bt, a ? a : "(null)",
                   b ? b : "(null)");
    return ok;
}

bool check_emulated(void)
{
    return getenv("PICA_TEST_EMULATED") != NULL;
}

/* A program that has failed, or has run cases, is no skipped one. */
void check_skip(const char *why)
{
    if (cases_run > 1 || check_failures()) {
        check_fail(case_name, 0, "skipped too late: %s", why);
        _exit(1);
    }
    printf("skipped: %s\n", why);
    fflush(stdout);
    _exit(77);
}

/* --- Waiting without sleeping ------------------------------------------------------------- */

/* More than this from one look to the next does not count: a machine that stands still for a minute
 * does so for all, and nothing has had the time to come. */
#define LOOK_NS PICA_SEC(1)

static int64_t does_not_count(int64_t ns)
{
    return ns > LOOK_NS ? ns : 0;
}

bool check_poll_again(check_poll *poll)
{
    int64_t now = pica_now();
    if (!poll->until)
        poll->until = now + POLL_NS;
    else if (poll->looked)
        poll->until += does_not_count(now - poll->looked);
    poll->looked = now;
    if (poll->late)
        return false;
    poll->late = now > poll->until; /* the caller may have been held up: it looks once more */
    bool yield = poll->rounds++ < 200;
    if (hooked() && hooked()->pause(yield))
        return true;
    if (yield)
        sched_yield();
    else
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    return true;
}

bool check_soon(bool came, const char *text, const char *file, int line)
{
    if (came)
        check_pass();
    else
        check_fail(file, line, "not within %d s: %s", (int)(POLL_NS / PICA_SEC(1)), text);
    return came;
}

void check_let_pass(int64_t ns)
{
    int64_t until = pica_after(ns);
    struct timespec at = {until / 1000000000, until % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR) {
    }
}

void check_hit(check_latch *latch)
{
    pi_add_release(&latch->count, 1u);
}

uint64_t check_hits(const check_latch *latch)
{
    return pi_load_acquire(&latch->count);
}

/* --- Randomness and size ------------------------------------------------------------------ */

uint64_t check_seed(void)
{
    return seed;
}

check_rng check_rng_make(uint64_t salt)
{
    return (check_rng){seed * 0x9e3779b97f4a7c15u + salt};
}

/* splitmix64: every state is fine, and close states give unlike numbers. */
uint64_t check_rng_next(check_rng *rng)
{
    uint64_t z = rng->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t check_rng_below(check_rng *rng, uint64_t n)
{
    return n ? check_rng_next(rng) % n : 0;
}

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

uint64_t check_rounds(uint64_t n)
{
#if defined(PI_TSAN)
    n /= 10;
#elif defined(PI_ASAN)
    n /= 4;
#endif
    n = n * from_environment("PICA_TEST_SCALE", 100) / 100;
    return n ? n : 1;
}

bool check_time_left(void)
{
    int64_t percent = (int64_t)from_environment("PICA_TEST_SCALE", 100);
    int64_t ns = percent > 100 ? ROUNDS_NS / 100 * percent : ROUNDS_NS;
    return pica_now() - pi_load_relaxed(&begun_ns) < ns;
}

bool check_paced(bool (*scene)(unsigned pace, void *arg), void *arg, const char *text,
                 const char *file, int line)
{
    uint64_t failures = check_failures();
    int64_t until = pica_after(PACED_NS);
    for (unsigned tries = 0; tries < PACED_TRIES && (tries < 2 || pica_now() < until); tries++) {
        bool in_time = scene(1u << tries / 2, arg);
        if (check_failures() != failures)
            return false;
        if (in_time) {
            check_pass();
            return true;
        }
    }
    check_fail(file, line, "%s: never in time", text);
    return false;
}

/* --- The clock ----------------------------------------------------------------------------- */

/* A thread of the harness, not a signal: it has to be able to dump. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int64_t deadline_ns; /* [lock] 0: no case runs */
    int64_t each_ns;     /* [lock] how long it may go on without a check */
    uint64_t checks;     /* [lock] made when the deadline was set */
    unsigned put_off;    /* [lock] how often it has been since the case began */
    bool begun;          /* [lock] the thread is there */
} watch = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* A case with thousands of rounds takes many times as long on a busy machine, but it gets on. */
static bool put_off(void)
{
    uint64_t checks = checks_made();
    if (checks == watch.checks || watch.put_off == PUT_OFF_MAX)
        return false;
    watch.checks = checks;
    watch.put_off++;
    watch.deadline_ns = pica_after(watch.each_ns);
    return true;
}

static void *watch_main(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&watch.lock);
    watch.begun = true;
    pthread_cond_signal(&watch.changed);
    for (;;) {
        int64_t deadline = watch.deadline_ns;
        if (!deadline) {
            pthread_cond_wait(&watch.changed, &watch.lock);
            continue;
        }
        int64_t look = pica_after(LOOK_NS / 2);
        struct timespec ts = {look / 1000000000, look % 1000000000};
        pthread_cond_timedwait(&watch.changed, &watch.lock, &ts);
        if (watch.deadline_ns == deadline)
            watch.deadline_ns += does_not_count(pica_now() - look);
        if (watch.deadline_ns && pica_now() >= watch.deadline_ns && !put_off())
            break;
    }
    say("%s: timed out: %s [%s, PICA_TEST_SEED=%llu]\n", program, case_name, mode_name,
        (unsigned long long)seed);
    alarm(30); /* the dump may hang as well */
    if (hooked())
        hooked()->dump();
    _exit(1);
}

static void watch_start(void)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&watch.changed, &attr);
    pthread_condattr_destroy(&attr);
    pthread_t thread;
    CHECK_FATAL(pthread_create(&thread, NULL, watch_main, NULL) == 0);
    pthread_detach(thread);
    /* A case may fork, and AddressSanitizer's locks may be held while a thread begins. */
    pthread_mutex_lock(&watch.lock);
    while (!watch.begun)
        pthread_cond_wait(&watch.changed, &watch.lock);
    pthread_mutex_unlock(&watch.lock);
}

static void watch_set(unsigned seconds)
{
#if defined(PI_TSAN) || defined(PI_ASAN)
    seconds *= 4;
#endif
    seconds = (unsigned)from_environment("PICA_TEST_TIMEOUT", seconds);
    pthread_mutex_lock(&watch.lock);
    watch.each_ns = PICA_SEC(seconds);
    watch.deadline_ns = seconds ? pica_after(watch.each_ns) : 0;
    watch.checks = checks_made();
    watch.put_off = 0;
    pthread_cond_signal(&watch.changed);
    pthread_mutex_unlock(&watch.lock);
}

/* --- Cases --------------------------------------------------------------------------------- */

void check_add(unsigned in, const char *name, void (*fn)(void), bool in_task)
{
    CHECK_FATAL(n_cases < MAX_CASES);
    cases[n_cases++] = (test_case){name, fn, in, timeout_s, in_task};
}

void check_plain(const char *name, void (*fn)(void))
{
    check_add(0, name, fn, false);
}

void check_timeout(unsigned seconds)
{
    timeout_s = seconds;
}

unsigned check_mode(void)
{
    return mode_now;
}

void check_call(void (*fn)(void))
{
    uint64_t before = checks_made();
    if (check_begins)
        check_begins();
    fn();
    if (checks_made() == before)
        check_fail(case_name, 0, "nothing was checked");
}

static void run_case(const test_case *c)
{
    case_name = c->name;
    cases_run++;
    pi_store_relaxed(&begun_ns, pica_now());
    unsigned descriptors = proc_entries("/proc/self/fd");
    unsigned threads = proc_entries("/proc/self/task");
    watch_set(c->timeout_s);
    if (c->in_task)
        hooked()->run(c->fn);
    else
        check_call(c->fn);
    watch_set(0);
    if (hooked()) {
        unsigned lost = hooked()->take_lost();
        if (lost)
            check_fail(c->name, 0, "%u errors that nobody looked at", lost);
    }
    unsigned descriptors_after = proc_entries("/proc/self/fd");
    if (descriptors_after != descriptors)
        check_fail(c->name, 0, "descriptors: %u before, %u after", descriptors, descriptors_after);
    unsigned threads_after = proc_threads(threads);
    if (threads_after > threads)
        check_fail(c->name, 0, "threads: %u before, %u after", threads, threads_after);
}

static void run_mode(unsigned bit, const char *name, const char *only_case)
{
    mode_now = bit;
    mode_name = name;
    uint64_t failed_before = pi_load_relaxed(&failed);
    for (unsigned i = 0; i < n_cases; i++) {
        bool here = bit ? cases[i].modes & bit : !cases[i].modes;
        if (here && (!only_case || strstr(cases[i].name, only_case)))
            run_case(&cases[i]);
    }
    uint64_t failures = pi_load_relaxed(&failed) - failed_before;
    if (failures)
        say("%s: mode %s: %llu failed\n", program, name, (unsigned long long)failures);
}

static void list_cases(void)
{
    for (unsigned i = 0; i < n_cases; i++) {
        printf("%s:", cases[i].name);
        for (unsigned m = 0; m < sizeof(modes) / sizeof(modes[0]); m++)
            if (modes[m].bit ? cases[i].modes & modes[m].bit : !cases[i].modes)
                printf(" %s", modes[m].name);
        printf("\n");
    }
}

int main(int argc, char **argv)
{
    const char *only_mode = NULL;
    const char *only_case = NULL;
    bool list = false;
    program = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--list") == 0) {
            list = true;
        } else if (strcmp(argv[i], "--mode") == 0 && i + 1 < argc) {
            only_mode = argv[++i];
        } else if (strcmp(argv[i], "--case") == 0 && i + 1 < argc) {
            only_case = argv[++i];
        } else {
            say("usage: %s [--list] [--mode MODE] [--case PART-OF-ITS-NAME]\n", program);
            return 2;
        }
    }
    if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
        seed = (uint64_t)pica_now();
    seed = from_environment("PICA_TEST_SEED", seed >> 32);
    stops = from_environment("PICA_TEST_STOP", 0) != 0;
#ifdef PI_PERTURB
    pi_perturb_seed(seed ? seed : 1);
#endif
    signal(SIGPIPE, SIG_IGN); /* a write to a gone peer is an error code, not the end */

    check_main();
    if (list) {
        list_cases();
        return 0;
    }
    watch_start();
    for (unsigned m = 0; m < sizeof(modes) / sizeof(modes[0]); m++)
        if (!only_mode || strcmp(only_mode, modes[m].name) == 0)
            run_mode(modes[m].bit, modes[m].name, only_case);

    uint64_t bad = pi_load_relaxed(&failed);
    uint64_t good = pi_load_relaxed(&passed);
    if (bad == 0 && good == 0) {
        say("%s: nothing was checked\n", program);
        return 1;
    }
    if (bad) {
        say("%s: %llu of %llu checks failed [PICA_TEST_SEED=%llu]\n", program,
            (unsigned long long)bad, (unsigned long long)(bad + good), (unsigned long long)seed);
        return 1;
    }
    printf("ok %llu checks [PICA_TEST_SEED=%llu]\n", (unsigned long long)good,
           (unsigned long long)seed);
    return 0;
}
