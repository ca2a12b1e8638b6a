/* SPDX-License-Identifier: MIT */
/* group_model.c: the end of a group (group.c), how a cancel finds its members (members.c) and its
 * limit (limit.c): members that end, fail, win and spawn others, against an owner that waits in
 * the end or for a place and is cancelled; all interleavings of small programs. They and
 * failures.c are the real ones; a member is a thread that says that it has ended, as worker.c
 * does for a task.
 *
 * What has to hold: a cancel finds each member, or that member sees it; the end returns once all
 * members have ended, after everything they did, and nobody touches the group after that; the
 * first failure or success is the one returned; no place is lost, nobody waits for one that is
 * free, and never are there more than the limit.
 */
#include "executor/sched/executor.h"
#include "executor/sched/scope.h"
#include "executor/sched/spawn.h"
#include "executor/sched/starved.h"
#include "executor/sched/worker.h"
#include "executor/task/inline.h"
#include "executor/task/members.h"

#include "tests/model/model_self.h"
#include "tests/model/model_waits.h"

#include <pica/group.h>

#include <errno.h>

/* --- A worker for each thread, as far as groups need one -------------------------------------- */

static pi_worker workers[MODEL_THREADS];
static pi_fiber fibers[MODEL_THREADS];
static pica_executor executor;
static struct { /* aligned, so that a task's executor is found */
    pi_task_slab slab;
    pica_task tasks[MODEL_THREADS];
} memory __attribute__((aligned(PI_SLAB_BYTES)));

static pica_group *group;
static uint32_t running; /* [atomic, relaxed] members that have been spawned and not ended */
static uint32_t most;    /* of them, at a time; 0: any number */
static intptr_t outcome; /* what the end has returned */
static size_t failures;
static int done[MODEL_THREADS]; /* plain: what members do */
static model_event started[MODEL_THREADS];
static bool refused[MODEL_THREADS];
static unsigned next_member; /* the thread that plays the next one spawned */

static void set_worker(void)
{
    pi_worker_current = &workers[model_self()];
}

void pi_scope_open(pi_fiber *fiber, pica_scope *scope, int64_t deadline_ns, uint32_t flags)
{
    model_check(deadline_ns == PICA_NEVER);
    pi_store_relaxed(&scope->flags, flags);
    scope->owner = fiber->current;
    fiber->current->scope = scope;
}

void pi_scope_close(pi_fiber *fiber, pica_scope *scope)
{
    model_check(fiber->current->scope == scope);
    fiber->current->scope = NULL;
    scope->owner = NULL;
}

pi_fiber *pi_scope_fiber_here(const void *scope, const char *what)
{
    model_check(scope && what);
    return pi_worker_self()->fiber;
}

bool pi_scopes_cancelled_slow(pi_fiber *fiber)
{
    (void)fiber;
    return false;
}

void pi_scope_fence(const pica_executor *ex)
{
    model_check(ex == &executor);
    pi_fence_seq_cst();
}

/* That no cancel of a wait is lost is scope_model.c's: here one that comes before it is. */
void pi_scope_interrupt(pica_task *task, const pica_scope *of, uint16_t level, bool fenced)
{
    (void)level;
    model_check(of == (task == &memory.tasks[0] ? NULL : &group->scope) && fenced);
    model_waits_cancel((unsigned)(task - memory.tasks));
}

void pi_pool_each(pi_pool *pool, void (*visit)(pica_task *task, void *arg), void *arg)
{
    model_check(pool == &executor.pool && arg == &group->scope);
    for (unsigned i = 1; i < MODEL_THREADS; i++)
        if (pi_load_acquire(&memory.tasks[i].word))
            visit(&memory.tasks[i], arg);
}

int pi_spawn(pica_executor *ex, pi_worker *worker, pica_scope *of, pica_task **place,
             pica_task **out, pica_fn fn, void *arg, const pica_attr *attr, const char *site)
{
    model_check(ex == &executor && worker == pi_worker_current && of == &group->scope);
    model_check(!out && fn && !arg && !attr && site);
    pica_task *task = &memory.tasks[next_member];
    pi_store_relaxed(&task->group, of);
    if (place)
        pi_store_release(place, task);
    pi_store_release(&task->word, PI_TASK_REF);
    uint32_t n = pi_add_relaxed(&running, 1u) + 1;
    model_check(!most || n <= most);
    model_wake(&started[next_member++]);
    return 0;
}

