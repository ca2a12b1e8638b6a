/* SPDX-License-Identifier: MIT */
/* ready_model.c: the ways of a ready task to its worker (ready.h): inject queue, mailbox and the
 * list of those without a stack, against workers that go to sleep. ready.c, idle.c, deque.c and
 * ck.h's stack are the real ones; here are the loop that worker.c has around them, a mutex that
 * spins, and drivers that are no barrier.
 *
 * What has to hold in each interleaving, once nobody can go on: each task that was brought has
 * run once, with what its bringer wrote before; a pinned one where it belongs; what one bringer
 * put into one queue in the order in which it came; all queues are empty, every worker sleeps.
 * Some tasks hold their worker until another has run, so that a worker that sleeps beside work
 * is a loss even while others are busy. And who has handed over the last task of an executor
 * touches nothing of it any more.
 */
#include "executor/sched/ready.h"

#include "executor/sched/drop.h"
#include "executor/sched/executor.h"

#include "tests/model/model.h"

#include <string.h>

enum { WORKERS = 2, TASKS = 5 };

/* --- What ready.c stands on ------------------------------------------------------------------- */

extern __thread pi_worker *pi_worker_current;
__thread pi_worker *pi_worker_current
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

static pica_executor executor;
static pi_worker workers[WORKERS];
static struct { /* aligned, so that a task's executor is found */
    pi_task_slab slab;
    pica_task task[TASKS];
} slab __attribute__((aligned(PI_SLAB_BYTES)));
static model_event drivers[WORKERS];
static unsigned n_workers; /* threads 0 to n_workers - 1 */

static void set_worker(void)
{
    pi_worker_current = model_self() < n_workers ? &workers[model_self()] : NULL;
}

/* The linker sends the mutex functions here. */
static pi_lock *lock_of(pthread_mutex_t *mutex)
{
    return (pi_lock *)(void *)mutex;
}

static int guarded; /* plain: stands for the lists that the mutex guards */

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex);

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
    pi_lock_acquire(lock_of(mutex));
    model_plain_write(&guarded);
    return 0;
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    pi_lock_release(lock_of(mutex));
    return 0;
}

void pi_executor_wake(pica_executor *ex, int i)
{
    if (i < 0)
        return;
    pi_add_relaxed(&ex->workers[i].wakes, UINT64_C(1));
    model_wake(&drivers[i]);
}

static model_event has_deadline;

/* None of the tasks here has an on_drop. */
bool pi_drop_is_due(const pica_task *t)
{
    (void)t;
    return false;
}

void pi_drop_unstarted(pica_task *t)
{
    model_fail("%p: none of them is given up", (void *)t);
}

void pi_task_finish(pi_worker *w, pica_task *t, intptr_t result, bool held)
{
    model_fail("%p %p %ld %d: nobody runs out of patience", (void *)w, (void *)t, (long)result,
               held);
}

/* --- Tasks ---------------------------------------------------------------------------------------- */

static int payload[TASKS]; /* plain: what a bringer writes before it brings */
static model_event done[TASKS];
static unsigned holds_for[TASKS]; /* 1 + whose end is waited for by this one */
static unsigned needs_stack;      /* bits of tasks that have none yet */
static unsigned stacks;           /* how many lie in worker 1's cache */
static unsigned runs[TASKS], runner[TASKS], order[TASKS], n_run;
static bool sleeping[WORKERS];
static bool retries[WORKERS]; /* sleeps with a deadline, because of those without a stack */
static bool has_ended;        /* the executor's last task has run, and its memory is gone */

static unsigned number(const pica_task *task)
{
    return (unsigned)(task - slab.task);
}

static void bring(unsigned i)
{
    model_plain_write(&payload[i]);
    pi_worker_ready(&slab.task[i]);
}

