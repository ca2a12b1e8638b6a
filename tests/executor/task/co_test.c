/* SPDX-License-Identifier: MIT */
/* co_test.c: bare coroutines, by themselves and inside tasks. See pica/co.h. */
#include "tests/executor/bodies.h"
#include "tests/executor/death.h"

#include <pica/co.h>
#include <pica/sem.h>

/* --- Values ------------------------------------------------------------------------------- */

static intptr_t counts(pica_co *co, void *arg)
{
    for (intptr_t i = 0; i < *(const int *)arg; i++)
        pica_co_yield(co, i);
    return -7;
}

static void a_generator(void)
{
    for (int n = 0; n < 5; n++) {
        pica_co *co = NULL;
        intptr_t value = 0;
        CHECK_FATAL_OK(pica_co_create(&co, counts, &n, 0));
        CHECK_EQ(pica_co_done(co), 0);
        for (intptr_t i = 0; i < n; i++) {
            CHECK_EQ(pica_co_resume(co, 0, &value), 1);
            CHECK_EQ(value, i);
            CHECK_EQ(pica_co_done(co), 0);
        }
        CHECK_EQ(pica_co_resume(co, 0, &value), 0);
        CHECK_EQ(value, -7); /* what it returned */
        CHECK_EQ(pica_co_done(co), 1);
        value = 123;
        CHECK_EQ(pica_co_resume(co, 0, &value), -EALREADY);
        CHECK_EQ(pica_co_resume(co, 0, NULL), -EALREADY);
        CHECK_EQ(value, 123);
        CHECK_EQ(pica_co_destroy(co), NULL);
    }
    CHECK_EQ(pica_co_destroy(NULL), NULL);
}

static intptr_t sums(pica_co *co, void *arg)
{
    intptr_t sum = (intptr_t)arg;
    for (intptr_t in; (in = pica_co_yield(co, sum)) != 0;)
        sum += in;
    return sum;
}

static void values_both_ways(void)
{
    pica_co *co = NULL;
    intptr_t sum = 0, expected = 100;
    CHECK_FATAL_OK(pica_co_create(&co, sums, body_arg(100), 0));
    CHECK_EQ(pica_co_resume(co, 55, &sum), 1); /* the first value has no meaning */
    CHECK_EQ(sum, 100);
    for (intptr_t i = -20; i < 0; i++) {
        expected += i;
        CHECK_EQ(pica_co_resume(co, i, &sum), 1);
        CHECK_EQ(sum, expected);
        CHECK_EQ(pica_co_resume(co, 3, NULL), 1); /* not wanted */
        expected += 3;
    }
    CHECK_EQ(pica_co_resume(co, 0, &sum), 0);
    CHECK_EQ(sum, expected);
    pica_co_destroy(co);
}

static void refusals(void)
{
    pica_co *co = NULL;
    int n = 1;
    CHECK_EQ(pica_co_create(NULL, counts, &n, 0), -EINVAL);
    CHECK_EQ(pica_co_create(&co, NULL, &n, 0), -EINVAL);
    CHECK_EQ(pica_co_create(&co, counts, &n, ((size_t)1 << 30) + 1), -EINVAL);
    CHECK_EQ(pica_co_create(&co, counts, &n, SIZE_MAX), -EINVAL);
    CHECK_EQ(co, NULL);
    CHECK_EQ(pica_co_resume(NULL, 0, NULL), -EINVAL);
}

/* --- Coroutines that resume coroutines ---------------------------------------------------- */

struct nest {
    pica_co *self, *outer;
    unsigned depth;
};

static intptr_t nests(pica_co *co, void *arg)
{
    const struct nest *here = arg;
    intptr_t value = 1;
    CHECK_EQ(pica_co_resume(co, 0, &value), -EDEADLK); /* itself */
    if (here->outer)
        CHECK_EQ(pica_co_resume(here->outer, 0, &value), -EDEADLK); /* the one that waits for it */
    CHECK_EQ(value, 1);
    if (here->depth) {
        struct nest below = {NULL, co, here->depth - 1};
        CHECK_FATAL_OK(pica_co_create(&below.self, nests, &below, 0));
        int rc;
        while ((rc = pica_co_resume(below.self, 0, &value)) == 1)
            pica_co_yield(co, value + 1);
        CHECK_EQ(rc, 0);
        pica_co_destroy(below.self);
        return value + 1;
    }
    pica_co_yield(co, 1000);
    return 2000;
}

static void nested(void)
{
    struct nest top = {NULL, NULL, 20};
    intptr_t value = 0;
    CHECK_FATAL_OK(pica_co_create(&top.self, nests, &top, 0));
    CHECK_EQ(pica_co_resume(top.self, 0, &value), 1);
    CHECK_EQ(value, 1020);
    CHECK_EQ(pica_co_resume(top.self, 0, &value), 0);
    CHECK_EQ(value, 2020);
    pica_co_destroy(top.self);
}

