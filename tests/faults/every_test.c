/* SPDX-License-Identifier: MIT */
/* every_test.c: the cases of all other tests once more, while calls of the library fail: the k-th
 * one, every j-th one, all of one function (every.h). They know nothing of it. So each may go
 * wrong, and the first check that fails ends it; that is how an error comes out. What may not come
 * of it: a crash, a hang, and, where the case has borne it, anything that is left over. (That
 * nothing is left by one that was told: pairs_test.)
 *
 * All tests that make no faults of their own are linked into this one program, each with a
 * check_main() of its own name; PICA_TEST_PROGRAM says whose cases it has. Without it, it starts
 * itself with each.
 *
 * Random ones, from PICA_TEST_SEED, for as many seconds as PICA_TEST_SECONDS says. With a
 * PICA_TEST_SCALE above 100, each case with each k until that is no longer reached, with many j and
 * each function; then the random ones. */
#include "tests/faults/every.h"

#include "tests/check.h"

#include <errno.h>
#include <fcntl.h>
#include <pica/executor.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECONDS 45
#define CASES_MAX 1024
#define JOBS_MAX 16
#define K_MAX 1024
#define DEEPEST_K 64 /* in the long run, one by one */
#define CASE_S 30    /* for the case's own watcher */
#define RUN_S 300    /* for the program, should that be stuck as well: eight times a case's */
#define BAD_MAX 10   /* enough to look at */

/* --- The tests ------------------------------------------------------------------------------ */

#define EVERY(name) void check_main_##name(void);
#include "every_tests.h" /* EVERY() of each, by CMakeLists.txt */
#undef EVERY

static const struct test {
    const char *name;
    void (*main)(void);
} tests[] = {
#define EVERY(name) {#name, check_main_##name},
#include "every_tests.h"
#undef EVERY
};

/* The functions whose failing, all the time, means that something has run out or is not there. */
static const char *const lasting[] = {
    "malloc",         "calloc",        "aligned_alloc",   "mmap",
    "pthread_create", "epoll_create1", "eventfd",         "socket",
    "madvise",        "mprotect",      "process_madvise", "epoll_ctl",
    "open",           "fcntl",         "setsockopt",      "sched_getaffinity"};
#define LASTING (sizeof(lasting) / sizeof(lasting[0]))
#define MEMORY 4 /* the first of them */

typedef struct one_case {
    const char *test;
    char name[100];
    char modes[8][10];
    unsigned modes_count, runs;
    unsigned long long most_k; /* the least K that it did not get to */
} one_case;

static one_case cases[CASES_MAX];
static unsigned cases_count;
static char self[300]; /* this program */

static void add_case(const char *test, char *line)
{
    char *colon = strrchr(line, ':'); /* "its name: one two" */
    CHECK_FATAL(colon && cases_count < CASES_MAX);
    *colon = '\0';
    one_case *c = &cases[cases_count++];
    c->test = test;
    c->most_k = K_MAX;
    CHECK_FATAL(strlen(line) < sizeof(c->name));
    memcpy(c->name, line, strlen(line) + 1);
    for (char *mode = strtok(colon + 1, " \n"); mode; mode = strtok(NULL, " \n")) {
        CHECK_FATAL(c->modes_count < 8);
        snprintf(c->modes[c->modes_count++], sizeof(c->modes[0]), "%s", mode);
    }
}

static void list_cases(const char *test)
{
    char command[400], line[300];
    snprintf(command, sizeof(command), "PICA_TEST_PROGRAM=%s '%s' --list", test, self);
    FILE *out = popen(command, "r");
    CHECK_FATAL(out);
    unsigned before = cases_count;
    while (fgets(line, sizeof(line), out))
        add_case(test, line);
    CHECK_EQ(pclose(out), 0);
    if (!CHECK_LT(before, cases_count))
        fprintf(stderr, "%s has no cases\n", test);
}

/* --- One run --------------------------------------------------------------------------------- */

typedef struct run {
    one_case *what;
    const char *mode;
    char fault[100];      /* see every.h */
    unsigned long long k; /* if all calls count, from the case on; else 0 */
    pid_t pid;
    int said_fd;
} run;

static uint64_t runs, faulted, borne, told, in_vain; /* all but the first of the faulted ones */
static unsigned bad;

static _Noreturn void become(const run *r)
{
    char seconds[20];
    snprintf(seconds, sizeof(seconds), "%d", CASE_S);
    setenv("PICA_TEST_PROGRAM", r->what->test, 1);
    setenv("PICA_TEST_FAULT", r->fault, 1);
    setenv("PICA_TEST_STOP", "1", 1);
    setenv("PICA_TEST_SCALE", "2", 1);
    setenv("PICA_TEST_TIMEOUT", seconds, 1);
    dup2(r->said_fd, STDOUT_FILENO);
    dup2(r->said_fd, STDERR_FILENO);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    setpgid(0, 0);
    alarm(RUN_S);
    execl(self, self, "--mode", r->mode, "--case", r->what->name, (char *)NULL);
    _exit(127);
}

