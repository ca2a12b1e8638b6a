/* SPDX-License-Identifier: MIT */
/* model_test.c: is the checker itself right? Litmus tests whose outcomes are known: what C11
 * allows has to turn up, what it forbids must not; and each way to go wrong is noticed. */
#include "model_private.h"

#include <stdio.h>
#include <string.h>

static uint32_t x, y, z;
static uint64_t outcomes; /* a bit for each outcome seen in any execution */
static uint32_t r[4];
static model_event event;
static uint32_t *heap;
static unsigned spins_ended;

static void zero(void)
{
    x = y = z = 0;
    memset(r, 0, sizeof(r));
    event.set = false;
    heap = NULL;
}

static void collect(void)
{
    outcomes |= UINT64_C(1) << (r[0] | r[1] << 1 | r[2] << 2 | r[3] << 3);
}

/* Store buffering. */
static void sb0_relaxed(void)
{
    pi_store_relaxed(&x, 1u);
    r[0] = pi_load_relaxed(&y);
}
static void sb1_relaxed(void)
{
    pi_store_relaxed(&y, 1u);
    r[1] = pi_load_relaxed(&x);
}
static void sb0_release(void)
{
    pi_store_release(&x, 1u);
    r[0] = pi_load_acquire(&y);
}
static void sb1_release(void)
{
    pi_store_release(&y, 1u);
    r[1] = pi_load_acquire(&x);
}
static void sb0_seq_cst(void)
{
    pi_store_seq_cst(&x, 1u);
    r[0] = pi_load_seq_cst(&y);
}
static void sb1_seq_cst(void)
{
    pi_store_seq_cst(&y, 1u);
    r[1] = pi_load_seq_cst(&x);
}
static void sb1_fence(void)
{
    pi_store_relaxed(&y, 1u);
    pi_fence_seq_cst();
    r[1] = pi_load_relaxed(&x);
}
static void sb0_fence(void)
{
    pi_store_relaxed(&x, 1u);
    pi_fence_seq_cst();
    r[0] = pi_load_relaxed(&y);
}
/* An acq_rel (or even seq_cst) read-modify-write elsewhere is no fence. */
static void sb0_rmw(void)
{
    pi_store_relaxed(&x, 1u);
    pi_add_seq_cst(&z, 1u);
    r[0] = pi_load_relaxed(&y);
}

/* The free fence is as good as the read-modify-write before it, not better. */
static void sb0_after_rmw(void)
{
    pi_store_relaxed(&x, 1u);
    pi_add_relaxed(&z, 1u);
    pi_fence_after_rmw();
    r[0] = pi_load_relaxed(&y);
}
static void sb0_too_late(void)
{
    pi_add_relaxed(&z, 1u);
    pi_store_relaxed(&x, 1u);
    pi_fence_after_rmw();
    r[0] = pi_load_relaxed(&y);
}
/* A fence in all threads at once serves the other side, too. */
static void sb1_membarrier(void)
{
    pi_store_relaxed(&y, 1u);
    model_membarrier();
    r[1] = pi_load_relaxed(&x);
}

/* Message passing. */
static void mp0_relaxed(void)
{
    pi_store_relaxed(&x, 1u);
    pi_store_relaxed(&y, 1u);
}
static void mp0_release(void)
{
    pi_store_relaxed(&x, 1u);
    pi_store_release(&y, 1u);
}
static void mp0_fence(void)
{
    pi_store_relaxed(&x, 1u);
    pi_fence_seq_cst();
    pi_store_relaxed(&y, 1u);
}
static void mp1_relaxed(void)
{
    r[0] = pi_load_relaxed(&y);
    r[1] = pi_load_relaxed(&x);
}
static void mp1_acquire(void)
{
    r[0] = pi_load_acquire(&y);
    r[1] = pi_load_relaxed(&x);
}
static void mp1_fence(void)
{
    r[0] = pi_load_relaxed(&y);
    pi_fence_seq_cst();
    r[1] = pi_load_relaxed(&x);
}
/* A release sequence goes on through another's relaxed read-modify-write, not its store. */
static void mp2_add(void)
{
    pi_add_relaxed(&y, 2u);
}
static void mp1_after_add(void)
{
    r[0] = pi_load_acquire(&y) == 3;
    r[1] = pi_load_relaxed(&x);
}
static void mp2_store(void)
{
    if (pi_load_relaxed(&y) == 1)
        pi_store_relaxed(&y, 3u);
}

