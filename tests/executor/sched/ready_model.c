/* SPDX-License-Identifier: MIT */
/* ready_model.c: the ways of a ready task to its worker (ready.h): inject queue, mailbox and the
 * queue of those without a stack (starved.h), against workers that go to sleep. ready.c, starved.c,
 * the workers' loop and what it stands on are the real ones (model_workers.h); of ck.h's stack
 * there is the model's.
 *
 * What has to hold in each interleaving, once nobody can go on: each task that was brought has
 * run once, with what its bringer wrote before; a pinned one where it belongs; what one bringer
 * put into one queue in the order in which it came; all queues are empty, every worker sleeps.
 * Some tasks hold their worker until another has run, so that a worker that sleeps beside work
 * is a loss even while others are busy. And who has handed over the last task of an executor
 * touches nothing of it any more.
 */
#include "executor/sched/drop.h"
#include "executor/sched/fiber.h"
#include "executor/sched/loop.h"

#include "tests/model/model_self.h"
#include "tests/model/model_workers.h"

#include <errno.h>
#include <string.h>

enum { TASKS = MODEL_TASKS };

static pica_executor *const ex = &model_executor;

/* --- Tasks ------------------------------------------------------------------------------------ */

static int payload[TASKS]; /* plain: what a bringer writes before it brings */
static model_event done[TASKS];
static unsigned holds_for[TASKS]; /* 1 + whose end is waited for by this one */
static bool needs_stack;          /* task 0, to run */
static unsigned stacks;           /* how many lie in worker 1's cache */
static pi_fiber fiber;            /* the one that there is */
static unsigned runs[TASKS], runner[TASKS], order[TASKS], n_run;
static bool is_the_last;          /* task 0, of the executor */
static bool has_ended;            /* it has run, and the executor's memory is gone */

static void bring(unsigned i)
{
    model_plain_write(&payload[i]);
    pi_worker_ready(&model_tasks[i]);
}

static void run(pi_worker *w, pica_task *task)
{
    unsigned i = model_task_number(task);
    model_plain_read(&payload[i]);
    model_check(task->next == NULL);
    if (holds_for[i]) {
        model_sleep(&done[holds_for[i] - 1]);
        model_wake(&done[holds_for[i] - 1]);
    }
    runs[i]++;
    runner[i] = w->index;
    order[i] = n_run++;
    model_wake(&done[i]);
}

pi_fiber *pi_fiber_get(pi_worker *w, unsigned class)
{
    model_check(class == 0);
    if (w->index == 0 || stacks == 0)
        return NULL;
    stacks--;
    return &fiber;
}

void pi_fiber_put(pi_worker *w, pi_fiber *unused)
{
    model_check(w->index == 1 && unused == &fiber);
    stacks++;
}

/* It has an on_drop, where it needs a stack. */
bool pi_drop_is_due(const pica_task *task)
{
    return pi_load_relaxed(&task->cancels);
}

void pi_drop_unstarted(pica_task *task)
{
    model_check(pi_drop_is_due(task));
}

void pi_task_finish(pi_worker *w, pica_task *task, intptr_t result, bool held)
{
    model_check(w->index == model_self() && result == -ECANCELED && !held);
    model_check(task->next == NULL);
    runs[model_task_number(task)]++;
}

/* Whoever awaits it is not here. */
void pi_task_ref(pica_task *task)
{
    model_check(!pi_load_relaxed(&task->fiber));
}

void pi_task_unref_slow(pica_task *task)
{
    model_check(task != NULL);
}

void pi_task_look_again(pica_task *task)
{
    model_check(task != NULL);
}

/* --- The owner of a group, task 0 a member of it ---------------------------------------------- */

static pica_scope group;
static pica_task owner;
static pi_fiber owners;    /* the owner's */
static model_event its_end; /* of the owner's wait */

/* As wait.c's, but who waits here never parks on a worker. */
bool pi_wait_win(pi_token token, pi_how as, pi_won *won)
{
    model_check(token.wait == &owners.wait && as == PI_CLOSED && !won->fiber && !won->futex);
    uint64_t word = token.word;
    if (!pi_cas_acq_rel(&token.wait->word, &word, pi_wait_as(word, as)))
        return false;
    model_wake(&its_end);
    return true;
}

void pi_wait_go(pi_won won)
{
    model_check(!won.fiber && !won.futex);
}

