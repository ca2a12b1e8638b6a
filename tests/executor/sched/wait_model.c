/* SPDX-License-Identifier: MIT */
/* wait_model.c: the wait word (wait.h): value against cancel, timeout, close and late wakers,
 * all interleavings of small programs. wait.c, scope.c and timer.c are the real ones; here are
 * a worker that suspends into the model, and the objects that are waited for.
 *
 * What has to hold: a wait ends once, as its winner said; the winner's value is seen with it;
 * no wake, no cancel is lost (somebody would sleep for ever); a token of an ended wait ends
 * no later one; the registers of who parked are saved before somebody may go on with them.
 */
#include "executor/base/futex.h"
#include "executor/sched/awaited.h"
#include "executor/sched/executor.h"
#include "executor/sched/ignored.h"
#include "executor/sched/scope.h"
#include "executor/sched/worker.h"
#include "executor/task/inline.h"

#include "tests/model/model.h"

#include <string.h>

/* --- A worker, as far as waits need one ------------------------------------------------------- */

extern __thread pi_worker *pi_worker_current;
__thread pi_worker *pi_worker_current
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

static pi_worker worker; /* of thread 0, which is the fiber that waits */
static pi_fiber fiber;
static pica_executor executor;
static struct { /* aligned, so that a task's executor is found */
    pi_task_slab slab;
    pica_task task, inner, next;
} tasks __attribute__((aligned(PI_SLAB_BYTES)));
static pica_scope shield, group;
static int registers;   /* plain: what a switch saves */
static uint32_t queued; /* [atomic] stands for the queue: its push and take order memory */
static model_event ready;
static bool waiter_is_thread;

static void set_worker(void)
{
    pi_worker_current = model_self() == 0 && !waiter_is_thread ? &worker : NULL;
}

void pi_worker_ready(pica_task *t)
{
    model_check(t == fiber.base);
    model_plain_read(&registers);
    model_check(pi_add_release(&queued, 1u) == 0);
    model_wake(&ready);
}

/* The loop's part, off the fiber's stack: commit, or go on at once. */
void pi_worker_suspend(pi_worker *w, pi_fiber *f, pi_after after)
{
    model_check(w == &worker && f == &fiber && after == PI_AFTER_PARK);
    model_plain_write(&registers);
    if (pi_wait_commit(&f->wait)) {
        model_sleep(&ready);
        model_check(pi_sub_acquire(&queued, 1u) == 1);
    }
    model_plain_read(&registers);
}

void pi_task_end(pica_task *t, intptr_t result)
{
    model_fail("%p %ld: its awaiter ends it", (void *)t, (long)result);
}

void pi_executor_close(pica_executor *ex)
{
    model_fail("%p: none of the tasks is the main one", (void *)ex);
}

void pi_ignored_note(pi_fiber *f)
{
    model_check(f == &fiber);
}

void pi_task_unwind_slow(pi_fiber *f)
{
    model_fail("%p: nothing is left open, nothing deferred", (void *)f);
}

void pi_executor_drained_slow(pica_executor *ex)
{
    model_fail("%p: nobody drains", (void *)ex);
}

int pi_futex_wait(uint32_t *at, uint32_t value, int64_t deadline_ns)
{
    model_check(deadline_ns == PICA_NEVER);
    model_futex_wait(at, value);
    return 0;
}

void pi_futex_wake(uint32_t *at, int n)
{
    model_check(n == 1);
    model_futex_wake(at);
}

/* --- What is waited for ----------------------------------------------------------------------- */

static pi_waiter me;       /* thread 0's; most tests begin its wait in their set-up, which */
static pi_token token;     /* leaves out only what nobody could notice */
static uint32_t published; /* [atomic] release, acquire: where they don't */
static int value[2];       /* plain: what waker and closer hand over */
static bool won[2];
static pi_how how;
static unsigned expired;

