/* SPDX-License-Identifier: MIT */
/* idle_model.c: the protocol of sleeping and waking (idle.h), all interleavings of small
 * programs: workers that run the loop which idle.h prescribes, and those who bring work.
 *
 * What has to hold in each of them, once nobody can go on: all work is done, every worker
 * sleeps, and it is counted so. Some pieces of work hold their worker until another piece is
 * done: then it must be another worker that does it, so that a worker which sleeps beside
 * work is a loss even while others are busy. Nothing in this model but idle.c orders memory
 * between a bringer and a sleeper: queues are relaxed, and drivers (model_event) no barrier.
 */
#include "executor/sched/deque.h"
#include "executor/sched/idle.h"

#include "tests/model/model.h"

enum { WORKERS = 3, PIECES = 3, MAIL = 2 }; /* the last comes by mail */

typedef struct piece {
    pi_node node;       /* in a deque */
    unsigned holds_for; /* 1 + the piece that has to be done before this one ends */
    model_event done;
    unsigned times_done;
} piece;

static pi_idle idle;
static unsigned n_workers;
static model_event drivers[WORKERS];
static bool sleeping[WORKERS]; /* in its driver, according to itself */
static piece pieces[PIECES];
static uint32_t inject[MAIL];  /* [atomic] 1: that piece lies there */
static uint32_t mail[WORKERS]; /* [atomic] 1 + a piece */
static pi_deque deque;         /* worker 0's */
static bool deque_is_used;

static void wake(int w)
{
    if (w >= 0)
        model_wake(&drivers[w]);
}

static void run(int i)
{
    if (pieces[i].holds_for) {
        model_sleep(&pieces[pieces[i].holds_for - 1].done);
        model_wake(&pieces[pieces[i].holds_for - 1].done); /* for the next that asks */
    }
    pieces[i].times_done++;
    model_wake(&pieces[i].done);
}

static int piece_of(const pi_node *node)
{
    return node ? (int)((const piece *)(const void *)node - pieces) : -1;
}

static int look_into_inject(void)
{
    for (int i = 0; i < MAIL; i++)
        if (pi_load_relaxed(&inject[i]) && pi_xchg_relaxed(&inject[i], 0u))
            return i;
    return -1;
}

static int look_into_mail(unsigned w)
{
    return pi_load_relaxed(&mail[w]) ? (int)pi_xchg_relaxed(&mail[w], 0u) - 1 : -1;
}

static int look(unsigned w)
{
    int i = look_into_mail(w);
    if (i < 0)
        i = look_into_inject();
    if (i < 0 && deque_is_used)
        i = piece_of(w == 0 ? pi_deque_take_oldest(&deque) : pi_deque_steal(&deque));
    return i;
}

/* A busy worker's turns: what its own queue gives. */
static void run_own(unsigned w)
{
    pi_node *node;
    while (w == 0 && deque_is_used && (node = pi_deque_take_oldest(&deque))) {
        pi_fence_after_rmw();
        if (pi_idle_wanted(&idle) && pi_deque_size(&deque) > 0)
            wake(pi_idle_pick(&idle));
        run(piece_of(node));
    }
}

/* The loop of idle.h. It ends asleep. */
static void work(unsigned w, bool asleep)
{
    bool searching = false;
    bool last;
    int i;
    for (;;) {
        if (asleep)
            goto sleep;
        run_own(w);
        searching = searching || pi_idle_search_begin(&idle);
        if (searching && (i = look(w)) >= 0) {
            searching = false;
            if (pi_idle_search_end(&idle))
                wake(pi_idle_pick(&idle));
            run(i);
            continue;
        }
        last = pi_idle_sleep_begin(&idle, w, searching);
        searching = false;
        if ((i = look(w)) >= 0) {
            if (!pi_idle_sleep_abort(&idle, w))
                last = pi_idle_search_end(&idle);
            if (last)
                wake(pi_idle_pick(&idle));
            run(i);
            continue;
        }
    sleep:
        asleep = false;
        sleeping[w] = true;
        model_sleep(&drivers[w]);
        sleeping[w] = false;
        searching = pi_idle_woken(&idle, w);
    }
}

/* --- Parts ------------------------------------------------------------------------------------ */

static void awake(void)
{
    work(model_self(), false);
}

static void asleep(void)
{
    work(model_self(), true);
}

static void bring(int i)
{
    pi_store_relaxed(&inject[i], 1u);
    wake(pi_idle_submitted(&idle));
}

static void bring_0(void)
{
    bring(0);
}

static void bring_1(void)
{
    bring(1);
}

static void bring_both(void)
{
    bring(0);
    bring(1);
}

static void bring_mail(void)
{
    pi_store_relaxed(&mail[0], 1u + MAIL);
    if (pi_idle_claim(&idle, 0))
        wake(0);
}

/* Nothing was brought: a searcher's duty, which finds nobody if worker 0 is just getting up. */
static void picks(void)
{
    wake(pi_idle_pick(&idle));
}

/* A descriptor is ready, a timer expires: the driver ends its poll by itself. */
static void event_for_0(void)
{
    wake(0);
}

/* Worker 0, in a task: spawns, then goes back to its loop. */
static void spawns_two(void)
{
    model_check(pi_deque_push(&deque, &pieces[0].node) == 0);
    model_check(pi_deque_push(&deque, &pieces[1].node) == 0);
    work(0, false);
}

/* --- Set-ups ---------------------------------------------------------------------------------- */

