/* SPDX-License-Identifier: MIT */
/* work_tasks.c: programs without descriptors (work.h). */
#include "tests/faults/work.h"

#include <pica/co.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TASKS 24
#define MANY 300

/* --- Coroutines ----------------------------------------------------------------------------- */

static intptr_t counts(pica_co *co, void *arg)
{
    intptr_t n = 0;
    (void)arg;
    while (n < 3)
        pica_co_yield(co, n++);
    return n;
}

void work_coroutines(void)
{
    pica_co *co;
    if (!WORK_FINE(pica_co_create(&co, counts, NULL, 0)))
        return;
    for (intptr_t i = 0, value = -1; i < 4; i++) {
        CHECK_EQ(pica_co_resume(co, 0, &value), i < 3);
        CHECK_EQ(value, i);
    }
    pica_co_destroy(co);
}

/* --- Tasks ---------------------------------------------------------------------------------- */

static intptr_t naps(void *arg)
{
    int rc = pica_sleep(PICA_US(100));
    return rc < 0 ? rc : (intptr_t)arg;
}

static intptr_t fails(void *arg)
{
    (void)arg;
    int rc = pica_yield();
    return rc < 0 ? rc : -EDOM;
}

static intptr_t copies(void *arg)
{
    return *(int *)arg;
}

static void gathers(unsigned n)
{
    pica_task *tasks[MANY];
    intptr_t results[MANY];
    unsigned made = 0;
    while (made < n && WORK_FINE(pica_spawn(&tasks[made], naps, (void *)(intptr_t)made)))
        made++;
    int rc = pica_gather(tasks, made, results, PICA_GATHER_COLLECT);
    bool gathered = WORK_FINE(rc);
    for (unsigned i = 0; i < made; i++) {
        if (!gathered)
            CHECK_EQ(pica_await(tasks[i], &results[i]), 0);
        if (WORK_FINE(results[i]))
            CHECK_EQ(results[i], i);
        pica_unref(tasks[i]);
    }
}

/* It returns at the first failure, and cancels nobody. */
static void gathers_some(void)
{
    pica_task *tasks[TASKS];
    unsigned made = 0;
    while (made < TASKS && WORK_FINE(pica_spawn(&tasks[made], made == 1 ? fails : naps, NULL)))
        made++;
    int rc = pica_gather(tasks, made, NULL, 0);
    CHECK(rc == -EDOM || made < 2 || !WORK_FINE(rc));
    for (unsigned i = 0; i < made; i++) {
        CHECK_EQ(pica_await(tasks[i], NULL), 0);
        pica_unref(tasks[i]);
    }
}

static void groups(void)
{
    pica_group group;
    pica_group_begin(&group);
    intptr_t rc = 0;
    for (unsigned i = 0; i < 8 && rc == 0; i++)
        rc = pica_group_spawn(&group, i < 6 ? fails : naps, NULL);
    rc = pica_group_end(&group, rc);
    CHECK(rc == -EDOM || !WORK_FINE(rc));
    const intptr_t *errors;
    CHECK_LE(work_error != ENOMEM, pica_group_errors(&group, &errors)); /* the list takes memory */
    pica_group_deinit(&group);
}

static pica_sem sem = PICA_SEM_INIT(2);

static intptr_t acquires(void *arg)
{
    (void)arg;
    int rc = pica_sem_acquire_until(&sem, pica_after(PICA_SEC(5)));
    if (rc < 0)
        return rc;
    rc = pica_yield();
    pica_sem_release(&sem);
    return rc;
}

static void permits(void)
{
    pica_group group;
    pica_group_begin(&group);
    int rc = 0;
    for (unsigned i = 0; i < 8 && rc == 0; i++)
        rc = pica_group_spawn(&group, acquires, NULL);
    WORK_FINE(pica_group_end(&group, rc));
    pica_group_deinit(&group);
    CHECK_EQ(pica_sem_value(&sem), 2);
}

