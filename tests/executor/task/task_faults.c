/* SPDX-License-Identifier: MIT */
/* task_faults.c: memory runs out in spawn, gather, groups, timers and stacks (law 8): a code to
 * the caller or a result of the task, nothing lost, and the executor goes on. */
#include "executor/sched/executor.h"
#include "tests/executor/bodies.h"
#include "tests/fault.h"

#include <pica/gather.h>
#include <pica/group.h>
#include <pica/sem.h>
#include <unistd.h>

#define UNTOUCHED 0x7171

/* Spawn until there is no more memory: an error code, out untouched, argument not consumed. */
static void spawning(void)
{
    enum { MANY = 5000 };
    static pica_task *tasks[MANY];
    unsigned n = 0;
    int rc = 0;
    fault_arm(FAULT_MALLOC, 1, 1, ENOMEM);
    while (n < MANY) {
        tasks[n] = (pica_task *)(void *)&n;
        rc = pica_spawn(&tasks[n], body_returns, body_arg((intptr_t)n));
        if (rc < 0)
            break;
        n++;
    }
    CHECK_EQ(rc, -ENOMEM);
    CHECK_LT(0, fault_failed(FAULT_MALLOC));
    CHECK_EQ(tasks[n], (pica_task *)(void *)&n);
    CHECK_EQ(pica_executor_spawn(check_executor(), NULL, body_returns, NULL), -ENOMEM);
    int big[10] = {0};
    while ((rc = pica_spawn_copy(NULL, body_returns, &big)) == 0) {
    }
    CHECK_EQ(rc, -ENOMEM);
    pica_group group;
    pica_group_begin(&group);
    CHECK_EQ(pica_group_spawn(&group, body_returns, NULL), -ENOMEM);
    CHECK_EQ(pica_group_end(&group, 0), 0); /* waits for nobody */
    for (unsigned i = 0; i < n; i++)
        CHECK_EQ(body_end(tasks[i]), i);            /* those that were spawned run all the same */
    CHECK_OK(pica_spawn(NULL, body_returns, NULL)); /* from what they gave back */
    fault_disarm();
    CHECK_EQ(body_end(body_spawn(body_returns, body_arg(1))), 1);
}

/* Every k-th allocation fails while a tree of tasks grows. */
static intptr_t tree(void *arg)
{
    intptr_t depth = (intptr_t)arg, sum = 1;
    pica_task *children[4];
    unsigned n = 0;
    while (depth > 0 && n < 4 && pica_spawn(&children[n], tree, body_arg(depth - 1)) == 0)
        n++;
    for (unsigned i = 0; i < n; i++)
        sum += body_end(children[i]);
    return sum;
}

static void every_kth_allocation(void)
{
    for (uint64_t k = 2; k < 5; k++) {
        fault_arm(FAULT_MALLOC, k, 1, ENOMEM);
        intptr_t sum = body_end(body_spawn(tree, body_arg(6)));
        CHECK_LE(1, sum);
        CHECK_LE(sum, 5461);
        fault_disarm();
    }
    CHECK_EQ(body_end(body_spawn(tree, body_arg(6))), 5461);
}

/* More tasks than fit on the stack: no room for the wait, and nothing has happened. */
static void gathering(void)
{
    check_latch asleep = {0};
    pica_task *tasks[50];
    intptr_t results[50];
    for (unsigned i = 0; i < 50; i++) {
        tasks[i] = body_spawn(body_swallows, &asleep);
        results[i] = UNTOUCHED;
    }
    CHECK_HITS(&asleep, 50);
    fault_arm(FAULT_MALLOC, 1, 1, ENOMEM);
    CHECK_EQ(pica_gather(tasks, 50, results, 0), -ENOMEM);
    fault_disarm();
    for (unsigned i = 0; i < 50; i++) {
        CHECK_EQ(results[i], UNTOUCHED);
        BODY_WAITS(tasks[i]);
        CHECK_OK(pica_cancel(tasks[i]));
    }
    fault_arm(FAULT_MALLOC, 1, 1, ENOMEM);
    CHECK_EQ(pica_gather(tasks, 50, results, PICA_GATHER_COLLECT), 0); /* needs none */
    CHECK_EQ(pica_gather(tasks, 50, results, 0), 0);                   /* nor if all are done */
    fault_disarm();
    for (unsigned i = 0; i < 50; i++) {
        CHECK_EQ(results[i], 7);
        pica_unref(tasks[i]);
    }
}

