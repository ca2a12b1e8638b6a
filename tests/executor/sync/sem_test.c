/* SPDX-License-Identifier: MIT */
/* sem_test.c: the semaphore, rule by rule (pica/sem.h). Millions of operations with random
 * cancels and timeouts are in sem_stress.c. */
#include "tests/executor/death.h"
#include "tests/executor/sync/served.h"

#include <pica/scope.h>
#include <pthread.h>
#include <stdlib.h>

static void values(void)
{
    static pica_sem zeroed;
    pica_sem three = PICA_SEM_INIT(3);
    CHECK_EQ(pica_sem_value(&zeroed), 0);
    CHECK_EQ(pica_sem_try_acquire(&zeroed), -EAGAIN);
    CHECK_EQ(pica_sem_value(&three), 3);
    for (int i = 2; i >= 0; i--) {
        CHECK_EQ(i % 2 ? pica_sem_try_acquire(&three) : pica_sem_acquire(&three), 0);
        CHECK_EQ(pica_sem_value(&three), i);
    }
    CHECK_EQ(pica_sem_try_acquire(&three), -EAGAIN);
    CHECK_EQ(pica_sem_acquire_until(&three, 0), -ETIMEDOUT);
    CHECK_EQ(pica_sem_acquire_until(&three, pica_after(PICA_MS(2))), -ETIMEDOUT);
    CHECK_EQ(pica_sem_value(&three), 0);
    for (int i = 1; i <= 5; i++) { /* also beyond where it began */
        CHECK_EQ(pica_sem_release(&three), 0);
        CHECK_EQ(pica_sem_value(&three), i);
    }
    CHECK_EQ(pica_sem_acquire_until(&three, 0), 0); /* free at once: no matter when */
    CHECK_EQ(pica_sem_destroy(&three), 0);
    CHECK_EQ(pica_sem_destroy(&zeroed), 0);
}

static void limits(void)
{
    pica_sem sem;
    CHECK_EQ(pica_sem_init(&sem, -1), -EINVAL);
    CHECK_EQ(pica_sem_init(&sem, (int64_t)PICA_SEM_MAX + 1), -EINVAL);
    CHECK_EQ(pica_sem_init(&sem, INT64_MIN), -EINVAL);
    CHECK_EQ(pica_sem_init(NULL, 0), -EINVAL);
    CHECK_EQ(pica_sem_init(&sem, PICA_SEM_MAX), 0);
    CHECK_EQ(pica_sem_release(&sem), -EOVERFLOW);
    CHECK_EQ(pica_sem_value(&sem), PICA_SEM_MAX); /* nothing has happened */
    CHECK_EQ(pica_sem_acquire(&sem), 0);
    CHECK_EQ(pica_sem_release(&sem), 0);
    CHECK_EQ(pica_sem_release(&sem), -EOVERFLOW);
    CHECK_EQ(pica_sem_destroy(&sem), 0);
}

/* A release in line and one that is called do the same: into none, few, too many; into one that was
 * zeroed, is bounded, is waited for, is closed. */
static void limits_in_line_and_called(void)
{
    int (*volatile called)(pica_sem *) = pica_sem_release;
    for (int round = 0; round < 2; round++) {
#define RELEASE(sem) (round == 0 ? pica_sem_release(sem) : called(sem))
        pica_sem zeroed = {0}, full = PICA_SEM_INIT(PICA_SEM_MAX), bounded;
        CHECK_EQ(RELEASE(&zeroed), 0);
        CHECK_EQ(RELEASE(&zeroed), 0);
        CHECK_EQ(pica_sem_value(&zeroed), 2);
        CHECK_EQ(RELEASE(&full), -EOVERFLOW);
        CHECK_EQ(pica_sem_value(&full), PICA_SEM_MAX);
        CHECK_EQ(pica_sem_init_bounded(&bounded, 0, 1), 0);
        CHECK_EQ(RELEASE(&bounded), 0);
        CHECK_EQ(RELEASE(&bounded), -EOVERFLOW);
        CHECK_EQ(pica_sem_value(&bounded), 1);

        struct served served = {.sem = PICA_SEM_INIT(0)};
        pica_task *waits = customer(&served, 1);
        CHECK_EQ(RELEASE(&served.sem), 0);
        CHECK_EQ(body_end(waits), 0);
        CHECK_EQ(pica_sem_value(&served.sem), 0);

        CHECK_EQ(pica_sem_try_acquire(&full), 0);
        pica_sem_close(&full);
        CHECK_EQ(RELEASE(&full), 0);
        CHECK_EQ(pica_sem_value(&full), PICA_SEM_MAX);
        CHECK_EQ(RELEASE(&full), -EOVERFLOW);
        CHECK_EQ(pica_sem_value(&full), PICA_SEM_MAX);
#undef RELEASE
    }
}

