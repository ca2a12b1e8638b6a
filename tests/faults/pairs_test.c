/* SPDX-License-Identifier: MIT */
/* pairs_test.c SITES: each call of the library that may fail, with each code that it may fail
 * with. For every pair, a program that reaches the call (work.h) runs in a child process while the
 * call fails: the first time, then every time, the second and the last time. It has to end by
 * itself, hold what it checks, and leave no memory, mapping, descriptor or thread behind. Some
 * program has to be told that very code, unless errnos.c says why it need not come out. A pair that
 * no program brings about fails the test, and so does a call that none reaches, or an exception in
 * errnos.c that nothing needs.
 *
 * PICA_TEST_SCALE above 100: for every k until the call is no longer reached, in every program
 * that reaches it, and every j-th; prints the table of pairs. PICA_TEST_PAIRS=TEXT: those sites
 * alone whose function, door or call holds the text, and the table. */
#include "executor/base/atomics.h"
#include "tests/faults/errnos.h"
#include "tests/faults/sites.h"
#include "tests/faults/work.h"
#include "tests/proc.h"

#include <errno.h>
#include <pica/executor.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORKS_MAX 32
#define TRIES 4    /* of a pair that depends on who comes first */
#define CHILD_S 30 /* a child that takes longer hangs */
#define STILL_NS PICA_SEC(1)
#define DEEPEST_K 200 /* in the long run */
#define ABSORBED_MAX 64

static unsigned sites_all;
static uint64_t calls_of[WORKS_MAX][SITES_MAX]; /* how often a program reaches a site */
static uint64_t told, told_of_one;              /* errors that came out, of one pair; see try() */
static uint32_t tried[ABSORBED_MAX], hid[ABSORBED_MAX]; /* see note_absorbed() */
static int said_fd;                                     /* what the child wrote to stderr */
static bool thorough;
static bool stood_still; /* the whole machine, while the latest child ran */
static const char *only;

/* --- A child ---------------------------------------------------------------------------------- */

static int hanging_fd;

/* Only for people: it may itself hang, and then the next signal ends it. */
static void on_alarm(int number)
{
    (void)number;
    signal(SIGALRM, SIG_DFL);
    alarm(3);
    check_dump();
    (void)!write(hanging_fd, "it hangs\n", 9);
    raise(SIGALRM);
}

static void quiet_core(void)
{
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
}

static _Noreturn void child(const work *w)
{
    dup2(said_fd, STDERR_FILENO);
    hanging_fd = STDERR_FILENO;
    quiet_core();
    signal(SIGALRM, on_alarm);
    alarm(CHILD_S);
    uint64_t failed_before = check_failures(); /* the parent's */
    unsigned descriptors = proc_entries("/proc/self/fd");
    w->run();
    (void)check_lost_errors();
    CHECK_EQ(sites_blocks(), 0);
    CHECK_EQ(sites_mappings(), 0);
    CHECK_EQ(proc_entries("/proc/self/fd"), descriptors);
    CHECK_EQ(proc_threads(3), 3); /* ".", ".." and this one */
    _exit(check_failures() > failed_before ? 1 : 0);
}

static void arm_standing(const work *w)
{
    if (!w->standing_where)
        return;
    for (unsigned s = 0; s < sites_all; s++)
        if (strcmp(site_call(s), w->standing_call) == 0 &&
            (strcmp(site_function(s), w->standing_where) == 0 ||
             strcmp(site_door(s), w->standing_where) == 0)) {
            sites_arm(1, s, w->standing_error, 1, w->standing_error == ELOOP ? 2 : 1);
            return;
        }
    check_fail(__FILE__, __LINE__, "%s: there is no such site to fail always", w->name);
}

static bool ended_well(const work *w, int state)
{
#ifdef PI_ASAN
    if (w->ends_by == SIGSEGV) /* the sanitizer reports it */
        return WIFEXITED(state) && WEXITSTATUS(state) == 1;
#endif
    if (w->ends_by)
        return WIFSIGNALED(state) && WTERMSIG(state) == w->ends_by;
    return WIFEXITED(state) && WEXITSTATUS(state) == 0;
}