/* As begin() in wait.c. */
static void begin_wait(pi_for what, uintptr_t which)
{
    pi_store_release(&owners.waits_for, (uint8_t)what);
    pi_store_release(&owners.waits_which, which);
    uint64_t word = pi_wait_next(pi_load_relaxed(&owners.wait.word), 1);
    pi_store_release(&owners.wait.word, word);
}

/* By somebody else than those who have no stack. @return false: it was theirs */
static bool end_wait(void)
{
    uint64_t word = pi_load_relaxed(&owners.wait.word);
    bool won = PI_WAIT_STATE(word) == PI_WAITING &&
               pi_cas_acq_rel(&owners.wait.word, &word, pi_wait_as(word, PI_WOKEN));
    pi_store_relaxed(&owners.wait.word, pi_wait_as(word, PI_WAIT_IDLE));
    return won;
}

/* (C), with claim_starved() of group.c. */
static void waits_for_its_member(void)
{
    for (;;) {
        begin_wait(PI_FOR_MEMBERS, (uintptr_t)&group);
        pi_fence_seq_cst();
        if (pi_load_relaxed(&ex->starved) && pi_is_starved(&model_tasks[0]) &&
            pi_starved_claim_member(&model_tasks[0], &group, pi_stack_class_size(0)))
            break;
        model_sleep(&its_end);
        model_check(!end_wait());
    }
    (void)end_wait();
    model_plain_read(&payload[0]);
    runs[0]++;
}

/* Somebody else has ended its wait; the next one is for something else, and not to be ended. */
static void waits_then_for_others(void)
{
    begin_wait(PI_FOR_MEMBERS, (uintptr_t)&group);
    (void)end_wait();
    begin_wait(PI_FOR_PLACE, (uintptr_t)&group);
}

/* Here a fiber would be bound, and switched to. */
static void execute(pi_worker *w, pica_task *task)
{
    if (needs_stack && task == &model_tasks[0] && !pi_load_relaxed(&task->fiber)) {
        pi_fiber *found = pi_fiber_get(w, 0);
        if (!found) {
            pi_starved_add_slow(w, task);
            return;
        }
        pi_fiber_bind(found, task, true);
    }
    run(w, task);
    if (is_the_last)
        pi_store_release(&ex->phase, (uint32_t)PI_STOPPED); /* its end is closing_model.c's */
}

/* --- Parts ------------------------------------------------------------------------------------ */

static void works(void)
{
    pi_loop(&model_workers[model_self()], execute);
}

/* Asleep since the set-up; the wake is somebody's. */
static void sleeps(void)
{
    model_worker_sleeps_on();
    works();
}

static void brings_0(void)
{
    bring(0);
}

static void brings_1(void)
{
    bring(1);
}

static void brings_0_and_1(void)
{
    bring(0);
    bring(1);
}

/* A worker that, in a task, readies others'. */
static void readies_0(void)
{
    bring(0);
    works();
}

static void readies_0_and_1(void)
{
    bring(0);
    bring(1);
    works();
}

/* Once. In truth it would go on for as long as somebody sleeps with a deadline. */
static void time_passes(void)
{
    model_sleep(&model_has_deadline);
    model_now_ns += 1000000000;
    model_wake(&model_drivers[0].woken);
    model_wake(&model_drivers[1].woken);
}

/* A task of worker 1 ends, its stack is free. */
static void frees_a_stack(void)
{
    stacks = 1;
    if (pi_load_relaxed(&ex->starved))
        (void)pi_starved_feed_slow(&model_workers[1], 0);
    works();
}

/* What pi_scope_cancel() comes to, of a task without a fiber. */
static void cancels_0(void)
{
    pi_add_seq_cst(&model_tasks[0].cancels, 1u);
    pi_fence_after_rmw();
    pi_starved_cancelled(&model_tasks[0]);
}

/* A member of this group, by who has it not as a member any more, or no room. */
static void claims_in_vain(void)
{
    size_t size = pi_stack_class_size(0);
    model_check(!pi_starved_claim_member(&model_tasks[0], &group, size - 1));
    model_check(!pi_starved_claim_member(&model_tasks[0], NULL, size));
}

/* Its waiter runs it inline, if it finds it among those without a stack. */
static void claims_0(void)
{
    if (!pi_starved_claim(&model_tasks[0]))
        return;
    model_plain_read(&payload[0]);
    model_check(!model_tasks[0].next && !model_tasks[0].starved);
    runs[0]++;
}

