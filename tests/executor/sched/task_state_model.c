/* SPDX-License-Identifier: MIT */
/* task_state_model.c: a task's word (task.h): its end against waiters that come, are told and
 * give up, and holders that take and drop references; all interleavings of small programs.
 * task.c is the real one; waits are events, and a task's memory ends when it is disposed of.
 *
 * One that finds no stack is looked at again by those who wait, so that one of them can run it.
 *
 * What has to hold: who sees DONE sees the result; a waiter is told once or not at all, and
 * never after it took itself back; the task is disposed of once, after everything that its
 * holders did; nobody touches it after that.
 */
#include "executor/sched/executor.h"
#include "executor/sched/task.h"

#include "tests/model/model.h"

#include <string.h>

enum { WAITERS = 3, RESULT = 42 };

static pica_executor executor;
static struct { /* aligned, so that a task's executor is found */
    pi_task_slab slab;
    pica_task task;
} tasks __attribute__((aligned(PI_SLAB_BYTES)));
static pica_task *const task = &tasks.task;

static struct {
    pi_waiter waiter;
    model_event told;
    int alive; /* plain: the waiter's memory, ordered by the task's lock */
    bool linked, gone;
    unsigned times_told;
} waiters[WAITERS];
static int outcome; /* plain: what the task has done, ordered by DONE */
static int held;    /* plain: what holders do with the task before they drop it */
static unsigned disposed;

/* --- What task.c calls ------------------------------------------------------------------------ */

void pi_task_free(pi_pool *pool, pi_task_cache *cache, pica_task *t, unsigned kind)
{
    model_check(pool == &executor.pool && !cache && t == task && kind == 0);
    model_plain_write(&outcome);
    model_plain_write(&held);
    model_check(++disposed == 1);
    model_free(t);
}

bool pi_wait_win(pi_token token, pi_how how, pi_won *won)
{
    model_check(how == (pi_load_relaxed(&task->home) ? PI_CLOSED : PI_WOKEN));
    model_check(token.word < WAITERS);
    model_plain_read(&waiters[token.word].alive);
    model_check(waiters[token.word].linked && !waiters[token.word].gone);
    waiters[token.word].times_told++;
    model_wake(&waiters[token.word].told); /* one that was not parked sees it at once */
    *won = (pi_won){NULL, NULL};
    return true;
}

void pi_wait_go(pi_won won)
{
    model_check(!won.fiber && !won.futex);
}

pi_fiber *pi_hook_begin(void)
{
    return NULL;
}

void pi_hook_end(pi_fiber *fiber)
{
    model_check(!fiber);
}

const char *pica_task_name(const pica_task *t)
{
    (void)t;
    return "task";
}

const char *pica_strerror(intptr_t code)
{
    (void)code;
    return "error";
}

/* --- Set-up: the run's reference and so many holders' ----------------------------------------- */

static void reset(unsigned holders)
{
    memset(&executor, 0, sizeof(executor));
    memset(&tasks, 0, sizeof(tasks));
    memset(waiters, 0, sizeof(waiters));
    tasks.slab.ex = &executor;
    task->word = (1 + holders) * PI_TASK_REF;
    model_own(task, sizeof(*task));
    disposed = 0;
    for (unsigned i = 0; i < WAITERS; i++)
        waiters[i].waiter.token.word = i;
}

static void one_holder(void)
{
    reset(1);
}

static void two_holders(void)
{
    reset(2);
}

static void no_holder(void)
{
    reset(0);
}

/* --- Threads ---------------------------------------------------------------------------------- */

static void ends(void)
{
    model_plain_write(&outcome);
    pi_task_end(task, RESULT);
}

/* The awaiter that has run it inline, and drops its reference then. */
static void ends_inline(void)
{
    model_plain_write(&outcome);
    if (!pi_task_end_inline(task, RESULT))
        pi_task_end(task, RESULT);
    pi_task_unref_slow(task);
}

