/* SPDX-License-Identifier: MIT */
/* defer_test.c: what a task does when it has ended. See pica_defer(). That memory runs out is in
 * task_faults.c. */
#include "tests/executor/bodies.h"
#include "tests/executor/death.h"

#include <pica/gather.h>
#include <pica/group.h>
#include <pica/scope.h>
#include <pthread.h>

/* --- Order ------------------------------------------------------------------------------------ */

static struct {
    char text[32]; /* one task, then its awaiter */
    unsigned n;
    pica_task *task;
} trace;

static void notes(void *arg)
{
    CHECK_LT(trace.n, 31);
    trace.text[trace.n++] = *(const char *)arg;
}

static void notes_and_waits(void *arg)
{
    intptr_t result;
    CHECK_EQ(pica_self(), trace.task);
    CHECK_EQ(pica_task_result(pica_self(), &result), -EINPROGRESS);
    CHECK_OK(pica_sleep(PICA_US(100)));
    CHECK_OK(pica_yield());
    notes(arg);
}

static void adds(void *arg)
{
    static char newer[] = "yz";
    notes(arg);
    CHECK_OK(pica_defer(notes, &newer[0]));
    CHECK_OK(pica_defer(notes_and_waits, &newer[1]));
}

static intptr_t defers(void *arg)
{
    static char names[] = "abcd.";
    trace.task = pica_self();
    CHECK_OK(pica_defer(notes, &names[0]));
    CHECK_OK(pica_defer(notes_and_waits, &names[1]));
    CHECK_OK(pica_defer(adds, &names[2]));
    CHECK_OK(pica_yield());
    CHECK_OK(pica_defer(notes, &names[3]));
    notes(&names[4]);
    return (intptr_t)arg;
}

static void last_added_first(void)
{
    memset(&trace, 0, sizeof(trace));
    CHECK_EQ(body_end(body_spawn(defers, body_arg(9))), 9);
    CHECK_STR(trace.text, ".dczyba");
    memset(&trace, 0, sizeof(trace));
    pica_task *task = body_spawn(defers, body_arg(-EIO));
    intptr_t result = 0;
    CHECK_OK(pica_join(task, &result)); /* not on this stack */
    CHECK_EQ(result, -EIO);
    CHECK_STR(trace.text, ".dczyba");
    pica_unref(task);
}

static void hits(void *arg)
{
    check_hit(arg);
}

/* A child on its waiter's stack has handlers of its own. */
static intptr_t defers_and_awaits(void *arg)
{
    check_latch *latches = arg;
    CHECK_OK(pica_defer(hits, &latches[0]));
    if (check_hits(&latches[2]) == 0) {
        check_hit(&latches[2]);
        CHECK_EQ(body_end(body_spawn(defers_and_awaits, arg)), 0);
        CHECK_EQ(check_hits(&latches[0]), 1); /* the child's, not the own */
    }
    CHECK_OK(pica_defer(hits, &latches[1]));
    return 0;
}

static void a_child_has_its_own(void)
{
    check_latch latches[3] = {{0}, {0}, {0}};
    CHECK_EQ(body_end(body_spawn(defers_and_awaits, latches)), 0);
    CHECK_EQ(check_hits(&latches[0]), 2);
    CHECK_EQ(check_hits(&latches[1]), 2);
}

static intptr_t defers_many(void *arg)
{
    for (unsigned i = 0; i < 5000; i++)
        CHECK_OK(pica_defer(hits, arg));
    return 0;
}

static void many(void)
{
    check_latch latch = {0};
    pica_group group;
    pica_group_begin(&group);
    for (unsigned i = 0; i < 8; i++)
        CHECK_OK(pica_group_spawn(&group, defers_many, &latch));
    CHECK_EQ(pica_group_end(&group, 0), 0);
    CHECK_EQ(check_hits(&latch), 40000); /* before the group has ended */
}

/* One that adds the next, and so on: also the last of them has scopes that hear of a cancel. */
static void adds_the_next(void *arg)
{
    uint64_t *left = arg;
    if (--*left > 0) {
        CHECK_OK(pica_defer(adds_the_next, arg));
        return;
    }
    pica_group group;
    pica_group_begin(&group);
    CHECK_OK(pica_group_spawn(&group, body_returns, body_arg(-EIO)));
    CHECK_EQ(pica_sleep(PICA_SEC(20)), -ECANCELED);
    CHECK_EQ(pica_group_end(&group, 0), -EIO);
    pica_group_deinit(&group);
}

