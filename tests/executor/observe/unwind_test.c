/* SPDX-License-Identifier: MIT */
/* unwind_test.c: the calls on a parked stack are found, whatever shape their frames have; and
 * nonsense leads to nonsense within bounds. */
#include "executor/observe/trace.h"
#include "executor/observe/unwind.h"
#include "tests/executor/bodies.h"
#include "tests/executor/observe/some_code.h"
#include "tests/executor/observe/unwind_frames.h"

#include <alloca.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* --- Shapes of frames --------------------------------------------------------------------- */

#define SHAPES 8
static void *returns_to[SHAPES];

#define KEEP_FRAME(result) __asm__ volatile("" : "+r"(result)) /* no tail call */

static __attribute__((noinline)) intptr_t innermost(void *arg)
{
    returns_to[0] = __builtin_return_address(0);
    intptr_t result = body_sleeps(arg);
    KEEP_FRAME(result);
    return result;
}

static __attribute__((noinline)) intptr_t by_frame_pointer(void *arg)
{
    intptr_t result = frame_without_a_table(innermost, arg, &returns_to[1]);
    KEEP_FRAME(result);
    return result;
}

/* The stack pointer moves by what the compiler can't know. */
static __attribute__((noinline)) intptr_t variable(void *arg)
{
    returns_to[2] = __builtin_return_address(0);
    volatile char *some = alloca((size_t)getpid() % 1000 + 1);
    some[0] = 1;
    intptr_t result = by_frame_pointer(arg);
    KEEP_FRAME(result);
    return result + some[0] - 1;
}

/* A call is its last instruction: it would return to the function behind it. */
static jmp_buf way_out;
static intptr_t way_out_result;

static __attribute__((noinline, noreturn)) void never_returns(void *arg)
{
    returns_to[3] = __builtin_return_address(0);
    way_out_result = variable(arg);
    longjmp(way_out, 1);
}

static __attribute__((noinline, noreturn)) void ends_in_a_call(void *arg)
{
    returns_to[4] = __builtin_return_address(0);
    never_returns(arg);
}

/* It is aligned to more than the caller promises, moves its stack pointer, and finds arguments on
 * the caller's stack, so that where these are has to be kept in a place of its own. */
static __attribute__((noinline)) intptr_t aligned(void *arg, int a1, int a2, int a3, int a4, int a5,
                                                  int a6, int a7, int a8)
{
    returns_to[5] = __builtin_return_address(0);
    volatile char some[128] __attribute__((aligned(128)));
    volatile char *more = alloca((size_t)getpid() % 1000 + 1);
    some[1] = more[0] = 1;
    intptr_t result = 0;
    if (!setjmp(way_out))
        ends_in_a_call(arg);
    result = way_out_result;
    KEEP_FRAME(result);
    return result + some[1] - more[0] + a1 + a2 + a3 + a4 + a5 + a6 + a7 + a8;
}

/* What only a frame pointer leads out of, around what has saved it in a place of its own. */
static __attribute__((noinline)) intptr_t variable_around(void *arg)
{
    returns_to[6] = __builtin_return_address(0);
    volatile int zero = 0;
    volatile char *some = alloca((size_t)getpid() % 1000 + 1);
    some[0] = 1;
    int z = zero;
    intptr_t result = aligned(arg, z, zero, z, zero, z, zero, z, zero);
    KEEP_FRAME(result);
    return result + some[0] - 1;
}

/* All registers that a function may keep are saved; and a frame of several KiB. */
static __attribute__((noinline)) intptr_t large(void *arg)
{
    returns_to[7] = __builtin_return_address(0);
    volatile char some[5000];
    some[17] = 1;
#if defined(__x86_64__)
    __asm__ volatile("" ::: "rbx", "r12", "r13", "r14", "r15");
#elif defined(__aarch64__)
    __asm__ volatile("" ::: "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28");
#endif
    intptr_t result = variable_around(arg);
    KEEP_FRAME(result);
    return result + some[17] - 1;
}

static intptr_t outermost(void *arg)
{
    intptr_t result = large(arg);
    KEEP_FRAME(result);
    return result;
}

static void shapes(void)
{
    check_latch asleep = {0};
    pi_trace trace;
    pica_task *task = body_spawn(outermost, &asleep);
    CHECK_HITS(&asleep, 1);
    BODY_WAITS(task);
    CHECK(pi_trace_take(task, &trace));
    size_t frame = 0;
    for (size_t shape = 0; shape < SHAPES; shape++) {
        while (frame < trace.frames && trace.pcs[frame] != (uintptr_t)returns_to[shape])
            frame++;
        if (!CHECK_LT(frame, trace.frames))
            fprintf(stderr, "shape %zu is not among the frames\n", shape);
    }
    CHECK_LT(trace.frames - frame, 5); /* what remains are outermost() and the fiber's own */
    CHECK_OK(pica_cancel(task));
    CHECK_EQ(body_end(task), -ECANCELED);
}

