/* SPDX-License-Identifier: MIT */
/* executor_test.c: the life of executors: run, create, shut down, destroy; several at once,
 * both drivers. What system calls that fail do to it is in executor_faults.c. */
#include "tests/executor/bodies.h"
#include "tests/executor/death.h"

#include <pica/scope.h>
#include <pthread.h>
#include <sched.h>

/* --- pica_run() --------------------------------------------------------------------------- */

static intptr_t spawns_and_leaves(void *arg)
{
    check_latch *latch = arg;
    for (unsigned i = 0; i < 20; i++)
        CHECK_OK(pica_spawn(NULL, body_swallows, latch)); /* lives on until cancelled */
    CHECK_HITS(latch, 20);
    return 31;
}

static intptr_t cleans_up(void *arg)
{
    pica_scope shield;
    CHECK_EQ(pica_sleep(PICA_NEVER), -ECANCELED);
    pica_shield_begin(&shield, PICA_NEVER);
    CHECK_OK(pica_sleep(PICA_MS(2)));
    /* Tasks that still live may spawn; theirs start cancelled. */
    pica_task *child = body_spawn(body_sleeps, NULL);
    intptr_t result = 0;
    CHECK_EQ(pica_await(child, &result), 0);
    CHECK_EQ(result, -ECANCELED);
    pica_unref(child);
    CHECK_EQ(pica_scope_end(&shield, 0), 0);
    check_hit(arg);
    return 0;
}

static intptr_t leaves_one_that_cleans_up(void *arg)
{
    pica_task *task = body_spawn(cleans_up, arg);
    BODY_WAITS(task);
    pica_unref(task);
    return -EPIPE;
}

static intptr_t nests(void *arg)
{
    pica_options options = check_options();
    CHECK_EQ(pica_run(body_returns, arg, &options), -EDEADLK);
    CHECK_EQ(pica_run(body_returns, arg, NULL), -EDEADLK);
    return 5;
}

static intptr_t is_named_main(void *arg)
{
    (void)arg;
    CHECK_STR(pica_task_name(pica_self()), "main");
    CHECK_NE(pica_executor_self(), NULL);
    return 0;
}

static void run(void)
{
    pica_options options = check_options();
    check_latch latch = {0}, cleaned = {0};
    CHECK_EQ(pica_run(body_returns, body_arg(12), &options), 12);
    CHECK_EQ(pica_run(body_yields, body_arg(-ENOTTY), &options), -ENOTTY);
    CHECK_EQ(pica_run(spawns_and_leaves, &latch, &options), 31);
    CHECK_EQ(pica_run(leaves_one_that_cleans_up, &cleaned, &options), -EPIPE);
    CHECK_EQ(check_hits(&cleaned), 1); /* it was awaited, not dropped */
    CHECK_EQ(pica_run(nests, NULL, &options), 5);
    CHECK_EQ(pica_run(is_named_main, NULL, &options), 0);
    CHECK_EQ(pica_run(NULL, NULL, &options), -EINVAL);
    CHECK_EQ(pica_run(body_returns, body_arg(3), NULL), 3); /* all defaults */
    CHECK_EQ(pica_executor_self(), NULL);
    CHECK_EQ(pica_worker_index(), -1);
}

/* The main task's end also reaches tasks that nobody has started, and those that keep
 * spawning. */
static intptr_t breeds(void *arg)
{
    check_latch *latch = arg;
    check_hit(latch);
    while (pica_yield() == 0)
        CHECK_OK(pica_spawn(NULL, body_sleeps, NULL));
    for (unsigned i = 0; i < 10; i++)
        CHECK_OK(pica_spawn(NULL, body_sleeps, NULL));
    return 0;
}

static intptr_t leaves_breeders(void *arg)
{
    for (unsigned i = 0; i < 4; i++)
        CHECK_OK(pica_spawn(NULL, breeds, arg));
    CHECK_HITS((check_latch *)arg, 2);
    for (unsigned i = 0; i < 50; i++)
        CHECK_OK(pica_spawn(NULL, body_sleeps, NULL));
    return 0;
}

static void run_leaves_nothing(void)
{
    pica_options options = check_options();
    for (uint64_t i = check_rounds(40); i > 0; i--) {
        check_latch latch = {0};
        CHECK_EQ(pica_run(leaves_breeders, &latch, &options), 0);
    }
}

/* --- Options ------------------------------------------------------------------------------ */

static void bad(const pica_options *options)
{
    pica_executor *ex = NULL;
    CHECK_EQ(pica_executor_create(&ex, options), -EINVAL);
    CHECK_EQ(ex, NULL);
    CHECK_EQ(pica_run(body_returns, NULL, options), -EINVAL);
}

