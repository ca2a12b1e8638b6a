/* SPDX-License-Identifier: MIT */
/* host_test.c: an executor leaves its host's process as it found it: signal handlers, masks,
 * alternate stacks, SIGCHLD and its children, locale, rounding, limits, working directory,
 * threads' names. The exception is asked for: PICA_NAME_OVERFLOWS (overflow_test.c). */
#include "executor/base/atomics.h"
#include "tests/embedding/process.h"
#include "tests/executor/bodies.h"

#include <fenv.h>
#include <locale.h>
#include <pica/net.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>

#define SIGNALS 65
/* The kernel's own flag, which the C library sets in whatever it installs, also unasked. */
#define RESTORER 0x04000000

/* --- What a host has set up ----------------------------------------------------------------- */

typedef struct host_state {
    struct sigaction actions[SIGNALS];
    sigset_t mask;
    stack_t alternate;
    char locale[256];
    int rounding;
    mode_t umask;
    char directory[256];
    char name[16];
    struct rlimit limits[RLIM_NLIMITS];
    struct itimerval timers[3];
    cpu_set_t cpus;
    int nice, dumpable, subreaper;
    const char *environment; /* where PICA_TEST_HOST stands */
} host_state;

static void look_at(host_state *s)
{
    memset(s, 0, sizeof(*s));
    for (int i = 1; i < SIGNALS; i++)
        (void)sigaction(i, NULL, &s->actions[i]);
    pthread_sigmask(SIG_SETMASK, NULL, &s->mask);
    sigaltstack(NULL, &s->alternate);
    strncpy(s->locale, setlocale(LC_ALL, NULL), sizeof(s->locale) - 1);
    s->rounding = fegetround();
    s->umask = umask(0);
    umask(s->umask);
    CHECK_FATAL(getcwd(s->directory, sizeof(s->directory)) != NULL);
    pthread_getname_np(pthread_self(), s->name, sizeof(s->name));
    for (int i = 0; i < RLIM_NLIMITS; i++)
        getrlimit((__rlimit_resource_t)i, &s->limits[i]);
    for (int i = 0; i < 3; i++)
        getitimer((__itimer_which_t)i, &s->timers[i]);
    sched_getaffinity(0, sizeof(s->cpus), &s->cpus);
    s->nice = getpriority(PRIO_PROCESS, 0);
    s->dumpable = prctl(PR_GET_DUMPABLE);
    prctl(PR_GET_CHILD_SUBREAPER, &s->subreaper);
    s->environment = getenv("PICA_TEST_HOST");
}

static bool same_set(const sigset_t *a, const sigset_t *b)
{
    for (int i = 1; i < SIGNALS; i++)
        if (sigismember(a, i) != sigismember(b, i))
            return false;
    return true;
}

static void same(const host_state *a, const host_state *b)
{
    for (int i = 1; i < SIGNALS; i++) {
        const struct sigaction *x = &a->actions[i], *y = &b->actions[i];
        if (x->sa_sigaction != y->sa_sigaction || (x->sa_flags ^ y->sa_flags) & ~RESTORER ||
            !same_set(&x->sa_mask, &y->sa_mask))
            check_fail(__FILE__, __LINE__, "signal %d has another action", i);
    }
    CHECK(same_set(&a->mask, &b->mask));
    CHECK_EQ(a->alternate.ss_sp, b->alternate.ss_sp);
    CHECK_EQ(a->alternate.ss_flags, b->alternate.ss_flags);
    CHECK_EQ(a->alternate.ss_size, b->alternate.ss_size);
    CHECK_STR(a->locale, b->locale);
    CHECK_EQ(a->rounding, b->rounding);
    CHECK_EQ(a->umask, b->umask);
    CHECK_STR(a->directory, b->directory);
    CHECK_STR(a->name, b->name);
    CHECK_MEM(a->limits, b->limits, sizeof(a->limits));
    CHECK_MEM(a->timers, b->timers, sizeof(a->timers));
    CHECK_MEM(&a->cpus, &b->cpus, sizeof(a->cpus));
    CHECK_EQ(a->nice, b->nice);
    CHECK_EQ(a->dumpable, b->dumpable);
    CHECK_EQ(a->subreaper, b->subreaper);
    CHECK_EQ(a->environment, b->environment);
}

