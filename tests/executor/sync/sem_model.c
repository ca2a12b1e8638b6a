/* SPDX-License-Identifier: MIT */
/* sem_model.c: the semaphore (sem.c): acquires of one and of several against releases, cancels
 * and a close, all interleavings of small programs. sem.c is the real one; a wait is a word that
 * is swapped to end it, as in wait.c.
 *
 * What has to hold: no permit is lost or doubled; nobody sleeps who could be served; what ran
 * before a release happens before the return of the acquire that it fed; a waiter is not touched
 * once its call has returned; the semaphore is not touched once its last user has what he
 * waited for, or destroy has said that it may go.
 */
#include "executor/sched/scope.h"
#include "executor/sched/worker.h"

#include "tests/model/model_waits.h"

#include <pica/sem.h>

#include <errno.h>
#include <string.h>

/* --- What sem.c calls ------------------------------------------------------------------------- */

bool pi_scopes_cancelled_slow(pi_fiber *fiber)
{
    model_fail("%p: there is no fiber", (void *)fiber);
}

/* --- Set-up ----------------------------------------------------------------------------------- */

static pica_sem *sem;
static uint32_t users;   /* [atomic] those that have not come to their end */
static uint32_t held;    /* [atomic, relaxed] */
static uint32_t refused; /* [atomic, relaxed] */
static int guarded;      /* plain: what permits guard, or what a release publishes */

static void reset(int64_t n)
{
    model_waits_reset();
    users = held = refused = 0;
    sem = model_alloc(sizeof(*sem), 8);
    model_check(pica_sem_init(sem, n) == 0);
}

static void none(void)
{
    reset(0);
}

static void one(void)
{
    reset(1);
}

static void two(void)
{
    reset(2);
}

static void none_of_one(void)
{
    reset(0);
    model_check(pica_sem_init_bounded(sem, 0, 1) == 0);
}

static void full(void)
{
    reset(PICA_SEM_MAX);
}

static void zeroed(void)
{
    reset(0);
    memset(sem, 0, sizeof(*sem));
}

/* Two that wait; who gets what it waited for last frees the semaphore. */
static void none_freed(void)
{
    reset(0);
    users = 2;
}

/* --- Threads ---------------------------------------------------------------------------------- */

static int acquires_n(int64_t n)
{
    int rc = n == 1 ? pica_sem_acquire(sem) : pica_sem_acquire_n(sem, n);
    model_waits_returned();
    model_check(rc == 0 || rc == -ECANCELED || rc == -ESHUTDOWN);
    if (rc == 0)
        pi_add_relaxed(&held, (uint32_t)n);
    return rc;
}

static void gives_n(int64_t n)
{
    pi_sub_relaxed(&held, (uint32_t)n);
    model_check((n == 1 ? pica_sem_release(sem) : pica_sem_release_n(sem, n)) == 0);
}

static void acquires(void)
{
    (void)acquires_n(1);
}

static void acquires_two(void)
{
    (void)acquires_n(2);
}

static void takes_turns(void)
{
    if (acquires_n(1) == 0) {
        model_plain_write(&guarded);
        gives_n(1);
    }
}

static void takes_two(void)
{
    if (acquires_n(2) == 0) {
        model_plain_write(&guarded); /* there are two in all */
        gives_n(2);
    }
}

static void takes_one_of_two(void)
{
    if (acquires_n(1) == 0) {
        model_plain_read(&guarded);
        gives_n(1);
    }
}

/* There never are so many; it has to be cancelled, or turned out. */
static void wants_three(void)
{
    model_check(acquires_n(3) < 0);
}

static void receives(void)
{
    if (acquires_n(1) == 0)
        model_plain_read(&guarded);
}

static void tries(void)
{
    for (unsigned rounds = 0; pica_sem_try_acquire(sem) < 0; rounds++)
        pi_spin_wait(rounds);
    model_plain_read(&guarded);
    pi_add_relaxed(&held, 1u);
}

static void releases(void)
{
    model_plain_write(&guarded);
    model_check(pica_sem_release(sem) == 0);
}

static void releases_one(void)
{
    model_check(pica_sem_release(sem) == 0);
}

static void releases_three(void)
{
    model_check(pica_sem_release_n(sem, 3) == 0);
}

static void releases_two(void)
{
    model_plain_write(&guarded);
    model_check(pica_sem_release_n(sem, 2) == 0);
}

static void releases_if_it_may(void)
{
    int rc = pica_sem_release(sem);
    model_check(rc == 0 || rc == -EOVERFLOW);
    pi_add_relaxed(&refused, rc < 0 ? 1u : 0u);
}

static void leaves(void)
{
    if (pi_sub_acq_rel(&users, 1u) == 1) {
        model_waits_object_ends();
        model_free(sem);
    }
}

static void acquires_and_leaves(void)
{
    (void)acquires_n(1);
    leaves();
}

static void passes_on_and_leaves(void)
{
    if (acquires_n(1) == 0)
        gives_n(1);
    leaves();
}