static void bad_options(void)
{
    pica_options o = PICA_OPTIONS_INIT;
    o.size = 0;
    bad(&o);
    o.size = 4097;
    bad(&o);
    o = (pica_options)PICA_OPTIONS_INIT;
    o.workers = 257;
    bad(&o);
    o = (pica_options)PICA_OPTIONS_INIT;
    o.flags = 1u << 31;
    bad(&o);
    o = (pica_options)PICA_OPTIONS_INIT;
    o.driver = 2;
    bad(&o);
    o = (pica_options)PICA_OPTIONS_INIT;
    o.stack_size = ((size_t)1 << 30) + 1;
    bad(&o);
    o = (pica_options)PICA_OPTIONS_INIT;
    CHECK_EQ(pica_executor_create(NULL, &o), -EINVAL);
    CHECK_EQ(pica_executor_shutdown(NULL, 0), -EINVAL);
    CHECK_EQ(pica_executor_destroy(NULL), NULL);
}

static void numbers_of_workers(void)
{
    static const unsigned numbers[] = {1, 2, 3, 17, 64};
    for (unsigned i = 0; i < 5; i++) {
        pica_options o = check_options();
        o.workers = numbers[i];
        pica_executor *ex = check_executor_open(&o);
        CHECK_EQ(pica_executor_workers(ex), numbers[i]);
        pica_task *task;
        CHECK_FATAL_OK(pica_executor_spawn(ex, &task, body_yields, body_arg(2)));
        CHECK_EQ(body_end(task), 2);
        check_executor_close(ex);
    }
    pica_options o = check_options();
    o.workers = 0;
    pica_executor *ex = check_executor_open(&o);
    CHECK_LE(1, pica_executor_workers(ex));
    cpu_set_t cpus;
    CHECK_FATAL(sched_getaffinity(0, sizeof(cpus), &cpus) == 0);
    CHECK_LE(pica_executor_workers(ex), CPU_COUNT(&cpus));
    check_executor_close(ex);
}

static __attribute__((noinline)) intptr_t fills(size_t bytes)
{
    volatile char *block = __builtin_alloca(bytes);
    for (size_t i = 0; i < bytes; i += 512)
        block[i] = 1;
    return block[0];
}

static intptr_t uses_stack(void *arg)
{
    return fills((size_t)arg);
}

static void default_stack_size(void)
{
    pica_options o = check_options();
    o.stack_size = (size_t)700 << 10;
    CHECK_EQ(pica_run(uses_stack, body_arg((700 << 10) - 512), &o), 1);
}

/* --- Several at once, both drivers -------------------------------------------------------- */

static intptr_t works(void *arg)
{
    intptr_t sum = 0;
    for (intptr_t i = 0; i < (intptr_t)arg; i++) {
        sum += body_end(body_spawn(i % 2 ? body_yields : body_returns, body_arg(1)));
        if (i % 50 == 0)
            CHECK_OK(pica_sleep(PICA_US(30)));
    }
    return sum;
}

static void several_at_once(void)
{
    pica_executor *all[6];
    pica_task *tasks[6];
    for (unsigned i = 0; i < 6; i++) {
        pica_options o = check_options();
        o.driver = i % 2 ? PICA_DRIVER_FUTEX : PICA_DRIVER_EPOLL;
        all[i] = check_executor_open(&o);
    }
    for (unsigned i = 0; i < 6; i++)
        CHECK_FATAL_OK(pica_executor_spawn(all[i], &tasks[i], works, body_arg(300)));
    for (unsigned i = 0; i < 6; i++) {
        CHECK_EQ(body_end(tasks[i]), 300);
        check_executor_close(all[i]);
    }
}

static intptr_t sleeps_and_spawns(void *arg)
{
    for (unsigned i = 0; i < 20; i++)
        CHECK_OK(pica_sleep(PICA_US(100)));
    CHECK_EQ(works(arg), (intptr_t)arg);
    return 1;
}

static void the_futex_driver(void)
{
    pica_options o = check_options();
    o.driver = PICA_DRIVER_FUTEX;
    CHECK_EQ(pica_run(sleeps_and_spawns, body_arg(500), &o), 1);
    pica_executor *ex = check_executor_open(&o);
    for (uint64_t i = check_rounds(1000); i > 0; i--) { /* wakes from outside */
        pica_task *task;
        CHECK_FATAL_OK(pica_executor_spawn(ex, &task, body_yields, body_arg(6)));
        CHECK_EQ(body_end(task), 6);
    }
    check_executor_close(ex);
}