/* Handlers that count, and note whether one ran on a worker. */
static uint32_t handled[SIGNALS]; /* [atomic, relaxed] counters */
static uint32_t on_a_worker;      /* [atomic, relaxed] */

static void counts(int number)
{
    pi_add_relaxed(&handled[number], 1u);
    if (pica_worker_index() >= 0)
        pi_add_relaxed(&on_a_worker, 1u);
}

static char alternate[64 << 10];

/* All that a library might be tempted to touch is set to something unusual. */
static void set_up(host_state *before)
{
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    look_at(before);
    action.sa_handler = counts;
    action.sa_flags = SA_RESTART;
    sigaddset(&action.sa_mask, SIGUSR2);
    sigaction(SIGCHLD, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGALRM, &action, NULL);
    action.sa_flags = SA_ONSTACK;
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGPIPE, &action, NULL);
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, SIGWINCH);
    pthread_sigmask(SIG_BLOCK, &one, NULL);
    stack_t stack = {.ss_sp = alternate, .ss_size = sizeof(alternate)};
    CHECK_FATAL(sigaltstack(&stack, NULL) == 0);
    CHECK(setlocale(LC_ALL, "C.UTF-8") != NULL);
    CHECK_EQ(fesetround(FE_UPWARD), 0);
    umask(027);
    setenv("PICA_TEST_HOST", "1", 1);
}

static void put_back(const host_state *before)
{
    for (int i = 1; i < SIGNALS; i++)
        (void)sigaction(i, &before->actions[i], NULL);
    pthread_sigmask(SIG_SETMASK, &before->mask, NULL);
    stack_t stack = before->alternate;
    if (!stack.ss_sp)
        stack.ss_flags = SS_DISABLE;
    CHECK_EQ(sigaltstack(&stack, NULL), 0);
    setlocale(LC_ALL, before->locale);
    fesetround(before->rounding);
    umask(before->umask);
    unsetenv("PICA_TEST_HOST");
}

/* --- Nothing changes ------------------------------------------------------------------------ */

/* Waits, is cancelled, asks a socket, writes into a pipe that nobody reads. */
static intptr_t uses_pica(void *arg)
{
    (void)arg;
    int ends[2];
    pica_stream *stream = NULL;
    pica_addr address;
    pica_listener *listener = NULL;
    CHECK_OK(pica_sleep(PICA_US(50)));
    pica_task *task = body_spawn(body_sleeps, NULL);
    CHECK_EQ(pica_cancel(task), 0);
    CHECK_EQ(body_end(task), -ECANCELED);
    for (int i = 0; i < 2; i++) {
        CHECK_FATAL((i ? pipe(ends) : socketpair(AF_UNIX, SOCK_STREAM, 0, ends)) == 0);
        CHECK_FATAL_OK(pica_stream_adopt(&stream, ends[1]));
        close(ends[0]);
        CHECK_EQ(pica_write(stream, "x", 1), -EPIPE); /* and no SIGPIPE */
        pica_close(stream);
    }
    CHECK_FATAL_OK(pica_addr_parse(&address, "127.0.0.1:0", 0));
    CHECK_FATAL_OK(pica_tcp_listen(&listener, &address, NULL));
    pica_listener_close(listener);
    return 6;
}

static void nothing_changes(void)
{
    static host_state before, set, now;
    const unsigned flags[] = {0, PICA_PIN_WORKERS, PICA_NAME_OVERFLOWS};
    set_up(&before);
    look_at(&set);
    for (unsigned i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        pica_options options = check_options();
        options.flags |= flags[i];
        pica_executor *ex = check_executor_open(&options);
        CHECK_EQ(body_end(body_spawn_in(ex, uses_pica, NULL)), 6);
        if (flags[i] != PICA_NAME_OVERFLOWS) {
            look_at(&now);
            same(&set, &now);
        }
        check_executor_close(ex);
        look_at(&now);
        same(&set, &now);
        CHECK_EQ(pica_run(uses_pica, NULL, &options), 6);
        look_at(&now);
        same(&set, &now);
    }
    CHECK_EQ(pi_load_relaxed(&handled[SIGPIPE]), 0);
    put_back(&before);
}