/* --- First come, first served ------------------------------------------------------------- */

static void in_order_of_arrival(void)
{
    struct served served = {.sem = PICA_SEM_INIT(0)};
    pica_task *tasks[20];
    for (uint32_t i = 0; i < 20; i++)
        tasks[i] = customer(&served, 1);
    for (uint32_t i = 0; i < 20; i++) {
        CHECK_OK(pica_sem_release(&served.sem));
        CHECK_EQ(pica_sem_value(&served.sem), 0); /* handed over, not free */
        CHECK_EQ(pica_sem_try_acquire(&served.sem), -EAGAIN);
        CHECK_EQ(body_end(tasks[i]), i);
    }
    CHECK_EQ(pica_sem_destroy(&served.sem), 0);
}

/* The permit belongs to the one in the queue, although it has not run yet. */
static void nobody_barges(void)
{
    struct served served = {.sem = PICA_SEM_INIT(0)};
    for (unsigned round = 0; round < 50; round++) {
        pi_store_relaxed(&served.next, 0u);
        pica_task *first = customer(&served, 1);
        CHECK_OK(pica_sem_release(&served.sem));
        CHECK_EQ(pica_sem_try_acquire(&served.sem), -EAGAIN);
        CHECK_EQ(pica_sem_acquire_until(&served.sem, pica_now()), -ETIMEDOUT);
        CHECK_EQ(body_end(first), 0);
        CHECK_OK(pica_sem_release(&served.sem));
        CHECK_EQ(pica_sem_try_acquire(&served.sem), 0);
    }
}

/* --- Giving up leaves no trace ------------------------------------------------------------ */

static void cancelled_waiters(void)
{
    struct served served = {.sem = PICA_SEM_INIT(0)};
    static const bool leaves[] = {true, false, true, true, false, false, true, false, true};
    enum { N = sizeof(leaves) / sizeof(leaves[0]) };
    pica_task *tasks[N];
    for (uint32_t i = 0; i < N; i++)
        tasks[i] = customer(&served, 1);
    for (uint32_t i = 0; i < N; i++) {
        if (!leaves[i])
            continue;
        CHECK_OK(pica_cancel(tasks[i]));
        CHECK_EQ(body_end(tasks[i]), -ECANCELED);
    }
    uint32_t k = 0;
    for (uint32_t i = 0; i < N; i++) {
        if (leaves[i])
            continue;
        CHECK_OK(pica_sem_release(&served.sem));
        CHECK_EQ(body_end(tasks[i]), k++);
    }
    CHECK_EQ(pica_sem_value(&served.sem), 0);
    CHECK_OK(pica_sem_release(&served.sem)); /* nobody is left to take it */
    CHECK_EQ(pica_sem_value(&served.sem), 1);
    CHECK_EQ(pica_sem_try_acquire(&served.sem), 0);
    CHECK_EQ(pica_sem_destroy(&served.sem), 0);
}

/* The permit came first: the cancel does not take it back, and is not lost. */
static intptr_t keeps_its_permit(void *arg)
{
    CHECK_EQ(pica_sem_acquire(arg), 0);
    CHECK_SOON(pica_cancelling() == 1);
    CHECK_EQ(pica_yield(), -ECANCELED);
    CHECK_OK(pica_sem_release(arg)); /* no cancellation point */
    return 1;
}

static void handed_over_then_cancelled(void)
{
    for (unsigned i = 0; i < 100; i++) {
        pica_sem sem = PICA_SEM_INIT(0);
        pica_task *task = body_spawn(keeps_its_permit, &sem);
        BODY_WAITS(task);
        CHECK_OK(pica_sem_release(&sem));
        CHECK_OK(pica_cancel(task));
        CHECK_EQ(body_end(task), 1);
        CHECK_EQ(pica_sem_value(&sem), 1);
    }
}

static intptr_t times_out(void *arg)
{
    return pica_sem_acquire_until(arg, pica_after(PICA_MS(2)));
}

