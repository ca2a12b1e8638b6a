/* SPDX-License-Identifier: MIT */
/* stress_test.c: many tasks do anything at random, cancel one another, and hold the library to
 * its word at each step.
 *
 *   1. An actor is cancelled by other actors; its children by nobody but the actor's own
 *      awaits, groups and scopes. So an await that returns 0 gives the child's true result.
 *   2. A call returns -ECANCELED only to a task that pica_check_cancel() calls cancelled too.
 *   3. A shield lets nothing through. At most PERMITS are inside the semaphore, which is at
 *      its initial value in the end, and every spawned function has run to its end, once.
 *
 * Meanwhile plain threads spawn, join and use the semaphore from outside. */
#include "executor/base/atomics.h"
#include "tests/check.h"

#include <pica/gather.h>
#include <pica/group.h>
#include <pica/net.h>
#include <pica/scope.h>
#include <pica/sem.h>
#include <pica/task.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACTORS 16
#define THREADS 2
#define PERMITS 3
#define GROUP 4

static pica_task *actors[ACTORS]; /* [atomic] release by main; held until all have ended */
static pica_sem sem;
static uint32_t inside;  /* [atomic] */
static uint64_t spawned; /* [atomic, relaxed] */
static uint64_t ran;     /* [atomic, relaxed] */

/* --- Children ------------------------------------------------------------------------------ */

typedef struct child_arg {
    uint64_t seed;
    unsigned depth;
    bool fails;
} child_arg;

static intptr_t worth(uint64_t seed)
{
    return (intptr_t)(seed >> 8);
}

static intptr_t child(void *arg);

/* What a child does, and what an actor does to itself, too. @return 0 or -ECANCELED */
static int pass_time(check_rng *rng, unsigned depth)
{
    switch (check_rng_below(rng, depth ? 5 : 4)) {
    case 0:
        return 0;
    case 1:
        return pica_yield();
    case 2:
        return pica_sleep((int64_t)check_rng_below(rng, 100000));
    case 3:
        return pica_check_cancel();
    default:
        break;
    }
    child_arg grandchild = {check_rng_next(rng), depth - 1, false};
    pica_task *task;
    intptr_t result = 0;
    pi_add_relaxed(&spawned, 1u);
    CHECK_FATAL_OK(pica_spawn_copy(&task, child, &grandchild));
    int rc = pica_await(task, &result);
    if (rc == 0)
        CHECK_EQ(result, worth(grandchild.seed));
    pica_unref(task);
    return rc;
}

static intptr_t child(void *arg)
{
    child_arg mine = *(child_arg *)arg;
    check_rng rng = {mine.seed};
    pi_add_relaxed(&ran, 1u);
    for (unsigned i = 0; i < 3; i++) {
        int rc = pass_time(&rng, mine.depth);
        if (rc < 0) {
            CHECK_EQ(rc, -ECANCELED);
            CHECK_EQ(pica_check_cancel(), -ECANCELED);
            return rc;
        }
    }
    return mine.fails ? -EIO : worth(mine.seed);
}

static child_arg a_child(check_rng *rng)
{
    pi_add_relaxed(&spawned, 1u);
    return (child_arg){check_rng_next(rng), (unsigned)check_rng_below(rng, 3), false};
}

/* --- What an actor does; each returns 0, or -ECANCELED if it saw a cancel -------------------- */

static int awaits(check_rng *rng)
{
    child_arg arg = a_child(rng);
    pica_task *task;
    intptr_t result = 0;
    CHECK_FATAL_OK(pica_spawn_copy(&task, child, &arg));
    int rc = check_rng_below(rng, 2) ? pica_yield() : 0;
    int awaited = pica_await(task, &result);
    if (awaited == 0)
        CHECK_EQ(result, worth(arg.seed));
    else
        CHECK_EQ(awaited, -ECANCELED);
    CHECK_EQ(pica_task_status(task), PICA_DONE);
    pica_unref(task);
    return rc < 0 ? rc : awaited;
}

static int joins(check_rng *rng)
{
    child_arg arg = a_child(rng);
    pica_task *task;
    intptr_t result = 0;
    CHECK_FATAL_OK(pica_spawn_copy(&task, child, &arg));
    int64_t deadline = pica_after((int64_t)check_rng_below(rng, 200000));
    int rc = pica_join_until(task, &result, deadline);
    if (rc == 0) {
        CHECK_EQ(result, worth(arg.seed));
    } else {
        CHECK(rc == -ECANCELED || rc == -ETIMEDOUT);
        pica_scope shield;
        pica_shield_begin(&shield, PICA_NEVER);
        CHECK_EQ(pica_scope_end(&shield, pica_await(task, &result)), 0);
        CHECK_EQ(result, worth(arg.seed)); /* a join leaves the task alone */
    }
    pica_unref(task);
    return rc == -ETIMEDOUT ? 0 : rc;
}