/* Nothing is run inline: no member lies in a queue, and there are stacks for all. */
bool pi_starved_claim_member(pica_task *task, const pica_scope *of, size_t room)
{
    model_fail("%p %p %zu", (void *)task, (const void *)of, room);
}

bool pi_inline_breathe_slow(pi_worker *worker, pi_fiber *fiber)
{
    model_fail("%p %p", (void *)worker, (void *)fiber);
}

void pi_task_finish(pi_worker *worker, pica_task *task, intptr_t result, bool held)
{
    model_fail("%p %p %ld %d", (void *)worker, (void *)task, (long)result, held);
}

void pi_task_unwind_slow(pi_fiber *fiber)
{
    model_fail("%p", (void *)fiber);
}

void pi_executor_drained_slow(pica_executor *ex)
{
    model_fail("%p", (void *)ex);
}

void pi_worker_ready(pica_task *task)
{
    model_fail("%p", (void *)task);
}

int pi_worker_share_slow(pi_worker *worker)
{
    model_fail("%p", (void *)worker);
}

/* --- Set-up ----------------------------------------------------------------------------------- */

static intptr_t a_member(void *arg)
{
    (void)arg;
    return 0; /* never called */
}

/* Thread 0 is the owner; threads 1 to n are members that run already. */
static void reset(unsigned n, uint32_t flags, uint32_t limit)
{
    pica_group_options options = PICA_GROUP_OPTIONS_INIT;
    options.flags = flags;
    options.limit = limit;
    memset(workers, 0, sizeof(workers));
    memset(fibers, 0, sizeof(fibers));
    memset(&memory, 0, sizeof(memory));
    memset(&executor, 0, sizeof(executor));
    memset(started, 0, sizeof(started));
    memset(refused, 0, sizeof(refused));
    memory.slab.ex = &executor;
    for (unsigned i = 0; i < MODEL_THREADS; i++) {
        workers[i].ex = &executor;
        workers[i].fiber = &fibers[i];
        workers[i].idle = &executor.idle;
        workers[i].look_at = 1000;
        workers[i].index = i;
        fibers[i].current = &memory.tasks[i];
        fibers[i].worker = &workers[i];
    }
    pi_worker_current = &workers[0];
    model_on_switch(set_worker);
    model_waits_reset();
    most = limit;
    outcome = -1;
    failures = 99;
    group = model_alloc(sizeof(*group), 16);
    model_check(pica_group_begin_with(group, &options) == 0);
    group->members = n * (PI_MEMBER_EVER + PI_MEMBER); /* as n spawns leave them */
    group->running = limit ? n : 0;
    running = n;
    next_member = n + 1;
    for (unsigned i = 1; i <= n; i++)
        memory.tasks[i].group = &group->scope;
}

static void one_member(void)
{
    reset(1, 0, 0);
}

/* The next one is noted in the first room, or in the second, or nowhere. */
static void one_of_seven(void)
{
    one_member();
    group->members += (PI_PLACES_HERE - 1) * PI_MEMBER_EVER;
}

static void one_of_many(void)
{
    one_member();
    group->members += (PI_PLACES - 1) * PI_MEMBER_EVER;
}

/* The room is not to be had. */
static void one_of_seven_without_memory(void)
{
    one_of_seven();
    model_alloc_fails(true);
}

static void two_members(void)
{
    reset(2, 0, 0);
}

static void three_members(void)
{
    reset(3, 0, 0);
}

static void two_collected(void)
{
    reset(2, PICA_GROUP_COLLECT, 0);
}

static void two_race(void)
{
    reset(2, PICA_GROUP_FIRST_SUCCESS, 0);
}

static void one_of_one(void)
{
    reset(1, 0, 1);
}

static void two_of_two(void)
{
    reset(2, 0, 2);
}

