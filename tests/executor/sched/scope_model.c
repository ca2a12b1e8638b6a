/* SPDX-License-Identifier: MIT */
/* scope_model.c: cancels (scope.h) of a task, of a child that it runs inline, of a member of a
 * group, against the fiber that is being bound, waits, parks behind a shield, takes the cancel back,
 * ends or changes hands; all interleavings of small programs. scope.c, wait.c, finish.c and inline.h
 * are the real ones; the wait itself is wait_model.c's.
 *
 * What has to hold: no cancel is lost (somebody would sleep for ever); none reaches the next task
 * of the same memory or fiber, nor a wait that begins after it was taken back.
 */
#include "tests/model/model_fiber.h"

static pica_scope shield, group;
static pi_waiter behind;

/* The fiber of another task; the root of `task` is further out. */
static void reset_inlined(void)
{
    model_fiber_reset();
    tasks.inner.outer = &tasks.task;
    tasks.inner.level = fiber.level = 2;
    tasks.inner.fiber = &fiber;
    tasks.inner.word = 2 * PI_TASK_REF;
    fiber.current = &tasks.inner;
    fiber.attention = 1; /* left by a cancel that was taken back */
}

static void reset_unbound(void)
{
    model_fiber_reset();
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
    model_fiber_reset();
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

static void reset_behind_shield(void)
{
    model_fiber_reset();
    pi_scope_open(&fiber, &shield, PICA_NEVER, PI_SCOPE_SHIELD);
    pi_wait_begin(&behind);
    token = behind.token;
    published = 1;
}

/* --- Waiters (thread 0) ----------------------------------------------------------------------- */

/* Behind the shield a cancel is not heard, only the waker; after it, it is. */
static void parks_behind_shield(void)
{
    how = pi_wait_park(&behind, PICA_NEVER);
    model_check(how == PI_WOKEN);
    model_plain_read(&value[0]);
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

/* --- The others ------------------------------------------------------------------------------- */

static void cancels_inner(void)
{
    pi_scope_cancel(&tasks.inner);
}

/* As cancel_all() (closing.c), for one task. */
static void closes(void)
{
    pi_add_relaxed(&tasks.task.cancels, 1u);
    pi_scope_fence(&executor);
    pi_scope_interrupt_cancelled(&tasks.task);
}

/* As pica_group_cancel(), for one member; it is one itself, so that the group is still there. */
static void cancels_group(void)
{
    pi_or_relaxed(&group.flags, (uint32_t)PI_SCOPE_CANCELLED);
    pi_scope_fence(&executor);
    if (pi_load_relaxed(&tasks.task.word) && pi_load_relaxed(&tasks.task.group) == &group)
        pi_scope_interrupt(&tasks.task, &group, 0, true);
}

/* --- The end ---------------------------------------------------------------------------------- */

static void came_back(void)
{
    model_check((how == PI_WOKEN) == won[0]);
    model_check(how != PI_CANCEL || tasks.task.cancels > 0);
    model_fiber_check();
}

static void woken(void)
{
    model_check(how == PI_CANCEL && group.flags & PI_SCOPE_CANCELLED);
    model_fiber_check();
}

const model_test model_tests[] = {
    {"cancel alone", model_fiber_reset, {waits_for_nobody, cancels}, came_back, false, 0, 0},
    {"cancel of a new task",
     reset_unbound,
     {binds_first_and_waits, cancels},
     came_back,
     false,
     0,
     0},
    {"cancel of a waiter", reset_unbound, {binds_and_inlines, cancels}, came_back, false, 2, 1},
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
     came_back,
     false,
     2,
     1},
    {"cancel further out", reset_inlined, {waits_for_nobody, cancels}, came_back, false, 2, 1},
    {"cancel and a check", reset_inlined, {checks_and_waits, cancels}, NULL, false, 2, 2},
    {"cancel of the last task", model_fiber_reset, {changes_hands, cancels}, NULL, false, 0, 0},
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
    {"two cancels",
     model_fiber_reset,
     {waits_for_nobody, cancels, cancels},
     came_back,
     false,
     2,
     1},
    {"shield", reset_behind_shield, {parks_behind_shield, wakes, cancels}, came_back, false, 2, 1},
    {"uncancel", model_fiber_reset, {takes_back, cancels}, came_back, false, 0, 0},
    {"uncancel beside a closer", model_fiber_reset, {takes_back, closes}, came_back, false, 0, 0},
    {"closer", model_fiber_reset, {waits_for_nobody, closes}, came_back, false, 0, 0},
    {0},
};

#define FENCED "the fence that follows does it; at least a release, so that the fence may be free"
#define COUNTED "closing_model.c kills it"
#define IN_ORDER                                                                                   \
    "shown only where a swap can be executed after the subtraction that follows it, which the "    \
    "model never does"

const model_reason model_reasons[] = {
    {"pi_scope_cancel", "seq_cst add -> acq_rel", "task->cancelling", 1, FENCED},
    {"pi_scope_cancel", "seq_cst add -> acq_rel", "task->cancels", 1, FENCED},
    {"pi_scope_interrupt", "seq_cst xchg -> acq_rel", "fiber->attention", 1, FENCED},
    {"pi_scope_cancel", "release sub -> relaxed", "task->cancelling", 1, IN_ORDER},
    {"pi_scope_interrupt_cancelled", "release sub -> relaxed", "task->cancelling", 1, IN_ORDER},
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
    {"begin", "release store -> relaxed", "fiber->waits_for", 1, "wait_model.c kills it"},
    {"begin", "release store -> relaxed", "fiber->waits_which", 1, "wait_model.c kills it"},
    {"sleep_until_won", "acquire load -> relaxed", "fiber->wait.word", 1, "wait_model.c says why"},
    {"pi_wait_commit", NULL, "", 0, "wait_model.c"},
    {"pi_wait_abandon", NULL, "", 0, "wait_model.c"},
    {"model_fiber.h", NULL, "", 0, "wait_model.c"},
    {"task.h", NULL, "", 0, "task_state_model.c"},
    {0},
};
