/* SPDX-License-Identifier: MIT */
/* eager_test.c: tasks that start before their spawn returns. See pica_attr.eager. Those that find
 * no stack are in task_faults.c. */
#include "executor/sched/worker.h"
#include "tests/executor/bodies.h"

#include <pica/group.h>
#include <pica/scope.h>
#include <pica/sem.h>
#include <pthread.h>

static const pica_attr eager = {.size = sizeof(pica_attr), .eager = 1};

static pica_task *spawn_eagerly(pica_fn fn, void *arg)
{
    pica_task *task = NULL;
    CHECK_FATAL_OK(pica_spawn_with(&task, fn, arg, &eager));
    return task;
}

/* --- The first stretch ------------------------------------------------------------------------ */

struct stretches {
    int first;           /* plain: the spawner reads it without further ado */
    check_latch others;
    pica_sem go;
};

static intptr_t stops_once(void *arg)
{
    struct stretches *s = arg;
    s->first = 1;
    int rc = pica_sem_acquire(&s->go);
    check_hit(&s->others);
    return rc;
}

/* The spawn returns when the task has suspended, and no later. */
static void up_to_the_first_wait(void)
{
    struct stretches s = {.go = PICA_SEM_INIT(0)};
    pica_task *task = spawn_eagerly(stops_once, &s);
    CHECK_EQ(s.first, 1);
    CHECK_EQ(check_hits(&s.others), 0);
    CHECK_EQ(pica_task_status(task), PICA_WAITING);
    CHECK_OK(pica_sem_release(&s.go));
    CHECK_EQ(body_end(task), 0);
    CHECK_EQ(check_hits(&s.others), 1);
}

static void up_to_its_end(void)
{
    intptr_t result = 0;
    for (unsigned i = 0; i < 300; i++) {
        pica_task *task = spawn_eagerly(body_returns, body_arg(i));
        CHECK_EQ(pica_task_result(task, &result), 0);
        CHECK_EQ(result, i);
        pica_unref(task);
        CHECK_OK(pica_spawn_with(NULL, body_returns, NULL, &eager)); /* gone when it returns */
    }
}

static intptr_t writes(void *arg)
{
    *(unsigned *)arg += 1;
    return 0;
}

static void copied_argument(void)
{
    unsigned count = 0, *at = &count;
    pica_attr attr = eager;
    attr.copy_size = sizeof(at);
    for (unsigned i = 0; i < 10; i++)
        CHECK_OK(pica_spawn_with(NULL, writes, &count, &eager));
    CHECK_EQ(count, 10);
    pica_task *task;
    CHECK_OK(pica_spawn_with(&task, body_yields, &at, &attr));
    CHECK_NE(body_end(task), (intptr_t)&at); /* the copy's address */
}

static struct {
    char text[32];
    unsigned n;
} trace;

static void note(char c)
{
    CHECK_LT(trace.n, 31);
    trace.text[trace.n++] = c;
}

static intptr_t notes(void *arg)
{
    note(*(const char *)arg);
    CHECK_OK(pica_yield());
    note((char)(*(const char *)arg + 'A' - 'a'));
    return 0;
}

static intptr_t notes_around_another(void *arg)
{
    pica_task *inner;
    note('(');
    CHECK_OK(pica_spawn_with(&inner, notes, arg, &eager));
    note(')');
    CHECK_EQ(body_end(inner), 0);
    note(']');
    return 0;
}

static bool in_order(void)
{
    memset(&trace, 0, sizeof(trace));
    pica_task *a = body_spawn(notes, body_arg((intptr_t) "a"));
    pica_task *b = spawn_eagerly(notes, body_arg((intptr_t) "b"));
    note('1');
    pica_task *c = spawn_eagerly(notes_around_another, body_arg((intptr_t) "c"));
    note('2');
    bool ahead = strcmp(trace.text, "b1(c)2") == 0;
    pica_task *tasks[] = {a, b, c};
    for (unsigned i = 0; i < 3; i++) {
        CHECK_OK(pica_join(tasks[i], NULL));
        pica_unref(tasks[i]);
    }
    return ahead && strcmp(trace.text, "b1(c)2aBCA]") == 0;
}

/* One worker: ahead of what is queued, one in another, then the usual order; but for the spawns
 * that give way, one in sixty or when a timer calls. */
static void order(void)
{
    unsigned rounds = 0;
    while (!in_order() && rounds < 50)
        rounds++;
    CHECK_LT(rounds, 50);
}

static pica_task *shelf;

static intptr_t finds_its_handle(void *arg)
{
    (void)arg;
    CHECK_EQ(shelf, pica_self());
    return 0;
}

static void the_handle_comes_first(void)
{
    shelf = NULL;
    CHECK_OK(pica_spawn_with(&shelf, finds_its_handle, NULL, &eager));
    shelf = pica_unref(shelf);
}

/* --- Suspending in a spawn -------------------------------------------------------------------- */

