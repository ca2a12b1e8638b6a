/* SPDX-License-Identifier: MIT */
/* trim_test.c: free stacks that were used deeply lose their pages, when asked for and by
 * themselves; those in use lose none; and all of them serve tasks as before. */
#include "executor/sched/executor.h"
#include "tests/executor/asleep.h"
#include "tests/executor/bodies.h"
#include "tests/fault.h"

#include <pica/sem.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* Pages come and go as a whole: one byte in each line tells what became of them. (All of them were
 * most of what this test took under ThreadSanitizer.) */
enum { TASKS = 600, DEEP = 20 << 10, LINE = 64 };

/* --- What is in memory --------------------------------------------------------------------- */

static void add_stack(pi_stack stack, void *arg)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), n = 0;
    unsigned char *pages = malloc(stack.size / page);
    CHECK_EQ(mincore(stack.low, stack.size, pages), 0);
    for (size_t i = 0; i < stack.size / page; i++)
        n += pages[i] & 1u;
    *(size_t *)arg += n > 2 ? n - 2 : 0;
    free(pages);
}

/* Pages of stacks that are more than the one of each stack that holds its fiber, and one that
 * the frames of the library's own may need there. */
static size_t deep_pages(pica_executor *ex)
{
    size_t sum = 0;
    pthread_mutex_lock(&ex->pool.mutex);
    pi_stacks_each(&ex->pool.stacks, add_stack, &sum);
    pthread_mutex_unlock(&ex->pool.mutex);
    return sum;
}

/* What the workers' warm parts may keep: 32 stacks each, the test's own beside them. */
static size_t warm_pages(pica_executor *ex)
{
    return (32u * (pica_executor_workers(ex) + 1) + 2) *
           (DEEP / (size_t)sysconf(_SC_PAGESIZE) + 5);
}

static pica_stats stats(pica_executor *ex)
{
    pica_stats s = {.size = sizeof(s)};
    CHECK_FATAL_OK(pica_executor_stats(ex, &s));
    return s;
}

/* --- Tasks that go deep --------------------------------------------------------------------- */

static pica_sem gate;
static check_latch deep;

/* Fills its stack, waits, and finds it as it was. */
static __attribute__((noinline)) intptr_t goes_deep(void *arg)
{
    volatile unsigned char bytes[DEEP];
    unsigned char mark = (unsigned char)(uintptr_t)arg;
    for (size_t i = 0; i < DEEP; i += LINE)
        bytes[i] = mark;
    check_hit(&deep);
    int rc = pica_sem_acquire(&gate);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < DEEP; i += LINE)
        if (bytes[i] != mark)
            return -EIO;
    return (intptr_t)arg;
}

static pica_task *tasks[TASKS];

/* @param pins  0: they run anywhere; n: pinned to n workers in turn */
static void start_on(pica_executor *ex, unsigned pins)
{
    deep = (check_latch){0};
    gate = (pica_sem)PICA_SEM_INIT(0);
    for (intptr_t i = 0; i < TASKS; i++) {
        pica_attr attr = PICA_ATTR_INIT;
        attr.pin = pins ? 1 + (unsigned)i % pins : 0;
        CHECK_FATAL_OK(pica_executor_spawn_with(ex, &tasks[i], goes_deep, body_arg(i), &attr));
    }
    CHECK_HITS(&deep, TASKS);
}

static void start_all(pica_executor *ex)
{
    start_on(ex, 0);
}

static void end_all(void)
{
    for (unsigned i = 0; i < TASKS; i++)
        pica_sem_release(&gate);
    for (intptr_t i = 0; i < TASKS; i++)
        CHECK_EQ(body_end(tasks[i]), i);
    CHECK_OK(pica_sem_destroy(&gate));
}

static pica_executor *open_with(int64_t trim_after_ns)
{
    pica_options options = check_options();
    options.trim_after_ns = trim_after_ns;
    return check_executor_open(&options);
}

static void all_have_answered(pica_executor *ex)
{
    for (uint32_t i = 0; i < pica_executor_workers(ex); i++)
        CHECK_SOON(pi_load_relaxed(&ex->workers[i].trim_answered) == ex->trim_asked);
}

