/* SPDX-License-Identifier: MIT */
/* loop_test.c: a busy worker polls its reactor again and again, however short its turns are, but
 * not at the end of each budget if these are shorter still. Its own, not one that it serves. The
 * task in whose midst that is keeps its errno. Then, what thieves leave behind, and the order in a
 * crowd. */
#include "executor/base/clock.h"
#include "executor/sched/executor.h"
#include "executor/sched/loop.h"
#include "executor/sched/worker.h"
#include "tests/executor/bodies.h"

#include <errno.h>
#include <pthread.h>

#define POLLS 20

/* The driver of the case's executor, with a poll that counts. It has one worker, and no monitor. */
static pi_driver_ops counting;
static const pi_driver_ops *counted;
static unsigned polls;

static int counts(pi_driver *driver, int64_t deadline_ns)
{
    polls++;
    int events = counted->poll(driver, deadline_ns);
    errno = EINTR; /* as one that a signal comes upon */
    return events;
}

static void count_polls(void)
{
    pica_executor *ex = pica_executor_self();
    counted = ex->driver;
    counting = *counted;
    counting.poll = counts;
    ex->driver = &counting;
    polls = 0;
}

static void count_no_more(void)
{
    pica_executor_self()->driver = counted;
}

/* Out of line: who keeps errno's address across a wait may look at another thread's. */
static __attribute__((noinline)) void set_errno(int to)
{
    errno = to;
}

static __attribute__((noinline)) int get_errno(void)
{
    return errno;
}

/* Each turn is some 20 ns: a budget is a tenth of the time between two polls. */
static void polls_in_time(void (*turns)(void))
{
    count_polls();
    set_errno(1000); /* which is the task's */
    patience p = patience_of(PICA_SEC(10));
    int64_t begun = pi_now();
    while (polls < POLLS && patience_lasts(&p))
        turns();
    int64_t took = pi_now() - begun;
    CHECK_EQ(get_errno(), 1000);
    CHECK_LE(POLLS, polls);
    CHECK_LE(polls, took / PI_POLL_NS + 1);
    count_no_more();
}

static void yields(void)
{
    for (unsigned i = 0; i < PI_BUDGET; i++)
        CHECK_OK(pica_yield());
}

static void yields_are_polled_between(void)
{
    polls_in_time(yields);
}

static void runs_inline(void)
{
    for (unsigned i = 0; i < PI_BUDGET; i++)
        CHECK_EQ(body_end(body_spawn(body_returns, body_arg(7))), 7);
}

static void inline_runs_are_polled_between(void)
{
    polls_in_time(runs_inline);
}

/* Long turns: a look at the end of each budget polls, as does one that was asked for. */
static void spins_for(int64_t ns)
{
    int64_t until = pi_now() + ns;
    while (pi_now() < until) {
    }
}

static void each_look_polls_where_turns_are_long(void)
{
    count_polls();
    for (unsigned round = 1; round <= POLLS; round++) {
        pi_worker *worker = pi_worker_self();
        spins_for(PI_POLL_NS);
        pi_store_relaxed(&worker->look_at, pi_load_relaxed(&worker->turns)); /* as the monitor */
        CHECK_OK(pica_yield());
        CHECK_EQ(polls, round);
    }
    count_no_more();
}

/* Who serves a stuck worker's reactor has not polled its own. */
static void anothers_is_not_its_own(void)
{
    pi_worker *worker = pi_worker_self();
    pica_executor *ex = pica_executor_self();
    int64_t before = worker->polled_ns;
    (void)pi_worker_look_around(worker, &ex->workers[(worker->index + 1) % 2]);
    CHECK_EQ(worker->polled_ns, before);
    (void)pi_worker_look_around(worker, worker);
    CHECK_LT(before, worker->polled_ns);
}

/* A thief makes a deque shared. It stays so while thieves come, however often the owner looks, and is
 * private again once none has come for a while. */
static void private_again_when_thieves_stay_away(void)
{
    pi_worker *worker = pi_worker_self();
    pi_deque *deque = &worker->deque;
    pi_node elsewhere = {0};
    if (!deque->biased) /* no membarrier: always shared */
        return;
    for (unsigned flock = 0; flock < 3; flock++) {
        for (unsigned thief = 0; thief < 3; thief++) {
            CHECK(!pi_deque_claim_foreign(deque, &elsewhere));
            spins_for(PI_ALONE_NS);
            (void)pi_loop_budget_slow(worker);
            CHECK_EQ(deque->state, PI_DEQUE_SHARED);
        }
        spins_for(PI_ALONE_NS);
        (void)pi_loop_budget_slow(worker);
        CHECK_EQ(deque->state, PI_DEQUE_PRIVATE);
    }
}