static void run(pi_worker *w, pica_task *task)
{
    unsigned i = number(task);
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

bool pi_worker_bind(pi_worker *w, pica_task *task)
{
    if (w->index == 0 || stacks == 0)
        return false;
    stacks--;
    needs_stack &= ~(1u << number(task));
    return true;
}

/* execute() of worker.c, where it matters here. */
static void execute(pi_worker *w, pica_task *task)
{
    if (needs_stack & 1u << number(task) && !pi_worker_bind(w, task)) {
        task->starved = 0; /* its patience is one of the real clock, and not tried here */
        pi_ready_starve_slow(w, task);
        return;
    }
    run(w, task);
}

/* --- The loop of worker.c ----------------------------------------------------------------------- */

static pica_task *next_task(pi_worker *w)
{
    pica_task *task;
    if (!pi_upmc_empty(&w->mailbox))
        pi_ready_take_mailbox(w);
    if ((task = pi_ready_pop_pinned(w)))
        return task;
    pi_node *node = pi_deque_take_oldest(&w->deque);
    if (node) {
        pi_fence_after_rmw();
        if (pi_idle_wanted(w->idle) && pi_deque_size(&w->deque) > 0)
            pi_executor_wake(w->ex, pi_idle_pick(w->idle));
        return pi_task_of(node);
    }
    return pi_load_relaxed(&w->ex->inject_length) ? pi_ready_take_injected(w) : NULL;
}

static pica_task *look(pi_worker *w)
{
    if (!pi_upmc_empty(&w->mailbox))
        pi_ready_take_mailbox(w);
    pica_task *task = pi_ready_pop_pinned(w);
    if (!task && pi_load_relaxed(&w->ex->inject_length))
        task = pi_ready_take_injected(w);
    for (unsigned i = 0; i < n_workers && !task; i++)
        if (i != w->index) {
            pi_node *node = pi_deque_steal(&workers[i].deque);
            task = node ? pi_task_of(node) : NULL;
        }
    return task;
}

static pica_task *idle(pi_worker *w, bool *searching)
{
    pi_idle *i = w->idle;
    pica_task *task;
    *searching = *searching || (n_workers > 1 && pi_idle_search_begin(i));
    if (*searching && (task = look(w))) {
        *searching = false;
        if (pi_idle_search_end(i))
            pi_executor_wake(w->ex, pi_idle_pick(i));
        return task;
    }
    bool last = pi_idle_sleep_begin(i, w->index, *searching);
    *searching = false;
    if ((task = look(w))) {
        if (!pi_idle_sleep_abort(i, w->index))
            last = pi_idle_search_end(i);
        if (last)
            pi_executor_wake(w->ex, pi_idle_pick(i));
        return task;
    }
    sleeping[w->index] = true;
    retries[w->index] = pi_load_relaxed(&w->ex->starved) > 0;
    if (retries[w->index])
        model_wake(&has_deadline);
    model_sleep(&drivers[w->index]);
    sleeping[w->index] = false;
    if (pi_load_relaxed(&w->ex->starved))
        pi_ready_retry_slow(w);
    *searching = pi_idle_woken(i, w->index);
    return NULL;
}

static void loop(pi_worker *w, bool searching)
{
    while (!has_ended) {
        pica_task *task = next_task(w);
        if (!task && !(task = idle(w, &searching)))
            continue;
        if (searching) {
            searching = false;
            if (pi_idle_search_end(w->idle))
                pi_executor_wake(w->ex, pi_idle_pick(w->idle));
        }
        execute(w, task);
    }
}

/* --- Parts ---------------------------------------------------------------------------------------- */

static void works(void)
{
    loop(&workers[model_self()], false);
}

/* Asleep since the set-up; the wake is somebody's. */
static void sleeps(void)
{
    pi_worker *w = &workers[model_self()];
    sleeping[w->index] = true;
    model_sleep(&drivers[w->index]);
    sleeping[w->index] = false;
    loop(w, pi_idle_woken(w->idle, w->index));
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
    model_sleep(&has_deadline);
    model_wake(&drivers[0]);
    model_wake(&drivers[1]);
}

/* A task of worker 1 ends, its stack is free. */
static void frees_a_stack(void)
{
    stacks = 1;
    if (pi_load_relaxed(&executor.starved))
        pi_ready_feed_slow(&workers[1], 0);
    works();
}

/* The executor's last task, and then executor_free(). */
static void works_to_the_end(void)
{
    pi_worker *w = &workers[0];
    bool searching = false;
    while (n_run == 0) {
        pica_task *task = next_task(w);
        if (task || (task = idle(w, &searching)))
            run(w, task);
    }
    pthread_mutex_lock(&executor.inject_mutex);
    pthread_mutex_unlock(&executor.inject_mutex);
    has_ended = true;
    model_free(&executor);
    model_free(workers);
}

/* --- Set-ups -------------------------------------------------------------------------------------- */

static void setup(unsigned n, unsigned n_asleep)
{
    n_workers = n;
    memset(&executor, 0, sizeof(executor));
    memset(workers, 0, sizeof(workers));
    memset(&slab, 0, sizeof(slab));
    memset(drivers, 0, sizeof(drivers));
    has_deadline.set = false;
    memset(done, 0, sizeof(done));
    memset(holds_for, 0, sizeof(holds_for));
    memset(runs, 0, sizeof(runs));
    memset(sleeping, 0, sizeof(sleeping));
    memset(retries, 0, sizeof(retries));
    n_run = stacks = needs_stack = 0;
    has_ended = false;
    pi_worker_current = NULL;
    slab.slab.ex = &executor;
    executor.workers = workers;
    executor.workers_count = executor.workers_min = executor.workers_max = n;
    executor.seats = executor.seats_max = n;
    executor.inject_tail = &executor.inject_head;
    executor.starved_tail = &executor.starved_head;
    pi_idle_init(&executor.idle, n);
    executor.idle.limit = 1;
    for (unsigned i = 0; i < n; i++) {
        workers[i].ex = &executor;
        workers[i].index = i;
        workers[i].idle = &executor.idle;
        workers[i].pinned_tail = &workers[i].pinned_head;
        model_check(pi_deque_init(&workers[i].deque, 2, false) == 0);
    }
    for (unsigned i = n - n_asleep; i < n; i++)
        model_check(!pi_idle_sleep_begin(&executor.idle, i, false));
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
    slab.task[1].pin = 1;
}

static void one_with_mail_alone(void)
{
    setup(1, 0);
    slab.task[0].pin = slab.task[1].pin = 1;
}

static void one_asleep_with_mail(void)
{
    setup(1, 1);
    slab.task[0].pin = 1;
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

/* Both tasks are worker 0's. */
static void two_with_mail(void)
{
    setup(2, 0);
    slab.task[0].pin = slab.task[1].pin = 1;
}

static void two_with_mail_asleep(void)
{
    setup(2, 0);
    slab.task[0].pin = slab.task[1].pin = 1;
    model_check(!pi_idle_sleep_begin(&executor.idle, 0, false));
}

static void two_that_migrate(void)
{
    setup(2, 0);
    workers[0].flags = workers[1].flags = PICA_FORCE_MIGRATION;
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
    needs_stack = 1u;
}

static void the_last_task(void)
{
    setup(1, 0);
    model_own(&executor, sizeof(executor));
    model_own(workers, sizeof(workers));
}

static void the_last_task_is_pinned(void)
{
    the_last_task();
    slab.task[0].pin = 1;
}

/* --- The end -------------------------------------------------------------------------------------- */

static void all_is_empty(void)
{
    model_check(executor.inject_length == 0 && !executor.inject_head);
    model_check(executor.inject_tail == &executor.inject_head);
    model_check(executor.starved == 0 && !executor.starved_head);
    model_check(executor.starved_tail == &executor.starved_head);
    for (unsigned i = 0; i < n_workers; i++) {
        model_check(sleeping[i]);
        model_check(pi_upmc_empty(&workers[i].mailbox) && !workers[i].pinned_head);
        model_check(pi_deque_take_oldest(&workers[i].deque) == NULL);
    }
    model_check(pi_idle_asleep(&executor.idle) == n_workers);
    model_check(pi_idle_searching(&executor.idle) == 0);
}

static void all_ran(unsigned n)
{
    all_is_empty();
    for (unsigned i = 0; i < TASKS; i++) {
        model_check(runs[i] == (i < n));
        model_check(!runs[i] || !slab.task[i].pin || runner[i] == slab.task[i].pin - 1u);
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

/* It has run, or somebody will try again. */
static void ran_or_is_kept(void)
{
    if (runs[0]) {
        ran_0();
        return;
    }
    model_check(executor.starved == 1 && executor.starved_head == &slab.task[0]);
    model_check(executor.starved_tail == &slab.task[0].next && !slab.task[0].next);
    model_check((sleeping[0] && retries[0]) || (sleeping[1] && retries[1]));
}

static void ended(void)
{
    model_check(has_ended && runs[0] == 1);
}

static const model_test tests[] = {
    {"inject", one_awake, {works, brings_0}, ran_0, true, 0, 0},
    {"inject, asleep", one_asleep, {sleeps, brings_0}, ran_0, true, 0, 0},
    {"mail", one_with_mail_alone, {works, brings_0_and_1}, ran_in_order, true, 0, 0},
    {"mail, asleep", one_asleep_with_mail, {sleeps, brings_0}, ran_0, true, 0, 0},
    {"mail and inject", one_with_mail, {works, brings_0, brings_1}, ran_0_and_1, true, 2, 1},
    {"two injects", one_awake, {works, brings_0, brings_1}, ran_0_and_1, true, 2, 1},
    {"two in order", one_asleep, {sleeps, brings_0_and_1}, ran_in_order, true, 3, 1},
    {"two awake", two_awake, {works, works, brings_0_and_1}, ran_0_and_1, true, 2, 0},
    {"two asleep", two_asleep, {sleeps, sleeps, brings_0_and_1}, ran_0_and_1, true, 2, 1},
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
    {"the last task", the_last_task, {works_to_the_end, brings_0}, ended, false, 0, 0},
    {"the last task, pinned",
     the_last_task_is_pinned,
     {works_to_the_end, brings_0},
     ended,
     false,
     0,
     0},
};

#define WHY_THERE "idle_model.c says why"
#define KILLED_THERE "idle_model.c kills it"

static const model_reason reasons[] = {
    {"deque.h", NULL, "", 0, "deque_model.c"},
    {"deque.c", NULL, "", 0, "deque_model.c"},
    {"take_sleeper", "release and -> relaxed", "idle->beds[i]", 1, WHY_THERE},
    {"get_up", "acquire and -> relaxed", "idle->beds[w / PER_BED]", 1, WHY_THERE},
    {"pi_idle_claim", "release cas -> relaxed", "bed", 1, WHY_THERE},
    {"pi_idle_pick", "fence_after_rmw -> none", "", 1, KILLED_THERE ", with a pick in vain"},
    {"pi_idle_search_end", "fence_after_rmw -> none", "", 1,
     KILLED_THERE ", and this, less bounded"},
    {"pi_executor_seats", "acquire load -> relaxed", "ex->seats", 1,
     "it publishes the fields of a worker that is added, and none is added here"},
    {"next_task", "fence_after_rmw -> none", "", 1, KILLED_THERE ", with a spawner"},
};

int main(int argc, char **argv)
{
    model_on_switch(set_worker);
    return model_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]), reasons,
                      sizeof(reasons) / sizeof(reasons[0]));
}
