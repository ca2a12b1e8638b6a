/* SPDX-License-Identifier: MIT */
/* timer_test.c: a set of timers against a reference that sorts. The waits are words on this
 * thread; nothing sleeps. Each case runs with a heap that can grow and with one that can't. */
#include "executor/sched/timer.h"

#include "tests/check.h"
#include "tests/fault.h"

#include <pica/base.h>

#define MANY 2000

/* A wait word, as a plain thread has it: fiber NULL, so its end wakes nobody. */
static struct {
    pi_wait wait;
    pi_timer timer;
    pi_token token;
    int64_t deadline;
    bool armed;
} all[MANY];

static pi_timers set;

static void begin_wait(unsigned i)
{
    uint64_t word = pi_wait_next(all[i].wait.word, 1);
    all[i].wait.fiber = NULL;
    all[i].wait.word = word;
    all[i].token = (pi_token){&all[i].wait, word};
}

static void arm(unsigned i, int64_t deadline)
{
    begin_wait(i);
    all[i].deadline = deadline;
    all[i].armed = true;
    pi_timer_arm(&set, &all[i].timer, all[i].token, deadline);
}

static void disarm(unsigned i)
{
    pi_timer_disarm(&all[i].timer);
    all[i].armed = false;
}

static bool timed_out(unsigned i)
{
    return PI_WAIT_STATE(all[i].wait.word) == PI_TIMEOUT;
}

static int64_t earliest(void)
{
    int64_t next = PICA_NEVER;
    for (unsigned i = 0; i < MANY; i++)
        if (all[i].armed && !timed_out(i) && all[i].deadline < next)
            next = all[i].deadline;
    return next;
}

static void open_set(void)
{
    memset(all, 0, sizeof(all));
    pi_timers_init(&set);
    CHECK_EQ(pi_timers_next(&set), PICA_NEVER);
    CHECK_EQ(pi_timers_armed(&set), 0);
}

static void close_set(void)
{
    CHECK_EQ(pi_timers_armed(&set), 0);
    CHECK_EQ(pi_timers_next(&set), PICA_NEVER);
    pi_timers_deinit(&set);
}

static void in_order(void)
{
    static const int64_t deadlines[] = {50, 10, 40, 10, 30, 20, 60};
    open_set();
    for (unsigned i = 0; i < 7; i++)
        arm(i, deadlines[i]);
    CHECK_EQ(pi_timers_armed(&set), 7);
    for (int64_t now = 0; now <= 70; now++) {
        CHECK_EQ(pi_timers_next(&set), earliest());
        unsigned due = 0;
        for (unsigned i = 0; i < 7; i++)
            due += deadlines[i] == now;
        CHECK_EQ(pi_timers_expire(&set, now), due);
        for (unsigned i = 0; i < 7; i++)
            CHECK_EQ(timed_out(i), deadlines[i] <= now);
    }
    for (unsigned i = 0; i < 7; i++)
        disarm(i); /* of an expired one: takes back nothing, and is needed */
    close_set();
}

/* A wait that was won otherwise: its timer expires without effect and is not counted. */
static void a_late_timer(void)
{
    open_set();
    arm(0, 10);
    arm(1, 10);
    CHECK(pi_wait_end(all[0].token, PI_WOKEN));
    CHECK_EQ(pi_timers_expire(&set, 10), 1);
    CHECK_EQ(PI_WAIT_STATE(all[0].wait.word), PI_WOKEN);
    CHECK(timed_out(1));
    disarm(0);
    begin_wait(0); /* and the next wait on the same word is not hit by the last one's token */
    CHECK(!pi_wait_end((pi_token){&all[0].wait, all[0].token.word - (UINT64_C(1) << 24)},
                       PI_TIMEOUT));
    CHECK_EQ(PI_WAIT_STATE(all[0].wait.word), PI_WAITING);
    disarm(1);
    close_set();
}

static void at_random(uint64_t salt, uint64_t rounds)
{
    check_rng rng = check_rng_make(salt);
    int64_t now = 0;
    unsigned armed = 0;
    open_set();
    for (uint64_t round = 0; round < rounds; round++) {
        unsigned i = (unsigned)check_rng_below(&rng, MANY);
        if (all[i].armed) {
            armed -= !timed_out(i);
            disarm(i);
        } else {
            uint64_t far = check_rng_below(&rng, 8) ? 1000 : 100000;
            arm(i, now + 1 + (int64_t)check_rng_below(&rng, far));
            armed++;
        }
        CHECK_EQ(pi_timers_armed(&set), armed);
        if (check_rng_below(&rng, 16))
            continue;
        CHECK_EQ(pi_timers_next(&set), earliest());
        now += (int64_t)check_rng_below(&rng, 60);
        unsigned due = 0;
        for (unsigned k = 0; k < MANY; k++)
            due += all[k].armed && !timed_out(k) && all[k].deadline <= now;
        CHECK_EQ(pi_timers_expire(&set, now), due);
        armed -= due;
        unsigned wrong = 0;
        for (unsigned k = 0; k < MANY; k++)
            wrong += all[k].armed && timed_out(k) != (all[k].deadline <= now);
        CHECK_EQ(wrong, 0);
    }
    for (unsigned i = 0; i < MANY; i++)
        if (all[i].armed)
            disarm(i);
    close_set();
}

static void random_timers(void)
{
    at_random(1, check_rounds(60000));
}

/* The heap can't grow: timers go to a list, now and then or always. */
static void without_memory(void)
{
    fault_arm(FAULT_MALLOC, 1, 1, ENOMEM);
    at_random(2, check_rounds(20000));
    CHECK_LT(0, fault_failed(FAULT_MALLOC));
    fault_arm(FAULT_MALLOC, 3, 1, ENOMEM);
    at_random(3, check_rounds(60000));
    CHECK_LT(0, fault_failed(FAULT_MALLOC));
    fault_disarm();
}

static void extremes(void)
{
    open_set();
    arm(0, INT64_MIN);
    arm(1, PICA_NEVER - 1);
    arm(2, 0);
    CHECK_EQ(pi_timers_next(&set), INT64_MIN);
    CHECK_EQ(pi_timers_expire(&set, 0), 2);
    CHECK_EQ(pi_timers_next(&set), PICA_NEVER - 1);
    CHECK(!timed_out(1));
    CHECK_EQ(pi_timers_expire(&set, PICA_NEVER - 1), 1);
    for (unsigned i = 0; i < 3; i++)
        disarm(i);
    close_set();
}

CHECK_MAIN
{
    check_plain("in order", in_order);
    check_plain("a late timer", a_late_timer);
    check_plain("extremes", extremes);
    check_plain("random timers", random_timers);
    check_plain("without memory", without_memory);
}
