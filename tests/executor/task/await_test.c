/* SPDX-License-Identifier: MIT */
/* await_test.c: waiting for one task's end: inline, parked, cancelled, from threads. See
 * pica/task.h. What the modes are good for here: with one worker a child that is awaited at
 * once is run inline, without inlining every wait parks, with migration they change workers. */
#include "tests/executor/bodies.h"

#include <pica/scope.h>
#include <pthread.h>

/* --- Results ------------------------------------------------------------------------------ */

static intptr_t writes(void *arg)
{
    *(int *)arg = 42; /* plain: the await orders it */
    return 1;
}

static intptr_t writes_late(void *arg)
{
    CHECK_OK(pica_yield());
    *(int *)arg = 43;
    return 2;
}

static void results_arrive(void)
{
    int value = 0;
    CHECK_EQ(body_end(body_spawn(writes, &value)), 1);
    CHECK_EQ(value, 42);
    CHECK_EQ(body_end(body_spawn(writes_late, &value)), 2);
    CHECK_EQ(value, 43);
    CHECK_EQ(body_end(body_spawn(body_returns, body_arg(-EIO))), -EIO);
    CHECK_EQ(body_end(body_spawn(body_returns, &value)), (intptr_t)&value);
    pica_task *task = body_spawn(body_returns, body_arg(9));
    CHECK_EQ(pica_await(task, NULL), 0); /* nobody has to take the result */
    intptr_t result = 0;
    CHECK_EQ(pica_await(task, &result), 0); /* again: nothing is consumed */
    CHECK_EQ(result, 9);
    pica_unref(task);
    CHECK_EQ(pica_await(NULL, &result), -EINVAL);
    CHECK_EQ(pica_join(NULL, &result), -EINVAL);
    CHECK_EQ(pica_join_until(NULL, &result, 0), -EINVAL);
    CHECK_EQ(result, 9);
}

/* An error that an await has given is looked at, also where a deadline makes it take the long way:
 * the case ends with none that is lost. */
static void errors_in_a_scope(void)
{
    pica_scope scope;
    pica_scope_begin(&scope, pica_after(PICA_SEC(3600)));
    CHECK_EQ(body_end(body_spawn(body_returns, body_arg(-EIO))), -EIO);
    CHECK_EQ(body_end(body_spawn(body_yields, body_arg(-EIO))), -EIO);
    CHECK_EQ(pica_scope_end(&scope, 0), 0);
}

static void not_the_newest_first(void)
{
    pica_task *tasks[50];
    for (intptr_t i = 0; i < 50; i++)
        tasks[i] = body_spawn(i % 3 ? body_returns : body_yields, body_arg(i));
    for (intptr_t i = 0; i < 50; i++) {
        intptr_t k = i * 7 % 50;
        CHECK_EQ(body_end(tasks[k]), k);
    }
}

static intptr_t awaits(void *arg)
{
    intptr_t result = -1;
    CHECK_EQ(pica_await(arg, &result), 0);
    pica_unref(arg);
    return result;
}

static void many_wait_for_one(void)
{
    check_latch asleep = {0};
    pica_task *one = body_spawn(body_swallows, &asleep);
    pica_task *waiters[20];
    for (unsigned i = 0; i < 20; i++)
        waiters[i] = body_spawn(awaits, pica_ref(one));
    CHECK_HITS(&asleep, 1);
    for (unsigned i = 0; i < 20; i++)
        BODY_WAITS(waiters[i]);
    CHECK_OK(pica_cancel(one));
    for (unsigned i = 0; i < 20; i++)
        CHECK_EQ(body_end(waiters[i]), 7);
    CHECK_EQ(body_end(one), 7);
}

/* --- Oneself ------------------------------------------------------------------------------ */

static intptr_t awaits_an_ancestor(void *arg)
{
    intptr_t result = 99;
    CHECK_EQ(pica_await(arg, &result), -EDEADLK);
    CHECK_EQ(pica_join(arg, &result), -EDEADLK);
    CHECK_EQ(pica_join_until(arg, &result, pica_now()), -EDEADLK);
    CHECK_EQ(result, 99);
    return 0;
}

static intptr_t has_a_child_await(void *arg)
{
    return body_end(body_spawn(awaits_an_ancestor, arg));
}