static intptr_t fails_once_cancelled(void *arg)
{
    check_hit(arg);
    CHECK_EQ(pica_sleep(PICA_NEVER), -ECANCELED);
    return -EIO;
}

/* No room for the list of errors: the first is returned all the same. */
static void errors_of_a_group(void)
{
    check_latch asleep = {0};
    pica_group group;
    pica_group_begin(&group);
    for (unsigned i = 0; i < 20; i++)
        CHECK_OK(pica_group_spawn(&group, fails_once_cancelled, &asleep));
    CHECK_HITS(&asleep, 20);
    fault_arm(FAULT_MALLOC, 1, 1, ENOMEM);
    pica_group_cancel(&group);
    CHECK_EQ(pica_group_end(&group, 0), -EIO);
    fault_disarm();
    const intptr_t *errors;
    CHECK_EQ(pica_group_errors(&group, &errors), 0);
    pica_group_deinit(&group);
}

/* No room to note members in: the group says so, and a cancel finds them all the same. */
static void members_of_a_group(void)
{
    for (unsigned armed = 0; armed < 2; armed++) { /* first fill the caches of tasks */
        check_latch asleep = {0};
        pica_group group;
        pica_group_begin(&group);
        if (armed)
            fault_arm(FAULT_MALLOC, 1, 1, ENOMEM);
        for (unsigned i = 0; i < 20; i++)
            CHECK_OK(pica_group_spawn(&group, body_sleeps, &asleep));
        fault_disarm();
        CHECK_EQ(group.others, armed);
        CHECK_HITS(&asleep, 20);
        pica_group_cancel(&group);
        CHECK_EQ(pica_group_end(&group, 0), -ECANCELED);
    }
}

struct sleeper {
    int64_t duration_ns;
    pica_sem *gate;       /* first of all */
    check_latch *latches; /* before and after that */
};

static intptr_t sleeps_for(void *arg)
{
    const struct sleeper *s = arg;
    check_hit(&s->latches[0]);
    int rc = pica_sem_acquire(s->gate);
    if (rc < 0)
        return rc;
    check_hit(&s->latches[1]);
    int64_t until = pica_after(s->duration_ns);
    rc = pica_sleep(s->duration_ns);
    if (rc == 0)
        CHECK_LE(until, pica_now());
    return rc;
}

/* The heap of timers can't grow: time is lost, timeouts are not. Every second one sleeps until it
 * is cancelled, and of these there are more than five heaps have room for to begin with; of the
 * others a few are cancelled, in time or not. */
static void timers(void)
{
    enum { SLEEPERS = 700 };
    static pica_task *sleepers[SLEEPERS];
    check_rng rng = check_rng_make(5);
    check_latch some[2] = {{0}, {0}}, long_ones[2] = {{0}, {0}};
    pica_sem gate = PICA_SEM_INIT(0);
    for (unsigned i = 0; i < SLEEPERS; i++) {
        int64_t ns = PICA_MS(1) + (int64_t)check_rng_below(&rng, 4000000);
        struct sleeper s = {i % 2 ? PICA_SEC(86400) : ns, &gate, i % 2 ? long_ones : some};
        CHECK_FATAL_OK(pica_spawn_copy(&sleepers[i], sleeps_for, &s));
    }
    CHECK_HITS(&some[0], SLEEPERS / 2); /* all of them have stacks */
    CHECK_HITS(&long_ones[0], SLEEPERS / 2);
    fault_arm(FAULT_MALLOC, 1, 1, ENOMEM);
    CHECK_OK(pica_sem_release_n(&gate, SLEEPERS));
    for (unsigned i = 0; i < SLEEPERS; i += 14)
        (void)pica_cancel(sleepers[i]);
    CHECK_HITS(&long_ones[1], SLEEPERS / 2);
    for (unsigned i = 1; i < SLEEPERS; i += 2)
        BODY_WAITS(sleepers[i]);
    CHECK_LT(0, fault_failed(FAULT_MALLOC));
    for (unsigned i = 1; i < SLEEPERS; i += 2)
        CHECK_EQ(pica_cancel(sleepers[i]), 0);
    for (unsigned i = 0; i < SLEEPERS; i++) {
        intptr_t rc = 0;
        CHECK_EQ(pica_join(sleepers[i], &rc), 0);
        CHECK(i % 2 ? rc == -ECANCELED : rc == 0 || (rc == -ECANCELED && i % 14 == 0));
        pica_unref(sleepers[i]);
    }
    fault_disarm();
    /* A cancelled one has left its permit to the next. */
    CHECK_EQ(pica_sem_destroy(&gate), 0);
}

