/* SPDX-License-Identifier: MIT */
/* stack_test.c: memory for stacks: sizes, alignment, guards by madvise(), by mprotect(), and
 * none, with each of the two denied; no huge pages. What an overflow is called is in
 * overflow_test.c. */
#include "executor/coro/stack.h"

#include "tests/executor/death.h"
#include "tests/fault.h"

#include <sys/mman.h>

static void classes(void)
{
    CHECK_EQ(pi_stack_class(0), 0);
    CHECK_EQ(pi_stack_class(1), 0);
    CHECK_EQ(pi_stack_class(PI_STACK_CLASS0), 0);
    CHECK_EQ(pi_stack_class(PI_STACK_CLASS0 + 1), 1);
    for (unsigned class = 0; class < PI_STACK_CLASSES; class ++) {
        size_t size = pi_stack_class_size(class);
        CHECK_EQ(pi_stack_class(size), class);
        CHECK_EQ(pi_stack_class(size + 1), class + 1);
    }
    CHECK_LT(pi_stack_class(PI_STACK_MAX), PI_STACK_CLASSES);
    CHECK_EQ(pi_stack_class(SIZE_MAX), PI_STACK_CLASSES);
}

static void each_is_counted(pi_stack stack, void *arg)
{
    CHECK_EQ(stack.low[0], 7);
    CHECK_EQ(stack.low[stack.size - 1], 8);
    ++*(unsigned *)arg;
}

/* They do not overlap, hold what they promise, and are all visited; slabs are added on demand. */
static void carved(size_t slab_bytes, unsigned n)
{
    pi_stacks stacks = {.slab_bytes = slab_bytes};
    unsigned visited = 0;
    for (unsigned i = 0; i < n; i++) {
        pi_stack stack;
        unsigned class = i % 3;
        CHECK_FATAL_OK(pi_stack_carve(&stacks, class, &stack));
        CHECK_LE(pi_stack_class_size(class) + PI_STACK_RESERVE, stack.size);
        CHECK_EQ((uintptr_t)stack.low % 4096, 0);
        CHECK_EQ(stack.low[0], 0); /* nobody has been here */
        stack.low[0] = 7;
        stack.low[stack.size - 1] = 8;
    }
    pi_stacks_each(&stacks, each_is_counted, &visited);
    CHECK_EQ(visited, n);
    pi_stacks_deinit(&stacks);
}

static void carving(void)
{
    carved(0, 200);
    carved(1, 50);       /* a slab each */
    carved(1 << 20, 50); /* a few each */
}

/* --- Guards ------------------------------------------------------------------------------- */

static void writes_below(void *arg)
{
    volatile char *low = arg;
    low[-1] = 1;
}

static void dies_below(const pi_stack *stack, bool yes)
{
    signal(SIGSEGV, SIG_DFL); /* a sanitizer's own handler would turn it into an exit */
    signal(SIGBUS, SIG_DFL);
    death d = death_of(writes_below, stack->low);
    CHECK_EQ(WIFSIGNALED(d.state), yes);
    d = death_of(writes_below, stack->low + 1 - PI_STACK_GUARD); /* its other end */
    CHECK_EQ(WIFSIGNALED(d.state), yes);
}

static bool kernel_has_guards(void)
{
    pi_stacks stacks = {.slab_bytes = 1};
    pi_stack stack;
    CHECK_FATAL_OK(pi_stack_carve(&stacks, 0, &stack));
    bool has = stacks.guards == PI_GUARD_MADVISE;
    pi_stacks_deinit(&stacks);
    return has;
}

static void guards_fault(void)
{
    pi_stacks stacks = {0};
    pi_stack a, b;
    CHECK_FATAL_OK(pi_stack_carve(&stacks, 0, &a));
    CHECK_FATAL_OK(pi_stack_carve(&stacks, 0, &b));
    CHECK(a.guarded && b.guarded);
    CHECK_EQ(stacks.unguarded, 0);
    dies_below(&a, true);
    dies_below(&b, true);
    pi_stacks_deinit(&stacks);
    if (!kernel_has_guards())
        fprintf(stderr, "(this kernel has no MADV_GUARD_INSTALL)\n");
}

/* Where a page is larger than a guard, the guard grows, and ends where the stack begins. */
static void large_pages(void)
{
    pi_stacks stacks = {.page = 65536};
    pi_stack last = {.low = NULL};
    for (unsigned i = 0; i < 3; i++) {
        pi_stack stack;
        CHECK_FATAL_OK(pi_stack_carve(&stacks, 0, &stack));
        CHECK_LE(PI_STACK_CLASS0 + PI_STACK_RESERVE, stack.size);
        CHECK_EQ(stack.size % 65536, 0);
        if (last.low)
            CHECK_EQ(stack.low - 65536, last.low + last.size);
        stack.low[0] = 1; /* its own guard does not cover it */
        dies_below(&stack, true);
        death d = death_of(writes_below, stack.low + 1 - 65536);
        CHECK(WIFSIGNALED(d.state));
        last = stack;
    }
    pi_stacks_deinit(&stacks);
}

static void madvise_denied(void)
{
    pi_stacks stacks = {0};
    pi_stack stack;
    fault_arm(FAULT_MADVISE, 1, 1, EINVAL);
    for (unsigned i = 1; i <= 20; i++) {
        CHECK_FATAL_OK(pi_stack_carve(&stacks, 0, &stack));
        CHECK(stack.guarded);
        CHECK_EQ(stacks.mprotected, i);
    }
    CHECK_EQ(stacks.guards, PI_GUARD_MPROTECT);
    CHECK_LE(fault_met(FAULT_MADVISE), 3); /* it does not ask each time */
    fault_disarm();
    dies_below(&stack, true);
    pi_stacks_deinit(&stacks);
}

