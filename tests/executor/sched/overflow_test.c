/* SPDX-License-Identifier: MIT */
/* overflow_test.c: a task that uses more stack than there is dies at the guard, at once; with
 * PICA_NAME_OVERFLOWS it is named first, with its size, its spawn site and those that run it
 * inline; handlers of the host still get what is theirs. */
#include "tests/executor/bodies.h"
#include "tests/executor/death.h"

#include <sys/mman.h>

struct overflowing {
    unsigned flags;
    size_t stack_size;
    pica_fn main;
    bool host_handler;
    bool ignores; /* the host does, SIGSEGV */
    bool embedded; /* pica_executor_create() with two workers, not pica_run() */
    const char *name;
};

/* A call takes far less than a guard, but enough for the largest stack to end after 16,000 of them:
 * past 65,536 ThreadSanitizer's own stack of calls overflows first, and nobody says a word. */
static __attribute__((noinline)) intptr_t recurses(volatile char *above, intptr_t depth)
{
    volatile char here[1000];
    here[0] = (char)depth;
    if (depth == 0)
        return above[0];
    intptr_t below = recurses(here, depth - 1);
    return below + here[0];
}

static intptr_t overflows(void *arg)
{
    volatile char top = 0;
    (void)arg;
    return recurses(&top, 10000000);
}

static intptr_t spawns_one_that_overflows(void *arg)
{
    const struct overflowing *o = arg;
    pica_attr attr = PICA_ATTR_INIT;
    attr.name = o->name ? o->name : "greedy";
    attr.stack_size = o->stack_size;
    pica_task *task = NULL;
    CHECK_FATAL_OK(pica_spawn_at(&task, overflows, NULL, &attr, "a/place.c:12"));
    intptr_t result = 0;
    CHECK_EQ(pica_join(task, &result), 0); /* not inline: on a stack of its own */
    pica_unref(task);
    return result;
}

static intptr_t awaits_one_that_overflows(void *arg)
{
    pica_attr attr = PICA_ATTR_INIT;
    attr.name = "greedy";
    pica_task *task = NULL;
    (void)arg;
    CHECK_FATAL_OK(pica_spawn_at(&task, overflows, NULL, &attr, "a/place.c:12"));
    return body_end(task);
}

static intptr_t awaits_one_that_awaits(void *arg)
{
    pica_attr attr = PICA_ATTR_INIT;
    attr.name = "middle";
    pica_task *task = NULL;
    CHECK_FATAL_OK(pica_spawn_at(&task, awaits_one_that_overflows, arg, &attr, "b/place.c:34"));
    return body_end(task);
}

static intptr_t writes_where_nothing_is(void *arg)
{
    (void)arg;
    volatile char *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page != MAP_FAILED)
        *page = 1;
    return 0;
}

static intptr_t writes_far_below(void *arg)
{
    volatile char *volatile at = (volatile char *)(uintptr_t)16;
    (void)arg;
    *at = 1;
    return 0;
}

static intptr_t sends_one(void *arg)
{
    (void)arg;
    return kill(getpid(), SIGSEGV);
}

/* A hook that runs on a task's stack, which it may overflow as the task itself. */
static void hook_overflows(void *arg, const pica_lost_error *error)
{
    (void)error;
    (void)overflows(arg);
}

static intptr_t loses_an_error(void *arg)
{
    (void)arg;
    return -EIO;
}

static intptr_t spawns_one_whose_error_is_lost(void *arg)
{
    pica_attr attr = PICA_ATTR_INIT;
    attr.name = "lost";
    CHECK_FATAL_OK(pica_spawn_at(NULL, loses_an_error, arg, &attr, "c/place.c:56"));
    return pica_sleep(PICA_SEC(60));
}

static void host(int number, siginfo_t *info, void *context)
{
    (void)info;
    (void)context;
    if (write(STDERR_FILENO, "host's handler\n", 15) == 15)
        _exit(40 + (number == SIGSEGV));
}

static void run(void *arg)
{
    struct overflowing *o = arg;
    /* A sanitizer's own handler is not what is tested. */
    signal(SIGSEGV, o->ignores ? SIG_IGN : SIG_DFL);
    signal(SIGBUS, SIG_DFL);
    if (o->host_handler) {
        struct sigaction action;
        memset(&action, 0, sizeof(action));
        action.sa_sigaction = host;
        action.sa_flags = SA_SIGINFO | SA_ONSTACK;
        sigaction(SIGSEGV, &action, NULL);
    }
    pica_options options = PICA_OPTIONS_INIT;
    options.workers = o->embedded ? 2 : 1;
    options.flags = o->flags;
    options.on_lost_error = hook_overflows;
    if (!o->embedded) {
        (void)pica_run(o->main, o, &options);
        return;
    }
    pica_executor *ex;
    pica_task *task;
    intptr_t result;
    if (pica_executor_create(&ex, &options) == 0 && pica_executor_spawn(ex, &task, o->main, o) == 0)
        CHECK_OK(pica_join(task, &result));
}

