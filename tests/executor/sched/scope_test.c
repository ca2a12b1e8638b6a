/* SPDX-License-Identifier: MIT */
/* scope_test.c: timeouts and shields, as pica/scope.h says. Scopes around groups are in
 * group_test.c, around gather in gather_test.c; misuse in scope_misuse_test.c. */
#include "tests/executor/bodies.h"

#include <pica/scope.h>
#include <pica/sem.h>

#define SOON pica_after(PICA_MS(3))
#define LATER pica_after(PICA_SEC(100))

/* --- Timeouts ----------------------------------------------------------------------------- */

static void a_wait_in_time(void)
{
    pica_scope scope;
    pica_scope_begin(&scope, LATER);
    CHECK_OK(pica_yield());
    CHECK_OK(pica_sleep(PICA_US(100)));
    CHECK_EQ(pica_scope_expired(&scope), 0);
    CHECK_EQ(pica_scope_end(&scope, 17), 17);
    pica_scope_begin(&scope, LATER);
    CHECK_EQ(pica_scope_end(&scope, -EIO), -EIO);
    pica_scope_begin(&scope, PICA_NEVER);
    CHECK_OK(pica_yield());
    CHECK_EQ(pica_scope_end(&scope, -ECANCELED), -ECANCELED); /* it has not expired */
}

static void a_timeout(void)
{
    for (unsigned i = 0; i < 5; i++) {
        pica_scope scope;
        pica_sem none = PICA_SEM_INIT(0);
        int64_t until = SOON;
        pica_scope_begin(&scope, until);
        int rc = i % 2 ? pica_sleep(PICA_NEVER) : pica_sem_acquire(&none);
        CHECK_LE(until, pica_now());
        CHECK_EQ(rc, -ECANCELED); /* inside, it is a cancel */
        CHECK_EQ(pica_yield(), -ECANCELED);
        CHECK_EQ(pica_sleep(1), -ECANCELED);
        CHECK_EQ(pica_check_cancel(), -ECANCELED);
        CHECK_EQ(pica_cancelling(), 0);
        CHECK_EQ(pica_scope_expired(&scope), 1);
        CHECK_EQ(pica_scope_end(&scope, rc), -ETIMEDOUT);
        CHECK_EQ(pica_check_cancel(), 0);
        CHECK_OK(pica_yield());
    }
}

/* It expired, but the code inside came to something else: that counts. */
static void what_came_of_it_counts(void)
{
    pica_scope scope;
    pica_scope_begin(&scope, SOON);
    CHECK_EQ(pica_sleep(PICA_NEVER), -ECANCELED);
    CHECK_EQ(pica_scope_end(&scope, 3), 3);
    pica_scope_begin(&scope, SOON);
    CHECK_EQ(pica_sleep(PICA_NEVER), -ECANCELED);
    CHECK_EQ(pica_scope_end(&scope, -EIO), -EIO);
    CHECK_OK(pica_yield());
}

static void a_past_deadline(void)
{
    static const int64_t pasts[] = {0, 1, -1, INT64_MIN};
    for (unsigned i = 0; i < 4; i++) {
        pica_scope scope;
        pica_scope_begin(&scope, pasts[i]);
        CHECK_EQ(pica_scope_expired(&scope), 1);
        int rc = i % 2 ? pica_yield() : pica_sleep(PICA_NEVER);
        CHECK_EQ(rc, -ECANCELED);
        CHECK_EQ(pica_scope_end(&scope, rc), -ETIMEDOUT);
    }
    CHECK_OK(pica_yield());
}

static void a_computation_notices(void)
{
    pica_scope scope;
    pica_scope_begin(&scope, SOON);
    patience p = patience_of(PICA_SEC(10));
    int rc;
    while ((rc = pica_check_cancel()) == 0 && patience_lasts(&p)) {
    }
    CHECK_EQ(rc, -ECANCELED);
    CHECK_EQ(pica_scope_end(&scope, rc), -ETIMEDOUT);
}