/* --- What an executor holds while it lives -------------------------------------------------- */

static intptr_t tells_its_rounding(void *unused)
{
    (void)unused;
    return fegetround();
}

/* Threads: the workers and, where there are several, a monitor. Descriptors: two for each worker,
 * or none. The threads round as the one that made them does. */
static void what_it_holds(void)
{
    int rounding = fegetround();
    unsigned descriptors = proc_entries("/proc/self/fd");
    unsigned threads = proc_entries("/proc/self/task");
    CHECK_EQ(fesetround(FE_DOWNWARD), 0);
    for (unsigned driver = PICA_DRIVER_EPOLL; driver <= PICA_DRIVER_FUTEX; driver++) {
        pica_options options = check_options();
        options.driver = driver;
        options.flags |= PICA_NO_SPARE; /* which a busy machine might call for */
        pica_executor *ex = check_executor_open(&options);
        CHECK_EQ(body_end(body_spawn_in(ex, tells_its_rounding, NULL)), FE_DOWNWARD);
        unsigned each = driver == PICA_DRIVER_EPOLL ? 2 : 0;
        CHECK_EQ(proc_entries("/proc/self/fd"), descriptors + each * options.workers);
        unsigned monitor = options.workers > 1;
        unsigned wanted = threads + options.workers + monitor;
        CHECK_EQ(proc_threads(wanted), wanted); /* the last executor's may still be on their way */
        check_executor_close(ex);
    }
    fesetround(rounding);
}

/* --- Signals are the host's ------------------------------------------------------------------- */

static intptr_t spins(void *arg)
{
    while (!check_hits(arg))
        CHECK_OK(pica_yield());
    return 0;
}

/* Workers, busy or asleep, take none of them. */
static void signals_go_to_the_host(void)
{
    static host_state before;
    static const int numbers[] = {SIGUSR1, SIGTERM, SIGALRM};
    check_latch enough = {0};
    set_up(&before);
    pica_options options = check_options();
    pica_executor *ex = check_executor_open(&options);
    pica_task *busy = body_spawn_in(ex, spins, &enough);
    pi_store_relaxed(&on_a_worker, 0u);
    for (unsigned i = 0; i < 300; i++) {
        int number = numbers[i % 3];
        uint32_t had = pi_load_relaxed(&handled[number]);
        CHECK_FATAL(kill(getpid(), number) == 0);
        CHECK_SOON(pi_load_relaxed(&handled[number]) > had);
        if (i == 150)
            check_hit(&enough); /* from now on all are asleep */
    }
    CHECK_EQ(body_end(busy), 0);
    CHECK_EQ(pi_load_relaxed(&on_a_worker), 0);
    check_executor_close(ex);
    put_back(&before);
}

/* The host forks, gets its SIGCHLD, and finds its child for waitpid(). */
static void children_are_the_hosts(void)
{
    static host_state before;
    check_latch enough = {0};
    set_up(&before);
    pica_options options = check_options();
    pica_executor *ex = check_executor_open(&options);
    pica_task *busy = body_spawn_in(ex, spins, &enough);
    for (int i = 0; i < 20; i++) {
        uint32_t had = pi_load_relaxed(&handled[SIGCHLD]);
        pid_t pid = fork();
        CHECK_FATAL(pid >= 0);
        if (pid == 0)
            _exit(i);
        CHECK_SOON(pi_load_relaxed(&handled[SIGCHLD]) > had);
        int status = 0;
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == i);
    }
    check_hit(&enough);
    CHECK_EQ(body_end(busy), 0);
    check_executor_close(ex);
    put_back(&before);
}

/* What a worker blocks: all that does not come from a fault of its own. In pica_run()'s own
 * thread nothing is changed. */
static intptr_t tells_its_mask(void *arg)
{
    return pthread_sigmask(SIG_SETMASK, NULL, arg);
}