static bool says(const death *d, const char *words)
{
    bool said = strstr(d->said, words) != NULL;
    if (!said)
        fprintf(stderr, "not said: \"%s\"; status %x, but:\n%s\n", words, (unsigned)d->state,
                d->said);
    return said;
}

static void killed_at_the_guard(void)
{
    struct overflowing o = {.main = spawns_one_that_overflows};
    death d = death_of(run, &o);
    CHECK(WIFSIGNALED(d.state) && WTERMSIG(d.state) == SIGSEGV);
    CHECK_STR(d.said, "");
}

static void named(void)
{
    const size_t sizes[] = {1, (size_t)1 << 20};
    for (unsigned i = 0; i < 2; i++) {
        struct overflowing o = {.flags = PICA_NAME_OVERFLOWS,
                                .stack_size = sizes[i],
                                .main = spawns_one_that_overflows};
        death d = death_of(run, &o);
        CHECK(WIFSIGNALED(d.state) && WTERMSIG(d.state) == SIGSEGV);
        CHECK(says(&d, "stack overflow in task "));
        CHECK(says(&d, "(greedy, spawned at a/place.c:12, stack "));
#if !defined(PI_ASAN) && !defined(PI_TSAN)
        CHECK(says(&d, i ? "stack 1024 KiB" : "stack 32 KiB"));
#endif
        CHECK(strstr(d.said, "inline") == NULL);
    }
}

#if defined(PI_ASAN) || defined(PI_TSAN)
enum { INLINES = 0 }; /* there each child has a stack of its own */
#else
enum { INLINES = 1 };
#endif

/* @return was all of it inline? An await runs its task elsewhere if just then the worker is to look
 * around. */
static bool is_named_with_the_inline_chain(unsigned pace, void *unused)
{
    struct overflowing o = {.flags = PICA_NAME_OVERFLOWS, .main = awaits_one_that_awaits};
    death d = death_of(run, &o);
    (void)pace, (void)unused;
    CHECK(WIFSIGNALED(d.state) && WTERMSIG(d.state) == SIGSEGV);
    CHECK(says(&d, "(greedy, spawned at a/place.c:12"));
    if (!INLINES)
        return true;
    if (!strstr(d.said, "(main, "))
        return false;
    CHECK(says(&d, "run inline by task "));
    CHECK(says(&d, "(middle, spawned at b/place.c:34"));
    const char *greedy = strstr(d.said, "greedy"), *middle = strstr(d.said, "middle");
    CHECK(greedy && middle && greedy < middle); /* from the inside out */
    return true;
}

static void named_with_the_inline_chain(void)
{
    CHECK_PACED(is_named_with_the_inline_chain, NULL);
}

static void named_in_a_hook(void)
{
    struct overflowing o = {.flags = PICA_NAME_OVERFLOWS, .main = spawns_one_whose_error_is_lost};
    death d = death_of(run, &o);
    CHECK(WIFSIGNALED(d.state) && WTERMSIG(d.state) == SIGSEGV);
    CHECK(says(&d, "stack overflow in task "));
    CHECK(says(&d, "(lost, spawned at c/place.c:56, stack "));
}

/* In a host's executor, whatever the stack's size; the worker that it happens on is a thread that
 * the executor has started. */
static void named_when_embedded(void)
{
    for (unsigned shift = 15; shift <= 24; shift += 3) {
        struct overflowing o = {.flags = PICA_NAME_OVERFLOWS,
                                .stack_size = (size_t)1 << shift,
                                .main = spawns_one_that_overflows,
                                .embedded = true};
        death d = death_of(run, &o);
        CHECK(WIFSIGNALED(d.state) && WTERMSIG(d.state) == SIGSEGV);
        CHECK(says(&d, "(greedy, spawned at a/place.c:12, stack "));
        o.flags = 0;
        d = death_of(run, &o);
        CHECK(WIFSIGNALED(d.state) && WTERMSIG(d.state) == SIGSEGV);
        CHECK_STR(d.said, ""); /* a guest that was not asked says nothing */
    }
}

/* However long the names are, each task has a line that ends, with the size in it. */
static void long_names(void)
{
    static char name[1000];
    memset(name, 'n', sizeof(name) - 1);
    struct overflowing o = {
        .flags = PICA_NAME_OVERFLOWS, .main = spawns_one_that_overflows, .name = name};
    death d = death_of(run, &o);
    CHECK(says(&d, "nnn, spawned at a/place.c:12, stack "));
    CHECK(says(&d, " KiB)\n"));
}