static void others(void)
{
    int value = 42;
    pica_task *task;
    intptr_t result = 0;
    if (WORK_FINE(pica_spawn_copy(&task, copies, &value))) {
        CHECK_EQ(pica_await(task, &result), 0);
        CHECK(result == 42 || !WORK_FINE(result));
        pica_unref(task);
    }
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    int rc = pica_dump(pica_executor_self(), fd);
    CHECK(rc > 0 || !WORK_FINE(rc));
    close(fd);
}

struct cleaner {
    int added, called; /* the task's, then its awaiter's */
};

static void cleans(void *arg)
{
    ((struct cleaner *)arg)->called++;
}

static intptr_t defers(void *arg)
{
    struct cleaner *cleaner = arg;
    while (cleaner->added < 5 && WORK_FINE(pica_defer(cleans, arg)))
        cleaner->added++;
    return naps(NULL);
}

/* The function runs, with what it could defer, or on_drop does, which counts as well. */
static void cleaners(void)
{
    pica_attr attr = PICA_ATTR_INIT;
    attr.on_drop = cleans;
    for (unsigned i = 0; i < 4; i++) {
        struct cleaner cleaner = {0, 0};
        pica_task *task;
        intptr_t result = 0;
        attr.eager = i % 2;
        if (!WORK_FINE(pica_spawn_with(&task, defers, &cleaner, &attr)))
            continue;
        CHECK_EQ(pica_await(task, &result), 0);
        CHECK_EQ(cleaner.called, WORK_FINE(result) || cleaner.added ? cleaner.added : 1);
        pica_unref(task);
    }
}

static intptr_t computes(void *arg)
{
    (void)arg;
    cleaners();
    gathers(TASKS);
    gathers_some();
    groups();
    permits();
    others();
    gathers(MANY);
    return 0;
}

void work_compute(void)
{
    pica_options options = work_options(2);
    options.flags |= PICA_NAME_OVERFLOWS;
    work_in_executor(&options, computes);
}

void work_one(void)
{
    pica_options options = work_options(1);
    work_in_executor(&options, computes);
}

void work_futex(void)
{
    pica_options options = work_options(2);
    options.driver = PICA_DRIVER_FUTEX;
    work_in_executor(&options, computes);
}

static intptr_t idles(void *arg)
{
    int rc = pica_sleep(PICA_MS(60));
    for (unsigned i = 0; i < 20 && rc == 0; i++)
        rc = pica_sleep(PICA_US(500));
    return rc < 0 ? rc : computes(arg);
}

/* Long enough that the monitor falls asleep as well, and has to be woken. */
void work_idle(void)
{
    pica_options options = work_options(2);
    work_in_executor(&options, idles);
}

/* The number of workers is asked of the system. */
void work_run(void)
{
    pica_options options = work_options(0);
    intptr_t rc = pica_run(naps, (void *)7, &options);
    if (WORK_FINE(rc))
        CHECK_EQ(rc, 7);
    CHECK(pica_allocator() != NULL);
}

void work_pinned(void)
{
    pica_options options = work_options(2);
    options.flags |= PICA_PIN_WORKERS;
    intptr_t rc = pica_run(naps, (void *)7, &options);
    if (WORK_FINE(rc))
        CHECK_EQ(rc, 7);
}

static intptr_t trims(void *arg)
{
    (void)arg;
    for (unsigned round = 0; round < 2; round++) {
        gathers(MANY);
        CHECK_LE(0, pica_trim(pica_executor_self()));
    }
    return 0;
}

void work_trim(void)
{
    pica_options options = work_options(1);
    work_in_executor(&options, trims);
}

/* All of the new workers come, or none. */
static intptr_t resizes(void *arg)
{
    pica_executor *ex = pica_executor_self();
    (void)arg;
    bool more = WORK_FINE(pica_executor_resize(ex, 3));
    CHECK_EQ(pica_executor_workers(ex), more ? 3 : 1);
    gathers(TASKS);
    CHECK_EQ(pica_executor_resize(ex, 1), 0);
    gathers(TASKS);
    return 0;
}