/* --- Cases ------------------------------------------------------------------------------------ */

static void when_asked(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    pica_executor *ex = open_with(PICA_NEVER);
    for (unsigned round = 0; round < 3; round++) {
        start_all(ex);
        size_t live = deep_pages(ex);
        CHECK_LE(TASKS * (DEEP / page - 1), live);
        CHECK_OK(pica_trim(ex));
        all_have_answered(ex);
        CHECK_LE(TASKS * (DEEP / page - 1), deep_pages(ex)); /* all of them are in use */
        end_all();
        CHECK_SOON(stats(ex).stacks_live == 0);
        CHECK_LE(TASKS * (DEEP / page - 1), deep_pages(ex)); /* free, and warm */
        uint64_t before = stats(ex).trimmed_bytes;
        int64_t given = pica_trim(ex);
        CHECK_LE(0, given);
        /* The rest is in the workers' caches, and follows. */
        all_have_answered(ex);
        CHECK_SOON(deep_pages(ex) <= warm_pages(ex));
        CHECK_LE((live - warm_pages(ex)) * page, stats(ex).trimmed_bytes - before);
        CHECK_LE(given, stats(ex).trimmed_bytes - before);
    }
    /* None is lost; at worst each worker sits on a full cache while another has none. */
    CHECK_LE(ex->pool.stacks_carved, TASKS + 256 * pica_executor_workers(ex));
    CHECK_EQ(pica_trim(NULL), -EINVAL);
    check_executor_close(ex);
}

static void by_itself(void)
{
    pica_executor *ex = open_with(PICA_MS(20));
    for (unsigned round = 0; round < 2; round++) {
        start_all(ex);
        end_all();
        CHECK_SOON(deep_pages(ex) <= warm_pages(ex));
        CHECK_LT(0, stats(ex).trimmed_bytes);
    }
    check_executor_close(ex);
}

/* Each worker alone has less than what is worth waking up for. */
static void a_little_each(void)
{
    pica_options options = check_options();
    options.trim_after_ns = PICA_MS(20);
    options.workers = 6;
    pica_executor *ex = check_executor_open(&options);
    start_on(ex, options.workers);
    end_all();
    CHECK_SOON(deep_pages(ex) <= warm_pages(ex));
    check_executor_close(ex);
}

static void not_by_itself(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    pica_executor *ex = open_with(PICA_NEVER);
    start_all(ex);
    end_all();
    CHECK_EQ(ex->trim_after_ms, 0);
    CHECK_SOON(asleep(ex)); /* and would not get up for it */
    CHECK_LE(TASKS * (DEEP / page - 1), deep_pages(ex));
    CHECK_EQ(stats(ex).trimmed_bytes, 0);
    check_executor_close(ex);
}

/* Once everything has been given back nobody wakes up for it any more. */
static void then_all_sleep(void)
{
    pica_executor *ex = open_with(PICA_MS(10));
    start_all(ex);
    end_all();
    CHECK_SOON(deep_pages(ex) <= warm_pages(ex));
    uint64_t sleeps = 0;
    for (unsigned quiet = 0; quiet < 10;) { /* 10 periods in a row */
        uint64_t now = stats(ex).sleeps;
        quiet = now == sleeps ? quiet + 1 : 0;
        sleeps = now;
        check_let_pass(PICA_MS(10));
    }
    check_executor_close(ex);
}

static intptr_t goes_very_deep(void *arg)
{
    volatile unsigned char bytes[(size_t)512 << 10];
    for (size_t i = 0; i < sizeof(bytes); i += 1024)
        bytes[i] = 1;
    (void)arg;
    int rc = pica_yield();
    return rc < 0 ? rc : bytes[1024];
}