/* --- Several tasks on one stack --------------------------------------------------------------- */

#define CHAIN 3

struct chain {
    unsigned left;
    check_latch *asleep;
    void *returns_to[CHAIN + 1]; /* each task's function; the innermost last */
    pica_task *tasks[CHAIN + 1];
};

/* Awaits one like itself; the innermost sleeps. */
static intptr_t awaits_the_next(void *arg)
{
    struct chain *c = arg;
    unsigned depth = CHAIN - c->left;
    c->returns_to[depth] = __builtin_return_address(0);
    c->tasks[depth] = pica_self();
    intptr_t result;
    if (c->left-- == 0)
        result = body_sleeps(c->asleep);
    else
        result = body_end(body_spawn(awaits_the_next, c));
    KEEP_FRAME(result);
    return result;
}

/* The calls of a chain of tasks that run inline are all in one back-trace, and the chain says
 * whose they are. */
static void an_inline_chain(void)
{
    check_latch asleep = {0};
    struct chain c = {.left = CHAIN, .asleep = &asleep};
    pi_trace trace;
    pica_attr attr = PICA_ATTR_INIT;
    attr.stack_size = (size_t)1 << 20; /* room for all of them, under sanitizers, too */
    pica_task *task = NULL;
    CHECK_FATAL_OK(pica_spawn_with(&task, awaits_the_next, &c, &attr));
    CHECK_HITS(&asleep, 1);
    BODY_WAITS(task);
    CHECK(pi_trace_take(task, &trace));
    if (trace.chain == CHAIN) { /* else one was stolen */
        size_t frame = 0;
        for (size_t i = 0; i < CHAIN; i++)
            CHECK_EQ(trace.chain_ids[i], pica_task_id(c.tasks[CHAIN - i]));
        for (size_t i = 0; i <= CHAIN; i++) {
            while (frame < trace.frames && trace.pcs[frame] != (uintptr_t)c.returns_to[CHAIN - i])
                frame++;
            CHECK_LT(frame++, trace.frames);
        }
        CHECK(trace.is_base);
        CHECK_EQ(trace.runs_inline, pica_task_id(c.tasks[1]));
        CHECK(pi_trace_take(c.tasks[1], &trace));
        CHECK(!trace.is_base);
        CHECK_EQ(trace.base_id, pica_task_id(task));
        CHECK_EQ(trace.runs_inline, pica_task_id(c.tasks[2]));
        CHECK(pi_trace_take(c.tasks[CHAIN], &trace));
        CHECK_EQ(trace.runs_inline, 0);
    } else {
        CHECK(check_mode() != CHECK_ONE);
    }
    CHECK_OK(pica_cancel(c.tasks[CHAIN]));
    CHECK_EQ(body_end(task), -ECANCELED);
}

/* --- Nonsense ----------------------------------------------------------------------------- */

/* A stack of random words, addresses of code and of the stack itself, between two pages that must
 * not be touched: it ends, and never leaves the stack. */
static void any_stack(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), words = page / sizeof(uintptr_t);
    char *map = mmap(NULL, 3 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK_FATAL(map != MAP_FAILED);
    CHECK_FATAL(mprotect(map + page, page, PROT_READ | PROT_WRITE) == 0);
    uintptr_t *stack = (uintptr_t *)(void *)(map + page), out[2000];
    check_rng rng = check_rng_make(2);
    uint64_t deep = 0;
    for (uint64_t i = check_rounds(20000); i > 0; i--) {
        for (size_t k = 0; k < words; k++) {
            uint64_t kind = check_rng_below(&rng, 3);
            stack[k] = kind == 0   ? check_rng_next(&rng)
                       : kind == 1 ? some_code(&rng)
                                   : (uintptr_t)&stack[check_rng_below(&rng, words)];
        }
        uintptr_t at = (uintptr_t)&stack[check_rng_below(&rng, words + 1)];
        pi_unwind_from from = {.pc = some_code(&rng),
                               .sp = i % 16 ? at : check_rng_next(&rng),
                               .fp = i % 4 ? at : check_rng_next(&rng),
                               .low = (uintptr_t)stack,
                               .top = (uintptr_t)(stack + words)};
        size_t n = pi_unwind(&from, out, 2000);
        if (from.sp < from.low || from.sp > from.top)
            CHECK_EQ(n, 0);
        CHECK_LE(n, words + 1); /* each frame lies above the one before */
        deep += n > 3;
    }
    CHECK_LT(0, deep);
    munmap(map, 3 * page);
}

CHECK_MAIN
{
    check_run("shapes", shapes);
    check_run("an inline chain", an_inline_chain);
    check_plain("any stack", any_stack);
}