static intptr_t goes_on_for_ever(pica_co *co, void *arg)
{
    char frame[2000];
    do
        memset(frame, (int)(intptr_t)arg, sizeof(frame));
    while (pica_co_yield(co, frame[(intptr_t)arg]) == 0);
    return -1;
}

static void destroyed_where_it_stands(void)
{
    for (unsigned i = 0; i < 200; i++) {
        pica_co *co = NULL;
        intptr_t value = 0;
        CHECK_FATAL_OK(pica_co_create(&co, goes_on_for_ever, body_arg(i % 100), 0));
        for (unsigned k = 0; k < i % 4; k++) {
            CHECK_EQ(pica_co_resume(co, 0, &value), 1);
            CHECK_EQ(value, i % 100);
        }
        pica_co_destroy(co); /* never begun, or in the middle */
    }
}

static void many_at_once(void)
{
    enum { MANY = 500 };
    static pica_co *all[MANY];
    intptr_t value;
    for (intptr_t i = 0; i < MANY; i++)
        CHECK_FATAL_OK(pica_co_create(&all[i], sums, body_arg(i), 0));
    for (unsigned round = 0; round < 5; round++) {
        unsigned wrong = 0;
        for (intptr_t i = 0; i < MANY; i++)
            wrong += pica_co_resume(all[i], 10, &value) != 1 || value != i + 10 * round;
        CHECK_EQ(wrong, 0);
    }
    for (intptr_t i = 0; i < MANY; i++)
        pica_co_destroy(all[i]);
}

static __attribute__((noinline)) intptr_t deep(size_t bytes)
{
    volatile char *block = __builtin_alloca(bytes);
    for (size_t i = 0; i < bytes; i += 256)
        block[i] = (char)(i >> 8);
    return block[256];
}

static intptr_t uses_stack(pica_co *co, void *arg)
{
    pica_co_yield(co, deep((size_t)arg));
    return deep((size_t)arg);
}

static void stack_size_is_granted(void)
{
    static const size_t sizes[] = {(size_t)2 << 10, (size_t)32 << 10, (size_t)300 << 10,
                                   (size_t)5 << 20};
    for (unsigned i = 0; i < 4; i++) {
        pica_co *co = NULL;
        intptr_t value = 0;
        CHECK_FATAL_OK(
            pica_co_create(&co, uses_stack, body_arg((intptr_t)sizes[i] - 512), sizes[i]));
        CHECK_EQ(pica_co_resume(co, 0, &value), 1);
        CHECK_EQ(value, 1);
        CHECK_EQ(pica_co_resume(co, 0, &value), 0);
        pica_co_destroy(co);
    }
}

/* --- Inside tasks ------------------------------------------------------------------------- */

static intptr_t sleeps_inside(pica_co *co, void *arg)
{
    check_latch *woken = arg;
    for (intptr_t i = 0; i < 10; i++) {
        CHECK_OK(i % 3 ? pica_yield() : pica_sleep(PICA_US(50))); /* suspends the whole task */
        CHECK_EQ(body_end(body_spawn(i % 2 ? body_yields : body_returns, body_arg(i))), i);
        check_hit(woken);
        CHECK_EQ(pica_co_yield(co, i), i + 1);
    }
    return 50;
}

static intptr_t resumes(void *arg)
{
    pica_co *co = NULL;
    intptr_t value = 0;
    (void)arg;
    check_latch woken = {0};
    CHECK_FATAL_OK(pica_co_create(&co, sleeps_inside, &woken, 0));
    for (intptr_t i = 0; i < 10; i++) {
        CHECK_EQ(pica_co_resume(co, i, &value), 1);
        CHECK_EQ(value, i);
        CHECK_EQ(check_hits(&woken), i + 1);
        CHECK_OK(pica_yield()); /* and between two resumes */
    }
    CHECK_EQ(pica_co_resume(co, 10, &value), 0);
    CHECK_EQ(value, 50);
    pica_co_destroy(co);
    return 0;
}

static void a_task_sleeps_inside_a_coroutine(void)
{
    pica_task *tasks[10];
    for (unsigned i = 0; i < 10; i++)
        tasks[i] = body_spawn(resumes, NULL);
    for (unsigned i = 0; i < 10; i++)
        CHECK_EQ(body_end(tasks[i]), 0);
}

static intptr_t is_cancelled_inside(pica_co *co, void *arg)
{
    check_hit(arg);
    CHECK_EQ(pica_sleep(PICA_NEVER), -ECANCELED);
    pica_co_yield(co, 1);
    return 2;
}

static intptr_t resumes_one_that_is_cancelled(void *arg)
{
    pica_co *co = NULL;
    intptr_t value = 0;
    CHECK_FATAL_OK(pica_co_create(&co, is_cancelled_inside, arg, 0));
    CHECK_EQ(pica_co_resume(co, 0, &value), 1);
    CHECK_EQ(pica_yield(), -ECANCELED);
    CHECK_EQ(pica_co_resume(co, 0, &value), 0);
    pica_co_destroy(co);
    return value;
}

