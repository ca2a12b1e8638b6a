/* SPDX-License-Identifier: MIT */
/* unwind_test.c: the calls on a parked stack are found, whatever shape their frames have; and
 * nonsense leads to nonsense within bounds. */
#include "executor/observe/eh_frame.h"
#include "executor/observe/trace.h"
#include "executor/observe/unwind.h"
#include "tests/executor/bodies.h"
#include "tests/executor/observe/unwind_frames.h"

#include <alloca.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* --- Shapes of frames --------------------------------------------------------------------- */

#define SHAPES 6
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

/* It is aligned to more than the caller promises. */
static __attribute__((noinline)) intptr_t aligned(void *arg)
{
    returns_to[3] = __builtin_return_address(0);
    volatile char some[128] __attribute__((aligned(128)));
    some[1] = 1;
    intptr_t result = variable(arg);
    KEEP_FRAME(result);
    return result + some[1] - 1;
}

/* All registers that a function may keep are saved; and a frame of several KiB. */
static __attribute__((noinline)) intptr_t large(void *arg)
{
    returns_to[4] = __builtin_return_address(0);
    volatile char some[5000];
    some[17] = 1;
#if defined(__x86_64__)
    __asm__ volatile("" ::: "rbx", "r12", "r13", "r14", "r15");
#elif defined(__aarch64__)
    __asm__ volatile("" ::: "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28");
#endif
    intptr_t result = aligned(arg);
    KEEP_FRAME(result);
    return result + some[17] - 1;
}

static intptr_t outermost(void *arg)
{
    returns_to[5] = __builtin_return_address(0);
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
    CHECK_LT(trace.frames - frame, 4); /* what remains are the fiber's own */
    CHECK_OK(pica_cancel(task));
    CHECK_EQ(body_end(task), -ECANCELED);
}

/* --- Nonsense ----------------------------------------------------------------------------- */

#define TEXTS 16
static struct {
    uintptr_t low, size;
} texts[TEXTS];
static size_t texts_count;

static int add_text(struct dl_phdr_info *info, size_t size, void *unused)
{
    (void)size;
    (void)unused;
    for (int i = 0; i < info->dlpi_phnum && texts_count < TEXTS; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type == PT_LOAD && p->p_flags & PF_X) {
            texts[texts_count].low = info->dlpi_addr + p->p_vaddr;
            texts[texts_count++].size = p->p_memsz;
        }
    }
    return 0;
}

static uintptr_t some_code(check_rng *rng)
{
    if (texts_count == 0)
        dl_iterate_phdr(add_text, NULL);
    CHECK_FATAL(texts_count > 0);
    size_t i = check_rng_below(rng, texts_count);
    return texts[i].low + check_rng_below(rng, texts[i].size);
}

/* Wherever in whatever library: a row or none. */
static void any_address(void)
{
    pi_row row;
    check_rng rng = check_rng_make(1);
    uint64_t found = 0, n = check_rounds(200000);
    for (uint64_t i = 0; i < n; i++)
        found += pi_eh_row(some_code(&rng), &row);
    CHECK_LT(n / 2, found); /* nearly all of it comes from compilers */
    CHECK(!pi_eh_row(0, &row));
    CHECK(!pi_eh_row(UINTPTR_MAX, &row));
    CHECK(!pi_eh_row((uintptr_t)&row, &row));
    CHECK(!pi_eh_row((uintptr_t)&texts, &row));
    CHECK(pi_eh_row((uintptr_t)any_address, &row));
    CHECK_EQ(row.cfa.other, PI_DWARF_SP); /* its first instruction: nothing is saved yet */
}

/* A stack of random words, addresses of code and of the stack itself, between two pages that must
 * not be touched: it ends, and never leaves the stack. */
static void any_stack(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), words = page / sizeof(uintptr_t);
    char *map = mmap(NULL, 3 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK_FATAL(map != MAP_FAILED);
    CHECK_FATAL(mprotect(map + page, page, PROT_READ | PROT_WRITE) == 0);
    uintptr_t *stack = (uintptr_t *)(void *)(map + page), out[64];
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
        size_t n = pi_unwind(&from, out, 64);
        CHECK_LE(n, 64);
        deep += n > 3;
    }
    CHECK_LT(0, deep);
    munmap(map, 3 * page);
}

CHECK_MAIN
{
    check_run("shapes", shapes);
    check_plain("any address", any_address);
    check_plain("any stack", any_stack);
}
