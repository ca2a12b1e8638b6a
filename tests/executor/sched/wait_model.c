/* SPDX-License-Identifier: MIT */
/* wait_model.c: the wait word (wait.h): value against cancel, timeout, close and late wakers,
 * all interleavings of small programs. wait.c, scope.c and timer.c are the real ones; here are
 * a worker that suspends into the model (model_fiber.h), and the objects that are waited for.
 *
 * What has to hold: a wait ends once, as its winner said; the winner's value is seen with it;
 * no wake, no cancel is lost (somebody would sleep for ever); a token of an ended wait ends
 * no later one; the registers of who parked are saved before somebody may go on with them.
 */
#include "executor/sched/awaited.h"

#include "tests/model/model_fiber.h"

static pi_waiter me;
static unsigned expired;

static void reset(void)
{
    model_fiber_reset();
    memset(&me, 0, sizeof(me));
    expired = 0;
}

static void reset_begun(void)
{
    reset();
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

static void closes(void)
{
    ends(1, PI_CLOSED);
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
    model_fiber_check();
}

const model_test model_tests[] = {
    {"value", reset, {waits, wakes}, one_won, false, 0, 0},
    {"value against close", reset_begun, {parks, wakes, closes}, one_won, false, 0, 0},
    {"a late closer", reset_begun, {parks_twice, wakes, closes}, one_won, false, 0, 0},
    {"value against abandon", reset_begun, {abandons, wakes}, one_won, false, 0, 0},
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
    {"a look", reset, {waits_for_two, wakes, looks}, one_won, false, 2, 1},
    {"lock", reset, {locks, locks}, NULL, false, 0, 0},
    {"plain thread", reset_thread, {thread_parks, wakes}, one_won, false, 0, 0},
    {0},
};

#define AGAIN "the load after the park acquires once more"
#define BY_LOCK                                                                                    \
    "what the waiter did before reaches others through the object's lock, or its next wait's (A)"
#define LOOK_FENCES "the fence after it does it, too; ThreadSanitizer knows nothing of that"

const model_reason model_reasons[] = {
    {"begin", "release store -> relaxed", "wait->word", 1, "scope_model.c kills it"},
    {"pi_wait_park", "fence_after_rmw -> none", "", 1, "scope_model.c kills it"},
    {"sleep_until_won", "acquire load -> relaxed", "fiber->wait.word", 1, AGAIN},
    {"pi_wait_commit", "acq_rel cas -> release", "wait->word", 1, AGAIN},
    {"pi_wait_abandon", "acq_rel cas -> acquire", "wait->word", 1, BY_LOCK},
    {"pi_awaited_read", "acquire load -> relaxed", "fiber->waits_for", 1, LOOK_FENCES},
    {"pi_awaited_read", "acquire load -> relaxed", "fiber->waits_which", 1, LOOK_FENCES},
    {"pi_stands", "fence -> none", "", 1,
     "the acquires before it do it; it is for what is read in between without atomics"},
    {"scope.c", NULL, "", 0, "scope_model.c"},
    {0},
};
