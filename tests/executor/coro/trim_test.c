/* SPDX-License-Identifier: MIT */
/* trim_test.c: pages are given back where they are asked for and nowhere else, are counted, are
 * zero afterwards, and guards stay; in one call, and one by one where the kernel wants it so. */
#include "executor/coro/trim.h"

#include "executor/coro/stack.h"
#include "tests/executor/death.h"
#include "tests/fault.h"

#include <sys/mman.h>
#include <unistd.h>

enum { N = 40 };

static pi_stacks stacks;
static pi_stack all[N];
static size_t page;

static size_t resident(const char *from, size_t length)
{
    unsigned char pages[PI_STACK_CLASS0 / 4096 + 64];
    size_t n = 0;
    CHECK_FATAL(length / page <= sizeof(pages));
    CHECK_EQ(mincore((void *)(uintptr_t)from, length, pages), 0);
    for (size_t i = 0; i < length / page; i++)
        n += pages[i] & 1u;
    return n * page;
}

/* Each stack i is used i % 8 pages deep below its top page. @return all of it but the tops */
static size_t use_all(void)
{
    size_t below_top = 0;
    page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t i = 0; i < N; i++) {
        CHECK_FATAL_OK(pi_stack_carve(&stacks, 0, &all[i]));
        for (size_t k = 1; k <= i % 8 + 1; k++)
            all[i].low[all[i].size - k * page] = (char)i;
        below_top += i % 8 * page;
    }
    return below_top;
}

static size_t trim_all(void)
{
    struct iovec ranges[N];
    for (size_t i = 0; i < N; i++)
        ranges[i] = (struct iovec){all[i].low, all[i].size - 100}; /* within the top page */
    return pi_stack_trim(ranges, N);
}

static void expect(bool trimmed)
{
    for (size_t i = 0; i < N; i++) {
        CHECK_EQ(resident(all[i].low, all[i].size - page), trimmed ? 0 : i % 8 * page);
        CHECK_EQ(all[i].low[all[i].size - page], (char)i); /* the top stays */
    }
}

static void done(void)
{
    pi_stacks_deinit(&stacks);
    stacks = (pi_stacks){0};
}

static void in_one_call(void)
{
    size_t used = use_all();
    expect(false);
    fault_arm(FAULT_MADVISE, 1, 1, EPERM);
    size_t given = trim_all();
    fault_disarm();
    if (!given)
        fprintf(stderr, "(this kernel has no process_madvise() for oneself)\n");
    else
        CHECK_EQ(given, used);
    expect(given > 0);
    CHECK_EQ(trim_all(), given ? 0 : used);
    CHECK_EQ(all[7].low[all[7].size - 2 * page], 0);
    done();
}

static void one_by_one(void)
{
    size_t used = use_all();
    fault_arm(FAULT_PROCESS_MADVISE, 1, 1, EPERM);
    CHECK_EQ(trim_all(), used);
    CHECK_EQ(fault_met(FAULT_PROCESS_MADVISE), 1);
    fault_disarm();
    expect(true);
    done();
}

/* One of them is refused: that one keeps its pages, and is not counted. */
static void one_refused(void)
{
    size_t used = use_all();
    fault_arm(FAULT_PROCESS_MADVISE, 1, 1, ENOSYS);
    fault_arm(FAULT_MADVISE, 8, 0, ENOMEM);
    CHECK_EQ(trim_all(), used - 7 * page);
    fault_disarm();
    CHECK_EQ(resident(all[7].low, all[7].size - page), 7 * page);
    CHECK_EQ(trim_all(), 7 * page);
    expect(true);
    done();
}

static void all_refused(void)
{
    use_all();
    fault_arm(FAULT_PROCESS_MADVISE, 1, 1, EPERM);
    fault_arm(FAULT_MADVISE, 1, 1, EPERM);
    CHECK_EQ(trim_all(), 0);
    fault_disarm();
    expect(false);
    done();
}

/* The kernel stops in the middle of a batch: the rest follows one by one. */
static void in_parts(void)
{
    size_t used = use_all();
    struct iovec ranges[N];
    for (size_t i = 0; i < N; i++)
        ranges[i] = (struct iovec){all[i].low, all[i].size - 100};
    CHECK_FATAL(munmap(all[5].low - PI_STACK_GUARD, page) == 0);
    ranges[5].iov_base = all[5].low - PI_STACK_GUARD; /* what is no memory can't be given back */
    ranges[5].iov_len = page;
    CHECK_EQ(pi_stack_trim(ranges, N), used - 5 * page);
    CHECK_EQ(resident(all[5].low, all[5].size - page), 5 * page);
    for (size_t i = 0; i < N; i++)
        if (i != 5)
            CHECK_EQ(resident(all[i].low, all[i].size - page), 0);
    done();
}

static void writes_below(void *arg)
{
    volatile char *low = arg;
    low[-1] = 1;
}

static void guards_stay(void)
{
    use_all();
    (void)trim_all();
    signal(SIGSEGV, SIG_DFL);
    signal(SIGBUS, SIG_DFL);
    for (size_t i = 0; i < N; i += 13) {
        CHECK(all[i].guarded);
        CHECK(WIFSIGNALED(death_of(writes_below, all[i].low).state));
    }
    done();
}

/* More than is counted at a time. */
static void a_large_one(void)
{
    pi_stack stack;
    page = (size_t)sysconf(_SC_PAGESIZE);
    CHECK_FATAL_OK(pi_stack_carve(&stacks, 8, &stack));
    size_t used = 0;
    for (size_t at = 0; at < stack.size - page; at += 2 * page, used += page)
        stack.low[at] = 1;
    CHECK_LT(1024 * page, used * 2);
    struct iovec range = {stack.low, stack.size - 1};
    CHECK_EQ(pi_stack_trim(&range, 1), used);
    done();
}

CHECK_MAIN
{
    check_plain("in one call", in_one_call);
    check_plain("one by one", one_by_one);
    check_plain("one is refused", one_refused);
    check_plain("all are refused", all_refused);
    check_plain("in parts", in_parts);
    check_plain("guards stay", guards_stay);
    check_plain("a large one", a_large_one);
}