#if !defined(PI_ASAN) && !defined(PI_TSAN) /* there each child has a stack of its own */
#define CHAIN 40

/* A chain of tasks, each run inline by the one before; the last one overflows. */
static intptr_t awaits_many(void *arg)
{
    pica_attr attr = PICA_ATTR_INIT;
    intptr_t left = (intptr_t)arg;
    if (left == 0)
        return overflows(NULL);
    attr.name = left == 1 ? "greedy" : "link";
    pica_task *task = NULL;
    CHECK_FATAL_OK(pica_spawn_at(&task, awaits_many, body_arg(left - 1), &attr, "c/place.c:56"));
    return body_end(task);
}

static intptr_t begins_a_long_chain(void *arg)
{
    (void)arg;
    pica_attr attr = PICA_ATTR_INIT;
    attr.name = "bottom";
    attr.stack_size = (size_t)1 << 20;
    pica_task *task = NULL;
    CHECK_FATAL_OK(pica_spawn_at(&task, awaits_many, body_arg(CHAIN), &attr, "c/place.c:78"));
    intptr_t result = 0;
    CHECK_EQ(pica_join(task, &result), 0);
    pica_unref(task);
    return result;
}

static int count(const char *text, const char *words)
{
    int n = 0;
    for (; (text = strstr(text, words)); text++)
        n++;
    return n;
}

/* The innermost ones of a long chain, how many there are besides, and the outermost. A worker that
 * is told to look around on the way breaks the chain in two, so it may take a few attempts. */
static void a_long_chain(void)
{
    struct overflowing o = {.flags = PICA_NAME_OVERFLOWS, .main = begins_a_long_chain};
    death d;
    for (int attempts = 0; attempts < 50; attempts++) {
        d = death_of(run, &o);
        CHECK(says(&d, "(greedy, spawned at c/place.c:56"));
        if (!strstr(d.said, "(bottom, "))
            continue;
        CHECK_EQ(count(d.said, "(link, "), 32);
        CHECK(says(&d, "run inline by 7 more\n"));
        CHECK_EQ(count(d.said, "\n"), 1 + 32 + 1 + 1);
        CHECK_STR(strrchr(d.said, '('), strstr(d.said, "(bottom, "));
        return;
    }
    CHECK(says(&d, "(bottom, "));
}
#endif

/* Other faults are none of its business: no word, and the same signal. */
static void not_an_overflow(void)
{
    const pica_fn bodies[] = {writes_where_nothing_is, writes_far_below};
    for (unsigned i = 0; i < 2; i++) {
        struct overflowing o = {.flags = PICA_NAME_OVERFLOWS, .main = bodies[i]};
        death d = death_of(run, &o);
        CHECK(WIFSIGNALED(d.state) && WTERMSIG(d.state) == SIGSEGV);
        CHECK_STR(d.said, "");
    }
}

/* A signal that was sent, not raised by a fault, does what it would do without pica. */
static void one_that_was_sent(void)
{
    struct overflowing o = {.flags = PICA_NAME_OVERFLOWS, .main = sends_one};
    death d = death_of(run, &o);
    CHECK(WIFSIGNALED(d.state) && WTERMSIG(d.state) == SIGSEGV);
    CHECK_STR(d.said, "");
    o.ignores = true;
    d = death_of(run, &o);
    CHECK(WIFEXITED(d.state));
    o.ignores = false;
    o.host_handler = true;
    d = death_of(run, &o);
    CHECK(WIFEXITED(d.state) && WEXITSTATUS(d.state) == 41);
}

static void the_hosts_handler_is_called(void)
{
    struct overflowing o = {
        .flags = PICA_NAME_OVERFLOWS, .main = spawns_one_that_overflows, .host_handler = true};
    death d = death_of(run, &o);
    CHECK(WIFEXITED(d.state) && WEXITSTATUS(d.state) == 41);
    CHECK(says(&d, "stack overflow in task "));
    CHECK(says(&d, "host's handler"));
}