/* Until the child's end of the pipe is closed. @return has all stood still meanwhile? */
static bool wait_for_its_end(int fd)
{
    struct pollfd end = {.fd = fd};
    bool still = false;
    int rc;
    do {
        int64_t since = pica_now();
        rc = poll(&end, 1, 100);
        still |= pica_now() - since > STILL_NS;
    } while (rc <= 0);
    return still;
}

/* @return whether it ended as it should */
static bool run_child(const work *w)
{
    int ends[2];
    CHECK_FATAL(ftruncate(said_fd, 0) == 0 && lseek(said_fd, 0, SEEK_SET) == 0);
    CHECK_FATAL(pipe(ends) == 0);
    pid_t pid = fork();
    CHECK_FATAL(pid >= 0);
    if (pid == 0)
        child(w);
    close(ends[1]);
    stood_still = wait_for_its_end(ends[0]);
    close(ends[0]);
    int state = 0;
    CHECK_EQ(waitpid(pid, &state, 0), pid);
    bool fine = ended_well(w, state);
    if (!fine) {
        char said[4000];
        ssize_t n = pread(said_fd, said, sizeof(said) - 1, 0);
        said[n < 0 ? 0 : n] = 0;
        fprintf(stderr, "%s: wait status %#x; it said:\n%s\n", w->name, (unsigned)state, said);
    }
    return fine;
}

/* --- Which program reaches what --------------------------------------------------------------- */

static bool is_reached(unsigned site)
{
    for (unsigned i = 0; i < works_count; i++)
        if (calls_of[i][site])
            return true;
    return errnos_unreachable(site_function(site), site_door(site), site_call(site)) != NULL;
}

static void survey_once(void)
{
    for (unsigned i = 0; i < works_count; i++) {
        bool fine;
        unsigned tries = 0;
        do {
            sites_reset();
            arm_standing(&works[i]);
            work_again = false;
            work_error = work_standing_error = works[i].standing_error;
            fine = run_child(&works[i]);
        } while (!fine && stood_still && ++tries < TRIES);
        CHECK(fine);
        for (unsigned s = 0; s < sites_all; s++)
            if (site_reached(s) > calls_of[i][s])
                calls_of[i][s] = site_reached(s);
    }
}

/* Some calls are only made if somebody is late, so there are several chances. */
static void survey(void)
{
    for (unsigned round = 0, missing = 1; missing && round < TRIES; round++) {
        survey_once();
        missing = 0;
        for (unsigned s = 0; s < sites_all; s++)
            missing += !is_reached(s);
    }
}

static const char *site_text(unsigned site)
{
    static char text[200];
    const char *door = site_door(site);
    snprintf(text, sizeof(text), "%s #%u: %s%s%s", site_function(site), site_ordinal(site), door,
             *door ? " -> " : "", site_call(site));
    return text;
}

static bool is_wanted(unsigned site)
{
    return !only || strstr(site_text(site), only);
}

/* --- Pairs ------------------------------------------------------------------------------------ */

/* @return does the program bear it? Not where it has waited in vain as long as it can, because all
 * stood still: that does not happen each time. */
static bool bears(const work *w, unsigned site, int error, uint64_t k, uint64_t j)
{
    for (unsigned tries = 0; tries < TRIES; tries++) {
        sites_reset();
        arm_standing(w);
        sites_arm(0, site, error, k, j);
        work_error = error;
        work_again = j > 0;
        work_standing_error = w->standing_error;
        if (run_child(w))
            return true;
        if (!stood_still)
            break;
    }
    return false;
}