static void cancelled_spawner(void)
{
    struct stretches s = {.go = PICA_SEM_INIT(0)};
    CHECK_EQ(pica_cancel(pica_self()), 0);
    pica_task *task = spawn_eagerly(stops_once, &s);
    CHECK_EQ(s.first, 1);
    CHECK_EQ(pica_task_status(task), PICA_WAITING); /* the cancel is not its own */
    CHECK_EQ(pica_yield(), -ECANCELED);
    CHECK_EQ(pica_uncancel(), 0);
    CHECK_OK(pica_sem_release(&s.go));
    CHECK_EQ(body_end(task), 0);
}

static intptr_t awaits_a_large_one(void *arg)
{
    pica_attr attr = PICA_ATTR_INIT;
    attr.stack_size = (size_t)1 << 20; /* does not fit on this stack: it comes next, on its own */
    pica_task *large;
    CHECK_FATAL_OK(pica_spawn_with(&large, body_yields, arg, &attr));
    return body_end(large);
}

/* The spawner, who is to go on next, is not forgotten over another one who is. */
static void a_child_that_needs_a_stack(void)
{
    for (unsigned i = 0; i < 100; i++) {
        pica_task *task = spawn_eagerly(awaits_a_large_one, body_arg(i));
        CHECK_EQ(body_end(task), i);
    }
}

static intptr_t tree(void *arg)
{
    intptr_t depth = (intptr_t)arg, sum = 1;
    pica_task *children[3];
    for (unsigned i = 0; i < 3 && depth > 0; i++)
        children[i] = i == 1 ? body_spawn(tree, body_arg(depth - 1))
                             : spawn_eagerly(tree, body_arg(depth - 1));
    if (depth % 2)
        CHECK_OK(pica_yield());
    for (unsigned i = 0; i < 3 && depth > 0; i++)
        sum += body_end(children[i]);
    return sum;
}

static void a_tree(void)
{
    for (uint64_t i = check_rounds(10); i > 0; i--)
        CHECK_EQ(body_end(body_spawn(tree, body_arg(6))), 1093);
}

/* Run inline itself, by its awaiter. */
static intptr_t spawns_eagerly(void *arg)
{
    struct stretches *s = arg;
    pica_task *task = spawn_eagerly(stops_once, s);
    CHECK_EQ(s->first, 1);
    CHECK_OK(pica_sem_release(&s->go));
    return body_end(task);
}

static void from_an_inlined_task(void)
{
    struct stretches s = {.go = PICA_SEM_INIT(0)};
    CHECK_EQ(body_end(body_spawn(spawns_eagerly, &s)), 0);
}

/* A loop of them gives way now and then. */
static void starves_nobody(void)
{
    check_latch ran = {0};
    unsigned rounds = 0;
    pica_task *other = body_spawn(body_sleeps, &ran);
    while (!check_hits(&ran) && rounds < 100000) {
        CHECK_OK(pica_spawn_with(NULL, body_returns, NULL, &eager));
        rounds++;
    }
    CHECK_LT(rounds, 100000);
    (void)pica_cancel(other);
    CHECK_EQ(body_end(other), -ECANCELED);
}

/* --- Where it is not eager -------------------------------------------------------------------- */

static intptr_t tells_its_worker(void *arg)
{
    (void)arg;
    return pica_worker_index();
}

static void pinned(void)
{
    unsigned workers = pica_executor_workers(check_executor());
    for (unsigned w = 0; w < workers; w++) {
        pica_attr attr = eager;
        attr.pin = w + 1;
        bool here = pica_worker_index() == (int)w;
        pica_task *task;
        CHECK_FATAL_OK(pica_spawn_with(&task, tells_its_worker, NULL, &attr));
        if (here)
            CHECK_EQ(pica_task_status(task), PICA_DONE);
        CHECK_EQ(body_end(task), (int)w);
    }
}

static intptr_t pinned_spawner(void *arg)
{
    int here = pica_worker_index();
    for (unsigned i = 0; i < 200; i++) {
        pica_task *task = spawn_eagerly(i % 2 ? body_yields : body_returns, arg);
        CHECK_EQ(pica_worker_index(), here);
        CHECK_EQ(body_end(task), 6);
    }
    return here;
}

static void a_pinned_spawner_stays(void)
{
    unsigned workers = pica_executor_workers(check_executor());
    for (unsigned w = 0; w < workers; w++)
        CHECK_EQ(body_end(body_spawn_on(w, pinned_spawner, body_arg(6))), (int)w);
}

static void by_a_plain_thread(void)
{
    pica_options options = check_options();
    pica_executor *ex = check_executor_open(&options);
    for (unsigned i = 0; i < 50; i++) {
        pica_task *task;
        CHECK_FATAL_OK(pica_executor_spawn_with(ex, &task, body_yields, body_arg(i), &eager));
        CHECK_EQ(body_end(task), i);
    }
    check_executor_close(ex);
}