void work_resize(void)
{
    pica_options options = work_options(1);
    options.workers_max = 3;
    work_in_executor(&options, resizes);
}

/* More tasks are ready at once than a queue has room for at first. */
#define CROWD 1200
static pica_sem gate = PICA_SEM_INIT(0);

static intptr_t passes(void *arg)
{
    ++*(unsigned *)arg;
    return pica_sem_acquire(&gate);
}

static intptr_t crowds(void *arg)
{
    static pica_task *tasks[CROWD];
    unsigned made = 0, waiting = 0, ended = 0;
    (void)arg;
    while (made < CROWD && WORK_FINE(pica_spawn(&tasks[made], passes, &waiting)))
        if (++made % 100 == 0)
            WORK_FINE(pica_yield());
    CHECK_EQ(pica_sem_release_n(&gate, CROWD), 0);
    for (unsigned i = 0; i < made; i++) {
        intptr_t result = -1;
        CHECK_EQ(pica_await(tasks[i], &result), 0);
        ended += WORK_FINE(result);
        pica_unref(tasks[i]);
    }
    CHECK_LE(ended, waiting);
    CHECK_EQ(pica_sem_value(&gate), (int64_t)(CROWD - ended));
    return 0;
}

void work_crowd(void)
{
    pica_options options = work_options(1);
    options.flags |= PICA_NO_SPARE; /* the tasks count without atomics */
    work_in_executor(&options, crowds);
}

static intptr_t loses(void *arg)
{
    (void)arg;
    pica_task *task;
    if (!WORK_FINE(pica_spawn(&task, fails, NULL)))
        return 0;
    pica_unref(task);
    return pica_sleep(PICA_MS(1));
}

/* Without a hook: the report goes to stderr. */
void work_loses(void)
{
    pica_options options = work_options(1);
    options.on_lost_error = NULL;
    WORK_FINE(pica_run(loses, NULL, &options));
}

/* --- Shutting down ------------------------------------------------------------------------------ */

static intptr_t works_on(void *arg)
{
    (void)arg;
    for (int64_t until = pica_after(PICA_MS(1)); pica_now() < until;) {
    }
    return pica_sleep(PICA_MS(1));
}

static void shuts_down(int64_t patience)
{
    pica_options options = work_options(1);
    pica_executor *ex;
    pica_task *task;
    if (!WORK_FINE(pica_executor_create(&ex, &options)))
        return;
    if (WORK_FINE(pica_executor_spawn(ex, &task, works_on, NULL)))
        pica_detach(task);
    CHECK_LE(0, pica_executor_shutdown(ex, pica_after(patience)));
    pica_executor_destroy(ex);
}

/* One time the tasks end by themselves, the other time they are cancelled. */
void work_shutdown(void)
{
    shuts_down(PICA_SEC(5));
    shuts_down(0);
}

/* --- What ends the process ------------------------------------------------------------------- */

static intptr_t unrefs_twice(void *arg)
{
    (void)arg;
    pica_task *task;
    if (pica_spawn(&task, naps, NULL) == 0) {
        (void)!pica_await(task, NULL);
        pica_unref(task);
        pica_unref(task);
    }
    abort();
}

void work_misuse(void)
{
    pica_options options = work_options(1);
    (void)pica_run(unrefs_twice, NULL, &options);
    abort();
}

static __attribute__((noinline)) int deep(int n)
{
    volatile char frame[1024];
    frame[n & 1023] = (char)n;
    return n > 1000000 ? 0 : deep(n + 1) + frame[n & 1023];
}

static intptr_t overflows(void *arg)
{
    (void)arg;
    return deep(1);
}

static intptr_t awaits_overflow(void *arg)
{
    pica_task *task;
    if (pica_spawn(&task, overflows, arg) == 0)
        (void)!pica_await(task, NULL);
    return 0;
}

void work_overflow(void)
{
    pica_options options = work_options(1);
    options.flags |= PICA_NAME_OVERFLOWS;
    (void)pica_run(awaits_overflow, NULL, &options);
    raise(SIGSEGV);
}
