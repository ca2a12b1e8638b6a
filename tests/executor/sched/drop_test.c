/* SPDX-License-Identifier: MIT */
/* drop_test.c: tasks with an on_drop: either the function or on_drop gets the argument, once. See
 * pica_attr.on_drop. What happens without a stack is in task_faults.c. */
#include "tests/executor/bodies.h"
#include "tests/executor/death.h"

#include <pica/group.h>
#include <pica/scope.h>
#include <pica/sem.h>
#include <pthread.h>

/** An argument that counts what becomes of it. */
struct fate {
    check_latch started, dropped;
};

static intptr_t starts(void *arg)
{
    struct fate *fate = arg;
    check_hit(&fate->started);
    return 5;
}

static intptr_t starts_and_sleeps(void *arg)
{
    struct fate *fate = arg;
    check_hit(&fate->started);
    return pica_sleep(PICA_NEVER);
}

static void drops(void *arg)
{
    struct fate *fate = arg;
    CHECK_EQ(pica_self(), NULL);
    check_hit(&fate->dropped);
}

static pica_attr droppable(void)
{
    pica_attr attr = PICA_ATTR_INIT;
    attr.on_drop = drops;
    return attr;
}

/* Pinned to the caller's worker, a task can't have started before the caller suspends. */
static pica_task *spawn_here(pica_fn fn, struct fate *fate)
{
    pica_attr attr = droppable();
    attr.pin = body_pin_here();
    pica_task *task = NULL;
    CHECK_FATAL_OK(pica_spawn_with(&task, fn, fate, &attr));
    return task;
}

static void cancelled_it_never_starts(void)
{
    struct fate fate = {{0}, {0}};
    pica_task *task = spawn_here(starts, &fate);
    CHECK_EQ(pica_cancel(task), 0);
    CHECK_EQ(check_hits(&fate.dropped), 0); /* not by who cancels it */
    CHECK_EQ(body_end(task), -ECANCELED);
    CHECK_EQ(check_hits(&fate.dropped), 1); /* before its end is known */
    CHECK_EQ(check_hits(&fate.started), 0);
}

static void otherwise_it_starts(void)
{
    struct fate fate = {{0}, {0}};
    pica_attr attr = droppable();
    pica_task *task;
    CHECK_FATAL_OK(pica_spawn_with(&task, starts, &fate, &attr));
    CHECK_EQ(body_end(task), 5); /* perhaps on this very stack */
    CHECK_EQ(body_end(spawn_here(starts, &fate)), 5);
    CHECK_FATAL_OK(pica_spawn_with(&task, starts_and_sleeps, &fate, &attr));
    CHECK_HITS(&fate.started, 3);
    CHECK_EQ(pica_cancel(task), 0); /* too late to drop it */
    CHECK_EQ(body_end(task), -ECANCELED);
    CHECK_EQ(check_hits(&fate.started), 3);
    CHECK_EQ(check_hits(&fate.dropped), 0);
}

struct parcel {
    struct fate *fate;
    uint64_t words[6];
};

static void drops_copy(void *arg)
{
    const struct parcel *parcel = arg;
    for (unsigned i = 0; i < 6; i++)
        CHECK_EQ(parcel->words[i], i + 1);
    check_hit(&parcel->fate->dropped);
}

static void gets_the_copy(void)
{
    struct fate fate = {{0}, {0}};
    struct parcel parcel = {&fate, {1, 2, 3, 4, 5, 6}};
    pica_attr attr = PICA_ATTR_INIT;
    attr.on_drop = drops_copy;
    attr.copy_size = sizeof(parcel);
    attr.pin = body_pin_here();
    pica_task *task;
    CHECK_FATAL_OK(pica_spawn_with(&task, starts, &parcel, &attr));
    memset(&parcel, 0xff, sizeof(parcel));
    (void)pica_cancel(task);
    CHECK_EQ(body_end(task), -ECANCELED);
    CHECK_EQ(check_hits(&fate.dropped), 1);
}

/* Nothing was spawned, so nobody's argument is released. */
static void not_if_the_spawn_fails(void)
{
    struct fate fate = {{0}, {0}};
    pica_attr attr = droppable();
    pica_task *task;
    attr.pin = pica_executor_workers(check_executor()) + 1;
    CHECK_EQ(pica_spawn_with(&task, starts, &fate, &attr), -EINVAL);
    pica_group group;
    pica_group_begin(&group);
    pica_group_cancel(&group);
    attr = droppable();
    CHECK_EQ(pica_group_spawn_at(&group, NULL, starts, &fate, &attr, PICA_SITE), -ESHUTDOWN);
    CHECK_EQ(pica_group_end(&group, 0), -ECANCELED);
    CHECK_OK(pica_yield());
    CHECK_EQ(check_hits(&fate.dropped), 0);
}