static void reschedule(void)
{
    pica_scope scope;
    pica_scope_begin(&scope, LATER);
    CHECK_EQ(pica_scope_reschedule(&scope, SOON), 0); /* sooner */
    int rc = pica_sleep(PICA_NEVER);
    CHECK_EQ(rc, -ECANCELED);
    CHECK_EQ(pica_scope_reschedule(&scope, LATER), -EALREADY); /* it stays expired */
    CHECK_EQ(pica_yield(), -ECANCELED);
    CHECK_EQ(pica_scope_end(&scope, rc), -ETIMEDOUT);

    pica_scope_begin(&scope, pica_after(PICA_MS(2)));
    CHECK_EQ(pica_scope_reschedule(&scope, LATER), 0); /* later */
    CHECK_OK(pica_sleep(PICA_MS(4)));
    CHECK_EQ(pica_scope_expired(&scope), 0);
    CHECK_EQ(pica_scope_reschedule(&scope, PICA_NEVER), 0); /* never, and again */
    CHECK_OK(pica_yield());
    CHECK_EQ(pica_scope_reschedule(&scope, SOON), 0);
    rc = pica_sleep(PICA_NEVER);
    CHECK_EQ(pica_scope_end(&scope, rc), -ETIMEDOUT);

    pica_scope_begin(&scope, PICA_NEVER);
    CHECK_EQ(pica_scope_reschedule(&scope, SOON), 0);
    rc = pica_sleep(PICA_NEVER);
    CHECK_EQ(pica_scope_end(&scope, rc), -ETIMEDOUT);
    CHECK_OK(pica_yield());
}

/* --- Nesting ------------------------------------------------------------------------------ */

static void the_inner_expires(void)
{
    pica_scope outer, inner;
    pica_scope_begin(&outer, LATER);
    pica_scope_begin(&inner, SOON);
    int rc = pica_sleep(PICA_NEVER);
    CHECK_EQ(rc, -ECANCELED);
    CHECK_EQ(pica_scope_end(&inner, rc), -ETIMEDOUT);
    CHECK_OK(pica_yield());
    CHECK_EQ(pica_scope_expired(&outer), 0);
    CHECK_EQ(pica_scope_end(&outer, 0), 0);
}

static void the_outer_expires(void)
{
    pica_scope outer, middle, inner;
    pica_scope_begin(&outer, SOON);
    pica_scope_begin(&middle, PICA_NEVER);
    pica_scope_begin(&inner, LATER);
    intptr_t rc = pica_sleep(PICA_NEVER);
    CHECK_EQ(rc, -ECANCELED);
    rc = pica_scope_end(&inner, rc);
    CHECK_EQ(rc, -ECANCELED); /* it was not this one */
    CHECK_EQ(pica_yield(), -ECANCELED);
    rc = pica_scope_end(&middle, rc);
    CHECK_EQ(rc, -ECANCELED);
    CHECK_EQ(pica_scope_end(&outer, rc), -ETIMEDOUT);
    CHECK_OK(pica_yield());
}

/* Both: the outer one says it, because the inner one's code has no time either way. */
static void both_expire(void)
{
    pica_scope outer, inner;
    int64_t until = SOON;
    pica_scope_begin(&outer, until);
    pica_scope_begin(&inner, until);
    intptr_t rc = pica_sleep(PICA_NEVER);
    CHECK_EQ(rc, -ECANCELED);
    rc = pica_scope_end(&inner, rc);
    CHECK_EQ(rc, -ECANCELED);
    CHECK_EQ(pica_scope_end(&outer, rc), -ETIMEDOUT);
    CHECK_OK(pica_yield());
}