static void oneself(void)
{
    CHECK_EQ(awaits_an_ancestor(pica_self()), 0);
    CHECK_EQ(pica_cancelling(), 0);
    CHECK_EQ(pica_cancel(pica_self()), 0);
    CHECK_EQ(pica_await(pica_self(), NULL), -EDEADLK); /* and no second cancel */
    CHECK_EQ(pica_cancelling(), 1);
    CHECK_EQ(pica_uncancel(), 0);
}

/* Only where one worker runs a child inline is it sure to stand on its waiter's stack. */
static void oneself_below_inline_children(void)
{
    CHECK_EQ(body_end(body_spawn(awaits_an_ancestor, pica_self())), 0);
    CHECK_EQ(body_end(body_spawn(has_a_child_await, pica_self())), 0);
}

/* --- The caller is cancelled -------------------------------------------------------------- */

static void ended_under_a_cancel(void)
{
    pica_task *task = body_spawn(body_returns, body_arg(4));
    CHECK_SOON(pica_task_status(task) == PICA_DONE);
    CHECK_EQ(pica_cancel(pica_self()), 0);
    intptr_t result = 0;
    CHECK_EQ(pica_await(task, &result), 0);
    CHECK_EQ(result, 4);
    result = 0;
    CHECK_EQ(pica_join(task, &result), 0);
    CHECK_EQ(result, 4);
    CHECK_EQ(pica_check_cancel(), -ECANCELED); /* it stays */
    CHECK_EQ(pica_uncancel(), 0);
    pica_unref(task);
}

static void cancelled_on_entry(void)
{
    pica_task *task = body_spawn(body_sleeps, NULL);
    CHECK_EQ(pica_cancel(pica_self()), 0);
    intptr_t result = 0;
    CHECK_EQ(pica_await(task, &result), -ECANCELED);
    CHECK_EQ(result, -ECANCELED);
    CHECK_EQ(pica_task_status(task), PICA_DONE);
    CHECK_EQ(pica_uncancel(), 0);
    pica_unref(task);
}

/* Now and then an await lets others run first. Should the child be among them, it has been cancelled
 * before. */
static void cancelled_on_entry_in_a_loop(void)
{
    for (int64_t until = pica_after(PICA_MS(50)); pica_now() < until;) {
        pica_task *task;
        intptr_t result = 0;
        CHECK_FATAL_OK(pica_spawn(&task, body_yields, body_arg(7)));
        CHECK_EQ(pica_cancel(pica_self()), 0);
        CHECK_EQ(pica_task_status(task), PICA_READY);
        CHECK_EQ(pica_await(task, &result), -ECANCELED);
        CHECK_EQ(result, -ECANCELED);
        CHECK_EQ(pica_uncancel(), 0);
        pica_unref(task);
    }
}

struct pair {
    check_latch child;   /* the child sleeps */
    check_latch cleaned; /* and has cleaned up */
    intptr_t await_rc, await_result;
};

/* Cleaning up takes several suspensions: the waiter waits for all of them. */
static intptr_t cleans_up(void *arg)
{
    struct pair *pair = arg;
    check_hit(&pair->child);
    CHECK_EQ(pica_sleep(PICA_NEVER), -ECANCELED);
    CHECK_EQ(pica_cancelling(), 1); /* one cancel of the waiter is one of the child */
    pica_scope shield;
    pica_shield_begin(&shield, PICA_NEVER);
    for (unsigned i = 0; i < 5; i++)
        CHECK_OK(pica_yield());
    CHECK_OK(pica_sleep(PICA_MS(1)));
    CHECK_EQ(pica_scope_end(&shield, 0), 0);
    CHECK_EQ(pica_yield(), -ECANCELED); /* sticky */
    check_hit(&pair->cleaned);
    return 11;
}

static intptr_t awaits_one_that_cleans_up(void *arg)
{
    struct pair *pair = arg;
    pica_task *child = body_spawn(cleans_up, pair);
    pair->await_rc = pica_await(child, &pair->await_result);
    CHECK_EQ(check_hits(&pair->cleaned), 1);
    CHECK_EQ(pica_task_status(child), PICA_DONE);
    pica_unref(child);
    CHECK_EQ(pica_yield(), -ECANCELED);
    CHECK_EQ(pica_cancelling(), 1);
    return 12;
}

