/* SPDX-License-Identifier: MIT */
/* perturb.c: see perturb.h. It uses the compiler's atomics, because ours come here. */
#include "perturb.h"

#include <sched.h>
#include <time.h>

#define PRIORITIES 4   /* a thread of the lowest gives way every 16th time, then 128, ... */
#define CHANGE_EVERY 8 /* delays, on average, from one priority to the next */
#define LONG_NS 200000 /* a change of priority lasts up to this: two workers' wake-ups */
#define SHORT_SPINS 2000

static uint64_t common_seed;
static uint32_t threads;

static __thread struct {
    uint64_t random; /* 0: not begun */
    uint32_t until;  /* points to pass before the next delay */
    uint32_t spread; /* the priority: points between two delays, on average */
} mine;

void pi_perturb_seed(uint64_t seed)
{
    __atomic_store_n(&common_seed, seed, __ATOMIC_RELAXED);
}

static uint32_t below(uint32_t n)
{
    mine.random ^= mine.random << 13; /* Marsaglia, "Xorshift RNGs" (JSS 8(14), 2003) */
    mine.random ^= mine.random >> 7;
    mine.random ^= mine.random << 17;
    return (uint32_t)((mine.random >> 32) * n >> 32);
}

static void draw_priority(void)
{
    mine.spread = 16u << 3 * below(PRIORITIES);
}

static void begin(uint64_t seed)
{
    uint64_t number = __atomic_add_fetch(&threads, 1, __ATOMIC_RELAXED);
    mine.random = (seed ^ number * 0x9e3779b97f4a7c15u) | 1;
    for (int i = 0; i < 8; i++)
        (void)below(2);
    draw_priority();
    mine.until = below(2 * mine.spread);
}

/* clock_nanosleep() and sched_yield() leave errno alone here. */
static void delay(void)
{
    if (below(CHANGE_EVERY) == 0) {
        struct timespec time = {.tv_nsec = 1 + (long)below(LONG_NS)};
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL);
        draw_priority();
    } else if (below(2)) {
        (void)sched_yield();
    } else {
        for (uint32_t i = below(SHORT_SPINS); i > 0; i--)
            __asm__ __volatile__("" ::: "memory");
    }
    mine.until = below(2 * mine.spread);
}

/* Never inlined: the address of a thread-local must not outlive the call (law 3). */
__attribute__((noinline)) void pi_perturb(void)
{
    if (mine.until > 0) {
        mine.until--;
        return;
    }
    uint64_t seed = __atomic_load_n(&common_seed, __ATOMIC_RELAXED);
    if (seed == 0)
        return;
    if (mine.random == 0)
        begin(seed);
    else
        delay();
}