static void expired_inside_a_cancelled(void)
{
    pica_scope scope;
    pica_scope_begin(&scope, SOON);
    int rc = pica_sleep(PICA_NEVER);
    CHECK_EQ(rc, -ECANCELED);
    CHECK_EQ(pica_cancel(pica_self()), 0);
    CHECK_EQ(pica_scope_end(&scope, rc), -ECANCELED); /* the cancel of the task beats it */
    CHECK_EQ(pica_yield(), -ECANCELED);
    CHECK_EQ(pica_uncancel(), 0);
    CHECK_OK(pica_yield());
}

/* --- Shields ------------------------------------------------------------------------------ */

struct shielded {
    check_latch in, out;
};

static intptr_t shields(void *arg)
{
    struct shielded *s = arg;
    pica_scope shield;
    pica_sem none = PICA_SEM_INIT(0);
    pica_shield_begin(&shield, PICA_NEVER);
    check_hit(&s->in);
    CHECK_HITS(&s->out, 1);
    CHECK_EQ(pica_cancelling(), 1);
    CHECK_OK(pica_yield());
    CHECK_OK(pica_sleep(PICA_US(200)));
    CHECK_EQ(pica_sem_acquire_until(&none, pica_after(PICA_US(200))), -ETIMEDOUT);
    CHECK_EQ(pica_check_cancel(), 0);
    CHECK_EQ(body_end(body_spawn(body_yields, body_arg(2))), 2); /* nor is a child */
    CHECK_EQ(pica_scope_end(&shield, 8), 8);
    CHECK_EQ(pica_check_cancel(), -ECANCELED); /* now it hits */
    CHECK_EQ(pica_yield(), -ECANCELED);
    return 1;
}

static void a_shield_hides_a_cancel(void)
{
    struct shielded s = {{0}, {0}};
    pica_task *task = body_spawn(shields, &s);
    CHECK_HITS(&s.in, 1);
    CHECK_EQ(pica_cancel(task), 0);
    check_hit(&s.out);
    CHECK_EQ(body_end(task), 1);
}

/* The cancel was there before the shield began. */
static void a_shield_in_a_cancelled_task(void)
{
    pica_scope shield;
    CHECK_EQ(pica_cancel(pica_self()), 0);
    for (unsigned i = 0; i < 3; i++) {
        CHECK_EQ(pica_yield(), -ECANCELED);
        pica_shield_begin(&shield, PICA_NEVER);
        CHECK_OK(pica_yield());
        CHECK_OK(pica_sleep(PICA_US(50)));
        CHECK_EQ(pica_scope_end(&shield, 0), 0);
    }
    CHECK_EQ(pica_uncancel(), 0);
}

/* One that waits inside a shield is not woken by a cancel; not by a second one, either. */
static intptr_t waits_in_a_shield(void *arg)
{
    pica_sem *sem = arg;
    pica_scope shield;
    pica_shield_begin(&shield, PICA_NEVER);
    CHECK_EQ(pica_sem_acquire(sem), 0);
    CHECK_EQ(pica_scope_end(&shield, 0), 0);
    return pica_sleep(PICA_NEVER);
}

static void a_waiter_in_a_shield(void)
{
    pica_sem sem = PICA_SEM_INIT(0);
    pica_task *task = body_spawn(waits_in_a_shield, &sem);
    BODY_WAITS(task);
    for (unsigned i = 0; i < 3; i++) {
        CHECK_EQ(pica_cancel(task), 0);
        CHECK_OK(pica_sleep(PICA_US(100)));
        CHECK_EQ(pica_task_status(task), PICA_WAITING);
    }
    CHECK_OK(pica_sem_release(&sem));
    CHECK_EQ(body_end(task), -ECANCELED);
}

/* After it, all is as before: also what hears of a cancel in the middle of a wait. */
static intptr_t waits_after_shields(void *arg)
{
    pica_scope outer, inner;
    pica_shield_begin(&outer, PICA_NEVER);
    pica_shield_begin(&inner, PICA_NEVER);
    CHECK_EQ(pica_scope_end(&inner, 0), 0);
    CHECK_OK(pica_sem_acquire(arg)); /* cancelled meanwhile, but still in the outer one */
    CHECK_EQ(pica_uncancel(), 0);
    CHECK_EQ(pica_scope_end(&outer, 0), 0);
    return pica_sem_acquire(arg);
}