static void cancelled_while_waiting(void)
{
    struct pair pair = {{0}, {0}, 0, 0};
    pica_task *waiter = body_spawn(awaits_one_that_cleans_up, &pair);
    CHECK_HITS(&pair.child, 1);
    BODY_WAITS(waiter);
    CHECK_EQ(pica_cancel(waiter), 0);
    CHECK_EQ(body_end(waiter), 12);
    CHECK_EQ(pair.await_rc, -ECANCELED);
    CHECK_EQ(pair.await_result, 11); /* a value returned after a cancel is kept */
}

/* A second cancel of the waiter is no second one of the child. */
static intptr_t counts_cancels(void *arg)
{
    struct pair *pair = arg;
    check_hit(&pair->child);
    CHECK_EQ(pica_sleep(PICA_NEVER), -ECANCELED);
    check_hit(&pair->cleaned);
    pica_scope shield;
    pica_shield_begin(&shield, PICA_NEVER);
    CHECK_HITS(&pair->cleaned, 2);
    CHECK_EQ(pica_scope_end(&shield, 0), 0);
    return pica_cancelling();
}

static intptr_t awaits_one_that_counts(void *arg)
{
    struct pair *pair = arg;
    pica_task *child = body_spawn(counts_cancels, pair);
    pair->await_rc = pica_await(child, &pair->await_result);
    pica_unref(child);
    return pica_cancelling();
}

static void cancelled_twice(void)
{
    struct pair pair = {{0}, {0}, 0, 0};
    pica_task *waiter = body_spawn(awaits_one_that_counts, &pair);
    CHECK_HITS(&pair.child, 1);
    BODY_WAITS(waiter);
    CHECK_EQ(pica_cancel(waiter), 0);
    CHECK_HITS(&pair.cleaned, 1);
    CHECK_EQ(pica_cancel(waiter), 0);
    check_hit(&pair.cleaned);
    CHECK_EQ(body_end(waiter), 2);
    CHECK_EQ(pair.await_rc, -ECANCELED);
    CHECK_EQ(pair.await_result, 1);
}

/* Three deep: a cancel of the outermost reaches the innermost, and all end in order. */
struct chain {
    unsigned depth;
    check_latch *asleep;
};

static intptr_t chain(void *arg)
{
    const struct chain *here = arg;
    if (here->depth == 0) {
        check_hit(here->asleep);
        return pica_sleep(PICA_NEVER);
    }
    struct chain below = {here->depth - 1, here->asleep};
    pica_task *child = NULL;
    CHECK_FATAL_OK(pica_spawn_copy(&child, chain, &below));
    intptr_t result = 0;
    CHECK_EQ(pica_await(child, &result), -ECANCELED);
    CHECK_EQ(result, -ECANCELED);
    CHECK_EQ(pica_cancelling(), 1);
    pica_unref(child);
    return -ECANCELED;
}

static void cancel_goes_down_a_chain(void)
{
    for (unsigned depth = 0; depth < 8; depth++) {
        check_latch asleep = {0};
        struct chain top = {depth, &asleep};
        pica_task *task;
        CHECK_FATAL_OK(pica_spawn_copy(&task, chain, &top));
        CHECK_HITS(&asleep, 1);
        CHECK_EQ(pica_cancel(task), 0);
        CHECK_EQ(body_end(task), -ECANCELED);
    }
}

/* --- The child is cancelled by somebody else ---------------------------------------------- */

static intptr_t awaits_a_sleeper(void *arg)
{
    pica_task **child = arg;
    pica_task *mine = *child;
    intptr_t result = 0;
    CHECK_EQ(pica_await(mine, &result), 0); /* told apart: it is not this one's cancel */
    CHECK_EQ(result, -ECANCELED);
    CHECK_EQ(pica_cancelling(), 0);
    CHECK_OK(pica_yield());
    return 0;
}

static void somebody_else_cancels_the_child(void)
{
    check_latch asleep = {0};
    pica_task *child = body_spawn(body_sleeps, &asleep);
    pica_task *waiter = body_spawn(awaits_a_sleeper, &child);
    CHECK_HITS(&asleep, 1);
    CHECK_EQ(pica_cancel(child), 0);
    CHECK_EQ(body_end(waiter), 0);
    pica_unref(child);

    child = body_spawn(body_sleeps, NULL); /* cancelled before it started: it starts */
    CHECK_EQ(pica_cancel(child), 0);
    CHECK_EQ(body_end(child), -ECANCELED);
}

struct handles {
    pica_task *child;
    check_latch asleep;
};