/* @return how often the call failed, or -1: the program did not bear it */
static long long try(unsigned program, unsigned site, int error, uint64_t k, uint64_t j)
{
    const work *w = &works[program];
    if (!bears(w, site, error, k, j)) {
        check_fail(__FILE__, __LINE__, "%s with %s, call %llu and each %llu. after, in: %s",
                   site_text(site), errnos_name(error), (unsigned long long)k,
                   (unsigned long long)j, w->name);
        return -1;
    }
    told += sites_told();
    if (j == 0) /* time after time, it may come out in other ways: nobody ever answers */
        told_of_one += sites_told();
    return (long long)sites_failed(0);
}

/* What means "try again" can't happen every time: nobody would ever come to an end. */
static uint64_t often(unsigned site, int error)
{
    bool futex_again = error == EAGAIN && strcmp(site_call(site), "syscall") == 0;
    return error == EINTR || error == EALREADY || futex_again ? 2 : 1;
}

static long long each_k(unsigned program, unsigned site, int error)
{
    long long sum = 0;
    for (uint64_t k = 1; k <= DEEPEST_K; k++) {
        long long n = try(program, site, error, k, 0);
        if (n <= 0 && k > 1)
            break;
        if (n < 0)
            return n;
        sum += n;
    }
    for (uint64_t j = often(site, error); j <= 7; j++) {
        long long n = try(program, site, error, 1, j);
        if (n < 0)
            return n;
        sum += n;
    }
    return sum;
}

/* The first call and each one after it, the second alone, and the last. */
static long long once_and_often(unsigned program, unsigned site, int error)
{
    uint64_t calls = calls_of[program][site];
    const struct {
        uint64_t k, j, needs;
    } ways[] = {{1, 0, 1}, {1, often(site, error), 2}, {2, 0, 2}, {calls, 0, 3}};
    long long sum = 0;
    for (unsigned i = 0; i < sizeof(ways) / sizeof(ways[0]) && calls >= ways[i].needs; i++) {
        long long n = try(program, site, error, ways[i].k, ways[i].j);
        if (n < 0)
            return n;
        sum += n;
    }
    return sum;
}

/* What an exception is said for: a bit for each of its codes, or one for all. */
static void note_absorbed(const errnos_exception *absorbed, int error)
{
    unsigned code = 0, i = (unsigned)(absorbed - errnos_all_absorbed);
    while (absorbed->codes[code] && absorbed->codes[code] != error)
        code++;
    tried[i] |= 1u << code;
    if (!told_of_one)
        hid[i] |= 1u << code;
}

/* A code that has happened has to come out of the library, but for those that it absorbs. */
static bool made_to_happen(unsigned site, int error)
{
    long long sum = 0;
    told = told_of_one = 0;
    const errnos_exception *absorbed =
        errnos_absorbed(site_function(site), site_door(site), site_call(site), error);
    bool may_hide = error == EINTR || absorbed;
    for (unsigned i = 0; i < works_count && (thorough || sum == 0 || !(told || may_hide)); i++)
        for (unsigned t = 0; calls_of[i][site] > 0 && t < TRIES; t++) {
            long long n = thorough ? each_k(i, site, error) : once_and_often(i, site, error);
            if (n < 0)
                return false;
            sum += n;
            if (n > 0)
                break;
        }
    if (sum == 0)
        check_fail(__FILE__, __LINE__, "%s with %s never happened", site_text(site),
                   errnos_name(error));
    else if (!told && !may_hide)
        check_fail(__FILE__, __LINE__, "%s with %s: nobody was told", site_text(site),
                   errnos_name(error));
    if (sum > 0 && absorbed)
        note_absorbed(absorbed, error);
    return sum > 0;
}

/* --- Exceptions that nothing needs ------------------------------------------------------------ */

static void names_a_site(const errnos_exception *x)
{
    unsigned s = 0;
    while (s < sites_all && !errnos_is_at(x, site_function(s), site_door(s), site_call(s)))
        s++;
    if (!CHECK(s < sites_all))
        fprintf(stderr, "errnos.c: there is no call of %s in %s\n", x->call ? x->call : "anything",
                x->where);
}