/* Independent reads of independent writes; coherence; causality. */
static void write_x(void)
{
    pi_store_release(&x, 1u);
}
static void write_y(void)
{
    pi_store_release(&y, 1u);
}
static void iriw2(void)
{
    r[0] = pi_load_acquire(&x);
    r[1] = pi_load_acquire(&y);
}
static void iriw3(void)
{
    r[2] = pi_load_acquire(&y);
    r[3] = pi_load_acquire(&x);
}
static void iriw2_fence(void)
{
    r[0] = pi_load_acquire(&x);
    pi_fence_seq_cst();
    r[1] = pi_load_acquire(&y);
}
static void iriw3_fence(void)
{
    r[2] = pi_load_acquire(&y);
    pi_fence_seq_cst();
    r[3] = pi_load_acquire(&x);
}
static void write_x_sc(void)
{
    pi_store_seq_cst(&x, 1u);
}
static void write_y_sc(void)
{
    pi_store_seq_cst(&y, 1u);
}
static void iriw2_sc(void)
{
    r[0] = pi_load_seq_cst(&x);
    r[1] = pi_load_seq_cst(&y);
}
static void iriw3_sc(void)
{
    r[2] = pi_load_seq_cst(&y);
    r[3] = pi_load_seq_cst(&x);
}
static void coherence(void)
{
    r[0] = pi_load_relaxed(&x);
    r[1] = pi_load_relaxed(&x);
}
static void pass_on(void)
{
    if (pi_load_acquire(&x))
        pi_store_release(&y, 1u);
}
static void causality(void)
{
    r[0] = pi_load_acquire(&y);
    r[1] = pi_load_relaxed(&x);
}

static void add_twice(void)
{
    pi_add_relaxed(&x, 1u);
    pi_add_relaxed(&x, 1u);
}
static void sum_is_four(void)
{
    model_check(x == 4);
}
static void cas_once(void)
{
    uint32_t old = 0;
    r[model_self()] = pi_cas_relaxed(&x, &old, 1u);
}
static void one_won(void)
{
    model_check(r[0] + r[1] == 1 && x == 1);
}

/* Outcomes as bits r0 + 2 r1 + 4 r2 + 8 r3: 1 << that. */
#define BOTH(a, b) (1u << ((a) | (b) << 1))
#define ALL4 0xfu