static void start(run *r)
{
    r->said_fd = memfd_create("said", MFD_CLOEXEC);
    CHECK_FATAL(r->said_fd >= 0 && fcntl(r->said_fd, F_SETFL, O_APPEND) == 0);
    r->pid = fork();
    CHECK_FATAL(r->pid >= 0);
    if (r->pid == 0)
        become(r);
    r->what->runs++;
}

/* @return what may not happen and has; NULL: all is well */
static const char *what_is_wrong(int state, const char *said)
{
    static const char *const wrong[] = {
        "timed out: ", "left over: ", "descriptors: ", "threads: ", "Sanitizer: ", "runtime error"};
    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        if (strstr(said, wrong[i]))
            return wrong[i];
    if (WIFSIGNALED(state))
        return WTERMSIG(state) == SIGALRM ? "it hangs" : strsignal(WTERMSIG(state));
    if (!WIFEXITED(state) || (WEXITSTATUS(state) > 1 && WEXITSTATUS(state) != 77))
        return "it ended in a strange way";
    if (WEXITSTATUS(state) == 1 && !strstr(said, ": failed: "))
        return "it failed without a word";
    return NULL;
}

/* Its beginning, where the faults are, and its end, where it says what came of them. */
static void read_said(int fd, char *said, size_t room)
{
    size_t half = room / 2, all = (size_t)lseek(fd, 0, SEEK_END);
    ssize_t n = pread(fd, said, half, 0);
    CHECK_FATAL(n >= 0);
    said[n] = '\0';
    if (all <= half)
        return;
    size_t rest = all - half < half - 1 ? all - half : half - 1;
    n = pread(fd, said + half, rest, (off_t)(all - rest));
    CHECK_FATAL(n >= 0);
    said[half + (size_t)n] = '\0';
}

/* @return whether there was a fault */
static bool judge(run *r, int state)
{
    static char said[200000];
    read_said(r->said_fd, said, sizeof(said));
    close(r->said_fd);
    bool fault = strstr(said, EVERY_LINE) != NULL;
    bool fine = WIFEXITED(state) && WEXITSTATUS(state) == 0;
    if (!fault && r->k && r->k < r->what->most_k)
        r->what->most_k = r->k;
    runs++;
    faulted += fault;
    borne += fault && fine;
    told += fault && !fine;
    in_vain += fault && strstr(said, ": not within ");
    const char *wrong = fault ? what_is_wrong(state, said) : NULL;
    if (!wrong) /* without a fault, what fails is the business of that test alone */
        return fault;
    bad++;
    check_fail(__FILE__, __LINE__, "%s: %s, mode %s: %s", r->what->test, r->what->name, r->mode,
               wrong);
    fprintf(stderr,
            "again: PICA_TEST_SITES='%s' PICA_TEST_PROGRAM=%s PICA_TEST_FAULT='%s' "
            "PICA_TEST_STOP=1 PICA_TEST_SCALE=2 '%s' --mode %s --case '%s'\nit said:\n%.6000s\n",
            getenv("PICA_TEST_SITES"), r->what->test, r->fault, self, r->mode, r->what->name, said);
    return fault;
}

/* --- Many runs -------------------------------------------------------------------------------- */

static run jobs[JOBS_MAX];
static unsigned jobs_count, jobs_most;

static bool wait_for_one(void)
{
    int state = 0;
    pid_t pid = waitpid(-1, &state, 0);
    CHECK_FATAL(pid > 0);
    kill(-pid, SIGKILL); /* the processes that a case may have left, computing or stopped */
    unsigned i = 0;
    while (i < jobs_count && jobs[i].pid != pid)
        i++;
    CHECK_FATAL(i < jobs_count);
    bool fault = judge(&jobs[i], state);
    jobs[i] = jobs[--jobs_count];
    return fault;
}

static run *new_run(one_case *what, const char *mode)
{
    if (jobs_count == jobs_most)
        wait_for_one();
    run *r = &jobs[jobs_count++];
    *r = (run){.what = what, .mode = mode};
    return r;
}

/* From 1 to n, each power of two as likely as the next. */
static unsigned long long up_to(check_rng *rng, unsigned long long n)
{
    unsigned powers = 1;
    while (powers < 63 && 1ull << powers <= n)
        powers++;
    unsigned long long k = 1 + check_rng_below(rng, 1ull << check_rng_below(rng, powers));
    return k < n ? k : n;
}

