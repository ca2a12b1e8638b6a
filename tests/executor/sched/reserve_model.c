/* SPDX-License-Identifier: MIT */
/* reserve_model.c: workers that come and go (reserve.h), against tasks that are brought, events at
 * one that rests, and the executor's stop. reserve.c, ready.c and the workers' loop are the real
 * ones (model_workers.h); a worker's making and its thread's start are the model's.
 *
 * What has to hold in each interleaving, once nobody can go on: who is to rest does, in its driver
 * and in no bed, with nothing queued; who works sleeps; each task that was brought has run once,
 * with what its bringer wrote before; and nobody has touched a worker whose making he did not see.
 */
#include "executor/base/alloc.h"
#include "executor/base/futex.h"
#include "executor/sched/loop.h"
#include "executor/sched/scope.h"

#include "tests/model/model_self.h"
#include "tests/model/model_workers.h"

#include <string.h>

enum { SECOND = 1 }; /* the worker that comes and goes; the first never rests */

static pica_executor *const ex = &model_executor;
static int payload[MODEL_TASKS]; /* plain: what a bringer writes before it brings */
static unsigned runs[MODEL_TASKS];
static uint32_t starts; /* [atomic] the second's thread may begin; as pthread_create() does */
static model_event begins;
static bool no_memory, no_thread;
static uint32_t due; /* [atomic] an event for task 0 at the second; as a timer's lock orders it */
static int resized;  /* what pica_executor_resize() returned */

/* --- What reserve.c stands on ---------------------------------------------------------------- */

int pi_worker_init(pi_worker *worker, pica_executor *of, uint32_t index)
{
    model_check(of == ex && worker == &model_workers[index] && index == SECOND);
    model_own(worker, sizeof(*worker));
    return no_memory ? -ENOMEM : model_worker_init(index);
}

void *pi_worker_main(void *arg)
{
    model_fail("%p: a thread of the model is its thread", arg);
}

int pi_thread_start(pthread_t *out, void *(*fn)(void *), void *arg)
{
    (void)out;
    model_check(fn == pi_worker_main && arg == &model_workers[SECOND]);
    if (no_thread)
        return -EAGAIN;
    (void)pi_xchg_release(&starts, 1u);
    model_wake(&begins);
    return 0;
}

void pi_unseen_begin(void)
{
}

void pi_unseen_end(void)
{
}

unsigned pi_timers_expire(pi_timers *set, int64_t now_ns)
{
    model_check(now_ns == model_now_ns);
    if (set != &model_workers[SECOND].timers || !pi_xchg_acquire(&due, 0u))
        return 0;
    pi_worker_ready(&model_tasks[0]);
    return 1;
}

void pi_pool_each(pi_pool *pool, void (*visit)(pica_task *task, void *arg), void *arg)
{
    (void)arg;
    model_check(pool == &ex->pool && visit); /* nothing is there that could be cancelled */
}

void pi_scope_fence(const pica_executor *of)
{
    model_check(of == ex);
    pi_fence_seq_cst();
}

void pi_scope_interrupt_cancelled(pica_task *task)
{
    model_fail("%p: nobody is cancelled", (void *)task);
}

/* The spare's: whom it serves is rescue_model.c's. */
void pi_rescue_serve_slow(pi_worker *worker)
{
    model_check(pi_xchg_acquire(&worker->to_rescue, 0u) == 1);
}

/* --- Parts ----------------------------------------------------------------------------------- */

static void execute(pi_worker *worker, pica_task *task)
{
    unsigned i = model_task_number(task);
    model_plain_read(&payload[i]);
    model_check(worker == pi_worker_self() && task->next == NULL);
    runs[i]++;
}

/* As pi_task_finish(), where the executor counts. */
static void ends_one(pi_worker *worker)
{
    pi_store_release(&worker->ended, worker->ended + 1);
    pi_executor_task_ended(ex);
}

static void bring(unsigned i)
{
    model_plain_write(&payload[i]);
    pi_worker_ready(&model_tasks[i]);
}

/* As pi_worker_main(). */
static void works(void)
{
    pi_worker *worker = &model_workers[model_self()];
    while (pi_load_acquire(&ex->phase) != PI_STOPPED) {
        pi_reserve_rest(worker);
        pi_worker_set_self(worker);
        pi_loop(worker, execute);
        pi_worker_set_self(NULL);
    }
}

static void works_from_its_start(void)
{
    model_sleep(&begins);
    model_check(pi_xchg_acquire(&starts, 0u));
    works();
}