/* An emulator's madvise(), which says yes to what it does not know: guards are made otherwise. */
static void madvise_ignored(void)
{
    pi_stacks stacks = {0};
    pi_stack stack;
    fault_arm(FAULT_MADVISE, 1, 1, FAULT_IGNORED);
    CHECK_FATAL_OK(pi_stack_carve(&stacks, 0, &stack));
    fault_disarm();
    CHECK(stack.guarded);
    CHECK_EQ(stacks.guards, PI_GUARD_MPROTECT);
    dies_below(&stack, true);
    pi_stacks_deinit(&stacks);
}

/* madvise() worked and then fails once: that stack gets its guard otherwise. */
static void madvise_fails_once(void)
{
    pi_stacks stacks = {0};
    pi_stack stack;
    CHECK_FATAL_OK(pi_stack_carve(&stacks, 0, &stack));
    if (stacks.guards == PI_GUARD_MADVISE) {
        fault_arm(FAULT_MADVISE, 1, 0, ENOMEM);
        CHECK_FATAL_OK(pi_stack_carve(&stacks, 0, &stack));
        fault_disarm();
        CHECK(stack.guarded);
        CHECK_EQ(stacks.mprotected, 1);
        dies_below(&stack, true);
        CHECK_FATAL_OK(pi_stack_carve(&stacks, 0, &stack));
        CHECK_EQ(stacks.mprotected, 1);
        dies_below(&stack, true);
    }
    pi_stacks_deinit(&stacks);
}

static void both_denied(void)
{
    pi_stacks stacks = {0};
    pi_stack stack;
    fault_arm(FAULT_MADVISE, 1, 1, EINVAL);
    fault_arm(FAULT_MPROTECT, 1, 1, ENOMEM);
    for (unsigned i = 1; i <= 5; i++) {
        CHECK_FATAL_OK(pi_stack_carve(&stacks, 0, &stack));
        CHECK(!stack.guarded);
        CHECK_EQ(stacks.unguarded, i); /* no silence about it */
    }
    dies_below(&stack, false);
    pi_stack untouched = stack;
    stacks.strict = true;
    CHECK_EQ(pi_stack_carve(&stacks, 0, &untouched), -ENOMEM);
    CHECK_EQ(untouched.low, stack.low);
    CHECK_EQ(stacks.unguarded, 5);
    fault_disarm();
    stacks.guards = PI_GUARD_UNKNOWN;
    CHECK_FATAL_OK(pi_stack_carve(&stacks, 0, &stack)); /* what was refused is not lost */
    CHECK(stack.guarded);
    pi_stacks_deinit(&stacks);
}

static void no_memory(void)
{
    pi_stacks stacks = {0};
    pi_stack stack = {.low = NULL};
    fault_arm(FAULT_MMAP, 1, 1, ENOMEM);
    CHECK_EQ(pi_stack_carve(&stacks, 0, &stack), -ENOMEM);
    fault_disarm();
    fault_arm(FAULT_MALLOC, 1, 1, ENOMEM);
    CHECK_EQ(pi_stack_carve(&stacks, 0, &stack), -ENOMEM);
    fault_disarm();
    CHECK_EQ(stack.low, NULL);
    CHECK_OK(pi_stack_carve(&stacks, 0, &stack));
    pi_stacks_deinit(&stacks);
}

/* --- Huge pages --------------------------------------------------------------------------- */

/* The flags of the mapping that holds an address, as the kernel shows them; "" if it does not. */
static void flags_of(const char *at, char *flags, int room)
{
    FILE *file = fopen("/proc/self/smaps", "re");
    char line[500];
    bool here = false;
    *flags = '\0';
    while (file && !*flags && fgets(line, sizeof(line), file)) {
        unsigned long from, to;
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
            here = from <= (uintptr_t)at && (uintptr_t)at < to;
        else if (here && strncmp(line, "VmFlags:", 8) == 0)
            snprintf(flags, (size_t)room, "%s", line);
    }
    if (file)
        fclose(file);
}

/* A parked task would take one of 2 MiB, where the kernel gives such to everybody. It is asked not
 * to for each slab, although newer ones (6.7) know it from the mapping's being a stack. */
static void no_huge_pages(void)
{
    pi_stacks stacks = {.slab_bytes = 1}; /* a slab each */
    uint64_t before = fault_advised(MADV_NOHUGEPAGE);
    bool known = access("/sys/kernel/mm/transparent_hugepage", F_OK) == 0 && !check_emulated();
    for (unsigned class = 0; class < 3; class ++) {
        pi_stack stack;
        char flags[500];
        CHECK_FATAL_OK(pi_stack_carve(&stacks, class, &stack));
        CHECK_EQ(fault_advised(MADV_NOHUGEPAGE), before + class + 1);
        flags_of(stack.low, flags, sizeof(flags));
        CHECK(!known || !*flags || strstr(flags, " nh") != NULL);
    }
    pi_stacks_deinit(&stacks);
}

CHECK_MAIN
{
    check_plain("classes", classes);
    check_plain("carving", carving);
    check_plain("guards fault", guards_fault);
    check_plain("madvise is denied", madvise_denied);
    check_plain("large pages", large_pages);
    check_plain("madvise is ignored", madvise_ignored);
    check_plain("madvise fails once", madvise_fails_once);
    check_plain("both are denied", both_denied);
    check_plain("no memory", no_memory);
    check_plain("no huge pages", no_huge_pages);
}