/* One worker, without inlining. A round is as many turns as a budget, all but one of them in the
 * loop; it begins at each turn of a budget once. */
static intptr_t groups_in_a_crowd(void *unused)
{
    enum { CROWD = PI_LOOP_CROWD + PI_BUDGET };
    check_latch started = {0};
    pi_worker *worker = pi_worker_self();
    (void)unused;
    for (uint32_t phase = 0; phase < PI_BUDGET; phase++) {
        uint64_t before = check_hits(&started);
        for (unsigned i = 0; i < CROWD; i++)
            CHECK_OK(pica_spawn(NULL, body_hits, &started));
        while (worker->turns % PI_BUDGET != phase)
            (void)pi_worker_spend(worker);
        for (unsigned rounds = 0; rounds < 4; rounds++) {
            pica_group group;
            pica_group_begin(&group);
            for (unsigned i = 0; i < PI_BUDGET - 2; i++)
                CHECK_OK(pica_group_spawn(&group, body_returns, NULL));
            CHECK_EQ(pica_group_end(&group, 0), 0);
        }
        CHECK_LT(before, check_hits(&started));
        CHECK_SOON(check_hits(&started) == before + CROWD);
    }
    return 3;
}

static void the_oldest_of_a_crowd_gets_its_turn(void)
{
    pica_options options = check_options();
    options.workers = 1;
    options.flags = PICA_NO_INLINE | PICA_NO_SPARE;
    pica_executor *ex = check_executor_open(&options);
    CHECK_EQ(body_end(body_spawn_in(ex, groups_in_a_crowd, NULL)), 3);
    check_executor_close(ex);
}

/* One worker, whose turns are all so long that the monitor hurries it in each of them. What plain
 * threads spawn, one after the other, takes turns with what is in its queue. */
enum { STRANGERS = 30 };

struct strangers {
    pica_executor *ex;
    unsigned come;
};

static void is_hurried(void)
{
    pi_worker *worker = pi_worker_self();
    pi_store_relaxed(&worker->look_at, pi_load_relaxed(&worker->turns));
}

static intptr_t a_stranger(void *arg);

static void *sends_a_stranger(void *arg)
{
    struct strangers *s = arg;
    CHECK_OK(pica_executor_spawn(s->ex, NULL, a_stranger, s));
    return NULL;
}

static void send_a_stranger(struct strangers *s)
{
    pthread_t thread;
    CHECK_FATAL(pthread_create(&thread, NULL, sends_a_stranger, s) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
}

static intptr_t a_stranger(void *arg)
{
    struct strangers *s = arg;
    if (++s->come < STRANGERS)
        send_a_stranger(s);
    is_hurried();
    return 0;
}

static void strangers_and_its_own_take_turns(void)
{
    struct strangers s = {.ex = pica_executor_self()};
    unsigned turns = 0;
    for (send_a_stranger(&s); s.come < STRANGERS; turns++) {
        is_hurried();
        CHECK_OK(pica_yield());
    }
    CHECK_LE(STRANGERS / 2, turns);
    CHECK_LE(turns, 2 * STRANGERS);
}

/* The same where a task gives way between two awaits, and comes back before all others. */
static intptr_t awaits_again_and_again(void *arg)
{
    struct strangers *s = arg;
    while (s->come < STRANGERS) {
        is_hurried();
        pi_worker_self()->gave_way_ms--;
        CHECK_EQ(body_end(body_spawn(body_returns, body_arg(7))), 7);
    }
    return 7;
}

static void nor_does_who_comes_back_hide_its_own(void)
{
    struct strangers s = {.ex = pica_executor_self()};
    unsigned turns = 0;
    pica_task *awaits = body_spawn(awaits_again_and_again, &s);
    for (send_a_stranger(&s); s.come < STRANGERS; turns++)
        CHECK_OK(pica_yield());
    CHECK_LE(STRANGERS / 3, turns);
    CHECK_EQ(body_end(awaits), 7);
}

CHECK_MAIN
{
    check_run_in(CHECK_ONE, "yields are polled between", yields_are_polled_between);
    check_run_in(CHECK_ONE, "inline runs are polled between", inline_runs_are_polled_between);
    check_run_in(CHECK_ONE, "each look polls where turns are long",
                 each_look_polls_where_turns_are_long);
    check_run_in(CHECK_ONE, "private again when thieves stay away",
                 private_again_when_thieves_stay_away);
    check_run_in(CHECK_TWO, "another's is not its own", anothers_is_not_its_own);
    check_run_in(CHECK_ONE, "strangers and its own take turns", strangers_and_its_own_take_turns);
    check_run_in(CHECK_ONE, "nor does who comes back hide its own",
                 nor_does_who_comes_back_hide_its_own);
    check_plain("the oldest of a crowd gets its turn", the_oldest_of_a_crowd_gets_its_turn);
}