static void members_of_a_cancelled_group(void)
{
    struct fate fate = {{0}, {0}};
    pica_attr attr = droppable();
    unsigned here = body_pin_here();
    pica_group group;
    pica_group_begin(&group);
    for (unsigned i = 0; i < 100; i++) {
        attr.pin = i % 2 ? here : 0;
        CHECK_OK(pica_group_spawn_at(&group, NULL, starts_and_sleeps, &fate, &attr, PICA_SITE));
    }
    pica_group_cancel(&group);
    CHECK_EQ(pica_group_end(&group, 0), -ECANCELED); /* a dropped member has not failed */
    CHECK_EQ(check_hits(&fate.dropped) + check_hits(&fate.started), 100);
    CHECK_LE(50, check_hits(&fate.dropped));
}

/* Whatever cancels the waiter goes on to the child before it starts; unless the await first has
 * to let others run, and the child is one of them. Where the waiter goes on with another worker
 * then, the cancel may meet a child that has just started. */
static bool awaited(pica_task *task, int rc, intptr_t result, const struct fate *fate)
{
    bool dropped = check_hits(&fate->dropped) == 1;
    CHECK_EQ(check_hits(&fate->started), dropped ? 0 : 1);
    if (dropped || check_mode() != CHECK_MIGRATE || rc != -ECANCELED)
        CHECK_EQ(rc, dropped ? -ECANCELED : 0);
    CHECK_EQ(result, dropped ? -ECANCELED : 5);
    pica_unref(task);
    return dropped;
}

static void awaited_by_a_cancelled_task(void)
{
    unsigned dropped = 0;
    for (unsigned i = 0; i < 50; i++) {
        struct fate fate = {{0}, {0}};
        intptr_t result = 0;
        pica_task *task = spawn_here(starts, &fate);
        (void)pica_cancel(pica_self());
        int rc = pica_await(task, &result);
        CHECK_EQ(pica_uncancel(), 0);
        dropped += awaited(task, rc, result, &fate);
    }
    CHECK_LT(0, dropped);
}

static void awaited_in_an_expired_scope(void)
{
    unsigned dropped = 0;
    for (unsigned i = 0; i < 50; i++) {
        struct fate fate = {{0}, {0}};
        intptr_t result = 0;
        pica_scope scope;
        pica_task *task = spawn_here(starts, &fate);
        pica_scope_begin(&scope, 0);
        int rc = pica_await(task, &result);
        CHECK_EQ(pica_scope_end(&scope, rc), rc == 0 ? 0 : -ETIMEDOUT);
        dropped += awaited(task, rc, result, &fate);
    }
    CHECK_LT(0, dropped);
}

/* --- What on_drop may do -------------------------------------------------------------------- */

static struct {
    pica_sem sem;
    pica_executor *ex;
    pica_task *held;
    check_latch spawned;
} works;

static void works_on_drop(void *arg)
{
    (void)arg;
    CHECK_EQ(pica_self(), NULL);
    CHECK_EQ(pica_yield(), -EPERM);
    CHECK_EQ(pica_sleep(1), -EPERM);
    CHECK_EQ(pica_check_cancel(), -EPERM);
    CHECK_EQ(pica_defer(works_on_drop, NULL), -EPERM);
    CHECK_OK(pica_executor_spawn(works.ex, NULL, body_hits, &works.spawned));
    CHECK_EQ(pica_cancel(works.held), 0);
    works.held = pica_unref(works.held);
    CHECK_OK(pica_sem_release(&works.sem));
}

static void on_drop_at_work(void)
{
    memset(&works, 0, sizeof(works));
    works.ex = check_executor();
    pica_task *asleep = body_spawn(body_sleeps, NULL);
    works.held = pica_ref(asleep);
    pica_attr attr = droppable();
    attr.on_drop = works_on_drop;
    attr.pin = body_pin_here();
    pica_task *task;
    CHECK_FATAL_OK(pica_spawn_with(&task, body_returns, NULL, &attr));
    (void)pica_cancel(task);
    CHECK_OK(pica_sem_acquire(&works.sem)); /* on_drop lets us go on */
    CHECK_EQ(body_end(task), -ECANCELED);
    CHECK_EQ(body_end(asleep), -ECANCELED);
    CHECK_HITS(&works.spawned, 1);
}

static void waits_on_drop(void *arg)
{
    CHECK_OK(pica_sem_acquire(arg));
}