/* Each code that came out wherever it happened. Where no program of this build gets, nothing is
 * known. */
static void exceptions(void)
{
    CHECK_FATAL(errnos_absorbed_count <= ABSORBED_MAX);
    for (unsigned i = 0; i < errnos_unreachable_count; i++)
        names_a_site(&errnos_all_unreachable[i]);
    for (unsigned i = 0; i < errnos_absorbed_count; i++) {
        const errnos_exception *x = &errnos_all_absorbed[i];
        names_a_site(x);
        for (unsigned code = 0; tried[i] & ~hid[i] && (code == 0 || x->codes[code]); code++)
            if (!CHECK(!(tried[i] & ~hid[i] & 1u << code)))
                fprintf(stderr, "errnos.c: %s of %s in %s is absorbed, but came out each time\n",
                        x->codes[code] ? errnos_name(x->codes[code]) : "each code",
                        x->call ? x->call : "anything", x->where);
    }
}

struct totals {
    unsigned sites, pairs, done, safe, elsewhere;
};

static void each_pair(unsigned site, struct totals *totals)
{
    bool show = thorough || only;
    const errnos *row = errnos_of(site_function(site), site_door(site), site_call(site));
    const errnos_exception *why =
        errnos_unreachable(site_function(site), site_door(site), site_call(site));
    uint64_t reached = 0;
    for (unsigned i = 0; i < works_count; i++)
        reached += calls_of[i][site];
    if (!row) {
        check_fail(__FILE__, __LINE__, "%s: errnos.c does not know the call", site_text(site));
        return;
    }
    totals->sites++;
    if (why && reached == 0) {
        totals->elsewhere++;
        if (show)
            printf("%-70s not reached: %s\n", site_text(site), why->why);
        return;
    }
    if (!CHECK(reached > 0)) {
        fprintf(stderr, "%s: no program reaches it\n", site_text(site));
        return;
    }
    if (show)
        printf("%-70s", site_text(site));
    for (const int *e = row->made; *e; e++) {
        bool ok = made_to_happen(site, *e);
        totals->pairs++;
        totals->done += ok;
        if (show)
            printf(" %s%s", errnos_name(*e), ok ? "" : "(FAILED)");
    }
    for (const int *e = row->natural; *e; e++) {
        bool ok = site_failed_by_itself(site, *e);
        totals->pairs++;
        totals->done += ok;
        if (!ok)
            check_fail(__FILE__, __LINE__, "%s with %s never happened by itself", site_text(site),
                       errnos_name(*e));
        if (show)
            printf(" %s%s", errnos_name(*e), ok ? "(by itself)" : "(FAILED)");
    }
    totals->safe += !row->made[0] && !row->natural[0];
    if (show)
        printf(" | %s\n", row->cannot);
}

static void pairs(void)
{
    struct totals totals = {0};
    CHECK_FATAL(sites_all > 50); /* or sites.sh is broken */
    CHECK_FATAL(works_count <= WORKS_MAX);
    survey();
    for (unsigned s = 0; s < sites_all; s++)
        if (is_wanted(s))
            each_pair(s, &totals);
    printf("%u of %u pairs happened at %u sites (%u of them can't fail, %u not reached here)\n",
           totals.done, totals.pairs, totals.sites, totals.safe, totals.elsewhere);
    CHECK_EQ(totals.done, totals.pairs);
    if (!only)
        exceptions();
}

CHECK_MAIN
{
    const char *path = getenv("PICA_TEST_SITES");
    const char *scale = getenv("PICA_TEST_SCALE");
    only = getenv("PICA_TEST_PAIRS");
    thorough = scale && atoi(scale) > 100;
    sites_all = path ? sites_open(path) : 0;
    said_fd = memfd_create("said", MFD_CLOEXEC);
    CHECK_FATAL(said_fd >= 0);
    check_timeout(thorough ? 3500 : 280);
    check_plain("pairs", pairs);
}