/* The executor's last task, and then executor_free(). */
static void works_to_the_end(void)
{
    works();
    pthread_mutex_lock(&ex->inject_mutex);
    pthread_mutex_unlock(&ex->inject_mutex);
    has_ended = true;
    model_free(ex);
    model_free(model_workers);
}

/* --- Set-ups ---------------------------------------------------------------------------------- */

static void setup(unsigned n, unsigned n_asleep)
{
    model_workers_reset(n);
    memset(done, 0, sizeof(done));
    memset(holds_for, 0, sizeof(holds_for));
    memset(runs, 0, sizeof(runs));
    n_run = stacks = 0;
    needs_stack = is_the_last = has_ended = false;
    for (unsigned i = n - n_asleep; i < n; i++)
        model_worker_lay_down(i);
}

static void one_awake(void)
{
    setup(1, 0);
}

static void one_asleep(void)
{
    setup(1, 1);
}

static void one_with_mail(void)
{
    setup(1, 0);
    model_tasks[1].pin = 1;
}

static void one_with_mail_alone(void)
{
    setup(1, 0);
    model_tasks[0].pin = model_tasks[1].pin = 1;
}

static void one_asleep_with_mail(void)
{
    setup(1, 1);
    model_tasks[0].pin = 1;
}

static void two_awake(void)
{
    setup(2, 0);
    holds_for[0] = 2;
}

static void two_asleep(void)
{
    setup(2, 2);
    holds_for[0] = 2;
}

static void one_of_two_asleep(void)
{
    setup(2, 1);
    holds_for[0] = 2;
}

/* Both tasks are worker 0's. */
static void two_with_mail(void)
{
    setup(2, 0);
    model_tasks[0].pin = model_tasks[1].pin = 1;
}

static void two_with_mail_asleep(void)
{
    setup(2, 0);
    model_tasks[0].pin = model_tasks[1].pin = 1;
    model_worker_lay_down(0);
}

static void two_that_migrate(void)
{
    setup(2, 0);
    model_workers[0].flags = model_workers[1].flags = PICA_FORCE_MIGRATION;
}

/* Four tasks wait; the only worker's deque has room for two, and can't grow. */
static void one_without_room(void)
{
    setup(1, 0);
    for (unsigned i = 1; i < TASKS; i++)
        bring(i);
    model_alloc_fails(true);
}

static void one_without_stack(void)
{
    setup(2, 0);
    bring(0);
    needs_stack = true;
}

static void one_alone_without_stack(void)
{
    setup(1, 0);
    bring(0);
    needs_stack = true;
}

static void one_member_without_stack(void)
{
    one_alone_without_stack();
    memset(&group, 0, sizeof(group));
    memset(&owner, 0, sizeof(owner));
    memset(&owners, 0, sizeof(owners));
    memset(&its_end, 0, sizeof(its_end));
    group.owner = &owner;
    owner.fiber = &owners;
    owners.may_inline = true;
    model_tasks[0].flags = PI_TASK_MEMBER;
    model_tasks[0].group = &group;
}

static void the_last_task(void)
{
    setup(1, 0);
    is_the_last = true;
    model_own(ex, sizeof(*ex));
    model_own(model_workers, sizeof(model_workers));
}

static void the_last_task_is_pinned(void)
{
    the_last_task();
    model_tasks[0].pin = 1;
}

/* --- The end ---------------------------------------------------------------------------------- */

static void all_ran(unsigned n)
{
    model_workers_check_asleep();
    for (unsigned i = 0; i < TASKS; i++) {
        model_check(runs[i] == (i < n));
        model_check(!runs[i] || !model_tasks[i].pin || runner[i] == model_tasks[i].pin - 1u);
    }
}

static void ran_0(void)
{
    all_ran(1);
}

static void ran_0_and_1(void)
{
    all_ran(2);
}

static void ran_in_order(void)
{
    all_ran(2);
    model_check(order[0] < order[1]);
}

static void ran_elsewhere(void)
{
    all_ran(1);
    model_check(runner[0] == 0);
}

static void all_five_ran(void)
{
    all_ran(TASKS);
}

static bool tries_again(unsigned w)
{
    return model_drivers[w].asleep && model_drivers[w].deadline_ns != PICA_NEVER;
}

