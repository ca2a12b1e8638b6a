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
};

static __attribute__((noinline)) intptr_t recurses(volatile char *above, intptr_t depth)
{
    volatile char here[200];
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
    pica_attr attr = PICA_ATTR_INIT;
    attr.name = "greedy";
    attr.stack_size = *(const size_t *)arg;
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
    signal(SIGSEGV, SIG_DFL); /* a sanitizer's own handler is not what is tested */
    signal(SIGBUS, SIG_DFL);
    if (o->host_handler) {
        struct sigaction action;
        memset(&action, 0, sizeof(action));
        action.sa_sigaction = host;
        action.sa_flags = SA_SIGINFO | SA_ONSTACK;
        sigaction(SIGSEGV, &action, NULL);
    }
    pica_options options = PICA_OPTIONS_INIT;
    options.workers = 1;
    options.flags = o->flags;
    (void)pica_run(o->main, &o->stack_size, &options);
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
    struct overflowing o = {0, 0, spawns_one_that_overflows, false};
    death d = death_of(run, &o);
    CHECK(WIFSIGNALED(d.state) && WTERMSIG(d.state) == SIGSEGV);
    CHECK_STR(d.said, "");
}

static void named(void)
{
    const size_t sizes[] = {1, (size_t)1 << 20};
    for (unsigned i = 0; i < 2; i++) {
        struct overflowing o = {PICA_NAME_OVERFLOWS, sizes[i], spawns_one_that_overflows, false};
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

static void named_with_the_inline_chain(void)
{
    struct overflowing o = {PICA_NAME_OVERFLOWS, 0, awaits_one_that_awaits, false};
    death d = death_of(run, &o);
    CHECK(WIFSIGNALED(d.state) && WTERMSIG(d.state) == SIGSEGV);
    CHECK(says(&d, "(greedy, spawned at a/place.c:12"));
#if !defined(PI_ASAN) && !defined(PI_TSAN) /* there each child has a stack of its own */
    CHECK(says(&d, "run inline by task "));
    CHECK(says(&d, "(middle, spawned at b/place.c:34"));
    CHECK(says(&d, "(main, "));
    const char *greedy = strstr(d.said, "greedy"), *middle = strstr(d.said, "middle");
    CHECK(greedy && middle && greedy < middle); /* from the inside out */
#endif
}

/* Other faults are none of its business: no word, and the same signal. */
static void not_an_overflow(void)
{
    struct overflowing o = {PICA_NAME_OVERFLOWS, 0, writes_where_nothing_is, false};
    death d = death_of(run, &o);
    CHECK(WIFSIGNALED(d.state) && WTERMSIG(d.state) == SIGSEGV);
    CHECK_STR(d.said, "");
}

static void the_hosts_handler_is_called(void)
{
    struct overflowing o = {PICA_NAME_OVERFLOWS, 0, spawns_one_that_overflows, true};
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

/* Not only now and then. */
static void each_is_named(void)
{
    for (uint64_t i = check_rounds(40); i > 0; i--) {
        struct overflowing o = {PICA_NAME_OVERFLOWS, (size_t)1 << (15 + i % 4),
                                spawns_one_that_overflows, false};
        death d = death_of(run, &o);
        CHECK(says(&d, "stack overflow in task "));
    }
}

CHECK_MAIN
{
    check_plain("killed at the guard", killed_at_the_guard);
    check_plain("named", named);
    check_plain("named with the inline chain", named_with_the_inline_chain);
    check_plain("not an overflow", not_an_overflow);
    check_plain("the host's handler is called", the_hosts_handler_is_called);
    check_plain("handlers come and go", handlers_come_and_go);
    check_plain("each is named", each_is_named);
}