/* --- Stacks ------------------------------------------------------------------------------- */

/* All stacks of the first slab are taken and there is no second: the others stay queued until
 * one returns. Timers will see to that, so nobody is refused. */
static intptr_t naps_for(check_latch *started, int64_t ns)
{
    int rc;
    check_hit(started);
    do
        rc = pica_sleep(ns);
    while (rc == 0 && fault_failed(FAULT_MMAP) == 0); /* until somebody has found none */
    return rc < 0 ? rc : 7;
}

static intptr_t naps(void *arg)
{
    return naps_for(arg, PICA_MS(3));
}

enum { MANY = 3000 };
static pica_task *tasks[MANY];

/* More than there are stacks for. */
static void spawn_many(pica_fn fn, check_latch *started)
{
    fault_arm(FAULT_MMAP, 1, 1, ENOMEM);
    for (unsigned i = 0; i < MANY; i++)
        CHECK_FATAL_OK(pica_spawn(&tasks[i], fn, started));
}

static void cancel_many(void)
{
    fault_disarm();
    for (unsigned i = 0; i < MANY; i++)
        (void)pica_cancel(tasks[i]);
    for (unsigned i = 0; i < MANY; i++) {
        intptr_t result = 0;
        CHECK_EQ(pica_join(tasks[i], &result), 0);
        CHECK(result == -ENOMEM || result == -ECANCELED);
        pica_unref(tasks[i]);
    }
}

/* @return has nobody been refused? All that wait are, rightly, where one worker tries for a second
 * to find them stacks while another one, on which it depends that any comes back, has no CPU */
static bool all_have_napped(const check_latch *started)
{
    unsigned ended = 0, refused = 0;
    for (unsigned i = 0; i < MANY; i++) {
        intptr_t result = 0;
        CHECK_EQ(pica_join(tasks[i], &result), 0); /* an await might run it on this stack */
        pica_unref(tasks[i]);
        ended += result == 7;
        refused += result == -ENOMEM;
    }
    CHECK_LT(0, fault_failed(FAULT_MMAP));
    CHECK_EQ(ended + refused, MANY);
    CHECK_EQ(check_hits(started), ended);
    fault_disarm();
    return refused == 0;
}

static bool run_out_for_a_while(unsigned pace, void *unused)
{
    check_latch started = {0};
    (void)pace; /* how long they wait is the library's */
    (void)unused;
    spawn_many(naps, &started);
    return all_have_napped(&started);
}

static void stacks_run_out_for_a_while(void)
{
    CHECK_PACED(run_out_for_a_while, NULL);
}

/* Some return all the while, and soon, but only after seconds to who came last: none of those
 * that wait is given up. */
static intptr_t naps_long(void *arg)
{
    return naps_for(arg, PICA_MS(150));
}

static bool are_scarce(unsigned pace, void *unused)
{
    check_latch started = {0};
    (void)pace; /* as above */
    (void)unused;
    pica_attr attr = PICA_ATTR_INIT;
    attr.stack_size = (size_t)256 << 10; /* a few hundred */
    for (unsigned i = 0; i < MANY; i++) {
        if (i == 1) /* there is a slab of them, but no second one */
            fault_arm(FAULT_MMAP, 1, 1, ENOMEM);
        CHECK_FATAL_OK(pica_spawn_with(&tasks[i], naps_long, &started, &attr));
        if (i == 0)
            CHECK_HITS(&started, 1);
    }
    return all_have_napped(&started);
}