static int gathers(check_rng *rng)
{
    child_arg args[GROUP];
    pica_task *tasks[GROUP];
    intptr_t results[GROUP];
    for (unsigned i = 0; i < GROUP; i++) {
        args[i] = a_child(rng);
        CHECK_FATAL_OK(pica_spawn_copy(&tasks[i], child, &args[i]));
    }
    unsigned flags = check_rng_below(rng, 2) ? PICA_GATHER_COLLECT : 0;
    int rc = pica_gather(tasks, GROUP, results, flags);
    CHECK(rc == 0 || rc == -ECANCELED);
    for (unsigned i = 0; i < GROUP; i++) {
        CHECK_EQ(pica_task_status(tasks[i]), PICA_DONE);
        if (rc == 0)
            CHECK_EQ(results[i], worth(args[i].seed));
        pica_unref(tasks[i]);
    }
    return rc;
}

static int groups(check_rng *rng)
{
    bool some_fails = check_rng_below(rng, 3) == 0;
    pica_group group;
    pica_group_begin(&group);
    int rc = 0;
    for (unsigned i = 0; i < GROUP && rc == 0; i++) {
        child_arg arg = a_child(rng);
        arg.fails = some_fails && i == 1;
        pica_attr attr = PICA_ATTR_INIT;
        attr.copy_size = sizeof(arg);
        rc = pica_group_spawn_at(&group, NULL, child, &arg, &attr, PICA_SITE);
        if (rc < 0) {
            CHECK_EQ(rc, -ESHUTDOWN);
            pi_sub_relaxed(&spawned, 1u);
            rc = -ECANCELED;
        }
    }
    rc = (int)pica_group_end(&group, rc);
    const intptr_t *errors;
    size_t n = pica_group_errors(&group, &errors);
    if (rc == -EIO) {
        CHECK(some_fails);
        CHECK_EQ(n, 1);
        CHECK_EQ(errors[0], -EIO);
        rc = 0;
    } else {
        CHECK(rc == 0 || rc == -ECANCELED);
        CHECK(rc == -ECANCELED || !some_fails);
        CHECK_EQ(n, 0);
    }
    pica_group_deinit(&group);
    return rc;
}

static int scopes(check_rng *rng)
{
    pica_scope outer, inner;
    pica_scope_begin(&outer, pica_after((int64_t)check_rng_below(rng, 200000)));
    pica_scope_begin(&inner, pica_after((int64_t)check_rng_below(rng, 200000)));
    int rc = pass_time(rng, 1);
    if (rc == 0)
        rc = pica_sleep((int64_t)check_rng_below(rng, 200000));
    intptr_t end = pica_scope_end(&inner, rc);
    CHECK(rc == 0 ? end == 0 : end == -ETIMEDOUT || end == -ECANCELED);
    end = pica_scope_end(&outer, end);
    CHECK(end == 0 || end == -ETIMEDOUT || end == -ECANCELED);
    return end == -ECANCELED ? -ECANCELED : 0;
}

static int shields(check_rng *rng)
{
    pica_scope shield;
    pica_shield_begin(&shield, PICA_NEVER);
    CHECK_EQ(pass_time(rng, 2), 0);
    CHECK_EQ(pica_sleep((int64_t)check_rng_below(rng, 50000)), 0);
    CHECK_EQ(pica_scope_end(&shield, 0), 0);
    return 0;
}

static int takes_a_permit(check_rng *rng, bool is_task)
{
    int rc;
    switch (check_rng_below(rng, 3)) {
    case 0:
        rc = pica_sem_try_acquire(&sem);
        break;
    case 1:
        rc = pica_sem_acquire_until(&sem, pica_after((int64_t)check_rng_below(rng, 100000)));
        break;
    default:
        rc = pica_sem_acquire(&sem);
        break;
    }
    if (rc == 0) {
        CHECK_LT(pi_add_acq_rel(&inside, 1u), PERMITS);
        if (is_task && check_rng_below(rng, 2))
            rc = pica_yield();
        pi_sub_acq_rel(&inside, 1u);
        CHECK_OK(pica_sem_release(&sem));
    }
    CHECK(rc == 0 || rc == -EAGAIN || rc == -ETIMEDOUT || rc == -ECANCELED);
    return rc == -ECANCELED ? rc : 0;
}

/* Bytes from one end to the other, while the reader's scope may expire. */
static intptr_t writes(void *arg)
{
    int fd = *(int *)arg;
    pica_stream *stream;
    pi_add_relaxed(&ran, 1u);
    CHECK_FATAL_OK(pica_stream_adopt(&stream, fd));
    int rc = pica_sleep(PICA_US(20));
    if (rc == 0)
        rc = pica_write_all(stream, "12345678", 8, NULL);
    pica_close(stream);
    return rc;
}

