/* SPDX-License-Identifier: MIT */
/* switch_test.c: leaving one stack and entering another: what is kept (stack and registers),
 * what is told (who switched here), and how a new context begins. Values across switches in
 * tasks are in migration_test.c. */
#include "executor/coro/switch.h"

#include "executor/coro/stack.h"
#include "tests/check.h"

#define CONTEXTS 8

struct flow {
    pi_context context; /* first: a context is its flow */
    unsigned number;
    uint64_t entered, rounds;
    bool aligned, told;
};

static pi_context home;
static struct flow flows[CONTEXTS];
static unsigned order[CONTEXTS * 4];
static unsigned n_order;

static __attribute__((noinline)) bool is_aligned(void)
{
    _Alignas(32) volatile char block[32];
    block[0] = 1;
    return (uintptr_t)__builtin_frame_address(0) % 16 == 0 && (uintptr_t)block % 32 == 0;
}

static void flow_main(pi_context *from, pi_context *self)
{
    struct flow *flow = (struct flow *)(void *)self;
    pi_switch_arrived(self, from);
    flow->told = from == &home && flow == &flows[flow->number];
    flow->aligned = is_aligned();
    flow->entered++;
    /* Many values live across the switch: in the registers that a call would keep, and in
     * those that it would not. */
    uint64_t a = flow->number, b = a + 1, c = a * 3, d = a ^ 9, e = a << 7, f = ~a, g = a + 100,
             h = a * a;
    double x = (double)a, y = x + 0.5, z = x * 2;
    for (;;) {
        order[n_order++ % (CONTEXTS * 4)] = flow->number;
        pi_context *back = pi_switch(&flow->context, &home);
        flow->told = flow->told && back == &home;
        uint64_t k = ++flow->rounds, base = flow->number;
        a++, b += 2, c += 3, d ^= k, e += 5, f -= 1, g += 7, h += 8, x += 1, y += 1, z += 2;
        CHECK_EQ(a, base + k);
        CHECK_EQ(b, base + 1 + 2 * k);
        CHECK_EQ(c, base * 3 + 3 * k);
        CHECK_EQ(e, (base << 7) + 5 * k);
        CHECK_EQ(f, ~base - k);
        CHECK_EQ(g, base + 100 + 7 * k);
        CHECK_EQ(h, base * base + 8 * k);
        CHECK(x == (double)base + (double)k && y == x + 0.5 && z == x * 2);
        CHECK(d <= UINT32_MAX);
    }
}

static void open_flows(pi_stacks *stacks)
{
    memset(flows, 0, sizeof(flows));
    n_order = 0;
    for (unsigned i = 0; i < CONTEXTS; i++) {
        pi_stack stack;
        CHECK_FATAL_OK(pi_stack_carve(stacks, 0, &stack));
        flows[i].number = i;
        /* Sizes of all kinds: the context aligns what it gets. */
        pi_context_init(&flows[i].context, stack.low, stack.size - i * 8, flow_main);
        CHECK_EQ(flows[i].entered, 0); /* nothing runs before the first switch */
    }
}

static void close_flows(pi_stacks *stacks)
{
    for (unsigned i = 0; i < CONTEXTS; i++)
        pi_context_deinit(&flows[i].context);
    pi_stacks_deinit(stacks);
}

#ifdef PI_TSAN
void *__tsan_get_current_fiber(void);
#define AT_HOME() (home.tsan = __tsan_get_current_fiber())
#else
#define AT_HOME() ((void)0)
#endif

static void all_is_kept(void)
{
    pi_stacks stacks = {0};
    open_flows(&stacks);
    uint64_t rounds = check_rounds(2000), mine = 12345, sum = 0;
    double own = 0.25;
    for (uint64_t round = 0; round < rounds; round++) {
        for (unsigned i = 0; i < CONTEXTS; i++) {
            AT_HOME();
            pi_context *back = pi_switch(&home, &flows[i].context);
            CHECK_EQ(back, &flows[i].context);
            mine += i;
            own += 1;
            sum += flows[i].rounds;
        }
    }
    CHECK_EQ(mine, 12345 + rounds * (CONTEXTS * (CONTEXTS - 1) / 2));
    CHECK(own == 0.25 + (double)(rounds * CONTEXTS));
    CHECK_EQ(sum, CONTEXTS * (rounds * (rounds - 1) / 2));
    for (unsigned i = 0; i < CONTEXTS; i++) {
        CHECK_EQ(flows[i].entered, 1);
        CHECK_EQ(flows[i].rounds, rounds - 1);
        CHECK(flows[i].aligned);
        CHECK(flows[i].told);
    }
    close_flows(&stacks);
}

static void in_any_order(void)
{
    pi_stacks stacks = {0};
    check_rng rng = check_rng_make(3);
    open_flows(&stacks);
    for (uint64_t k = check_rounds(20000); k > 0; k--) {
        unsigned i = (unsigned)check_rng_below(&rng, CONTEXTS);
        unsigned before = n_order;
        AT_HOME();
        (void)pi_switch(&home, &flows[i].context);
        CHECK_EQ(n_order, before + 1);
        CHECK_EQ(order[before % (CONTEXTS * 4)], i);
    }
    close_flows(&stacks);
}

CHECK_MAIN
{
    check_plain("all is kept", all_is_kept);
    check_plain("in any order", in_any_order);
}