static void sleeps(void)
{
    model_worker_sleeps_on();
    pi_loop(&model_workers[SECOND], execute);
    works();
}

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

static void brings_0(void)
{
    bring(0);
}

static void event_for_0(void)
{
    model_plain_write(&payload[0]);
    pi_store_release(&due, 1u);
    ex->driver->wake(&model_drivers[SECOND]);
}

static void resize(unsigned workers)
{
    resized = pica_executor_resize(ex, workers);
}

static void adds(void)
{
    resize(2);
}

static void takes_away(void)
{
    resize(1);
}

static void adds_and_takes_away(void)
{
    resize(2);
    resize(1);
}

static void takes_away_and_adds(void)
{
    resize(1);
    resize(2);
}

static void spare_works(void)
{
    pi_spare_work(ex, 0);
}

static void spare_works_and_rests(void)
{
    pi_spare_work(ex, 0);
    pi_spare_send_to_rest(ex);
}

static void stops(void)
{
    pi_executor_stop(ex);
}

static void waits_for_all(void)
{
    model_check(pica_executor_shutdown(ex, PICA_NEVER) == 0);
}

static void ends_the_last_and_rests(void)
{
    ends_one(&model_workers[SECOND]);
    works();
}

/* --- Set-ups --------------------------------------------------------------------------------- */

static void two_work(void)
{
    model_workers_reset(2);
    model_drivers_order = true;
    ex->workers_min = 1;
    model_workers[SECOND].thread_started = true;
    memset(runs, 0, sizeof(runs));
    starts = due = 0;
    begins.set = false;
    no_memory = no_thread = false;
    resized = 0;
}

static void the_second_is_in_bed(void)
{
    two_work();
    model_worker_lay_down(SECOND);
}

static void the_second_rests(void)
{
    two_work();
    ex->workers_count = 1;
    model_workers[SECOND].rests = model_workers[SECOND].at_rest = 1;
}

/* It has been sent there, and computes still. */
static void the_second_is_to_rest(void)
{
    the_second_rests();
    model_workers[SECOND].at_rest = 0;
    model_workers[SECOND].spawned = 1;
}

static void one_seat(void)
{
    two_work();
    ex->workers_count = ex->seats = 1;
    memset(&model_workers[SECOND], 0, sizeof(pi_worker));
}

static void room_for_a_spare(void)
{
    one_seat();
    ex->workers_max = 1;
}

static void no_memory_for_a_seat(void)
{
    one_seat();
    no_memory = true;
}

static void no_thread_for_a_seat(void)
{
    one_seat();
    no_thread = true;
}

/* --- The end --------------------------------------------------------------------------------- */

static void all_is_quiet(unsigned n_tasks, unsigned n_workers)
{
    model_check(resized == 0 && ex->workers_count == n_workers);
    model_workers_check_asleep();
    for (unsigned i = 0; i < MODEL_TASKS; i++)
        model_check(runs[i] == (i < n_tasks));
    pi_worker *second = &model_workers[SECOND];
    model_check(second->rests == (n_workers == 1) && second->at_rest == second->rests);
    model_check(model_drivers[SECOND].asleep && !second->searching);
    model_check(pi_deque_take_oldest(&second->deque) == NULL && !second->next);
}

static void the_second_is_at_rest(void)
{
    all_is_quiet(0, 1);
}

static void it_is_at_rest_and_0_ran(void)
{
    all_is_quiet(1, 1);
}

static void both_sleep(void)
{
    all_is_quiet(0, 2);
}

static void both_sleep_and_0_ran(void)
{
    all_is_quiet(1, 2);
}

static void both_sleep_and_two_ran(void)
{
    all_is_quiet(2, 2);
}

/* The spare is not among workers_count. */
static void the_spare_sleeps(void)
{
    ex->workers_count++;
    both_sleep_and_two_ran();
}

static void nothing_is_changed(void)
{
    model_check(resized == (no_memory ? -ENOMEM : -EAGAIN) && ex->workers_count == 1);
    model_check(no_memory ? ex->seats == 1 : model_workers[SECOND].rests == 1);
    model_workers_check_asleep();
}

static void both_have_ended(void)
{
    for (unsigned i = 0; i < 2; i++)
        model_check(!model_drivers[i].asleep && !model_workers[i].searching);
    model_check(pi_idle_asleep(&ex->idle) == 0 && pi_idle_searching(&ex->idle) == 0);
}