/* It has run, or somebody will try again. */
static void ran_or_is_kept(void)
{
    if (runs[0]) {
        ran_0();
        return;
    }
    model_check(ex->starved == 1 && !model_tasks[0].next);
    model_check(ex->starving[0].first == &model_tasks[0]);
    model_check(ex->starving[0].last == &model_tasks[0]);
    model_check(tries_again(0) || tries_again(1));
}

static void is_kept_and_waits(void)
{
    ran_or_is_kept();
    model_check(runs[0] == 0 && PI_WAIT_STATE(owners.wait.word) == PI_WAITING);
}

static void ended(void)
{
    model_check(has_ended && runs[0] == 1);
}

const model_test model_tests[] = {
    {"inject", one_awake, {works, brings_0}, ran_0, true, 0, 0},
    {"inject, asleep", one_asleep, {sleeps, brings_0}, ran_0, true, 0, 0},
    {"mail", one_with_mail_alone, {works, brings_0_and_1}, ran_in_order, true, 0, 0},
    {"mail, asleep", one_asleep_with_mail, {sleeps, brings_0}, ran_0, true, 0, 0},
    {"mail and inject", one_with_mail, {works, brings_0, brings_1}, ran_0_and_1, true, 2, 1},
    {"two injects", one_awake, {works, brings_0, brings_1}, ran_0_and_1, true, 2, 1},
    {"two in order", one_asleep, {sleeps, brings_0_and_1}, ran_in_order, true, 3, 1},
    {"two awake", two_awake, {works, works, brings_0_and_1}, ran_0_and_1, true, 2, 0},
    {"two asleep", two_asleep, {sleeps, sleeps, brings_0_and_1}, ran_0_and_1, true, 2, 0},
    {"a spawner", two_awake, {readies_0_and_1, works}, ran_0_and_1, true, 2, 1},
    {"a spawner, one asleep",
     one_of_two_asleep,
     {readies_0_and_1, sleeps},
     ran_0_and_1,
     true,
     3,
     1},
    {"mail by a worker", two_with_mail, {works, readies_0_and_1}, ran_in_order, true, 3, 1},
    {"mail by a worker, asleep",
     two_with_mail_asleep,
     {sleeps, readies_0_and_1},
     ran_in_order,
     true,
     3,
     1},
    {"mail by two", two_with_mail, {works, readies_0, brings_1}, ran_0_and_1, true, 2, 1},
    {"migration", two_that_migrate, {works, readies_0}, ran_elsewhere, true, 3, 1},
    {"no room", one_without_room, {works, brings_0}, all_five_ran, true, 2, 1},
    {"no stack",
     one_without_stack,
     {works, frees_a_stack, time_passes},
     ran_or_is_kept,
     true,
     2,
     0},
    {"no stack, cancelled",
     one_alone_without_stack,
     {works, cancels_0},
     ran_0,
     true,
     0,
     0},
    {"no stack, awaited",
     one_without_stack,
     {works, frees_a_stack, claims_0},
     ran_or_is_kept,
     true,
     2,
     0},
    {"no stack, awaited and cancelled",
     one_alone_without_stack,
     {works, cancels_0, claims_0},
     ran_0,
     true,
     3,
     1},
    {"no stack for a member",
     one_member_without_stack,
     {works, waits_for_its_member, claims_in_vain},
     ran_0,
     true,
     2,
     1},
    {"no stack for a member, cancelled",
     one_member_without_stack,
     {works, waits_for_its_member, cancels_0},
     ran_0,
     true,
     2,
     1},
    {"no stack for a member of one who waits for others",
     one_member_without_stack,
     {works, waits_then_for_others},
     is_kept_and_waits,
     true,
     0,
     0},
    {"the last task", the_last_task, {works_to_the_end, brings_0}, ended, false, 0, 0},
    {"the last task, pinned",
     the_last_task_is_pinned,
     {works_to_the_end, brings_0},
     ended,
     false,
     0,
     0},
    {0},
};

const model_reason model_reasons[] = {
    MODEL_LOOP_REASONS,
    {"ready_model.c", NULL, "", 0, "an executor's end is closing_model.c's"},
    {"deque.h", NULL, "", 0, "deque_model.c"},
    {"deque.c", NULL, "", 0, "deque_model.c"},
    {"pi_idle_claim", "release cas -> relaxed", "bed", 1, "idle_model.c says why"},
    {"pi_fiber_bind", NULL, "", 0, "scope_model.c"},
    {"awaited.c", NULL, "", 0, "wait_model.c"},
    {"awaited.h", NULL, "", 0, "wait_model.c"},
    {0},
};