/* --- Shutting down ------------------------------------------------------------------------ */

static pica_executor *opened(void)
{
    pica_options options = check_options();
    pica_executor *ex = NULL;
    CHECK_FATAL_OK(pica_executor_create(&ex, &options));
    check_watch(ex);
    return ex;
}

static void destroyed(pica_executor *ex)
{
    CHECK_EQ(pica_executor_destroy(ex), NULL);
    check_watch(NULL);
}

static intptr_t hits_after_a_while(void *arg)
{
    CHECK_OK(pica_sleep(PICA_MS(3)));
    check_hit(arg);
    return 0;
}

static void shutdown_waits(void)
{
    pica_executor *ex = opened();
    CHECK_EQ(pica_executor_shutdown(ex, PICA_NEVER), 0); /* nothing lives */
    CHECK_EQ(pica_executor_shutdown(ex, 0), 0);          /* again: nothing to do */
    destroyed(ex);

    static const int64_t limits[] = {PICA_NEVER, 0};
    for (unsigned i = 0; i < 2; i++) {
        check_latch ended = {0};
        ex = opened();
        for (unsigned k = 0; k < 10; k++)
            CHECK_FATAL_OK(pica_executor_spawn(ex, NULL, hits_after_a_while, &ended));
        int64_t deadline = limits[i] ? limits[i] : pica_after(PICA_SEC(3600));
        CHECK_EQ(pica_executor_shutdown(ex, deadline), 0);
        CHECK_EQ(check_hits(&ended), 10);
        pica_task *task = NULL;
        CHECK_EQ(pica_executor_spawn(ex, &task, body_returns, NULL), -ESHUTDOWN);
        CHECK_EQ(task, NULL);
        destroyed(ex);
    }
}

static void shutdown_cancels_at_its_deadline(void)
{
    const int64_t waits[] = {0, PICA_MS(3)};
    for (unsigned i = 0; i < 2; i++) {
        check_latch asleep = {0};
        pica_executor *ex = opened();
        pica_task *kept = NULL;
        for (unsigned k = 0; k < 10; k++)
            CHECK_FATAL_OK(pica_executor_spawn(ex, NULL, body_swallows, &asleep));
        CHECK_FATAL_OK(pica_executor_spawn(ex, &kept, body_sleeps, NULL));
        if (i)
            CHECK_HITS(&asleep, 10); /* else perhaps none has started: it starts, cancelled */
        CHECK_EQ(pica_executor_shutdown(ex, pica_after(waits[i])), 1);
        CHECK_EQ(check_hits(&asleep), 10);
        intptr_t result = 0;
        CHECK_EQ(pica_task_result(kept, &result), 0);
        CHECK_EQ(result, -ECANCELED);
        pica_unref(kept);
        destroyed(ex);
    }
}

static void destroy_cancels_at_once(void)
{
    for (unsigned i = 0; i < 10; i++) {
        check_latch cleaned = {0};
        pica_executor *ex = opened();
        pica_task *held = NULL;
        CHECK_FATAL_OK(pica_executor_spawn(ex, &held, cleans_up, &cleaned));
        CHECK_FATAL_OK(pica_executor_spawn(ex, NULL, cleans_up, &cleaned));
        destroyed(ex); /* the handle dies with it */
        CHECK_EQ(check_hits(&cleaned), 2);
    }
}

static void *thread_shuts_down(void *arg)
{
    CHECK_LE(0, pica_executor_shutdown(arg, PICA_NEVER));
    return NULL;
}

/* Several threads may wait for the end of the same executor. */
static void shutdown_from_several_threads(void)
{
    for (uint64_t i = check_rounds(200); i > 0; i--) {
        pica_executor *ex = opened();
        CHECK_FATAL_OK(pica_executor_spawn(ex, NULL, body_yields, NULL));
        pthread_t threads[3];
        for (unsigned k = 0; k < 3; k++)
            CHECK_FATAL(pthread_create(&threads[k], NULL, thread_shuts_down, ex) == 0);
        for (unsigned k = 0; k < 3; k++)
            pthread_join(threads[k], NULL);
        destroyed(ex);
    }
}

static void *thread_waits_for_it(void *arg)
{
    CHECK_EQ(pica_executor_shutdown(arg, PICA_NEVER), 1);
    return NULL;
}