static const struct {
    model_test test;
    uint64_t expected;
} litmus[] = {
    {{"SB relaxed", zero, {sb0_relaxed, sb1_relaxed}, collect, false, 0, 0}, ALL4},
    {{"SB release/acquire", zero, {sb0_release, sb1_release}, collect, false, 0, 0}, ALL4},
    {{"SB seq_cst", zero, {sb0_seq_cst, sb1_seq_cst}, collect, false, 0, 0}, ALL4 & ~BOTH(0, 0)},
    {{"SB fences", zero, {sb0_fence, sb1_fence}, collect, false, 0, 0}, ALL4 & ~BOTH(0, 0)},
    {{"SB one fence", zero, {sb0_relaxed, sb1_fence}, collect, false, 0, 0}, ALL4},
    {{"SB rmw elsewhere", zero, {sb0_rmw, sb1_fence}, collect, false, 0, 0}, ALL4},
    {{"SB after rmw", zero, {sb0_after_rmw, sb1_fence}, collect, false, 0, 0}, ALL4 & ~BOTH(0, 0)},
    {{"SB stored after rmw", zero, {sb0_too_late, sb1_fence}, collect, false, 0, 0}, ALL4},
    {{"SB membarrier", zero, {sb0_relaxed, sb1_membarrier}, collect, false, 0, 0},
     ALL4 & ~BOTH(0, 0)},
    {{"MP relaxed", zero, {mp0_relaxed, mp1_relaxed}, collect, false, 0, 0}, ALL4},
    {{"MP release only", zero, {mp0_release, mp1_relaxed}, collect, false, 0, 0}, ALL4},
    {{"MP acquire only", zero, {mp0_relaxed, mp1_acquire}, collect, false, 0, 0}, ALL4},
    {{"MP release/acquire", zero, {mp0_release, mp1_acquire}, collect, false, 0, 0},
     ALL4 & ~BOTH(1, 0)},
    {{"MP fences", zero, {mp0_fence, mp1_fence}, collect, false, 0, 0}, ALL4 & ~BOTH(1, 0)},
    {{"MP fence/acquire", zero, {mp0_fence, mp1_acquire}, collect, false, 0, 0},
     ALL4 & ~BOTH(1, 0)},
    {{"MP release/fence", zero, {mp0_release, mp1_fence}, collect, false, 0, 0},
     ALL4 & ~BOTH(1, 0)},
    {{"MP through a rmw", zero, {mp0_release, mp1_after_add, mp2_add}, collect, false, 0, 0},
     ALL4 & ~BOTH(1, 0)},
    {{"MP through a store", zero, {mp0_release, mp1_after_add, mp2_store}, collect, false, 0, 0},
     ALL4},
    {{"coherence", zero, {write_x, coherence}, collect, false, 0, 0}, ALL4 & ~BOTH(1, 0)},
    {{"causality", zero, {write_x, pass_on, causality}, collect, false, 0, 0}, ALL4 & ~BOTH(1, 0)},
    {{"IRIW acquire", zero, {write_x, write_y, iriw2, iriw3}, collect, false, 0, 0}, 0xffff},
    {{"IRIW fences", zero, {write_x, write_y, iriw2_fence, iriw3_fence}, collect, false, 0, 0},
     0xffff & ~(1u << 5)},
    {{"IRIW seq_cst", zero, {write_x_sc, write_y_sc, iriw2_sc, iriw3_sc}, collect, false, 0, 0},
     0xffff & ~(1u << 5)},
};

/* --- What has to be noticed ------------------------------------------------------------------ */

static void race_writer(void)
{
    model_plain_write(&z);
    pi_store_relaxed(&y, 1u);
}
static void race_reader(void)
{
    if (pi_load_acquire(&y))
        model_plain_read(&z);
}
static void no_race_writer(void)
{
    model_plain_write(&z);
    pi_store_release(&y, 1u);
}
static void wait_for_event(void)
{
    if (!pi_load_relaxed(&x))
        model_sleep(&event);
}
static void set_without_wake(void)
{
    pi_store_relaxed(&x, 1u);
}
static void set_and_wake(void)
{
    pi_store_relaxed(&x, 1u);
    model_wake(&event);
}
static void spin_on_x(void)
{
    for (unsigned i = 0; !pi_load_acquire(&x); i++)
        pi_spin_wait(i);
    spins_ended++;
}
static void nothing(void) {}
static void for_ever(void)
{
    while (!pi_load_relaxed(&x))
        pi_add_relaxed(&y, 1u);
}
static uint32_t *published;
static void publish_relaxed(void)
{
    uint32_t *p = model_alloc(sizeof(*p), 8);
    pi_store_relaxed(&published, p);
}
static void publish_release(void)
{
    uint32_t *p = model_alloc(sizeof(*p), 8);
    pi_store_release(&published, p);
}
static void use_published(void)
{
    uint32_t *p = pi_load_acquire(&published);
    if (p)
        r[0] = pi_load_relaxed(p);
}
static void alloc_heap(void)
{
    zero();
    published = NULL;
    heap = model_alloc(sizeof(*heap), 8);
}
static void use_heap(void)
{
    pi_add_relaxed(heap, 1u);
}
static void free_heap(void)
{
    model_fence(MODEL_SITE("fence", "", MODEL_SEQ_CST));
    model_free(heap);
}
static void non_atomic_increment(void)
{
    uint32_t old = pi_load_relaxed(&x);
    pi_store_relaxed(&x, old + 1);
}
static void sum_is_two(void)
{
    model_check(x == 2);
}