/* --- Groups ----------------------------------------------------------------------------------- */

static intptr_t fails(void *arg)
{
    (void)arg;
    return -EIO;
}

static void members(void)
{
    struct stretches s = {.go = PICA_SEM_INIT(0)};
    pica_group group;
    pica_group_begin(&group);
    CHECK_OK(pica_group_spawn(&group, body_sleeps, NULL));
    CHECK_OK(pica_group_spawn_at(&group, NULL, stops_once, &s, &eager, PICA_SITE));
    CHECK_EQ(s.first, 1);
    CHECK_OK(pica_group_spawn(&group, body_sleeps, NULL));
    CHECK_OK(pica_group_spawn_at(&group, NULL, fails, NULL, &eager, PICA_SITE));
    CHECK_EQ(pica_yield(), -ECANCELED); /* it has failed already, and with it the group */
    CHECK_EQ(pica_group_spawn_at(&group, NULL, fails, NULL, &eager, PICA_SITE), -ESHUTDOWN);
    CHECK_EQ(pica_group_end(&group, 0), -EIO);
    pica_group_deinit(&group);
    CHECK_EQ(check_hits(&s.others), 1);
}

/* The task gives way between two awaits. Its spawner, whom nobody can steal, goes on before what
 * has come from outside, which may take long. */
struct stranger {
    pica_executor *ex;
    check_latch come;
};

static void *sends_it(void *arg)
{
    struct stranger *s = arg;
    CHECK_OK(pica_executor_spawn(s->ex, NULL, body_hits, &s->come));
    return NULL;
}

static intptr_t gives_way(void *ended)
{
    pi_worker *worker = pi_worker_self();
    pi_store_relaxed(&worker->look_at, pi_load_relaxed(&worker->turns)); /* as the monitor */
    worker->gave_way_ms--;
    CHECK_OK(pica_await(ended, NULL));
    return 5;
}

static void no_stranger_comes_before_the_spawner(void)
{
    struct stranger s = {.ex = pica_executor_self()};
    pthread_t thread;
    pica_task *ended = body_spawn(body_returns, NULL);
    CHECK_OK(pica_await(ended, NULL));
    CHECK_FATAL(pthread_create(&thread, NULL, sends_it, &s) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    pica_task *task = spawn_eagerly(gives_way, ended);
    CHECK_EQ(check_hits(&s.come), 0);
    CHECK_OK(pica_yield());
    CHECK_EQ(check_hits(&s.come), 1);
    CHECK_EQ(body_end(task), 5);
    pica_unref(ended);
}

/* Nor does a spawner whose tasks use up all budgets keep the others waiting for ever. */
static intptr_t uses_up_the_rest(void *arg)
{
    for (unsigned i = 1; i < PI_BUDGET; i++)
        CHECK_EQ(body_end(body_spawn(body_returns, arg)), 5);
    return 5;
}

static void a_spawner_of_those_that_give_way(void)
{
    struct stranger s = {.ex = pica_executor_self()};
    pthread_t thread;
    check_latch own = {0};
    pi_worker *worker = pi_worker_self();
    CHECK_FATAL(pthread_create(&thread, NULL, sends_it, &s) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    pica_task *task = body_spawn(body_hits, &own);
    pi_store_relaxed(&worker->look_at, worker->turns + PI_BUDGET / 2); /* ends in one of them */
    for (patience p = patience_of(PICA_SEC(2)); patience_lasts(&p);) {
        CHECK_OK(pica_spawn_with(NULL, uses_up_the_rest, body_arg(5), &eager));
        if (check_hits(&s.come) && check_hits(&own))
            break;
    }
    CHECK_EQ(check_hits(&s.come), 1);
    CHECK_EQ(check_hits(&own), 1);
    (void)body_end(task);
}

CHECK_MAIN
{
    check_run("up to the first wait", up_to_the_first_wait);
    check_run("up to its end", up_to_its_end);
    check_run("copied argument", copied_argument);
    check_run_in(CHECK_ONE, "order", order);
    check_run("the handle comes first", the_handle_comes_first);
    check_run("cancelled spawner", cancelled_spawner);
    check_run("a child that needs a stack", a_child_that_needs_a_stack);
    check_run("a tree", a_tree);
    check_run("from an inlined task", from_an_inlined_task);
    check_run_in(CHECK_ONE, "starves nobody", starves_nobody);
    check_run_in(CHECK_ONE, "no stranger comes before the spawner",
                 no_stranger_comes_before_the_spawner);
    check_run_in(CHECK_ONE, "a spawner of those that give way", a_spawner_of_those_that_give_way);
    check_run("pinned", pinned);
    check_run("a pinned spawner stays", a_pinned_spawner_stays);
    check_plain_in(CHECK_ALL, "by a plain thread", by_a_plain_thread);
    check_run("members", members);
}