static void stacks_are_scarce(void)
{
    CHECK_PACED(are_scarce, NULL);
}

/* Nobody has got a stack for more than a second, but nobody could: the worker was held. Or so it
 * seems to it: what is put back is when somebody tried last. */
static void stacks_are_scarce_and_held(void)
{
    enum { FEW = 600 };
    pica_executor *ex = check_executor();
    check_latch started = {0};
    pica_attr attr = PICA_ATTR_INIT;
    attr.stack_size = (size_t)256 << 10;
    CHECK_FATAL_OK(pica_spawn_with(&tasks[0], naps_long, &started, &attr));
    CHECK_HITS(&started, 1);
    fault_arm(FAULT_MMAP, 1, 1, ENOMEM);
    for (unsigned i = 1; i < FEW; i++)
        CHECK_FATAL_OK(pica_spawn_with(&tasks[i], naps_long, &started, &attr));
    CHECK_SOON(pi_load_relaxed(&ex->starved) > 0);
    pthread_mutex_lock(&ex->inject_mutex);
    ex->starved_tried_ns -= PICA_MS(1300);
    pthread_mutex_unlock(&ex->inject_mutex);
    for (unsigned i = 0; i < FEW; i++)
        CHECK_EQ(body_end(tasks[i]), 7);
    fault_disarm();
}

static unsigned count_refused(void)
{
    unsigned count = 0;
    for (unsigned i = 0; i < MANY; i++) {
        intptr_t result = 0;
        if (pica_task_result(tasks[i], &result) == 0)
            count += CHECK_EQ(result, -ENOMEM);
    }
    return count;
}

/* Of the time for which they wait only that counts in which somebody tries. */
static bool some_are_refused(unsigned pace, void *unused)
{
    (void)unused;
    for (int64_t until = pica_after(PICA_SEC(10) * pace); pica_now() < until;) {
        if (count_refused() > 0)
            return true;
        CHECK_OK(pica_sleep(PICA_MS(1)));
    }
    return false;
}

/* None of them will return one: what can't start ends with -ENOMEM, its function never called,
 * and those that have started stay as they are. */
static void stacks_run_out_for_good(void)
{
    check_latch started = {0};
    spawn_many(body_sleeps, &started);
    CHECK_PACED(some_are_refused, NULL);
    CHECK_SOON(count_refused() + check_hits(&started) == MANY);
    CHECK_LT(0, check_hits(&started));
    CHECK_OK(pica_yield()); /* the executor goes on */
    cancel_many();
}

/* The same for tasks with an on_drop: each argument goes to the function or to on_drop, once. One
 * that is cancelled ends without waiting for a stack. */
static void counts(void *arg)
{
    check_hit(arg);
}

enum { LATE = 20 };

struct dropping {
    const check_latch *started;
    check_latch cancelled, starved; /* arguments that on_drop has got */
};

/* Each of the MANY and of those that are late has got its stack, found none, or given up. */
static bool all_have_tried(const struct dropping *d)
{
    return check_hits(d->started) + pi_load_relaxed(&check_executor()->starved) + count_refused() +
               check_hits(&d->cancelled) + check_hits(&d->starved) ==
           MANY + 2 * LATE;
}

/* @return whether the cancelled ones had ended before anybody gave up, which those do who wait
 * while the worker of who cancels stands still */