/* Who only waits learns as well that another's deadline has cancelled tasks. */
static void shutdown_of_another(void)
{
    check_latch asleep = {0};
    pica_executor *ex = opened();
    pthread_t thread;
    CHECK_FATAL_OK(pica_executor_spawn(ex, NULL, body_sleeps, &asleep));
    CHECK_HITS(&asleep, 1);
    CHECK_FATAL(pthread_create(&thread, NULL, thread_waits_for_it, ex) == 0);
    CHECK_EQ(pica_executor_shutdown(ex, pica_after(PICA_MS(20))), 1);
    pthread_join(thread, NULL);
    CHECK_EQ(pica_executor_shutdown(ex, PICA_NEVER), 1); /* afterwards, too */
    destroyed(ex);
}

static intptr_t shuts_its_own_down(void *arg)
{
    (void)arg;
    CHECK_EQ(pica_executor_shutdown(pica_executor_self(), 0), -EDEADLK);
    CHECK_EQ(pica_executor_shutdown(pica_executor_self(), PICA_NEVER), -EDEADLK);
    CHECK_OK(pica_yield()); /* nothing has happened */
    return 4;
}

static intptr_t destroys_its_own(void *arg)
{
    (void)arg;
    pica_executor_destroy(pica_executor_self());
    return 0;
}

static void from_its_own_task(void)
{
    pica_options options = check_options();
    pica_executor *ex = check_executor_open(&options);
    pica_task *task;
    CHECK_FATAL_OK(pica_executor_spawn(ex, &task, shuts_its_own_down, NULL));
    CHECK_EQ(body_end(task), 4);
    check_executor_close(ex);
}

static void misuse(void)
{
    death_says_in_task(destroys_its_own, "pica_executor_destroy()");
}

/* --- Spawning while it shuts down --------------------------------------------------------- */

struct spawning {
    pica_executor *ex;
    check_latch started, refused;
    check_latch ran;
    uint64_t accepted; /* [atomic, relaxed] */
};

static intptr_t runs(void *arg)
{
    (void)!pica_yield();
    check_hit(arg);
    return 0;
}

static void *thread_spawns(void *arg)
{
    struct spawning *s = arg;
    check_hit(&s->started);
    for (uint64_t i = 0;; i++) {
        pica_task *task = NULL;
        int rc = pica_executor_spawn(s->ex, i % 2 ? &task : NULL, runs, &s->ran);
        if (rc < 0) {
            CHECK_EQ(rc, -ESHUTDOWN);
            CHECK_EQ(task, NULL);
            break;
        }
        pi_add_relaxed(&s->accepted, UINT64_C(1));
        if (i % 64 == 0)
            sched_yield();
        if (i % 2)
            pica_unref(task);
    }
    check_hit(&s->refused);
    return NULL;
}

/* What was accepted has run, when the shutdown returns; what comes later is refused. */
static void spawned_during_shutdown(void)
{
    for (uint64_t i = check_rounds(100); i > 0; i--) {
        struct spawning s = {.ex = opened()};
        pthread_t threads[3];
        for (unsigned k = 0; k < 3; k++)
            CHECK_FATAL(pthread_create(&threads[k], NULL, thread_spawns, &s) == 0);
        CHECK_HITS(&s.started, 3);
        CHECK_LE(0, pica_executor_shutdown(s.ex, pica_now()));
        CHECK_HITS(&s.refused, 3);
        for (unsigned k = 0; k < 3; k++)
            pthread_join(threads[k], NULL);
        CHECK_EQ(check_hits(&s.ran), s.accepted);
        destroyed(s.ex);
    }
}

CHECK_MAIN
{
    check_plain("misuse", misuse);
    check_plain_in(CHECK_ALL, "run", run);
    check_plain_in(CHECK_ALL, "run leaves nothing", run_leaves_nothing);
    check_plain_in(CHECK_TWO, "bad options", bad_options);
    check_plain_in(CHECK_TWO | CHECK_MIGRATE, "numbers of workers", numbers_of_workers);
    check_plain_in(CHECK_ALL, "the default stack size", default_stack_size);
    check_plain_in(CHECK_ALL, "several at once", several_at_once);
    check_plain_in(CHECK_ALL, "the futex driver", the_futex_driver);
    check_plain_in(CHECK_ALL, "shutdown waits", shutdown_waits);
    check_plain_in(CHECK_ALL, "shutdown cancels at its deadline", shutdown_cancels_at_its_deadline);
    check_plain_in(CHECK_ALL, "destroy cancels at once", destroy_cancels_at_once);
    check_plain_in(CHECK_ALL, "shutdown from several threads", shutdown_from_several_threads);
    check_plain_in(CHECK_ALL, "shutdown of another", shutdown_of_another);
    check_plain_in(CHECK_ALL, "from its own task", from_its_own_task);
    check_plain_in(CHECK_ALL, "spawned during shutdown", spawned_during_shutdown);
}