static intptr_t awaits_where_both_are_cancelled(void *arg)
{
    struct handles *handles = arg;
    intptr_t result = 0;
    CHECK_EQ(pica_await(handles->child, &result), -ECANCELED);
    CHECK_EQ(result, -ECANCELED);
    return pica_cancelling();
}

/* The waiter's cancel first: it is told of it, although the child ends by another one. */
static void both_are_cancelled(void)
{
    for (unsigned i = 0; i < 100; i++) {
        struct handles handles = {NULL, {0}};
        handles.child = body_spawn(body_sleeps, &handles.asleep);
        CHECK_HITS(&handles.asleep, 1);
        pica_task *waiter = body_spawn(awaits_where_both_are_cancelled, &handles);
        BODY_WAITS(waiter);
        CHECK_EQ(pica_cancel(waiter), 0);
        (void)pica_cancel(handles.child); /* may have ended by now */
        CHECK_EQ(body_end(waiter), 1);
        pica_unref(handles.child);
    }
}

/* --- Where the stack runs out ------------------------------------------------------------- */

static intptr_t recurses(void *arg)
{
    intptr_t depth = (intptr_t)arg;
    if (depth == 0)
        return 0;
    intptr_t below = body_end(body_spawn(recurses, body_arg(depth - 1)));
    return below < 0 ? below : below + 1;
}

static void deep_recursion(void)
{
    intptr_t depth = (intptr_t)check_rounds(4000);
    CHECK_EQ(body_end(body_spawn(recurses, body_arg(depth))), depth);
    CHECK_EQ(body_end(body_spawn(recurses, body_arg(depth))), depth);
}

static intptr_t recurses_and_yields(void *arg)
{
    intptr_t depth = (intptr_t)arg;
    if (depth % 16 == 0)
        CHECK_OK(pica_yield());
    if (depth == 0)
        return 0;
    return 1 + body_end(body_spawn(recurses_and_yields, body_arg(depth - 1)));
}

static void deep_recursion_with_suspensions(void)
{
    intptr_t depth = (intptr_t)check_rounds(2000);
    CHECK_EQ(body_end(body_spawn(recurses_and_yields, body_arg(depth))), depth);
}

/* A cancel reaches the bottom of a chain that stands on many stacks. */
static void deep_cancel(void)
{
    check_latch asleep = {0};
    struct chain top = {(unsigned)check_rounds(800), &asleep};
    pica_task *task;
    CHECK_FATAL_OK(pica_spawn_copy(&task, chain, &top));
    CHECK_HITS(&asleep, 1);
    CHECK_EQ(pica_cancel(task), 0);
    CHECK_EQ(body_end(task), -ECANCELED);
}

/* --- Fairness: a loop of inline awaits starves neither timers nor tasks ------------------- */

static void a_loop_of_awaits_lets_others_run(void)
{
    pica_task *sleeper = body_spawn(body_yields, body_arg(3));
    patience p = patience_of(PICA_SEC(10));
    unsigned long rounds = 0;
    while (pica_task_status(sleeper) != PICA_DONE && patience_lasts(&p)) {
        CHECK_FATAL(body_end(body_spawn(body_returns, NULL)) == 0);
        rounds++;
    }
    CHECK_EQ(pica_task_status(sleeper), PICA_DONE);
    if (check_mode() == CHECK_ONE) /* else a thief may have it, who waits for a CPU */
        CHECK_LT(rounds, 1000000);
    CHECK_EQ(body_end(sleeper), 3);
}

static intptr_t sleeps_a_little(void *arg)
{
    int rc = pica_sleep(PICA_MS(2));
    check_hit(arg);
    return rc;
}

static void a_loop_of_awaits_lets_timers_fire(void)
{
    check_latch slept = {0};
    pica_task *sleeper = body_spawn(sleeps_a_little, &slept);
    patience p = patience_of(PICA_SEC(10));
    while (check_hits(&slept) == 0 && patience_lasts(&p))
        CHECK_FATAL(body_end(body_spawn(body_returns, NULL)) == 0);
    CHECK_EQ(check_hits(&slept), 1);
    CHECK_EQ(body_end(sleeper), 0);
}

/* --- Plain threads ------------------------------------------------------------------------ */

static check_latch thread_latch;

static void *thread_waits(void *arg)
{
    intptr_t result = 0;
    CHECK_EQ(pica_await(arg, &result), 0);
    CHECK_EQ(result, 7);
    check_hit(&thread_latch);
    return NULL;
}