static void a_cancel_reaches_into_a_coroutine(void)
{
    check_latch asleep = {0};
    pica_task *task = body_spawn(resumes_one_that_is_cancelled, &asleep);
    CHECK_HITS(&asleep, 1);
    BODY_WAITS(task);
    CHECK_OK(pica_cancel(task));
    CHECK_EQ(body_end(task), 2);
}

/* Handed from task to task, and so from thread to thread; a semaphore orders it. */
struct handed {
    pica_co *co;
    pica_sem sem;
    intptr_t sum;
};

static intptr_t takes_turns(void *arg)
{
    struct handed *h = arg;
    for (unsigned i = 0; i < 100; i++) {
        CHECK_OK(pica_sem_acquire(&h->sem));
        CHECK_EQ(pica_co_resume(h->co, 2, &h->sum), 1);
        CHECK_OK(pica_sem_release(&h->sem));
    }
    return 0;
}

static void handed_from_task_to_task(void)
{
    struct handed h = {.sem = PICA_SEM_INIT(1)};
    CHECK_FATAL_OK(pica_co_create(&h.co, sums, body_arg(-2), 0));
    pica_task *tasks[6];
    for (unsigned i = 0; i < 6; i++)
        tasks[i] = body_spawn(takes_turns, &h);
    for (unsigned i = 0; i < 6; i++)
        CHECK_EQ(body_end(tasks[i]), 0);
    CHECK_EQ(pica_co_resume(h.co, 0, &h.sum), 0);
    CHECK_EQ(h.sum, -2 + 2 * (600 - 1));
    pica_co_destroy(h.co);
}

/* --- Misuse is said ----------------------------------------------------------------------- */

static intptr_t destroys_itself(pica_co *co, void *arg)
{
    (void)arg;
    pica_co_destroy(co);
    return 0;
}

static void destroy_running(void *arg)
{
    pica_co *co = NULL;
    (void)arg;
    if (pica_co_create(&co, destroys_itself, NULL, 0) == 0)
        (void)!pica_co_resume(co, 0, NULL);
}

static void yield_outside(void *arg)
{
    pica_co *co = NULL;
    int n = 3;
    (void)arg;
    if (pica_co_create(&co, counts, &n, 0) == 0 && pica_co_resume(co, 0, NULL) == 1)
        pica_co_yield(co, 0);
}

static intptr_t yields_for_another(pica_co *co, void *arg)
{
    (void)co;
    pica_co_yield(arg, 0);
    return 0;
}

static intptr_t resumes_a_stranger(pica_co *co, void *arg)
{
    pica_co *other = NULL;
    (void)arg;
    return pica_co_create(&other, yields_for_another, co, 0) == 0 ? pica_co_resume(other, 0, NULL)
                                                                  : 0;
}

static void yield_for_another(void *arg)
{
    pica_co *co = NULL;
    (void)arg;
    if (pica_co_create(&co, resumes_a_stranger, NULL, 0) == 0)
        (void)!pica_co_resume(co, 0, NULL);
}

/* A scope in frames that are gone would be looked at by the task's next wait. */
static intptr_t opens_a_scope(pica_co *co, void *arg)
{
    pica_scope scope;
    pica_scope_begin(&scope, pica_after(PICA_SEC(60)));
    if (arg)
        pica_co_yield(co, 1);
    return 0;
}

static intptr_t resumes_and_destroys(void *arg)
{
    pica_co *co = NULL;
    int rc = pica_co_create(&co, opens_a_scope, arg, 0);
    if (rc == 0)
        rc = pica_co_resume(co, 0, NULL);
    pica_co_destroy(co);
    return rc < 0 ? rc : pica_sleep(PICA_MS(1));
}

static intptr_t destroys_an_open_scope(void *arg)
{
    (void)arg;
    return resumes_and_destroys("yields");
}

static intptr_t returns_in_a_scope(void *arg)
{
    (void)arg;
    return resumes_and_destroys(NULL);
}

static void misuse(void)
{
    death_says(destroy_running, NULL, "that is running");
    death_says_in_task(destroys_an_open_scope, "has a scope or group open");
    death_says_in_task(returns_in_a_scope, "returned inside a scope");
    death_says(yield_outside, NULL, "outside the coroutine");
    death_says(yield_for_another, NULL, "outside the coroutine");
}

CHECK_MAIN
{
    check_plain("a generator", a_generator);
    check_plain("values both ways", values_both_ways);
    check_plain("refusals", refusals);
    check_plain("nested", nested);
    check_plain("destroyed where it stands", destroyed_where_it_stands);
    check_plain("many at once", many_at_once);
    check_plain("a stack size is granted", stack_size_is_granted);
    check_plain("misuse", misuse);
    check_run("a generator in a task", a_generator);
    check_run("values both ways in a task", values_both_ways);
    check_run("nested in a task", nested);
    check_run("destroyed in a task", destroyed_where_it_stands);
    check_run("a task sleeps inside a coroutine", a_task_sleeps_inside_a_coroutine);
    check_run("a cancel reaches into a coroutine", a_cancel_reaches_into_a_coroutine);
    check_run("handed from task to task", handed_from_task_to_task);
}