static void a_cancel_after_a_shield(void)
{
    pica_sem sem = PICA_SEM_INIT(0);
    pica_task *task = body_spawn(waits_after_shields, &sem);
    BODY_WAITS(task);
    CHECK_EQ(pica_cancel(task), 0);
    CHECK_OK(pica_sem_release(&sem));
    CHECK_SOON(pica_sem_value(&sem) == 0);
    CHECK_SOON(pi_load_relaxed(&sem.value) == -1); /* it waits again */
    BODY_WAITS(task);
    CHECK_EQ(pica_cancel(task), 0);
    CHECK_EQ(body_end(task), -ECANCELED);
}

static void a_shield_has_a_deadline_of_its_own(void)
{
    pica_scope outer, shield, inner;
    pica_scope_begin(&outer, 0); /* expired, but hidden */
    int64_t until = SOON;
    pica_shield_begin(&shield, until);
    int rc = pica_yield();
    CHECK(rc == 0 || until <= pica_now());
    rc = pica_sleep(PICA_NEVER);
    CHECK_EQ(rc, -ECANCELED);
    CHECK_EQ(pica_yield(), -ECANCELED);
    /* What lies around it is expired as well, so it is not this one alone. */
    CHECK_EQ(pica_scope_end(&shield, rc), -ECANCELED);
    CHECK_EQ(pica_scope_end(&outer, -ECANCELED), -ETIMEDOUT);

    pica_shield_begin(&shield, SOON);
    rc = pica_sleep(PICA_NEVER);
    CHECK_EQ(rc, -ECANCELED);
    CHECK_EQ(pica_scope_end(&shield, rc), -ETIMEDOUT);
    CHECK_OK(pica_yield());

    /* A timeout inside a shield, a shield inside a shield. */
    pica_shield_begin(&shield, LATER);
    pica_scope_begin(&inner, SOON);
    rc = pica_sleep(PICA_NEVER);
    CHECK_EQ(pica_scope_end(&inner, rc), -ETIMEDOUT);
    CHECK_OK(pica_yield());
    pica_shield_begin(&inner, SOON);
    rc = pica_sleep(PICA_NEVER);
    CHECK_EQ(pica_scope_end(&inner, rc), -ETIMEDOUT);
    CHECK_OK(pica_yield());
    CHECK_EQ(pica_scope_end(&shield, 0), 0);
}

static void a_shield_hides_a_deadline(void)
{
    pica_scope outer, shield;
    pica_scope_begin(&outer, pica_after(PICA_MS(1)));
    pica_shield_begin(&shield, PICA_NEVER);
    CHECK_OK(pica_sleep(PICA_MS(3)));
    CHECK_EQ(pica_scope_end(&shield, 0), 0);
    CHECK_EQ(pica_yield(), -ECANCELED);
    CHECK_EQ(pica_scope_end(&outer, -ECANCELED), -ETIMEDOUT);
}

/* --- Below inlined children --------------------------------------------------------------- */

/* The child has scopes and a shield of its own; the waiter's timeout is not its own. */
static intptr_t child(void *arg)
{
    check_latch *cleaned = arg;
    pica_scope scope, shield;
    pica_scope_begin(&scope, LATER);
    intptr_t rc = pica_sleep(PICA_NEVER);
    CHECK_EQ(rc, -ECANCELED);
    CHECK_EQ(pica_cancelling(), 1);
    rc = pica_scope_end(&scope, rc);
    CHECK_EQ(rc, -ECANCELED); /* only the waiter's scope turns it into a timeout */
    CHECK_EQ(pica_yield(), -ECANCELED);
    pica_shield_begin(&shield, PICA_NEVER);
    CHECK_OK(pica_sleep(PICA_US(200)));
    CHECK_EQ(pica_scope_end(&shield, 0), 0);
    check_hit(cleaned);
    return rc;
}