static const struct {
    model_test test;
    const char *failure; /* NULL: none */
} mistakes[] = {
    {{"atomic increments", zero, {add_twice, add_twice}, sum_is_four, false, 0, 0}, NULL},
    {{"increments by load and store",
      zero,
      {non_atomic_increment, non_atomic_increment},
      sum_is_two,
      false,
      0,
      0},
     "does not hold"},
    {{"one wins a cas", zero, {cas_once, cas_once}, one_won, false, 0, 0}, NULL},
    {{"a race", zero, {race_writer, race_reader}, NULL, false, 0, 0}, "data race"},
    {{"no race", zero, {no_race_writer, race_reader}, NULL, false, 0, 0}, NULL},
    {{"a lost wake-up", zero, {wait_for_event, set_without_wake}, NULL, false, 0, 0},
     "sleeps for ever"},
    {{"no lost wake-up", zero, {wait_for_event, set_and_wake}, NULL, false, 0, 0}, NULL},
    {{"a spin that ends", zero, {spin_on_x, set_without_wake}, NULL, false, 0, 0}, NULL},
    {{"a spin without an end", zero, {spin_on_x, nothing}, NULL, false, 0, 0}, "spins for ever"},
    {{"a loop without an end", zero, {for_ever, nothing}, NULL, false, 0, 0}, "too many stores"},
    {{"memory published too weakly",
      alloc_heap,
      {publish_relaxed, use_published},
      NULL,
      false,
      0,
      0},
     "not been published"},
    {{"memory published", alloc_heap, {publish_release, use_published}, NULL, false, 0, 0}, NULL},
    {{"memory used after its end", alloc_heap, {use_heap, free_heap}, NULL, false, 0, 0}, "freed"},
};

static uint64_t executions;

/* --- Random programs: leaving out what is the same must not leave out an outcome -------------- */

enum { OPS = 4, VALUES = 4096 };

static uint32_t cells[2];
static unsigned program[3][OPS]; /* numbers of operations below */
static uint32_t got[3][OPS];
static unsigned char seen_outcome[VALUES];

static uint32_t run_op(unsigned op, uint32_t value)
{
    uint32_t *cell = &cells[op & 1];
    uint32_t old = 0;
    switch (op >> 1) {
    case 0:
        return pi_load_relaxed(cell);
    case 1:
        return pi_load_acquire(cell);
    case 2:
        return pi_load_seq_cst(cell);
    case 3:
        pi_store_relaxed(cell, value);
        return 0;
    case 4:
        pi_store_release(cell, value);
        return 0;
    case 5:
        pi_store_seq_cst(cell, value);
        return 0;
    case 6:
        return pi_xchg_relaxed(cell, value);
    case 7:
        return pi_xchg_acq_rel(cell, value);
    case 8:
        return pi_cas_acquire(cell, &old, value) ? 8 : old;
    default:
        pi_fence_seq_cst();
        return 0;
    }
}

static void run_program(void)
{
    unsigned t = model_self();
    for (unsigned i = 0; i < OPS && program[t][i]; i++)
        got[t][i] = run_op(program[t][i] - 1, t + 1);
}