static void reset(void)
{
    memset(&worker, 0, sizeof(worker));
    memset(&fiber, 0, sizeof(fiber));
    memset(&tasks, 0, sizeof(tasks));
    memset(&executor, 0, sizeof(executor));
    tasks.slab.ex = &executor;
    worker.fiber = &fiber;
    worker.ex = &executor;
    pi_timers_init(&worker.timers);
    fiber.wait.fiber = &fiber;
    fiber.base = fiber.current = &tasks.task;
    fiber.level = fiber.floor = 1;
    fiber.worker = &worker;
    tasks.task.word = 2 * PI_TASK_REF;
    tasks.task.fiber = &fiber;
    tasks.task.level = 1;
    queued = published = 0;
    registers = 0;
    ready.set = false;
    memset(&me, 0, sizeof(me));
    memset(won, 0, sizeof(won));
    how = PI_WAIT_IDLE;
    expired = 0;
    waiter_is_thread = false;
    pi_worker_current = &worker;
}

/* The fiber of another task; the root of `task` is further out. */
static void reset_inlined(void)
{
    reset();
    tasks.inner.outer = &tasks.task;
    tasks.inner.level = fiber.level = 2;
    tasks.inner.fiber = &fiber;
    tasks.inner.word = 2 * PI_TASK_REF;
    fiber.current = &tasks.inner;
    fiber.attention = 1; /* left by a cancel that was taken back */
}

static void reset_unbound(void)
{
    reset();
    tasks.task.fiber = NULL;
    tasks.inner.word = 2 * PI_TASK_REF;
}

static void counts_out(pica_scope *scope, intptr_t result)
{
    model_check(scope == &group && result == 0);
}

static void reset_member(void)
{
    void (*ended)(pica_scope *, intptr_t) = counts_out;
    reset();
    memset(&group, 0, sizeof(group));
    memcpy(&group.member_ended, &ended, sizeof(ended));
    tasks.task.flags = PI_TASK_MEMBER;
    tasks.task.group = &group;
    tasks.task.id = 1;
}

static void reset_unbound_member(void)
{
    reset_member();
    tasks.task.fiber = NULL;
}

static void reset_alone(void)
{
    reset_unbound();
    executor.asymmetric = true;
}

static void reset_begun(void)
{
    reset();
    pi_wait_begin(&me);
    token = me.token;
    published = 1;
}

static void reset_behind_shield(void)
{
    reset();
    pi_scope_open(&fiber, &shield, PICA_NEVER, PI_SCOPE_SHIELD);
    pi_wait_begin(&me);
    token = me.token;
    published = 1;
}

/* A plain thread's word is on its stack: once the wait has ended, nobody may look at it. */
static pi_waiter *on_stack;

static void reset_thread(void)
{
    reset();
    waiter_is_thread = true;
    pi_worker_current = NULL;
    on_stack = model_alloc(sizeof(*on_stack), 16);
    pi_wait_begin(on_stack);
    token = on_stack->token;
    published = 1;
}

/* --- Waiters (thread 0) ----------------------------------------------------------------------- */

static void begins(void)
{
    pi_wait_begin(&me);
    token = me.token;
    pi_store_release(&published, 1u);
}

/* The next wait must not be ended by who was meant for the one before. */
static void waits_again(void)
{
    pi_waiter again = {.data = NULL};
    pi_wait_begin_shielded(&again);
    model_check(pi_wait_abandon(&again));
}

static void parks(void)
{
    how = pi_wait_park(&me, PICA_NEVER);
    if (how == PI_WOKEN || how == PI_CLOSED)
        model_plain_read(&value[how == PI_CLOSED]);
}

static void parks_with_deadline(void)
{
    how = pi_wait_park(&me, PICA_NEVER - 1);
}

static void waits(void)
{
    begins();
    parks();
}

static void parks_twice(void)
{
    parks();
    waits_again();
}

/* For one thing, then for another. */
static void waits_for_two(void)
{
    pi_wait_begin_for(&me, PI_FOR_TASK, 1);
    token = me.token;
    pi_store_release(&published, 1u);
    parks();
    pi_waiter again = {.data = NULL};
    pi_wait_begin_for(&again, PI_FOR_SEMAPHORE, 2);
    model_check(pi_wait_end(again.token, PI_WOKEN));
    model_check(pi_wait_park(&again, PICA_NEVER) == PI_WOKEN);
}

static void parks_twice_with_deadline(void)
{
    parks_with_deadline();
    waits_again();
}

static void abandons(void)
{
    how = pi_wait_abandon(&me) ? PI_WAIT_IDLE : PI_WOKEN;
    if (how == PI_WOKEN)
        model_plain_read(&value[0]);
    waits_again();
}

/* Cancelled, it has to come back by itself. The swap stands for the lock of what it waits for;
 * stronger in truth, but here it is only for the fence. */