static bool drop_some(unsigned pace, void *started)
{
    struct dropping d = {.started = started};
    pica_task *late[2][LATE];
    pica_attr attr = PICA_ATTR_INIT;
    attr.on_drop = counts;
    (void)pace; /* how long they wait is the library's */
    for (unsigned i = 0; i < LATE; i++) {
        CHECK_FATAL_OK(pica_spawn_with(&late[0][i], body_returns, &d.cancelled, &attr));
        CHECK_FATAL_OK(pica_spawn_with(&late[1][i], body_returns, &d.starved, &attr));
    }
    CHECK_SOON(all_have_tried(&d));
    unsigned refused = 0;
    for (unsigned i = 0; i < LATE; i++)
        (void)pica_cancel(late[0][i]);
    intptr_t result = 0;
    for (unsigned i = 0; i < LATE; i++) {
        CHECK_OK(pica_join(late[0][i], &result));
        CHECK(result == -ECANCELED || result == -ENOMEM);
        refused += result == -ENOMEM;
        pica_unref(late[0][i]);
    }
    CHECK_EQ(check_hits(&d.cancelled), LATE);
    bool first = refused == 0 && check_hits(&d.starved) == 0;
    for (unsigned i = 0; i < LATE; i++) {
        CHECK_OK(pica_join(late[1][i], &result));
        CHECK_EQ(result, -ENOMEM);
        pica_unref(late[1][i]);
    }
    CHECK_EQ(check_hits(&d.starved), LATE);
    CHECK_EQ(check_hits(&d.cancelled), LATE);
    return first;
}

static void stacks_run_out_for_droppables(void)
{
    check_latch started = {0};
    spawn_many(body_sleeps, &started);
    CHECK_SOON(fault_failed(FAULT_MMAP) > 0); /* all stacks are taken */
    CHECK_PACED(drop_some, &started);
    cancel_many();
}

/* An eager task without a stack is queued like any other, and starts when one returns. */
static void stacks_run_out_for_eager_ones(void)
{
    pica_attr attr = PICA_ATTR_INIT;
    attr.eager = 1;
    check_latch started = {0};
    unsigned n = 0;
    fault_arm(FAULT_MMAP, 1, 1, ENOMEM);
    for (; n < MANY - LATE && fault_failed(FAULT_MMAP) == 0; n++) {
        CHECK_EQ(check_hits(&started), n);
        CHECK_FATAL_OK(pica_spawn_with(&tasks[n], body_sleeps, &started, &attr));
    }
    CHECK_LT(0, fault_failed(FAULT_MMAP));
    for (unsigned i = 0; i < LATE; i++)
        CHECK_FATAL_OK(pica_spawn_with(&tasks[n + i], body_sleeps, &started, &attr));
    CHECK_LT(check_hits(&started), n + LATE);
    for (unsigned i = 0; i < n + LATE; i++)
        CHECK_EQ(pica_cancel(tasks[i]), 0);
    for (unsigned i = 0; i < n + LATE; i++)
        CHECK_EQ(body_end(tasks[i]), -ECANCELED);
    CHECK_EQ(check_hits(&started), n + LATE);
    fault_disarm();
}

static intptr_t defers_until_it_fails(void *arg)
{
    int rc;
    unsigned n = 0;
    while ((rc = pica_defer(counts, arg)) == 0)
        n++;
    CHECK_EQ(rc, -ENOMEM);
    return n;
}

/* What could not be added is not called, all else is. */
static void deferring(void)
{
    check_latch called = {0};
    fault_arm(FAULT_MALLOC, 10, 1, ENOMEM);
    intptr_t added = body_end(body_spawn(defers_until_it_fails, &called));
    fault_disarm();
    CHECK_EQ(check_hits(&called), added);
    CHECK_LE(1, added);
    CHECK_LE(added, 9);
    fault_arm(FAULT_MALLOC, 1, 1, ENOMEM);
    CHECK_EQ(body_end(body_spawn(defers_until_it_fails, &called)), 0);
    fault_disarm();
}

CHECK_MAIN
{
    check_run("spawning", spawning);
    check_run("every k-th allocation", every_kth_allocation);
    check_run("gathering", gathering);
    check_run("errors of a group", errors_of_a_group);
    check_run("members of a group", members_of_a_group);
    check_run("timers", timers);
    check_run("stacks run out for a while", stacks_run_out_for_a_while);
    check_run_in(CHECK_ONE | CHECK_TWO, "stacks are scarce", stacks_are_scarce);
    check_run_in(CHECK_ONE, "stacks are scarce, and all is held", stacks_are_scarce_and_held);
    check_run("stacks run out for good", stacks_run_out_for_good);
    check_run("stacks run out for droppables", stacks_run_out_for_droppables);
    check_run("stacks run out for eager ones", stacks_run_out_for_eager_ones);
    check_run("deferring", deferring);
}