static void timed_out_waiters(void)
{
    pica_sem sem = PICA_SEM_INIT(0);
    pica_task *tasks[10];
    for (unsigned i = 0; i < 10; i++)
        tasks[i] = body_spawn(times_out, &sem);
    for (unsigned i = 0; i < 10; i++)
        CHECK_EQ(body_end(tasks[i]), -ETIMEDOUT);
    CHECK_EQ(pica_sem_value(&sem), 0);
    CHECK_OK(pica_sem_release(&sem));
    CHECK_EQ(pica_sem_value(&sem), 1);
    CHECK_EQ(pica_sem_destroy(&sem), 0);
}

/* --- Its end, and who else may use it ----------------------------------------------------- */

static void destroy_while_somebody_waits(void)
{
    struct served served = {.sem = PICA_SEM_INIT(0)};
    pica_task *task = customer(&served, 1);
    CHECK_EQ(pica_sem_destroy(&served.sem), -EBUSY);
    CHECK_EQ(pica_sem_destroy(&served.sem), -EBUSY);
    CHECK_OK(pica_sem_release(&served.sem));
    CHECK_EQ(body_end(task), 0);
    CHECK_EQ(pica_sem_destroy(&served.sem), 0);
}

/* Who got the permit may free the semaphore at once: the releaser does not touch it any more.
 * The address sanitizer sees it if it does. */
static intptr_t releases(void *arg)
{
    CHECK_OK(pica_sem_release(arg));
    return 0;
}

static void freed_by_the_acquirer(void)
{
    for (uint64_t i = check_rounds(5000); i > 0; i--) {
        pica_sem *sem = malloc(sizeof(*sem));
        CHECK_FATAL(sem != NULL);
        CHECK_OK(pica_sem_init(sem, 0));
        pica_task *task = body_spawn(releases, sem);
        CHECK_OK(pica_sem_acquire(sem));
        memset(sem, 0xee, sizeof(*sem));
        free(sem);
        CHECK_EQ(body_end(task), 0);
    }
}

struct shop {
    pica_sem sem;
    uint32_t inside, most; /* [atomic] */
    uint64_t rounds;
};

static void one_round(struct shop *shop)
{
    CHECK_OK(pica_sem_acquire(&shop->sem));
    uint32_t inside = pi_add_acq_rel(&shop->inside, 1u) + 1;
    CHECK_LE(inside, 3);
    uint32_t most = pi_load_relaxed(&shop->most);
    while (inside > most && !pi_cas_relaxed(&shop->most, &most, inside)) {
    }
    if (pica_self())
        CHECK_OK(pica_yield());
    pi_sub_acq_rel(&shop->inside, 1u);
    CHECK_OK(pica_sem_release(&shop->sem));
}

static intptr_t shops(void *arg)
{
    struct shop *shop = arg;
    for (uint64_t i = 0; i < shop->rounds; i++)
        one_round(shop);
    return 0;
}

static void *thread_shops(void *arg)
{
    CHECK_EQ(shops(arg), 0);
    return NULL;
}

/* Tasks and plain threads in one queue. @return has it let in more than one at a time? */
static bool threads_and_tasks_meet(unsigned pace, void *unused)
{
    pica_options options = check_options();
    pica_executor *ex = check_executor_open(&options);
    struct shop shop = {.sem = PICA_SEM_INIT(3), .rounds = check_rounds(1000) * pace};
    (void)unused;
    pthread_t threads[3];
    pica_task *tasks[10];
    for (unsigned i = 0; i < 10; i++)
        CHECK_FATAL_OK(pica_executor_spawn(ex, &tasks[i], shops, &shop));
    for (unsigned i = 0; i < 3; i++)
        CHECK_FATAL(pthread_create(&threads[i], NULL, thread_shops, &shop) == 0);
    for (unsigned i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < 10; i++)
        CHECK_EQ(body_end(tasks[i]), 0);
    CHECK_EQ(pica_sem_value(&shop.sem), 3);
    CHECK_EQ(pica_sem_destroy(&shop.sem), 0);
    check_executor_close(ex);
    return pi_load_relaxed(&shop.most) > 1;
}

static void threads_and_tasks(void)
{
    CHECK_PACED(threads_and_tasks_meet, NULL);
}

/* A thread waits in line like everybody else, also until a deadline. */
static void *thread_acquires(void *arg)
{
    struct served *served = arg;
    CHECK_OK(pica_sem_acquire(&served->sem));
    CHECK_EQ(pi_add_acq_rel(&served->next, 1u), 0);
    return NULL;
}