static uint32_t object;

static void waits_for_nobody(void)
{
    pi_waiter here = {.data = NULL};
    pi_wait_begin(&here);
    pi_xchg_relaxed(&object, 1u);
    how = pi_wait_park(&here, PICA_NEVER);
    model_check(how == PI_CANCEL);
}

/* Behind the shield a cancel is not heard, only the waker; after it, it is. */
static void parks_behind_shield(void)
{
    parks();
    model_check(how == PI_WOKEN);
    pi_scope_close(&fiber, &shield);
    waits_for_nobody();
    how = PI_WOKEN;
}

/* A task that binds its fiber, and is cancelled from the first moment on. */
static void binds(void)
{
    pi_fiber_bind(&fiber, &tasks.task, true);
}

static void binds_and_waits(void)
{
    binds();
    waits_for_nobody();
}

/* The same on a fiber that nobody knows of yet. */
static void binds_first_and_waits(void)
{
    model_own(&fiber, sizeof(fiber));
    binds_and_waits();
}

static intptr_t waits_inside(void *arg)
{
    (void)arg;
    waits_for_nobody();
    return 0;
}

/* The same, but what waits is a child that it claims and runs inline. */
static uint32_t slot;

static void runs_inline(void)
{
    bool delivered;
    tasks.inner.fn = waits_inside;
    (void)pi_inline_run(&fiber, &tasks.inner, true, &delivered);
    model_check(delivered);
}

static void binds_and_inlines(void)
{
    binds();
    pi_xchg_relaxed(&slot, 1u); /* stronger in truth, but it is only for the fence */
    runs_inline();
}

/* On a fiber that nobody knows of yet; the cancel is the child's. */
static void binds_first_and_inlines(void)
{
    bool delivered;
    model_own(&fiber, sizeof(fiber));
    binds();
    tasks.inner.fn = waits_inside;
    (void)pi_inline_run(&fiber, &tasks.inner, true, &delivered);
    model_check(!delivered);
}

/* A worker that is alone claims without a read-modify-write (deque.h). */
static void binds_and_inlines_alone(void)
{
    binds();
    pi_store_relaxed(&slot, 1u);
    runs_inline();
}

/* The check may put attention down at the very moment that a cancel puts it up. */
static void checks_and_waits(void)
{
    if (pi_wait_check() == 0)
        waits_for_nobody();
}

/* The fiber's task has ended, the fiber serves another: a late cancel is not for that one. */
static void is_not_cancelled(void)
{
    pi_waiter here = {.data = NULL};
    pi_wait_begin(&here);
    model_check(pi_wait_end(here.token, PI_WOKEN));
    model_check(pi_wait_park(&here, PICA_NEVER) == PI_WOKEN);
}

static void changes_hands(void)
{
    pi_task_finish(&worker, &tasks.task, 0, true);
    pi_fiber_bind(&fiber, &tasks.next, true);
    is_not_cancelled();
}

/* The same, and its memory becomes another task, that no group has; on the same fiber, too. */
static void is_used_again(void)
{
    pi_task_finish(&worker, &tasks.task, 0, true);
    pi_store_relaxed(&tasks.task.word, 0u); /* as pi_task_cache_put() */
    pi_store_relaxed(&tasks.task.id, UINT64_C(2)); /* from here on as pi_spawn_fast() */
    pi_store_relaxed(&tasks.task.fiber, (pi_fiber *)NULL);
    tasks.task.flags = 0;
    pi_store_relaxed(&tasks.task.word, 2 * PI_TASK_REF);
    pi_fiber_bind(&fiber, &tasks.task, true);
    is_not_cancelled();
}

/* A cancel that is taken back ends no wait that begins later. The first half is
 * pica_uncancel() (handle.c). */
static void takes_back(void)
{
    uint32_t n;
    while ((n = pi_load_relaxed(&tasks.task.cancels)) == 0)
        pi_spin_wait(0);
    while (!pi_cas_acq_rel(&tasks.task.cancels, &n, n - 1)) {
    }
    for (unsigned i = 0; pi_load_acquire(&tasks.task.cancelling); i++)
        pi_spin_wait(i);
    pi_waiter here = {.data = NULL};
    pi_wait_begin(&here);
    model_check(pi_wait_end(here.token, PI_WOKEN));
    (void)pi_wait_abandon(&here);
}