static void threads_wait(void)
{
    pica_options options = check_options();
    pica_executor *ex = check_executor_open(&options);
    thread_latch.count = 0;
    check_latch asleep = {0};
    pica_task *task = NULL;
    CHECK_FATAL_OK(pica_executor_spawn(ex, &task, body_swallows, &asleep));
    intptr_t result = 99;
    CHECK_HITS(&asleep, 1);
    CHECK_EQ(pica_join_until(task, &result, pica_now()), -ETIMEDOUT);
    CHECK_EQ(pica_join_until(task, &result, pica_after(PICA_MS(5))), -ETIMEDOUT);
    CHECK_EQ(result, 99);
    pthread_t threads[4];
    for (unsigned i = 0; i < 4; i++)
        CHECK_FATAL(pthread_create(&threads[i], NULL, thread_waits, task) == 0);
    CHECK_EQ(check_hits(&thread_latch), 0);
    CHECK_EQ(pica_cancel(task), 0); /* from a plain thread */
    for (unsigned i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(check_hits(&thread_latch), 4);
    CHECK_EQ(pica_join_until(task, &result, pica_now()), 0);
    CHECK_EQ(result, 7);
    pica_unref(task);
    CHECK_EQ(pica_yield(), -EPERM);
    CHECK_EQ(pica_sleep(1), -EPERM);
    CHECK_EQ(pica_sleep(0), -EPERM);
    CHECK_EQ(pica_sleep_until(0), -EPERM);
    CHECK_EQ(pica_sleep_until(PICA_NEVER), -EPERM);
    CHECK_EQ(pica_uncancel(), -EPERM);
    CHECK_EQ(pica_cancelling(), -EPERM);
    CHECK_EQ(pica_check_cancel(), -EPERM);
    check_executor_close(ex);
}

/* A task awaits a task of another executor. */
static intptr_t awaits_abroad(void *arg)
{
    pica_executor *abroad = arg;
    for (intptr_t i = 0; i < 200; i++) {
        pica_task *task = NULL;
        CHECK_FATAL_OK(
            pica_executor_spawn(abroad, &task, i % 2 ? body_returns : body_yields, body_arg(i)));
        CHECK_EQ(body_end(task), i);
    }
    return 0;
}

static void across_executors(void)
{
    pica_options options = check_options();
    pica_executor *one = check_executor_open(&options);
    pica_executor *two = check_executor_open(&options);
    pica_task *a = NULL, *b = NULL;
    CHECK_FATAL_OK(pica_executor_spawn(one, &a, awaits_abroad, two));
    CHECK_FATAL_OK(pica_executor_spawn(two, &b, awaits_abroad, one));
    CHECK_EQ(body_end(a), 0);
    CHECK_EQ(body_end(b), 0);
    check_executor_close(one);
    check_executor_close(two);
}

CHECK_MAIN
{
    check_run("results arrive", results_arrive);
    check_run("errors in a scope", errors_in_a_scope);
    check_run("not the newest first", not_the_newest_first);
    check_run("many wait for one", many_wait_for_one);
    check_run("oneself", oneself);
    check_run_in(CHECK_ONE, "oneself below inline children", oneself_below_inline_children);
    check_run("ended under a cancel", ended_under_a_cancel);
    check_run("cancelled on entry", cancelled_on_entry);
    check_run_in(CHECK_ONE, "cancelled on entry, in a loop", cancelled_on_entry_in_a_loop);
    check_run("cancelled while waiting", cancelled_while_waiting);
    check_run("cancelled twice", cancelled_twice);
    check_run("a cancel goes down a chain", cancel_goes_down_a_chain);
    check_run("somebody else cancels the child", somebody_else_cancels_the_child);
    check_run("both are cancelled", both_are_cancelled);
    check_run("deep recursion", deep_recursion);
    check_run("deep recursion with suspensions", deep_recursion_with_suspensions);
    check_run("a deep cancel", deep_cancel);
    check_run("a loop of awaits lets others run", a_loop_of_awaits_lets_others_run);
    check_run("a loop of awaits lets timers fire", a_loop_of_awaits_lets_timers_fire);
    check_plain_in(CHECK_ALL, "threads wait", threads_wait);
    check_plain_in(CHECK_ALL, "across executors", across_executors);
}