static void setup_workers(unsigned n, unsigned n_asleep, unsigned limit)
{
    n_workers = n;
    pi_idle_init(&idle, n);
    idle.limit = limit;
    for (unsigned w = 0; w < n; w++) {
        drivers[w].set = false;
        sleeping[w] = false;
        mail[w] = 0;
    }
    for (unsigned w = n - n_asleep; w < n; w++)
        model_check(!pi_idle_sleep_begin(&idle, w, false));
    for (unsigned i = 0; i < PIECES; i++) {
        pieces[i] = (piece){.times_done = 0};
        if (i < MAIL)
            inject[i] = 0;
    }
    deque_is_used = false;
}

static void one_awake(void)
{
    setup_workers(1, 0, 1);
}

static void one_asleep(void)
{
    setup_workers(1, 1, 1);
}

static void one_with_an_event(void)
{
    one_asleep();
    drivers[0].set = true;
}

static void two_awake(void)
{
    setup_workers(2, 0, 1);
    pieces[0].holds_for = 2;
}

static void two_asleep(void)
{
    setup_workers(2, 2, 1);
    pieces[0].holds_for = 2;
}

static void one_of_two_asleep(void)
{
    setup_workers(2, 1, 1);
    pieces[0].holds_for = 2;
}

static void mail_of_two(void)
{
    setup_workers(2, 1, 1);
}

static void two_of_three_asleep(void)
{
    setup_workers(3, 2, 2);
    pieces[0].holds_for = 2;
}

static void spawner(unsigned n_asleep)
{
    setup_workers(2, n_asleep, 1);
    model_check(pi_deque_init(&deque, 2, false) == 0);
    deque_is_used = true;
    pieces[0].holds_for = 2;
}

static void spawner_and_awake(void)
{
    spawner(0);
}

static void spawner_and_asleep(void)
{
    spawner(1);
}

/* --- The end ---------------------------------------------------------------------------------- */

static void finish(unsigned pieces_brought)
{
    for (unsigned i = 0; i < PIECES; i++)
        model_check(pieces[i].times_done == (pieces_brought >> i & 1u));
    for (unsigned w = 0; w < n_workers; w++)
        model_check(sleeping[w]);
    model_check(pi_idle_asleep(&idle) == n_workers);
    model_check(pi_idle_searching(&idle) == 0);
    if (deque_is_used)
        pi_deque_deinit(&deque);
    /* All of them can be woken again, one after the other. */
    for (unsigned w = 0; w < n_workers; w++) {
        model_check(pi_idle_pick(&idle) == (int)w);
        model_check(pi_idle_woken(&idle, w));
        bool last = pi_idle_search_end(&idle);
        model_check(last);
    }
    model_check(pi_idle_pick(&idle) == -1);
}

static void did_0(void)
{
    finish(1u);
}

static void did_both(void)
{
    finish(3u);
}

static void did_mail(void)
{
    finish(1u << MAIL);
}

static void did_0_and_mail(void)
{
    finish(1u | 1u << MAIL);
}

static void did_nothing(void)
{
    finish(0);
}

const model_test model_tests[] = {
    {"goes to sleep", one_awake, {awake, bring_0}, did_0, true, 0, 0},
    {"sleeps", one_asleep, {asleep, bring_0}, did_0, true, 0, 0},
    {"sleeps: mail", one_asleep, {asleep, bring_mail}, did_mail, true, 0, 0},
    {"goes to sleep: mail", one_awake, {awake, bring_mail}, did_mail, true, 0, 0},
    {"goes to sleep: an event", one_awake, {awake, event_for_0}, did_nothing, true, 0, 0},
    {"mail and an event", one_asleep, {asleep, bring_mail, event_for_0}, did_mail, true, 3, 1},
    {"a bringer and an event", one_asleep, {asleep, bring_0, event_for_0}, did_0, true, 3, 1},
    {"a pick in vain", one_with_an_event, {asleep, picks, bring_0}, did_0, true, 3, 1},
    {"a bringer and mail", one_awake, {awake, bring_0, bring_mail}, did_0_and_mail, true, 2, 1},
    {"two, one asleep", one_of_two_asleep, {awake, asleep, bring_both}, did_both, true, 2, 1},
    {"two awake", two_awake, {awake, awake, bring_both}, did_both, true, 2, 0},
    {"two asleep", two_asleep, {asleep, asleep, bring_both}, did_both, true, 1, 1},
    {"two bringers", two_asleep, {asleep, asleep, bring_0, bring_1}, did_both, true, 1, 1},
    {"two, and mail",
     mail_of_two,
     {awake, asleep, bring_0, bring_mail},
     did_0_and_mail,
     true,
     1,
     1},
    {"three", two_of_three_asleep, {awake, asleep, asleep, bring_both}, did_both, true, 1, 0},
    {"a spawner, one awake", spawner_and_awake, {spawns_two, awake}, did_both, true, 2, 1},
    {"a spawner, one asleep", spawner_and_asleep, {spawns_two, asleep}, did_both, true, 2, 1},
    {0},
};

#define APPENDS                                                                                    \
    "in the model a store is newer than those executed before it; on a machine that reorders "     \
    "them the sleeper's subtraction could otherwise come before the picker's addition"

const model_reason model_reasons[] = {
    {"pi_idle_sleep_begin", "release or -> relaxed", "idle->beds[w / PER_BED]", 1,
     "reserve_model.c says why"},
    {"deque.h", NULL, "", 0, "deque_model.c"},
    {"deque.c", NULL, "", 0, "deque_model.c"},
    {"take_sleeper", "acq_rel and -> acquire", "idle->beds[i]", 1, APPENDS},
    {"take_sleeper", "acq_rel and -> release", "idle->beds[i]", 1, "reserve_model.c kills it"},
    {"get_up", "acquire and -> relaxed", "idle->beds[w / PER_BED]", 1, APPENDS},
    {"pi_idle_claim", "release cas -> relaxed", "bed", 1,
     "a called worker that does not see its mail yet goes to bed, where its fenced look finds it: "
     "slower, not wrong"},
    {0},
};