static intptr_t defers_a_chain(void *arg)
{
    return pica_defer(adds_the_next, arg);
}

static void a_long_chain(void)
{
    uint64_t left = UINT16_MAX; /* levels are 16 bits */
    CHECK_EQ(body_end(body_spawn(defers_a_chain, &left)), 0);
    CHECK_EQ(left, 0);
}

static void what_is_refused(void)
{
    CHECK_EQ(pica_defer(NULL, NULL), -EINVAL);
}

static void on_a_plain_thread(void)
{
    CHECK_EQ(pica_defer(hits, NULL), -EPERM);
    CHECK_EQ(pica_defer(NULL, NULL), -EINVAL);
}

/* --- Cancelled -------------------------------------------------------------------------------- */

static struct {
    check_latch asleep, in_handler, go, done;
} cleaning;

static void cleans_up(void *arg)
{
    (void)arg;
    check_hit(&cleaning.in_handler);
    CHECK_EQ(pica_check_cancel(), 0);
    CHECK_HITS(&cleaning.go, 1); /* yields, which a cancel would refuse */
    CHECK_OK(pica_sleep(PICA_US(50)));
    CHECK_EQ(body_end(body_spawn(body_yields, body_arg(6))), 6);
    pica_scope scope;
    pica_scope_begin(&scope, pica_after(PICA_MS(1)));
    CHECK_EQ(pica_scope_end(&scope, pica_sleep(PICA_NEVER)), -ETIMEDOUT);
    check_hit(&cleaning.done);
}

static intptr_t sleeps_with_clean_up(void *arg)
{
    (void)arg;
    CHECK_OK(pica_defer(cleans_up, NULL));
    return body_sleeps(&cleaning.asleep);
}

/* Clean-up waits undisturbed, by the cancel that brought it about and by the next. */
static void clean_up_is_shielded(void)
{
    memset(&cleaning, 0, sizeof(cleaning));
    pica_task *task = body_spawn(sleeps_with_clean_up, NULL);
    CHECK_HITS(&cleaning.asleep, 1);
    CHECK_EQ(pica_cancel(task), 0);
    CHECK_HITS(&cleaning.in_handler, 1);
    CHECK_EQ(pica_cancel(task), 0);
    check_hit(&cleaning.go);
    CHECK_EQ(body_end(task), -ECANCELED);
    CHECK_EQ(check_hits(&cleaning.done), 1);
}

/* From further out, too: the waiter's timeout, while its child is on the same stack. */
static void a_timeout_around_it(void)
{
    memset(&cleaning, 0, sizeof(cleaning));
    check_hit(&cleaning.go);
    pica_task *task = body_spawn(sleeps_with_clean_up, NULL);
    intptr_t result = 0;
    pica_scope scope;
    pica_scope_begin(&scope, pica_after(PICA_MS(3)));
    CHECK_EQ(pica_scope_end(&scope, pica_await(task, &result)), -ETIMEDOUT);
    CHECK_EQ(result, -ECANCELED);
    CHECK_EQ(check_hits(&cleaning.done), 1);
    pica_unref(task);
    CHECK_OK(pica_yield());
}

static void cancelled_members(void)
{
    memset(&cleaning, 0, sizeof(cleaning));
    check_hit(&cleaning.go);
    pica_group group;
    pica_group_begin(&group);
    for (unsigned i = 0; i < 10; i++)
        CHECK_OK(pica_group_spawn(&group, sleeps_with_clean_up, NULL));
    CHECK_HITS(&cleaning.asleep, 10);
    pica_group_cancel(&group);
    CHECK_EQ(pica_group_end(&group, 0), -ECANCELED);
    CHECK_EQ(check_hits(&cleaning.done), 10);
}

/* --- Among scopes ----------------------------------------------------------------------------- */

/* A handler makes the fiber one level deeper: scopes around and after it, shields and their
 * ends still hide and let through what they should. */