static void acquires_two_and_leaves(void)
{
    (void)acquires_n(2);
    leaves();
}

/* Whenever thread 0 waits; perhaps it never will. */
static void cancels(void)
{
    model_waits_cancel(0);
}

static void cancels_for_sure(void)
{
    while (!model_waits_begun(0))
        pi_spin_wait(0);
    model_waits_cancel(0);
}

static void closes(void)
{
    pica_sem_close(sem);
}

static void closes_and_frees(void)
{
    while (!model_waits_parked(0))
        pi_spin_wait(0);
    pica_sem_close(sem);
    if (pica_sem_destroy(sem) == 0)
        model_free(sem);
}

/* --- The end ---------------------------------------------------------------------------------- */

static void adds_up_to(int64_t n)
{
    int64_t value = sem->value < -(INT64_C(1) << 60) ? sem->value + (INT64_C(1) << 61) : sem->value;
    model_check(value + held == n);
    model_check(sem->owed == 0 && sem->orphans == 0 && sem->leaving == 0);
    model_check(!sem->head && !sem->tail && !sem->lock);
}

static void adds_up_to_none(void)
{
    adds_up_to(0);
}

static void adds_up_to_one(void)
{
    adds_up_to(1);
}

static void adds_up_to_two(void)
{
    adds_up_to(2);
}

static void one_was_refused(void)
{
    model_check(refused == 1);
    adds_up_to(1);
}

static void all_were_refused(void)
{
    model_check(refused == 2);
    adds_up_to(PICA_SEM_MAX);
}

static void what_was_not_refused_is_there(void)
{
    model_check(refused >= 1);
    adds_up_to(INT64_C(2) + PICA_SEM_MAX - refused);
    model_check(sem->value <= PICA_SEM_MAX);
}

const model_test model_tests[] = {
    {"value", none, {receives, releases}, adds_up_to_one, false, 0, 0},
    {"value, zeroed", zeroed, {receives, releases}, adds_up_to_one, false, 0, 0},
    {"value, bounded", none_of_one, {receives, releases}, adds_up_to_one, false, 0, 0},
    {"try", none, {tries, releases}, adds_up_to_one, false, 0, 0},
    {"turns", one, {takes_turns, takes_turns}, adds_up_to_one, false, 0, 0},
    {"three turns", one, {takes_turns, takes_turns, takes_turns}, adds_up_to_one, false, 2, 1},
    {"cancel", none, {receives, releases, cancels}, adds_up_to_one, false, 3, 1},
    {"cancel and another", one, {takes_turns, takes_turns, cancels}, adds_up_to_one, false, 3, 1},
    {"cancelled and served",
     none,
     {takes_turns, takes_turns, releases, cancels},
     adds_up_to_one,
     false,
     1,
     1},
    {"two at once", one, {acquires_two, releases}, adds_up_to_two, false, 0, 0},
    {"big and small",
     one,
     {takes_two, takes_one_of_two, releases_one},
     adds_up_to_two,
     false,
     2,
     1},
    {"one is left over", none, {receives, tries, releases_two}, adds_up_to_two, false, 2, 1},
    {"one for many",
     none_freed,
     {acquires_and_leaves, acquires_two_and_leaves, releases_three},
     NULL,
     false,
     2,
     1},
    {"freed by who got it",
     none_freed,
     {passes_on_and_leaves, passes_on_and_leaves, releases_one, cancels},
     NULL,
     false,
     2,
     1},
    {"the head gives up",
     one,
     {wants_three, takes_turns, cancels_for_sure},
     adds_up_to_one,
     false,
     2,
     1},
    {"the head gives up two",
     two,
     {wants_three, takes_one_of_two, takes_one_of_two, cancels_for_sure},
     adds_up_to_two,
     false,
     1,
     1},
    {"bound", none_of_one, {releases_if_it_may, releases_if_it_may}, one_was_refused, false, 0, 0},
    {"most", full, {releases_if_it_may, releases_if_it_may}, all_were_refused, false, 0, 0},
    {"most, and one is taken",
     full,
     {releases_if_it_may, acquires, releases_if_it_may},
     what_was_not_refused_is_there,
     false,
     0,
     0},
    {"close", none, {acquires, closes}, adds_up_to_none, false, 0, 0},
    {"close with what is kept", two, {wants_three, closes}, adds_up_to_two, false, 0, 0},
    {"close and free", none, {acquires, closes_and_frees}, NULL, false, 3, 1},
    {"close against value", none, {receives, releases, closes}, adds_up_to_one, false, 2, 1},
    {"close against cancel", none, {acquires, closes, cancels}, adds_up_to_none, false, 3, 1},
    {"all four", none, {receives, releases, closes, cancels}, adds_up_to_one, false, 2, 1},
    {0},
};

const model_reason model_reasons[] = {
    {"model_waits.h", NULL, "", 0, "the wait word is wait_model.c's"},
    {"sem_model.c", NULL, "", 0, "the threads' own bookkeeping"},
    {"lock.h", NULL, "", 0, "wait_model.c"},
    {0},
};