static void uses_result(void)
{
    model_check(pi_task_done(task));
    model_plain_read(&outcome);
    model_check(task->result == RESULT);
}

static void drops(void)
{
    model_plain_read(&held);
    pi_task_unref_slow(task);
}

static bool links(unsigned i)
{
    model_plain_write(&waiters[i].alive);
    waiters[i].linked = true; /* seen by nobody else before it is */
    return pi_task_wait_link(task, &waiters[i].waiter);
}

static void leaves(unsigned i)
{
    waiters[i].gone = true;
    model_plain_write(&waiters[i].alive);
}

static void awaits(void)
{
    unsigned i = model_self() % WAITERS;
    if (links(i)) {
        model_sleep(&waiters[i].told);
        pi_task_await_done(task);
        model_check(waiters[i].times_told == 1);
    }
    leaves(i);
    uses_result();
    drops();
}

/* Its wait has ended by a cancel or a deadline; it may have been told as well. */
static void gives_up(void)
{
    unsigned i = model_self() % WAITERS;
    if (links(i))
        pi_task_wait_unlink(task, &waiters[i].waiter);
    leaves(i);
    drops();
}

/* There is no stack for the task. */
static void starves(void)
{
    pi_store_relaxed(&task->home, (uint16_t)PI_HOME_STARVED);
    pi_task_look_again(task);
    drops();
}

/* Who waits for it has room for it, and finds it. */
static void awaits_and_runs(void)
{
    unsigned i = model_self() % WAITERS;
    model_check(links(i));
    if (pi_load_relaxed(&task->home) != PI_HOME_STARVED)
        model_sleep(&waiters[i].told);
    pi_task_wait_unlink(task, &waiters[i].waiter);
    leaves(i);
    ends();
    drops();
}

static void passes_on(void)
{
    pi_task_ref(task);
    drops();
    drops();
}

static void looks(void)
{
    if (pi_task_done(task))
        uses_result();
    drops();
}

static void disposed_once(void)
{
    model_check(disposed == 1);
}

const model_test model_tests[] = {
    {"nobody holds it", no_holder, {ends}, disposed_once, false, 0, 0},
    {"an end and a drop", one_holder, {ends, drops}, disposed_once, false, 0, 0},
    {"an end and a look", one_holder, {ends, looks}, disposed_once, false, 0, 0},
    {"an end and an await", one_holder, {ends, awaits}, disposed_once, false, 0, 0},
    {"an end and who gives up", one_holder, {ends, gives_up}, disposed_once, false, 0, 0},
    {"an end and a new reference", one_holder, {ends, passes_on}, disposed_once, false, 0, 0},
    {"inline", one_holder, {ends_inline}, disposed_once, false, 0, 0},
    {"inline and an await", two_holders, {ends_inline, awaits}, disposed_once, false, 0, 0},
    {"inline and a look", two_holders, {ends_inline, looks}, disposed_once, false, 0, 0},
    {"two await", two_holders, {ends, awaits, awaits}, disposed_once, false, 2, 1},
    {"one awaits, one gives up", two_holders, {ends, awaits, gives_up}, disposed_once, false, 2, 1},
    {"two give up", two_holders, {ends, gives_up, gives_up}, disposed_once, false, 2, 1},
    {"no stack, and an await", two_holders, {starves, awaits_and_runs}, disposed_once, false, 0, 0},
    {"one awaits, one drops", two_holders, {ends, awaits, drops}, disposed_once, false, 0, 0},
    {0},
};

const model_reason model_reasons[] = {
    {"pi_task_wait_link", "release and -> relaxed", "task->word", 1,
     "nothing was written under the lock"},
    {"pi_task_wait_unlink", "release sub -> relaxed", "task->word", 1,
     "it publishes the list's links, plain memory that the model is not told of"},
    {"pi_task_end_inline", "release store -> relaxed", "task->word", 1,
     "nobody else holds the task; who gets it from its awaiter is ordered by how it gets it"},
    {0},
};