static void large_stacks(void)
{
    pica_executor *ex = check_executor();
    pica_attr attr = PICA_ATTR_INIT;
    attr.stack_size = (size_t)1 << 20;
    for (unsigned round = 0; round < 3; round++) {
        pica_task *task = NULL;
        CHECK_FATAL_OK(pica_spawn_with(&task, goes_very_deep, NULL, &attr));
        CHECK_EQ(pica_join(task, NULL), 0); /* never inline */
        CHECK_EQ(body_end(task), 1);
        CHECK_SOON(stats(ex).stacks_live == 1);
        uint64_t before = stats(ex).trimmed_bytes;
        CHECK_OK(pica_trim(ex)); /* from a task, too */
        CHECK_LE((uint64_t)512 << 10, stats(ex).trimmed_bytes - before);
    }
}

/* Denied: everything stays as it was. */
static void denied(void)
{
    pica_executor *ex = open_with(PICA_NEVER);
    start_all(ex);
    end_all();
    size_t before = deep_pages(ex);
    fault_arm(FAULT_PROCESS_MADVISE, 1, 1, EPERM);
    fault_arm(FAULT_MADVISE, 1, 1, EPERM);
    CHECK_EQ(pica_trim(ex), 0);
    all_have_answered(ex);
    CHECK_SOON(stats(ex).stacks_live == 0);
    fault_disarm();
    CHECK_LE(before, deep_pages(ex) + 2);
    start_all(ex);
    end_all();
    check_executor_close(ex); /* no stack is lost */
}

/* --- While all of it is in use ---------------------------------------------------------------- */

static uint32_t stop; /* [atomic] */

static void *trims(void *arg)
{
    while (!pi_load_acquire(&stop))
        CHECK_OK(pica_trim(arg));
    return NULL;
}

static __attribute__((noinline)) intptr_t fills(void *arg)
{
    volatile uintptr_t words[DEEP / sizeof(uintptr_t)];
    uintptr_t mark = (uintptr_t)arg * UINT64_C(0x9e3779b97f4a7c15) + 1;
    for (unsigned round = 0; round < 3; round++) {
        for (size_t i = 0; i < DEEP / sizeof(uintptr_t); i += 16)
            words[i] = mark + i;
        int rc = pica_yield();
        if (rc < 0)
            return rc;
        for (size_t i = 0; i < DEEP / sizeof(uintptr_t); i += 16)
            if (words[i] != mark + i)
                return -EIO;
    }
    return (intptr_t)arg;
}

static void in_the_middle(void)
{
    pthread_t thread;
    pi_store_release(&stop, 0u);
    CHECK_FATAL(pthread_create(&thread, NULL, trims, check_executor()) == 0);
    start_all(check_executor());
    end_all();
    CHECK_SOON(stats(check_executor()).trimmed_bytes > 0);
    for (uint64_t round = 0; round < check_rounds(10); round++) {
        for (intptr_t i = 0; i < TASKS; i++)
            tasks[i] = body_spawn(fills, body_arg(i));
        CHECK_OK(pica_yield());
        for (intptr_t i = 0; i < TASKS; i++)
            CHECK_EQ(body_end(tasks[i]), i);
    }
    pi_store_release(&stop, 1u);
    pthread_join(thread, NULL);
    CHECK_SOON(stats(check_executor()).stacks_live == 1);
}

static void options(void)
{
    pica_options o = check_options();
    pica_executor *ex = NULL;
    o.trim_after_ns = -1;
    CHECK_EQ(pica_executor_create(&ex, &o), -EINVAL);
    o.size = offsetof(pica_options, trim_after_ns); /* of a program that knows no such thing */
    ex = check_executor_open(&o);
    CHECK_EQ(ex->trim_after_ms, 10000);
    check_executor_close(ex);
    o = check_options();
    o.trim_after_ns = 1;
    ex = check_executor_open(&o);
    CHECK_EQ(ex->trim_after_ms, 1);
    check_executor_close(ex);
}

CHECK_MAIN
{
    check_plain_in(CHECK_ALL, "when asked", when_asked);
    check_plain_in(CHECK_ALL, "by itself", by_itself);
    check_plain("a little each", a_little_each);
    check_plain("not by itself", not_by_itself);
    check_plain_in(CHECK_ALL, "then all sleep", then_all_sleep);
    check_run("large stacks", large_stacks);
    check_plain_in(CHECK_ALL, "denied", denied);
    check_run("in the middle", in_the_middle);
    check_plain("options", options);
}