static void expiry_below_a_child(void)
{
    for (unsigned i = 0; i < 5; i++) {
        check_latch cleaned = {0};
        pica_scope scope;
        intptr_t result = 0;
        pica_scope_begin(&scope, SOON);
        pica_task *task = body_spawn(child, &cleaned);
        int rc = pica_await(task, &result);
        CHECK_EQ(rc, -ECANCELED);
        CHECK_EQ(result, -ECANCELED);
        CHECK_EQ(check_hits(&cleaned), 1);
        CHECK_EQ(pica_scope_end(&scope, rc), -ETIMEDOUT);
        CHECK_OK(pica_yield());
        pica_unref(task);
    }
}

static intptr_t passes_on(void *arg)
{
    pica_task *task = body_spawn(child, arg);
    intptr_t result = 0;
    int rc = pica_await(task, &result);
    CHECK_EQ(rc, -ECANCELED);
    CHECK_EQ(pica_cancelling(), 1);
    pica_unref(task);
    return rc;
}

/* Two deep, the scope in the outermost; the middle one is shielded in a second round. */
static void expiry_below_two(void)
{
    check_latch cleaned = {0};
    pica_scope scope;
    intptr_t result = 0;
    pica_scope_begin(&scope, SOON);
    pica_task *task = body_spawn(passes_on, &cleaned);
    int rc = pica_await(task, &result);
    CHECK_EQ(rc, -ECANCELED);
    CHECK_EQ(result, -ECANCELED);
    CHECK_EQ(pica_scope_end(&scope, rc), -ETIMEDOUT);
    pica_unref(task);
    CHECK_EQ(check_hits(&cleaned), 1);
    CHECK_OK(pica_yield());
}

static intptr_t sleeps_a_moment(void *ns)
{
    int rc = pica_sleep(*(const int64_t *)ns);
    return rc < 0 ? rc : 5;
}

static intptr_t awaits_in_a_shield(void *ns)
{
    pica_scope shield;
    intptr_t result = 0;
    pica_shield_begin(&shield, PICA_NEVER);
    pica_task *task = body_spawn(sleeps_a_moment, ns);
    CHECK_EQ(pica_await(task, &result), 0);
    CHECK_EQ(result, 5);
    pica_unref(task);
    CHECK_EQ(pica_scope_end(&shield, 0), 0);
    return pica_yield();
}

/* @return was it awaited in time, before it had ended elsewhere? */
static bool is_awaited_in_a_shield(unsigned pace, void *unused)
{
    int64_t ns = PICA_MS(4) * pace;
    (void)unused;
    pica_scope scope;
    intptr_t result = 0;
    pica_scope_begin(&scope, pica_after(PICA_MS(1)));
    pica_task *task = body_spawn(awaits_in_a_shield, &ns);
    int rc = pica_await(task, &result);
    bool in_time = result == -ECANCELED;
    CHECK(in_time || (result == 0 && check_mode() != CHECK_ONE));
    CHECK(rc == -ECANCELED || (rc == 0 && !in_time));
    CHECK_EQ(pica_scope_end(&scope, rc), rc == 0 ? 0 : -ETIMEDOUT);
    pica_unref(task);
    CHECK_OK(pica_yield());
    return in_time;
}

static void a_shield_between(void)
{
    CHECK_PACED(is_awaited_in_a_shield, NULL);
}

/* A child that swallowed the expiry: its value stays, and the waiter is told all the same. */
static void a_child_swallows_the_expiry(void)
{
    pica_scope scope;
    intptr_t result = 0;
    pica_scope_begin(&scope, SOON);
    pica_task *task = body_spawn(body_swallows, NULL);
    int rc = pica_await(task, &result);
    CHECK_EQ(rc, -ECANCELED);
    CHECK_EQ(result, 7);
    CHECK_EQ(pica_scope_end(&scope, rc), -ETIMEDOUT);
    pica_unref(task);
}