static void masks_of_workers(void)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
    sigset_t mask, here;
    pica_options options = check_options();
    pica_executor *ex = check_executor_open(&options);
    CHECK_EQ(body_end(body_spawn_in(ex, tells_its_mask, &mask)), 0);
    check_executor_close(ex);
    for (unsigned i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        CHECK_EQ(sigismember(&mask, faults[i]), 0);
        sigdelset(&mask, faults[i]);
    }
    for (int i = 1; i < 32; i++)
        if (i != SIGKILL && i != SIGSTOP && sigismember(&mask, i) == 0) {
            bool fault = false;
            for (unsigned k = 0; k < sizeof(faults) / sizeof(faults[0]); k++)
                fault |= faults[k] == i;
            CHECK(fault);
        }
    pthread_sigmask(SIG_SETMASK, NULL, &here);
    options.workers = 1;
    CHECK_EQ(pica_run(tells_its_mask, &mask, &options), 0);
    CHECK(same_set(&mask, &here));
}

/* --- A host that handles its own faults ------------------------------------------------------- */

static char *faulty;         /* [main] a page, alternately readable and not */
static uint32_t mended;      /* [atomic, relaxed] faults that the host's handler put right */
static uint32_t off_its_own; /* [atomic, relaxed] of these, the host's thread's on a wrong stack */
static pthread_t host_thread;

static void mends(int number, siginfo_t *info, void *context)
{
    char here;
    const char *at = &here;
    (void)number;
    (void)context;
    if ((char *)info->si_addr != faulty)
        abort();
    if (pthread_equal(pthread_self(), host_thread) && pica_worker_index() < 0 &&
        (at < alternate || at >= alternate + sizeof(alternate)))
        pi_add_relaxed(&off_its_own, 1u);
    pi_add_relaxed(&mended, 1u);
    mprotect(faulty, 4096, PROT_READ | PROT_WRITE);
}

static void fault_once(void)
{
    CHECK_FATAL(mprotect(faulty, 4096, PROT_NONE) == 0);
    *(volatile char *)faulty = 1;
}

static intptr_t faults(void *arg)
{
    (void)arg;
    fault_once();
    CHECK_OK(pica_yield());
    fault_once();
    return 3;
}

/* As garbage collectors and virtual machines do: the handler puts things right, and the program
 * goes on. In the host's thread it runs on the host's own alternate stack, whatever pica does. */
static void the_host_mends_faults(void)
{
    static host_state before;
    const unsigned flags[] = {0, PICA_NAME_OVERFLOWS};
    struct sigaction action;
    set_up(&before);
    host_thread = pthread_self();
    faulty = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK_FATAL(faulty != MAP_FAILED);
    memset(&action, 0, sizeof(action));
    action.sa_sigaction = mends;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaction(SIGSEGV, &action, NULL);
    for (unsigned i = 0; i < 2; i++) {
        pi_store_relaxed(&mended, 0u);
        pica_options options = check_options();
        options.flags |= flags[i];
        fault_once();
        pica_executor *ex = check_executor_open(&options);
        CHECK_EQ(body_end(body_spawn_in(ex, faults, NULL)), 3);
        fault_once();
        check_executor_close(ex);
        fault_once();
        CHECK_EQ(pica_run(faults, NULL, &options), 3);
        fault_once();
        CHECK_EQ(pi_load_relaxed(&mended), 8);
    }
    CHECK_EQ(pi_load_relaxed(&off_its_own), 0);
    munmap(faulty, 4096);
    put_back(&before);
}

CHECK_MAIN
{
    check_plain_in(CHECK_ONE | CHECK_FOUR, "nothing changes", nothing_changes);
    check_plain_in(CHECK_ONE | CHECK_FOUR, "what it holds", what_it_holds);
    check_plain_in(CHECK_ONE | CHECK_FOUR, "signals go to the host", signals_go_to_the_host);
    check_plain_in(CHECK_FOUR, "children are the host's", children_are_the_hosts);
    check_plain_in(CHECK_TWO, "masks of workers", masks_of_workers);
    check_plain_in(CHECK_ONE | CHECK_FOUR, "the host mends faults", the_host_mends_faults);
}