static void thread_parks(void)
{
    how = pi_wait_park(on_stack, PICA_NEVER);
    model_plain_read(&value[0]);
    model_free(on_stack);
}

/* lock.h, which timers stand on. */
static void locks(void)
{
    pi_lock_acquire(&worker.timers.lock);
    model_plain_read(&registers);
    model_plain_write(&registers);
    pi_lock_release(&worker.timers.lock);
}

/* --- The others ------------------------------------------------------------------------------- */

static void ends(unsigned i, pi_how as)
{
    for (unsigned rounds = 0; !pi_load_acquire(&published); rounds++)
        pi_spin_wait(rounds);
    model_plain_write(&value[i]);
    won[i] = pi_wait_end(token, as);
}

static void wakes(void)
{
    ends(0, PI_WOKEN);
}

static void closes(void)
{
    ends(1, PI_CLOSED);
}

static void cancels(void)
{
    pi_scope_cancel(&tasks.task);
}

static void cancels_inner(void)
{
    pi_scope_cancel(&tasks.inner);
}

/* As pica_group_cancel(), for one member; it is one itself, so that the group is still there. */
static void cancels_group(void)
{
    pi_or_relaxed(&group.flags, (uint32_t)PI_SCOPE_CANCELLED);
    pi_scope_fence(&executor);
    if (pi_load_relaxed(&tasks.task.word) && pi_load_relaxed(&tasks.task.group) == &group)
        pi_scope_interrupt(&tasks.task, &group, 0, true);
}

/* From outside, as pica_dump(): of a wait that lasts it is told what it is for. */
static void looks(void)
{
    uint64_t word;
    pi_awaited awaited;
    if (pi_stands_begin(&fiber, &word) && pi_awaited_read(&fiber, word, &awaited))
        model_check(awaited.what == PI_FOR_TASK && awaited.which == 1);
}

static void expires(void)
{
    expired += pi_timers_expire(&worker.timers, PICA_NEVER - 1);
}

/* --- The end ---------------------------------------------------------------------------------- */

static void one_won(void)
{
    model_check((how == PI_WOKEN) == won[0]);
    model_check((how == PI_CLOSED) == won[1]);
    model_check((how == PI_TIMEOUT) == (expired == 1));
    model_check(how != PI_CANCEL || tasks.task.cancels > 0);
    model_check(worker.timers.count == 0 && worker.timers.next_ns == PICA_NEVER);
    model_check(PI_WAIT_STATE(fiber.wait.word) == PI_WAIT_IDLE);
    model_check(queued == 0 && !ready.set);
}

static void woken(void)
{
    model_check(how == PI_CANCEL && group.flags & PI_SCOPE_CANCELLED);
    model_check(PI_WAIT_STATE(fiber.wait.word) == PI_WAIT_IDLE && queued == 0 && !ready.set);
}