static void clear_cells(void)
{
    memset(cells, 0, sizeof(cells));
    memset(got, 0, sizeof(got));
}

static void note_outcome(void)
{
    uint32_t h = cells[0] * 31 + cells[1];
    for (unsigned t = 0; t < 3; t++)
        for (unsigned i = 0; i < OPS; i++)
            h = h * 16777619u + got[t][i];
    seen_outcome[(h ^ h >> 13) % VALUES] |= 1;
}

static bool reduction_loses_nothing(void)
{
    static unsigned char all[VALUES];
    uint32_t random = 12345;
    for (unsigned round = 0; round < 150; round++) {
        unsigned n_threads = 2 + round % 2;
        memset(program, 0, sizeof(program));
        for (unsigned t = 0; t < n_threads; t++)
            for (unsigned i = 0; i < (n_threads == 2 ? OPS : 2u + (round + t) % 2); i++) {
                random = random * 1664525u + 1013904223u;
                program[t][i] = 1 + (random >> 8) % 20;
            }
        model_test test = {
            .name = "random",
            .setup = clear_cells,
            .threads = {run_program, run_program, n_threads == 3 ? run_program : NULL},
            .finish = note_outcome};
        memset(seen_outcome, 0, sizeof(seen_outcome));
        executions += model_explore(&test, 20, 100, 0, false).executions;
        memcpy(all, seen_outcome, sizeof(all));
        memset(seen_outcome, 0, sizeof(seen_outcome));
        executions += model_explore(&test, 0, 100, 0, false).executions;
        if (memcmp(all, seen_outcome, sizeof(all)) != 0) {
            printf("random program %u: the exploration without bound loses outcomes\n", round);
            return false;
        }
    }
    return true;
}

static bool litmus_is_right(const model_test *test, unsigned preemptions, uint64_t expected)
{
    outcomes = 0;
    model_result result = model_explore(test, preemptions, 100, 0, true);
    executions += result.executions;
    if (!result.failed && outcomes == expected)
        return true;
    printf("%s, %u preemptions: %s: outcomes %#llx, should be %#llx\n", test->name, preemptions,
           result.failed ? result.what : "wrong", (unsigned long long)outcomes,
           (unsigned long long)expected);
    return false;
}

static bool mistake_is_noticed(const model_test *test, unsigned preemptions, const char *failure)
{
    model_result result = model_explore(test, preemptions, 100, 0, !failure);
    executions += result.executions;
    if (result.failed == (failure != NULL) && (!failure || strstr(result.what, failure)))
        return true;
    printf("%s, %u preemptions: %s, should be: %s\n", test->name, preemptions,
           result.failed ? result.what : "nothing noticed", failure ? failure : "nothing");
    return false;
}

/* Both ways to explore: all switches up to a bound, and all but those that lead to the same. */
int main(int argc, char **argv)
{
    (void)argc;
    (void)argv; /* the options of a model test mean nothing here */
    const unsigned n_litmus = sizeof(litmus) / sizeof(litmus[0]);
    const unsigned n_mistakes = sizeof(mistakes) / sizeof(mistakes[0]);
    unsigned bad = 0;
    for (unsigned i = 0; i < n_litmus; i++) {
        bad += !litmus_is_right(&litmus[i].test, 5, litmus[i].expected);
        bad += !litmus_is_right(&litmus[i].test, 0, litmus[i].expected);
    }
    for (unsigned i = 0; i < n_mistakes; i++) {
        bad += !mistake_is_noticed(&mistakes[i].test, 5, mistakes[i].failure);
        bad += !mistake_is_noticed(&mistakes[i].test, 0, mistakes[i].failure);
    }
    bad += spins_ended == 0;
    bad += !reduction_loses_nothing();
    printf("%llu executions, %u of %u wrong\n", (unsigned long long)executions, bad,
           2 * (n_litmus + n_mistakes));
    return bad ? 1 : 0;
}