/* What a scope came to can be asked after its end, too, and does not change with time. */
static void expired_after_the_end(void)
{
    pica_scope scope;
    int64_t soon = pica_after(PICA_MS(20));
    pica_scope_begin(&scope, soon);
    CHECK_EQ(pica_scope_end(&scope, 0), 0);
    bool in_time = pica_now() < soon;
    CHECK_OK(pica_sleep_until(soon));
    if (in_time)
        CHECK_EQ(pica_scope_expired(&scope), 0);
    pica_scope_begin(&scope, SOON);
    int rc = pica_sleep(PICA_NEVER);
    CHECK_EQ(pica_scope_end(&scope, rc), -ETIMEDOUT);
    CHECK_EQ(pica_scope_expired(&scope), 1);
}

/* --- Races of deadline, cancel and wake --------------------------------------------------- */

static intptr_t waits_for_a_moment(void *arg)
{
    pica_scope scope;
    pica_scope_begin(&scope, pica_after(PICA_US(15)));
    intptr_t rc = pica_sem_acquire(arg);
    bool got = rc == 0, cancelled = pica_cancelling() > 0;
    CHECK(got || rc == -ECANCELED);
    rc = pica_scope_end(&scope, rc);
    if (got)
        CHECK_EQ(rc, 0);
    else if (cancelled)
        CHECK_EQ(rc, -ECANCELED);
    else
        CHECK(rc == -ETIMEDOUT || (rc == -ECANCELED && pica_cancelling() > 0));
    return got;
}

static void races(void)
{
    check_rng rng = check_rng_make(9);
    for (uint64_t i = check_rounds(4000); i > 0; i--) {
        pica_sem sem = PICA_SEM_INIT(0);
        pica_task *tasks[4];
        for (unsigned k = 0; k < 4; k++)
            tasks[k] = body_spawn(waits_for_a_moment, &sem);
        for (uint64_t k = check_rng_below(&rng, 20); k > 0; k--)
            CHECK_OK(pica_yield());
        unsigned released = 2;
        CHECK_OK(pica_sem_release(&sem));
        (void)pica_cancel(tasks[check_rng_below(&rng, 4)]);
        CHECK_OK(pica_sem_release(&sem));
        intptr_t taken = 0;
        for (unsigned k = 0; k < 4; k++)
            taken += body_end(tasks[k]);
        CHECK_EQ(pica_sem_value(&sem) + taken, released);
        CHECK_EQ(pica_sem_destroy(&sem), 0);
    }
}

CHECK_MAIN
{
    check_run("a wait in time", a_wait_in_time);
    check_run("a timeout", a_timeout);
    check_run("what came of it counts", what_came_of_it_counts);
    check_run("a past deadline", a_past_deadline);
    check_run("a computation notices", a_computation_notices);
    check_run("reschedule", reschedule);
    check_run("the inner expires", the_inner_expires);
    check_run("the outer expires", the_outer_expires);
    check_run("both expire", both_expire);
    check_run("expired inside a cancelled", expired_inside_a_cancelled);
    check_run("a shield hides a cancel", a_shield_hides_a_cancel);
    check_run("a shield in a cancelled task", a_shield_in_a_cancelled_task);
    check_run("a waiter in a shield", a_waiter_in_a_shield);
    check_run("a cancel after a shield", a_cancel_after_a_shield);
    check_run("a shield has a deadline of its own", a_shield_has_a_deadline_of_its_own);
    check_run("a shield hides a deadline", a_shield_hides_a_deadline);
    check_run("expiry below a child", expiry_below_a_child);
    check_run("expiry below two", expiry_below_two);
    check_run("a shield between", a_shield_between);
    check_run("a child swallows the expiry", a_child_swallows_the_expiry);
    check_run("expired, asked after the end", expired_after_the_end);
    check_run("races", races);
}