static void start_random(one_case *what, check_rng *rng)
{
    run *r = new_run(what, what->modes[check_rng_below(rng, what->modes_count)]);
    unsigned long long k = up_to(rng, what->most_k), seed = check_rng_below(rng, 1000), j = 0;
    unsigned from = check_rng_below(rng, 8) != 0;
    const char *call = "";
    switch (check_rng_below(rng, 4)) {
    case 0: /* the K-th alone */
        break;
    case 1: /* from then on all of one kind, memory as often as the others together */
        j = 1;
        k = up_to(rng, 16);
        call = lasting[check_rng_below(rng, check_rng_below(rng, 2) ? MEMORY : LASTING)];
        break;
    default:
        j = 1 + up_to(rng, K_MAX);
        break;
    }
    snprintf(r->fault, sizeof(r->fault), "%llu %llu %llu %u %s", k, j, seed, from, call);
    r->k = from && !*call ? k : 0;
    start(r);
}

/* Each case as often as the others, in an order of its own each time round. */
static void at_random(int64_t until)
{
    check_rng rng = check_rng_make(0);
    static unsigned order[CASES_MAX];
    for (unsigned i = 0; i < cases_count; i++)
        order[i] = i;
    for (unsigned n = 0; bad < BAD_MAX && pica_now() < until; n++) {
        unsigned at = n % cases_count;
        unsigned other = at + (unsigned)check_rng_below(&rng, cases_count - at);
        unsigned mine = order[other];
        order[other] = order[at];
        order[at] = mine;
        start_random(&cases[mine], &rng);
    }
    while (jobs_count)
        wait_for_one();
}

static void one_by_one(one_case *what)
{
    unsigned mode = 0;
    bool reached = true;
    for (unsigned k = 1; k <= DEEPEST_K && reached && bad < BAD_MAX;) {
        for (unsigned i = 0; i < jobs_most; i++, k++) {
            run *r = new_run(what, what->modes[mode++ % what->modes_count]);
            snprintf(r->fault, sizeof(r->fault), "%u 0 %u 1", k, k);
            start(r);
        }
        for (reached = false; jobs_count;)
            reached |= wait_for_one();
    }
    for (unsigned j = 2; j <= 40 && bad < BAD_MAX; j += 1 + j / 4) {
        run *r = new_run(what, what->modes[mode++ % what->modes_count]);
        snprintf(r->fault, sizeof(r->fault), "1 %u %u 1", j, j);
        start(r);
    }
    for (unsigned i = 0; i < LASTING && bad < BAD_MAX; i++) {
        run *r = new_run(what, what->modes[mode++ % what->modes_count]);
        snprintf(r->fault, sizeof(r->fault), "1 1 %u 1 %s", i, lasting[i]);
        start(r);
    }
}

static unsigned from_environment(const char *name, unsigned otherwise)
{
    const char *text = getenv(name);
    return text ? (unsigned)atoi(text) : otherwise;
}

static bool is_long(void)
{
    return from_environment("PICA_TEST_SCALE", 100) > 100;
}

static void every_kth_call_fails(void)
{
    unsigned seconds = from_environment("PICA_TEST_SECONDS", SECONDS), least = ~0u;
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    CHECK_FATAL(n > 0);
    jobs_most = cpus < 1 ? 1 : cpus > JOBS_MAX ? JOBS_MAX : (unsigned)cpus;
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
        list_cases(tests[i].name);
    if (is_long())
        for (unsigned i = 0; i < cases_count; i++)
            one_by_one(&cases[i]);
    at_random(pica_after(PICA_SEC(seconds)));
    for (unsigned i = 0; i < cases_count; i++)
        least = cases[i].runs < least ? cases[i].runs : least;
    printf("%llu runs of %u cases, each at least %u times; faults in %llu: %llu bore them, %llu "
           "were told (%llu waited in vain for a task that had been), %u went wrong\n",
           (unsigned long long)runs, cases_count, least, (unsigned long long)faulted,
           (unsigned long long)borne, (unsigned long long)(told - bad), (unsigned long long)in_vain,
           bad);
    CHECK_LT(0, borne);
    CHECK_LT(0, told);
    CHECK_EQ(bad, 0);
}

CHECK_MAIN
{
    const char *name = getenv("PICA_TEST_PROGRAM");
    for (size_t i = 0; name && i < sizeof(tests) / sizeof(tests[0]); i++)
        if (strcmp(tests[i].name, name) == 0) {
            tests[i].main();
            return;
        }
    CHECK_FATAL(!name);
    check_timeout(is_long() ? 7000 : 280);
    check_plain("every k-th call fails", every_kth_call_fails);
}