static intptr_t defers_among_scopes(void *arg)
{
    pica_scope outer, inner, shield;
    pica_scope_begin(&outer, PICA_NEVER);
    CHECK_OK(pica_defer(hits, arg));
    pica_scope_begin(&inner, pica_after(PICA_MS(1)));
    CHECK_EQ(pica_scope_end(&inner, pica_sleep(PICA_NEVER)), -ETIMEDOUT);
    pica_shield_begin(&shield, PICA_NEVER);
    CHECK_OK(pica_defer(hits, arg));
    CHECK_EQ(pica_cancel(pica_self()), 0);
    CHECK_OK(pica_sleep(PICA_US(10)));
    CHECK_EQ(body_end(body_spawn(body_yields, body_arg(4))), 4);
    CHECK_EQ(pica_scope_end(&shield, 0), 0);
    CHECK_EQ(pica_sleep(PICA_NEVER), -ECANCELED);
    CHECK_EQ(pica_scope_end(&outer, 0), 0);
    CHECK_EQ(pica_yield(), -ECANCELED);
    CHECK_EQ(pica_uncancel(), 0);
    pica_group group;
    pica_group_begin(&group);
    CHECK_OK(pica_defer(hits, arg));
    CHECK_OK(pica_group_spawn(&group, body_sleeps, NULL));
    pica_group_cancel(&group);
    CHECK_EQ(pica_sleep(PICA_NEVER), -ECANCELED);
    CHECK_EQ(pica_group_end(&group, 0), -ECANCELED);
    CHECK_OK(pica_yield());
    return 3;
}

static void among_scopes(void)
{
    check_latch latch = {0};
    CHECK_EQ(body_end(body_spawn(defers_among_scopes, &latch)), 3);
    CHECK_EQ(check_hits(&latch), 3);
    pica_task *tasks[4];
    for (unsigned i = 0; i < 4; i++)
        tasks[i] = body_spawn(defers_among_scopes, &latch);
    intptr_t results[4];
    CHECK_OK(pica_gather(tasks, 4, results, PICA_GATHER_COLLECT));
    for (unsigned i = 0; i < 4; i++) {
        CHECK_EQ(results[i], 3);
        pica_unref(tasks[i]);
    }
    CHECK_EQ(check_hits(&latch), 15);
}

static void leaves_a_scope(void *arg)
{
    static pica_scope scope;
    (void)arg;
    pica_scope_begin(&scope, PICA_NEVER);
}

static intptr_t defers_one_that_leaves_a_scope(void *arg)
{
    return pica_defer(leaves_a_scope, arg);
}

static intptr_t defers_and_leaves_a_scope(void *arg)
{
    int rc = pica_defer(hits, arg);
    leaves_a_scope(arg);
    return rc;
}

static intptr_t leaves_a_scope_alone(void *arg)
{
    leaves_a_scope(arg);
    return 0;
}

static void a_scope_left_open(void)
{
    death_says_in_task(defers_one_that_leaves_a_scope, "a handler of pica_defer() in task");
    death_says_in_task(defers_and_leaves_a_scope, "returned inside a scope or group");
    death_says_in_task(leaves_a_scope_alone, "returned inside a scope or group");
}

/* --- The main task ---------------------------------------------------------------------------- */

static intptr_t naps(void *arg)
{
    return pica_sleep(PICA_MS(2)) < 0 ? -EIO : (intptr_t)arg;
}

static void awaits(void *arg)
{
    CHECK_EQ(body_end(arg), 8); /* not cancelled: the main task has not ended yet */
}

static intptr_t main_task(void *arg)
{
    CHECK_OK(pica_defer(hits, arg));
    return pica_defer(awaits, body_spawn(naps, body_arg(8))) < 0 ? -1 : 11;
}

static void of_the_main_task(void)
{
    check_latch latch = {0};
    pica_options options = check_options();
    CHECK_EQ(pica_run(main_task, &latch, &options), 11);
    CHECK_EQ(check_hits(&latch), 1);
}

CHECK_MAIN
{
    check_run("last added first", last_added_first);
    check_run("a child has its own", a_child_has_its_own);
    check_run("many", many);
    check_run("a long chain", a_long_chain);
    check_run("what is refused", what_is_refused);
    check_plain("on a plain thread", on_a_plain_thread);
    check_run("clean-up is shielded", clean_up_is_shielded);
    check_run("a timeout around it", a_timeout_around_it);
    check_run("cancelled members", cancelled_members);
    check_run("among scopes", among_scopes);
    check_plain("a scope left open", a_scope_left_open);
    check_plain_in(CHECK_ALL, "of the main task", of_the_main_task);
}