static intptr_t drops_one_that_waits(void *arg)
{
    (void)arg;
    pica_sem none = PICA_SEM_INIT(0);
    pica_attr attr = PICA_ATTR_INIT;
    attr.on_drop = waits_on_drop;
    pica_task *task;
    if (pica_spawn_with(&task, body_returns, &none, &attr) < 0)
        return -1;
    (void)pica_cancel(task);
    return pica_await(task, NULL);
}

static void on_drop_must_not_wait(void)
{
    death_says_in_task(drops_one_that_waits, "on_drop has to wait");
}

/* --- Shutdown, and races ---------------------------------------------------------------------- */

static void *shuts_down(void *arg)
{
    return body_arg(pica_executor_shutdown(arg, 0));
}

/* Queued when the executor closes: dropped. */
static void shut_down(void)
{
    struct fate fate = {{0}, {0}};
    check_latch latches[2] = {{0}, {0}};
    pica_options options = check_options();
    options.workers = 1;
    options.flags |= PICA_NO_SPARE;
    pica_executor *ex = check_executor_open(&options);
    CHECK_FATAL_OK(pica_executor_spawn(ex, NULL, body_spins, latches));
    CHECK_HITS(&latches[0], 1);
    pica_attr attr = droppable();
    pica_task *first = NULL;
    for (unsigned i = 0; i < 50; i++)
        CHECK_FATAL_OK(
            pica_executor_spawn_with(ex, i == 0 ? &first : NULL, starts, &fate, &attr));
    pthread_t thread;
    CHECK_FATAL(pthread_create(&thread, NULL, shuts_down, ex) == 0);
    int rc;
    while ((rc = pica_executor_spawn_with(ex, NULL, starts, &fate, &attr)) == 0) {
    }
    CHECK_EQ(rc, -ESHUTDOWN);
    uint64_t started = check_hits(&fate.started);
    CHECK_EQ(started + check_hits(&fate.dropped), 0);
    /* It refuses before it has cancelled all that lives: the first one was there long before. */
    check_hit(&latches[1]);
    intptr_t result = 0;
    CHECK_OK(pica_await(first, &result));
    pica_unref(first);
    void *late;
    CHECK_FATAL(pthread_join(thread, &late) == 0);
    CHECK_EQ((intptr_t)late, 1);
    CHECK_LE(50, check_hits(&fate.started) + check_hits(&fate.dropped));
    check_executor_close(ex);
}

enum { RACERS = 64 };

static intptr_t cancels_all(void *arg)
{
    pica_task **tasks = arg;
    for (unsigned i = 0; i < RACERS; i++)
        (void)pica_cancel(tasks[i]);
    return 0;
}

/* A cancel that races with the start: one of the two, and the result tells which. */
static void races(void)
{
    static struct fate fates[RACERS];
    pica_task *tasks[RACERS];
    pica_attr attr = droppable();
    uint64_t rounds = check_rounds(400);
    for (uint64_t round = 0; round < rounds; round++) {
        memset(fates, 0, sizeof(fates));
        for (unsigned i = 0; i < RACERS; i++)
            CHECK_FATAL_OK(pica_spawn_with(&tasks[i], starts, &fates[i], &attr));
        pica_task *canceller = body_spawn(cancels_all, tasks);
        if (round % 2)
            CHECK_OK(pica_yield());
        for (unsigned i = RACERS; i-- > 0;) {
            intptr_t result = 0;
            CHECK_OK(i % 2 ? pica_await(tasks[i], &result) : pica_join(tasks[i], &result));
            CHECK_EQ(check_hits(&fates[i].started), result == 5);
            CHECK_EQ(check_hits(&fates[i].dropped), result == -ECANCELED);
        }
        CHECK_EQ(body_end(canceller), 0);
        for (unsigned i = 0; i < RACERS; i++)
            pica_unref(tasks[i]);
    }
}

CHECK_MAIN
{
    check_run("cancelled, it never starts", cancelled_it_never_starts);
    check_run("otherwise it starts", otherwise_it_starts);
    check_run("gets the copy", gets_the_copy);
    check_run("not if the spawn fails", not_if_the_spawn_fails);
    check_run("members of a cancelled group", members_of_a_cancelled_group);
    check_run("awaited by a cancelled task", awaited_by_a_cancelled_task);
    check_run("awaited in an expired scope", awaited_in_an_expired_scope);
    check_run("on_drop at work", on_drop_at_work);
    check_plain("on_drop must not wait", on_drop_must_not_wait);
    check_plain("shut down", shut_down);
    check_run("races", races);
}