static void a_thread_waits_in_line(void)
{
    struct served served = {.sem = PICA_SEM_INIT(0)};
    CHECK_EQ(pica_sem_acquire_until(&served.sem, pica_now()), -ETIMEDOUT);
    CHECK_EQ(pica_sem_acquire_until(&served.sem, pica_after(PICA_MS(2))), -ETIMEDOUT);
    pthread_t thread;
    CHECK_FATAL(pthread_create(&thread, NULL, thread_acquires, &served) == 0);
    CHECK_SOON(pica_sem_destroy(&served.sem) == -EBUSY); /* it stands in the queue */
    CHECK_EQ(pica_sem_try_acquire(&served.sem), -EAGAIN);
    CHECK_OK(pica_sem_release(&served.sem));
    CHECK_EQ(pica_sem_acquire_until(&served.sem, pica_after(PICA_MS(2))), -ETIMEDOUT);
    pthread_join(thread, NULL);
    CHECK_EQ(pi_load_relaxed(&served.next), 1);
    CHECK_EQ(pica_sem_destroy(&served.sem), 0);
}

/* One worker: a permit that goes round makes everybody's turn come in order. */
struct round_robin {
    pica_sem *sem;
    char *text;
    unsigned *n;
    char name;
};

static intptr_t goes_round(void *arg)
{
    const struct round_robin *r = arg;
    for (unsigned i = 0; i < 3; i++) {
        CHECK_OK(pica_sem_acquire(r->sem));
        r->text[(*r->n)++] = r->name;
        CHECK_OK(pica_yield());
        CHECK_OK(pica_sem_release(r->sem));
    }
    return 0;
}

static void turns(void)
{
    pica_sem sem = PICA_SEM_INIT(1);
    char text[16] = "";
    unsigned n = 0;
    pica_task *tasks[4];
    for (unsigned i = 0; i < 4; i++) {
        struct round_robin r = {&sem, text, &n, (char)('A' + i)};
        CHECK_FATAL_OK(pica_spawn_copy(&tasks[i], goes_round, &r));
    }
    for (unsigned i = 0; i < 4; i++)
        CHECK_EQ(body_end(tasks[i]), 0);
    CHECK_STR(text, "ABCDABCDABCD");
}

/* --- Misuse is said ----------------------------------------------------------------------- */

static intptr_t acquires_for_ever(void *arg)
{
    return pica_sem_acquire(arg);
}

/* Both have the same waiter in their queue. */
static pica_sem sem_with_a_waiter(void)
{
    static pica_sem sem;
    pica_task *task = body_spawn(acquires_for_ever, &sem);
    BODY_WAITS(task);
    return sem;
}

static intptr_t releases_a_copy(void *arg)
{
    pica_sem copy = sem_with_a_waiter();
    (void)arg;
    return pica_sem_release(&copy);
}

static intptr_t acquires_a_copy(void *arg)
{
    pica_sem copy = sem_with_a_waiter();
    (void)arg;
    return pica_sem_acquire(&copy);
}

static intptr_t destroys_a_copy(void *arg)
{
    pica_sem copy = sem_with_a_waiter();
    (void)arg;
    return pica_sem_destroy(&copy);
}

static void misuse(void)
{
    death_says_in_task(releases_a_copy, "a semaphore was copied");
    death_says_in_task(acquires_a_copy, "a semaphore was copied");
    death_says_in_task(destroys_a_copy, "a semaphore was copied");
}

CHECK_MAIN
{
    check_run("values", values);
    check_run("limits", limits);
    check_run("limits, in line and called", limits_in_line_and_called);
    check_run("in order of arrival", in_order_of_arrival);
    check_run("nobody barges", nobody_barges);
    check_run("cancelled waiters", cancelled_waiters);
    check_run("handed over, then cancelled", handed_over_then_cancelled);
    check_run("timed out waiters", timed_out_waiters);
    check_run("destroy while somebody waits", destroy_while_somebody_waits);
    check_run("freed by the acquirer", freed_by_the_acquirer);
    check_plain_in(CHECK_ALL, "threads and tasks", threads_and_tasks);
    check_plain("a thread waits in line", a_thread_waits_in_line);
    check_run_in(CHECK_ONE, "turns", turns);
    check_plain("misuse", misuse);
}