/* The handler is there while such an executor lives, and the host's own afterwards. */
static void handlers_come_and_go(void)
{
    struct sigaction before, during, after, other;
    memset(&other, 0, sizeof(other));
    other.sa_sigaction = host;
    other.sa_flags = SA_SIGINFO;
    sigaction(SIGSEGV, &other, &before);
    pica_options options = PICA_OPTIONS_INIT;
    options.workers = 2;
    pica_executor *plain = check_executor_open(&options);
    sigaction(SIGSEGV, NULL, &during);
    CHECK_EQ((uintptr_t)during.sa_sigaction, (uintptr_t)host); /* touches none unless asked */
    options.flags = PICA_NAME_OVERFLOWS;
    pica_executor *one = check_executor_open(&options);
    pica_executor *two = check_executor_open(&options);
    sigaction(SIGSEGV, NULL, &during);
    CHECK_NE((uintptr_t)during.sa_sigaction, (uintptr_t)host);
    CHECK(during.sa_flags & SA_ONSTACK);
    check_executor_close(one);
    check_executor_close(two);
    check_executor_close(plain);
    sigaction(SIGSEGV, &before, &after);
    CHECK_EQ((uintptr_t)after.sa_sigaction, (uintptr_t)host);
}

/* A handler that the host installs meanwhile stays. */
static void a_later_handler_stays(void)
{
    struct sigaction before, after, other;
    memset(&other, 0, sizeof(other));
    other.sa_sigaction = host;
    other.sa_flags = SA_SIGINFO;
    pica_options options = PICA_OPTIONS_INIT;
    options.workers = 1;
    options.flags = PICA_NAME_OVERFLOWS;
    sigaction(SIGSEGV, NULL, &before);
    pica_executor *ex = check_executor_open(&options);
    sigaction(SIGSEGV, &other, NULL);
    check_executor_close(ex);
    sigaction(SIGSEGV, &before, &after);
    CHECK_EQ((uintptr_t)after.sa_sigaction, (uintptr_t)host);
}

static void (*below)(int number, siginfo_t *info, void *context);

static void on_top(int number, siginfo_t *info, void *context)
{
    if (write(STDERR_FILENO, "on top\n", 7) == 7)
        below(number, info, context);
}

/* A host that comes later keeps its place when the executor goes, and an executor that comes
 * after that finds its handler still below it: once, so that a fault does not go in circles. */
static void the_host_comes_later(void *arg)
{
    struct sigaction ours, top, now;
    pica_options options = PICA_OPTIONS_INIT;
    options.workers = 1;
    options.flags = PICA_NAME_OVERFLOWS;
    signal(SIGSEGV, SIG_DFL);
    signal(SIGBUS, SIG_DFL);
    pica_executor *ex = NULL;
    CHECK_FATAL_OK(pica_executor_create(&ex, &options));
    sigaction(SIGSEGV, NULL, &ours);
    below = ours.sa_sigaction;
    memset(&top, 0, sizeof(top));
    top.sa_sigaction = on_top;
    top.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaction(SIGSEGV, &top, NULL);
    ex = pica_executor_destroy(ex);
    sigaction(SIGSEGV, NULL, &now);
    if (now.sa_sigaction != on_top)
        _exit(1);
    sigaction(SIGBUS, NULL, &now);
    if (now.sa_handler != SIG_DFL)
        _exit(2);
    (void)pica_run(spawns_one_that_overflows, arg, &options);
}

static void a_host_that_comes_later_stays(void)
{
    struct overflowing o = {.flags = PICA_NAME_OVERFLOWS};
    death d = death_of(the_host_comes_later, &o);
    CHECK(WIFSIGNALED(d.state) && WTERMSIG(d.state) == SIGSEGV);
    CHECK(says(&d, "stack overflow in task "));
    const char *first = strstr(d.said, "on top");
    CHECK(first && !strstr(first + 1, "on top"));
}

/* Not only now and then. */
static void each_is_named(void)
{
    for (uint64_t i = check_rounds(40); i > 0; i--) {
        struct overflowing o = {.flags = PICA_NAME_OVERFLOWS,
                                .stack_size = (size_t)1 << (15 + i % 4),
                                .main = spawns_one_that_overflows,
                                .embedded = i % 2};
        death d = death_of(run, &o);
        CHECK(says(&d, "stack overflow in task "));
    }
}

CHECK_MAIN
{
    if (check_emulated())
        check_skip("under qemu-user a child process starts no worker");
    check_plain("killed at the guard", killed_at_the_guard);
    check_plain("named", named);
    check_plain("named with the inline chain", named_with_the_inline_chain);
    check_plain("named in a hook", named_in_a_hook);
    check_plain("named when embedded", named_when_embedded);
    check_plain("long names", long_names);
#if !defined(PI_ASAN) && !defined(PI_TSAN)
    check_plain("a long chain", a_long_chain);
#endif
    check_plain("not an overflow", not_an_overflow);
    check_plain("one that was sent", one_that_was_sent);
    check_plain("the host's handler is called", the_hosts_handler_is_called);
    check_plain("handlers come and go", handlers_come_and_go);
    check_plain("a later handler stays", a_later_handler_stays);
    check_plain("a host that comes later stays", a_host_that_comes_later_stays);
    check_plain("each is named", each_is_named);
}