/* --- The owner (thread 0) --------------------------------------------------------------------- */

static void ends_with(intptr_t rc)
{
    outcome = pica_group_end(group, rc);
    const intptr_t *errors;
    failures = pica_group_errors(group, &errors);
    model_check(!failures || outcome == errors[0] || outcome >= 0);
    model_check(group->running == 0 && group->stuck == 0 && !group->head && !group->tail);
    for (unsigned i = 1; i < MODEL_THREADS; i++)
        model_plain_read(&done[i]); /* members alone write there */
    pica_group_deinit(group);
    model_waits_returned();
    model_waits_object_ends();
    model_free(group);
}

static void ends(void)
{
    ends_with(0);
}

/* A member that could not be spawned: its thread is told. */
static int spawns(void)
{
    int rc = pica_group_spawn_at(group, NULL, a_member, NULL, NULL, "");
    model_waits_returned();
    if (rc < 0) {
        refused[next_member] = true;
        model_wake(&started[next_member++]);
    }
    return rc;
}

static void spawns_and_ends(void)
{
    int rc = spawns();
    model_check(rc == 0 || rc == -ECANCELED || rc == -ESHUTDOWN);
    ends_with(rc);
}

/* --- Members ---------------------------------------------------------------------------------- */

static void ended(intptr_t result)
{
    void (*call)(pica_scope *, intptr_t);
    model_plain_write(&done[model_self()]);
    pi_sub_relaxed(&running, 1u);
    memcpy(&call, &group->scope.member_ended, sizeof(call));
    call(&group->scope, result);
}

static void succeeds(void)
{
    ended(10 + (intptr_t)model_self());
}

static void fails(void)
{
    ended(-10 - (intptr_t)model_self());
}

static void is_spawned(void)
{
    model_sleep(&started[model_self()]);
    if (!refused[model_self()])
        succeeds();
}

/* Waits for nothing but a cancel, as far as its group's flag says nothing. */
static void is_spawned_and_waits(void)
{
    pi_waiter me = {.data = NULL};
    model_sleep(&started[model_self()]);
    if (refused[model_self()])
        return;
    (void)pi_or_acq_rel(&memory.tasks[model_self()].word, 0u); /* as taking it from a queue does */
    pi_wait_begin_for(&me, PI_FOR_TIME, 0);
    pi_fence_seq_cst();
    if (!(pi_load_relaxed(&group->scope.flags) & PI_SCOPE_CANCELLED))
        model_check(pi_wait_park(&me, PICA_NEVER) == PI_CANCEL);
    pi_store_release(&memory.tasks[model_self()].group, NULL);
    ended(-ECANCELED);
}

static void spawns_then_succeeds(void)
{
    int rc = spawns();
    model_check(rc == 0 || rc == -ESHUTDOWN || rc == -EDEADLK);
    succeeds();
}

/* From outside: whenever the owner waits. */
static void cancels(void)
{
    model_waits_cancel(0);
}

/* --- The end ---------------------------------------------------------------------------------- */

static void came_to_zero(void)
{
    model_check(outcome == 0 && failures == 0);
}

static void came_to_zero_or_cancelled(void)
{
    model_check((outcome == 0 || outcome == -ECANCELED) && failures == 0);
}

static void first_failure(void)
{
    model_check(failures == 1 && outcome == -11);
}

static void first_failure_unlisted(void)
{
    model_check(failures == 0 && outcome == -11);
}

static void one_of_two_failures(void)
{
    model_check(failures == 2 && (outcome == -11 || outcome == -12));
}

static void one_of_two_successes(void)
{
    model_check(failures == 0 && (outcome == 11 || outcome == 12));
}

static void the_success(void)
{
    model_check(failures == 1 && outcome == 12);
}