const model_test model_tests[] = {
    {"to rest", two_work, {works, works, takes_away}, the_second_is_at_rest, true, 2, 1},
    {"to rest, from bed",
     the_second_is_in_bed,
     {works, sleeps, takes_away},
     the_second_is_at_rest,
     true,
     2,
     1},
    {"with a task", two_work, {works, readies_0, takes_away}, it_is_at_rest_and_0_ran, true, 1, 1},
    {"and a bringer",
     the_second_is_in_bed,
     {works, sleeps, takes_away, brings_0},
     it_is_at_rest_and_0_ran,
     true,
     1,
     1},
    {"woken at rest",
     the_second_rests,
     {works, works, event_for_0},
     it_is_at_rest_and_0_ran,
     true,
     2,
     1},
    {"to work", the_second_rests, {works, works, adds}, both_sleep, true, 2, 1},
    {"to work, and a bringer",
     the_second_rests,
     {works, works, adds, brings_0},
     both_sleep_and_0_ran,
     true,
     1,
     1},
    {"woken, and to work",
     the_second_rests,
     {works, works, adds, event_for_0},
     both_sleep_and_0_ran,
     true,
     1,
     1},
    {"there and back", two_work, {works, works, takes_away_and_adds}, both_sleep, true, 2, 0},
    {"back and there",
     the_second_rests,
     {works, works, adds_and_takes_away},
     the_second_is_at_rest,
     true,
     2,
     0},
    {"a new seat",
     one_seat,
     {readies_0_and_1, works_from_its_start, adds},
     both_sleep_and_two_ran,
     true,
     1,
     1},
    {"the spare",
     room_for_a_spare,
     {readies_0_and_1, works_from_its_start, spare_works},
     the_spare_sleeps,
     true,
     1,
     1},
    {"the spare rests again",
     room_for_a_spare,
     {works, works_from_its_start, spare_works_and_rests},
     the_second_is_at_rest,
     true,
     1,
     1},
    {"no memory", no_memory_for_a_seat, {works, adds}, nothing_is_changed, true, 2, 1},
    {"no thread", no_thread_for_a_seat, {works, adds}, nothing_is_changed, true, 2, 1},
    {"the stop", the_second_rests, {works, works, stops}, both_have_ended, false, 2, 1},
    {"the stop, and to rest",
     two_work,
     {works, works, takes_away, stops},
     both_have_ended,
     false,
     1,
     1},
    {"the last task's end, and to rest",
     the_second_is_to_rest,
     {works, ends_the_last_and_rests, waits_for_all},
     both_have_ended,
     false,
     1,
     2},
    {0},
};

#define JOINED "nothing is read because of it but what the executor's end joins first"

const model_reason model_reasons[] = {
    {"pi_idle_search_end", NULL, "", 0, "idle_model.c"},
    {"pi_idle_submitted", NULL, "", 0, "idle_model.c"},
    {"pi_idle_pick", NULL, "", 0, "idle_model.c"},
    {"pi_idle_claim", "release cas -> relaxed", "bed", 1, "idle_model.c says why"},
    {"closing.c", NULL, "", 0, "closing_model.c"},
    {"pi_rescue_ask", NULL, "", 0, "rescue_model.c"},
    {"pi_loop", "acquire load -> relaxed", "worker->ex->phase", 1, JOINED},
    {"pi_reserve_rest", "acquire load -> relaxed", "ex->phase", 1, JOINED},
    {"take_seats", "fence -> none", "", 1,
     "one half of what pi_scope_fence() leaves out while there is one seat: for cancels"},
    {"get_up", NULL, "", 0, "idle_model.c"},
    {"pi_idle_sleep_begin", "release or -> relaxed", "idle->beds[w / PER_BED]", 1,
     "the fence after a worker's rest does it, too; ThreadSanitizer knows nothing of that"},
    {"pica_executor_resize", "acquire load -> relaxed", "ex->phase", 1, JOINED},
    {"pica_executor_resize", "release store -> relaxed", "ex->workers_count", 1,
     "the monitor reads threads' handles by it (monitor.c), and there is none here"},
    {"take_sleeper", "acq_rel and -> acquire", "idle->beds[i]", 1, "idle_model.c says why"},
    {"deque.h", NULL, "", 0, "deque_model.c"},
    {"deque.c", NULL, "", 0, "deque_model.c"},
    {"lock.h", NULL, "", 0, "ready_model.c"},
    {"pi_loop_share", NULL, "", 0, "ready_model.c"},
    {"pi_pace_notice", NULL, "", 0, "pace_model.c"},
    {"reserve_model.c", NULL, "", 0, "stands for a thread's start, a timer's lock, a stop"},
    {0},
};