static const model_test tests[] = {
    {"value", reset, {waits, wakes}, one_won, false, 0, 0},
    {"value against close", reset_begun, {parks, wakes, closes}, one_won, false, 0, 0},
    {"a late closer", reset_begun, {parks_twice, wakes, closes}, one_won, false, 0, 0},
    {"value against abandon", reset_begun, {abandons, wakes}, one_won, false, 0, 0},
    {"cancel alone", reset, {waits_for_nobody, cancels}, one_won, false, 0, 0},
    {"cancel of a new task", reset_unbound, {binds_first_and_waits, cancels}, one_won, false, 0, 0},
    {"cancel of a waiter", reset_unbound, {binds_and_inlines, cancels}, one_won, false, 2, 1},
    {"cancel of a child",
     reset_unbound,
     {binds_first_and_inlines, cancels_inner},
     NULL,
     false,
     2,
     1},
    {"cancel of a waiter, alone",
     reset_alone,
     {binds_and_inlines_alone, cancels},
     one_won,
     false,
     2,
     1},
    {"cancel further out", reset_inlined, {waits_for_nobody, cancels}, one_won, false, 2, 1},
    {"cancel and a check", reset_inlined, {checks_and_waits, cancels}, NULL, false, 2, 2},
    {"cancel of the last task", reset, {changes_hands, cancels}, NULL, false, 0, 0},
    {"cancel of the last member", reset_member, {changes_hands, cancels_group}, NULL, false, 0, 0},
    {"cancel of a member's memory",
     reset_member,
     {is_used_again, cancels_group},
     NULL,
     false,
     0,
     0},
    {"cancel of a member", reset_member, {waits_for_nobody, cancels_group}, woken, false, 0, 0},
    {"cancel of a new member",
     reset_unbound_member,
     {binds_first_and_waits, cancels_group},
     woken,
     false,
     0,
     0},
    {"two cancels", reset, {waits_for_nobody, cancels, cancels}, one_won, false, 2, 1},
    {"value against cancel", reset_begun, {parks_twice, wakes, cancels}, one_won, false, 2, 1},
    {"value against timeout",
     reset_begun,
     {parks_twice_with_deadline, wakes, expires},
     one_won,
     false,
     2,
     1},
    {"cancel against timeout",
     reset_begun,
     {parks_with_deadline, cancels, expires},
     one_won,
     false,
     2,
     1},
    {"all four",
     reset_begun,
     {parks_with_deadline, wakes, cancels, expires, closes},
     one_won,
     false,
     1,
     1},
    {"shield", reset_behind_shield, {parks_behind_shield, wakes, cancels}, one_won, false, 2, 1},
    {"uncancel", reset, {takes_back, cancels}, one_won, false, 0, 0},
    {"a look", reset, {waits_for_two, wakes, looks}, one_won, false, 2, 1},
    {"lock", reset, {locks, locks}, NULL, false, 0, 0},
    {"plain thread", reset_thread, {thread_parks, wakes}, one_won, false, 0, 0},
};

#define AGAIN "the load after the park acquires once more"
#define BY_LOCK                                                                                    \
    "what the waiter did before reaches others through the object's lock, or its next wait's (A)"
#define FENCED "the fence that follows does it; at least a release, so that the fence may be free"
#define LOOK_FENCES "the fence after it does it, too; ThreadSanitizer knows nothing of that"
#define COUNTED "closing_model.c kills it"
#define IN_ORDER                                                                                   \
    "shown only where a swap can be executed after the subtraction that follows it, which the "    \
    "model never does"

static const model_reason reasons[] = {
    {"pi_wait_park", "acquire load -> relaxed", "fiber->wait.word", 1, AGAIN},
    {"pi_wait_commit", "acq_rel cas -> release", "wait->word", 1, AGAIN},
    {"pi_wait_abandon", "acq_rel cas -> acquire", "wait->word", 1, BY_LOCK},
    {"pi_scope_cancel", "seq_cst add -> acq_rel", "task->cancelling", 1, FENCED},
    {"pi_scope_cancel", "seq_cst add -> acq_rel", "task->cancels", 1, FENCED},
    {"pi_scope_interrupt", "seq_cst xchg -> acq_rel", "fiber->attention", 1, FENCED},
    {"pi_scope_cancel", "release sub -> relaxed", "task->cancelling", 1, IN_ORDER},
    {"takes_back", "acquire load -> relaxed", "tasks.task.cancelling", 1, IN_ORDER},
    {"takes_back", "acq_rel cas -> acquire", "tasks.task.cancels", 1,
     "nothing is published with it"},
    {"pi_inline_run", "release store -> relaxed", "worker->ended", 1, COUNTED},
    {"pi_task_finish", "release store -> relaxed", "worker->ended", 1, COUNTED},
    {"pi_inline_run", "acquire load -> relaxed", "task->word", 1,
     "the claim's exchange, or the worker's own program order, gives it; ThreadSanitizer takes "
     "the fibers of a worker for threads and needs to see it"},
    {"pi_executor_seats", "acquire load -> relaxed", "ex->seats", 1,
     "it publishes the fields of a worker that is added, and none is added here"},
    {"pi_awaited_read", "acquire load -> relaxed", "fiber->waits_for", 1, LOOK_FENCES},
    {"pi_awaited_read", "acquire load -> relaxed", "fiber->waits_which", 1, LOOK_FENCES},
    {"pi_stands", "fence -> none", "", 1,
     "the acquires before it do it; it is for what is read in between without atomics"},
    {"task.h", NULL, "", 0, "task_state_model.c"},
};

int main(int argc, char **argv)
{
    model_on_switch(set_worker);
    return model_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]), reasons,
                      sizeof(reasons) / sizeof(reasons[0]));
}