static int talks(check_rng *rng)
{
    int fds[2];
    CHECK_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    pica_stream *stream;
    pica_task *task;
    pi_add_relaxed(&spawned, 1u);
    CHECK_FATAL_OK(pica_stream_adopt(&stream, fds[0]));
    CHECK_FATAL_OK(pica_spawn_copy(&task, writes, &fds[1]));
    pica_detach(pica_ref(task)); /* its end may be a broken pipe */
    pica_scope scope;
    pica_scope_begin(&scope, pica_after((int64_t)check_rng_below(rng, 300000)));
    char bytes[9] = "";
    ssize_t n = pica_read(stream, bytes, 8);
    if (n == 8)
        CHECK_STR(bytes, "12345678");
    else
        CHECK_EQ(n, -ECANCELED);
    intptr_t end = pica_scope_end(&scope, n < 0 ? (intptr_t)n : 0);
    pica_close(stream);
    int rc = pica_await(task, NULL);
    pica_unref(task);
    return end == -ECANCELED || rc == -ECANCELED ? -ECANCELED : 0;
}

static int cancels(check_rng *rng)
{
    pica_task *victim = pi_load_acquire(&actors[check_rng_below(rng, ACTORS)]);
    if (victim) {
        int rc = pica_cancel(victim);
        CHECK(rc == 0 || rc == -EALREADY);
    }
    return 0;
}

/* --- Actors -------------------------------------------------------------------------------- */

static intptr_t actor(void *arg)
{
    check_rng rng = *(check_rng *)arg;
    pi_add_relaxed(&ran, 1u);
    for (unsigned i = 0; i < 60; i++) {
        static int (*const acts[])(check_rng *) = {awaits, joins,   gathers, groups,
                                                   scopes, shields, talks,   cancels};
        uint64_t which = check_rng_below(&rng, sizeof(acts) / sizeof(acts[0]) + 1);
        int rc = which < sizeof(acts) / sizeof(acts[0]) ? acts[which](&rng)
                                                        : takes_a_permit(&rng, true);
        if (rc == -ECANCELED) {
            CHECK_EQ(pica_check_cancel(), -ECANCELED);
            if (check_rng_below(&rng, 8) == 0)
                return rc;
            while (pica_uncancel() > 0) {
            }
        } else {
            CHECK_EQ(rc, 0);
        }
    }
    return 0;
}

/* --- From outside -------------------------------------------------------------------------- */

static uint32_t stop; /* [atomic] main tells the threads */
static check_latch gone;

static void *outsider(void *arg)
{
    check_rng rng = check_rng_make(1000 + (uintptr_t)arg);
    while (!pi_load_acquire(&stop)) {
        child_arg mine = a_child(&rng);
        pica_task *task;
        intptr_t result = 0;
        pica_attr attr = PICA_ATTR_INIT;
        attr.copy_size = sizeof(mine);
        CHECK_FATAL_OK(pica_executor_spawn_with(check_executor(), &task, child, &mine, &attr));
        (void)takes_a_permit(&rng, false);
        CHECK_OK(check_rng_below(&rng, 2) ? pica_join(task, &result) : pica_await(task, &result));
        CHECK_EQ(result, worth(mine.seed));
        pica_unref(task);
    }
    check_hit(&gone);
    return NULL;
}

static void round_of(uint64_t number)
{
    for (unsigned i = 0; i < ACTORS; i++) {
        check_rng rng = check_rng_make(number * ACTORS + i);
        pica_task *task;
        pi_add_relaxed(&spawned, 1u);
        CHECK_FATAL_OK(pica_spawn_copy(&task, actor, &rng));
        pi_store_release(&actors[i], task);
    }
    for (unsigned i = 0; i < ACTORS; i++) {
        intptr_t result;
        CHECK_OK(pica_await(actors[i], &result));
        CHECK(result == 0 || result == -ECANCELED);
    }
    for (unsigned i = 0; i < ACTORS; i++) {
        pica_unref(actors[i]);
        pi_store_release(&actors[i], NULL);
    }
}

static void anything_at_random(void)
{
    pthread_t threads[THREADS];
    CHECK_FATAL_OK(pica_sem_init(&sem, PERMITS));
    gone = (check_latch){0};
    pi_store_relaxed(&stop, 0u);
    pi_store_relaxed(&spawned, 0u);
    pi_store_relaxed(&ran, 0u);
    for (uintptr_t i = 0; i < THREADS; i++)
        CHECK_FATAL(pthread_create(&threads[i], NULL, outsider, (void *)i) == 0);
    uint64_t rounds = check_rounds(30);
    for (uint64_t i = 0; i < rounds; i++)
        round_of(i);
    pi_store_release(&stop, 1u);
    CHECK_HITS(&gone, THREADS); /* what they join may need this worker: block only then */
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(pi_load_relaxed(&spawned), pi_load_relaxed(&ran));
    CHECK_EQ(pica_sem_value(&sem), PERMITS);
    CHECK_EQ(pica_sem_destroy(&sem), 0);
}

CHECK_MAIN
{
    check_timeout(60);
    check_run("anything at random", anything_at_random);
}