const model_test model_tests[] = {
    {"one member", one_member, {ends, succeeds}, came_to_zero, false, 0, 0},
    {"two members", two_members, {ends, succeeds, succeeds}, came_to_zero, false, 3, 1},
    {"three members",
     three_members,
     {ends, succeeds, succeeds, succeeds},
     came_to_zero,
     false,
     2,
     1},
    {"a cancel", one_member, {ends, succeeds, cancels}, came_to_zero_or_cancelled, false, 3, 1},
    {"a cancel, two members",
     two_members,
     {ends, succeeds, succeeds, cancels},
     came_to_zero_or_cancelled,
     false,
     2,
     1},
    {"a failure", two_members, {ends, fails, succeeds}, first_failure, false, 2, 1},
    {"a failure, and a spawn",
     one_member,
     {spawns_and_ends, fails, is_spawned_and_waits},
     first_failure,
     false,
     2,
     1},
    {"a failure, and a spawn into a room",
     one_of_seven,
     {spawns_and_ends, fails, is_spawned_and_waits},
     first_failure,
     false,
     2,
     1},
    {"a failure, and a spawn without a room",
     one_of_seven_without_memory,
     {spawns_and_ends, fails, is_spawned_and_waits},
     first_failure_unlisted,
     false,
     2,
     1},
    {"a failure, and one too many",
     one_of_many,
     {spawns_and_ends, fails, is_spawned_and_waits},
     first_failure,
     false,
     2,
     1},
    {"two into a room",
     one_of_seven,
     {spawns_and_ends, spawns_then_succeeds, is_spawned, is_spawned},
     came_to_zero,
     false,
     1,
     1},
    {"a failure, and a member's spawn",
     two_members,
     {ends, fails, spawns_then_succeeds, is_spawned_and_waits},
     first_failure,
     false,
     1,
     1},
    {"two failures", two_members, {ends, fails, fails}, one_of_two_failures, false, 2, 1},
    {"a member's member",
     one_member,
     {ends, spawns_then_succeeds, is_spawned},
     came_to_zero,
     false,
     2,
     1},
    {"two failures, collected",
     two_collected,
     {ends, fails, fails},
     one_of_two_failures,
     false,
     2,
     1},
    {"a race", two_race, {ends, succeeds, succeeds}, one_of_two_successes, false, 2, 1},
    {"a race of one", two_race, {ends, fails, succeeds}, the_success, false, 2, 1},
    {"a place", one_of_one, {spawns_and_ends, succeeds, is_spawned}, came_to_zero, false, 2, 1},
    {"a place, and a cancel",
     one_of_one,
     {spawns_and_ends, succeeds, is_spawned, cancels},
     came_to_zero_or_cancelled,
     false,
     1,
     1},
    {"no place after a failure",
     one_of_one,
     {spawns_and_ends, fails, is_spawned},
     first_failure,
     false,
     2,
     1},
    {"two for one place",
     two_of_two,
     {spawns_and_ends, spawns_then_succeeds, succeeds, is_spawned, is_spawned},
     came_to_zero,
     false,
     1,
     0},
    {"all wait for a place",
     two_of_two,
     {ends, spawns_then_succeeds, spawns_then_succeeds, is_spawned, is_spawned},
     came_to_zero,
     false,
     1,
     0},
    {0},
};

#define FENCED "the fences in the cancel and in the member's wait do it, too; for ThreadSanitizer"

const model_reason model_reasons[] = {
    {"group_model.c", NULL, "", 0, "the model's own"},
    {"model_waits.h", NULL, "", 0, "the wait word is wait_model.c's"},
    {"lock.h", NULL, "", 0, "wait_model.c"},
    {"look_at_noted", "acquire load -> relaxed", "group->members", 1, FENCED},
    {"pi_members_interrupt", "acquire load -> relaxed", "group->others", 1, FENCED},
    {"look_at", "acquire load -> relaxed", "task->word", 1, FENCED},
    {"look_at", "acquire load -> relaxed", "places[i]", 1, FENCED},
    {"claim_starved", "fence_after_rmw -> none", "", 1,
     "there are stacks for all; the same wait is in ready_model.c, which fails without it"},
    {"pi_members_place_slow", "release store -> relaxed", "group->others", 1, FENCED},
    {"pica_group_cancel", "seq_cst or -> acq_rel", "group->scope.flags", 1,
     "the fence that follows does it; at least a release, so that the fence may be free"},
    {0},
};
