/* SPDX-License-Identifier: MIT */
/* reserve_test.c: the spare. While every worker is stuck in a task that neither ends nor suspends,
 * it serves what they hold up: what is queued, injected, due, ready; and hands back what it has.
 * (Workers that come and go: resize_test.c.) */
#include "executor/base/futex.h"
#include "executor/sched/reserve.h"
#include "tests/executor/bodies.h"

#include <pica/net.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define TRIES 10
#define TRIES_MAX 50

/* Of the best of many tries: others want the CPUs, too, and a spare that does not come is late
 * each time. And of the CPU time of one who is stuck, which is the time but for what he himself had
 * to wait for a CPU. */
#if defined(PI_ASAN) || defined(PI_TSAN)
#define LIMIT_NS PICA_MS(250)
#else
#define LIMIT_NS PICA_MS(25)
#endif
#define GIVE_UP_NS PICA_SEC(12)

/* It has been at work, and has handed over what it had. */
static bool spare_rests(pica_executor *ex)
{
    const pi_worker *spare = pi_spare_of(ex);
    return spare && pi_load_relaxed(&spare->at_rest);
}

enum what { QUEUED, INJECTED, TIMER, DESCRIPTOR };

struct scene {
    enum what what;
    int fd;
    int64_t due;    /* [atomic] when it could have run */
    int64_t served; /* [atomic] when it did; 0: not yet */
    uint32_t stuck; /* [atomic] how many workers are */
    int64_t took;   /* from the one to the other */
    int where;      /* on which worker it ran */
    check_latch waits;
};

static intptr_t is_served(void *arg)
{
    struct scene *s = arg;
    int rc = 0;
    check_hit(&s->waits);
    if (s->what == TIMER)
        rc = pica_sleep_until(pi_load_acquire(&s->due));
    else if (s->what == DESCRIPTOR)
        rc = pica_poll_fd(s->fd, POLLIN, PICA_NEVER);
    s->where = pica_worker_index();
    pi_store_release(&s->served, pica_now());
    return rc < 0 ? rc : 0;
}

static bool stay_stuck(struct scene *s, int64_t *took)
{
    patience left = patience_of(GIVE_UP_NS);
    int64_t from = 0;
    pi_add_seq_cst(&s->stuck, 1u);
    while (!pi_load_acquire(&s->served) && patience_lasts(&left)) {
        int64_t due = pi_load_acquire(&s->due);
        if (!from && due && due <= pica_now())
            from = pi_thread_cpu_ns(pthread_self());
    }
    *took = from ? pi_thread_cpu_ns(pthread_self()) - from : 0;
    return pi_load_acquire(&s->served) != 0;
}

static intptr_t is_stuck(void *arg)
{
    int64_t took;
    return stay_stuck(arg, &took);
}

/* All workers but the caller's, which is no spare; then the caller gets stuck itself, and it comes
 * due. */
static bool get_stuck(struct scene *s)
{
    unsigned workers = pica_executor_workers(check_executor());
    int mine = pica_worker_index();
    pica_task *others[4], *queued = NULL;
    for (unsigned i = 0; i < workers; i++)
        others[i] = (int)i == mine ? NULL : body_spawn_on(i, is_stuck, s);
    patience left = patience_of(GIVE_UP_NS);
    while (pi_load_acquire(&s->stuck) < workers - 1 && patience_lasts(&left)) {
    }
    if (s->what != TIMER)
        pi_store_release(&s->due, pica_now());
    if (s->what == QUEUED)
        queued = body_spawn(is_served, s);
    if (s->what == DESCRIPTOR)
        CHECK_EQ(write(s->fd, &(uint64_t){1}, sizeof(uint64_t)), (ssize_t)sizeof(uint64_t));
    bool served = stay_stuck(s, &s->took);
    for (unsigned i = 0; i < workers; i++)
        if (others[i])
            (void)body_end(others[i]);
    if (queued)
        CHECK_EQ(body_end(queued), 0);
    return served;
}

static intptr_t sticks(void *arg)
{
    return get_stuck(arg);
}

static void *injects(void *arg)
{
    struct scene *s = arg;
    patience left = patience_of(GIVE_UP_NS);
    while (pi_load_acquire(&s->stuck) < pica_executor_workers(check_executor()) &&
           patience_lasts(&left)) {
    }
    pi_store_release(&s->due, pica_now());
    CHECK_EQ(body_end(body_spawn_in(check_executor(), is_served, s)), 0);
    return NULL;
}

/* @return how long it took; PICA_NEVER: nobody came */
static int64_t try_once(enum what what)
{
    struct scene s = {.what = what, .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    pica_task *task = NULL;
    pthread_t thread;
    CHECK_FATAL(s.fd >= 0);
    if (what == TIMER)
        s.due = pica_after(PICA_MS(2));
    if (what == TIMER || what == DESCRIPTOR) {
        task = body_spawn(is_served, &s);
        CHECK_HITS(&s.waits, 1);
    }
    if (what == INJECTED)
        CHECK_FATAL(pthread_create(&thread, NULL, injects, &s) == 0);
    /* Pinned: on a worker, not on the spare. */
    bool came = CHECK_EQ(body_end(body_spawn_on(0, sticks, &s)), 1);
    if (task)
        CHECK_EQ(body_end(task), 0);
    if (what == INJECTED)
        pthread_join(thread, NULL);
    close(s.fd);
    return came ? s.took : PICA_NEVER;
}

static void served(enum what what)
{
    int64_t best = PICA_NEVER, took = 0;
    for (unsigned i = 0; (i < TRIES || (i < TRIES_MAX && best >= LIMIT_NS)) && took < PICA_NEVER;
         i++) {
        took = try_once(what);
        best = took < best ? took : best;
    }
    CHECK_LT(best, LIMIT_NS);
}

static void queued_tasks(void)
{
    served(QUEUED);
}

static void injected_tasks(void)
{
    served(INJECTED);
}

static void timers(void)
{
    served(TIMER);
}

static void descriptors(void)
{
    served(DESCRIPTOR);
}

/* What waits on the spare, for a timer and for a descriptor, goes on after the worker has come
 * round, and on that worker, though the spare is who hears of it. */
struct guest {
    int fd;           /* -1: a timer */
    int began, ended; /* workers */
    check_latch waits;
};

static intptr_t waits_there(void *arg)
{
    struct guest *g = arg;
    g->began = pica_worker_index();
    check_hit(&g->waits);
    int rc = g->fd < 0 ? pica_sleep(PICA_MS(60)) : pica_poll_fd(g->fd, POLLIN, PICA_NEVER);
    g->ended = pica_worker_index();
    return rc < 0 ? rc : 0;
}

static intptr_t spawns_and_sticks(void *arg)
{
    struct guest *g = arg;
    patience left = patience_of(GIVE_UP_NS);
    pica_task *tasks[2];
    for (unsigned i = 0; i < 2; i++)
        tasks[i] = body_spawn(waits_there, &g[i]);
    while ((check_hits(&g[0].waits) == 0 || check_hits(&g[1].waits) == 0) &&
           patience_lasts(&left)) {
    }
    CHECK_SOON(spare_rests(check_executor()));
    CHECK_EQ(write(g[1].fd, &(uint64_t){1}, sizeof(uint64_t)), (ssize_t)sizeof(uint64_t));
    for (unsigned i = 0; i < 2; i++)
        CHECK_EQ(body_end(tasks[i]), 0);
    return pica_worker_index();
}

/* @return false: something went on where it had waited */
static bool hands_back(void)
{
    int workers = (int)pica_executor_workers(check_executor());
    struct guest g[2] = {{.fd = -1}, {.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)}};
    CHECK_EQ(body_end(body_spawn_on(0, spawns_and_sticks, g)), 0);
    for (unsigned i = 0; i < 2; i++)
        CHECK_EQ(g[i].began, workers); /* the spare's number */
    close(g[1].fd);
    return g[0].ended < workers && g[1].ended < workers;
}

/* A worker that gets no CPU for long counts as blocked, and then the spare comes once more. */
static void what_it_holds_is_handed_back(void)
{
    bool back = false;
    for (unsigned i = 0; i < TRIES && !back; i++)
        back = hands_back();
    CHECK(back);
}

static intptr_t returns_its_worker(void *arg)
{
    (void)arg;
    return pica_worker_index();
}

/* It comes and goes, so nothing can be pinned to it; to the workers, from there as well. */
struct pins {
    int where;         /* on which worker it ran */
    int there;         /* what pinning to that one said */
    pica_task *pinned; /* to the first worker */
    check_latch tried;
};

static intptr_t pins_where_it_runs(void *arg)
{
    struct pins *p = arg;
    pica_attr attr = PICA_ATTR_INIT;
    p->where = pica_worker_index();
    attr.pin = (unsigned)p->where + 1;
    p->there = pica_spawn_with(NULL, body_returns, NULL, &attr);
    p->pinned = body_spawn_on(0, returns_its_worker, NULL);
    check_hit(&p->tried);
    return 0;
}

static intptr_t spins_until_tried(void *arg)
{
    struct pins *p = arg;
    patience left = patience_of(GIVE_UP_NS);
    pica_task *task = body_spawn(pins_where_it_runs, p);
    while (check_hits(&p->tried) == 0 && patience_lasts(&left)) {
    }
    CHECK_EQ(body_end(task), 0);
    return 0;
}

static void it_is_no_pin(void)
{
    struct pins p = {.where = -1};
    CHECK_EQ(body_end(body_spawn_on(0, spins_until_tried, &p)), 0);
    CHECK_EQ(p.where, pica_executor_workers(check_executor()));
    CHECK_EQ(p.there, -EINVAL);
    CHECK_EQ(body_end(p.pinned), 0); /* its worker */
}

/* What it runs may get stuck in its turn, and by then it is to rest, and all the workers sleep. */
static intptr_t goes_to_sleep(void *arg)
{
    check_latch *began = arg;
    pica_task *task = body_spawn(body_spawns_late, began);
    for (patience left = patience_of(GIVE_UP_NS); !check_hits(began) && patience_lasts(&left);)
        pi_spin_wait(1);
    return body_end(task);
}

static void it_gets_stuck_itself(void)
{
    check_latch began = {0};
    CHECK_EQ(body_end(body_spawn_on(0, goes_to_sleep, &began)), 1);
    pi_worker *spare = pi_spare_of(check_executor());
    CHECK_SOON(pi_load_relaxed(&spare->at_rest));
    CHECK_SOON(!pi_load_relaxed(&spare->rescuer)); /* who rests serves itself */
}

/* Blocked in a system call is as bad, but needs more patience. */
static intptr_t blocks(void *arg)
{
    (void)arg;
    check_let_pass(PICA_MS(400));
    return 1;
}

static void a_blocking_call(void)
{
    struct scene s;
    bool in_time = false;
    for (unsigned i = 0; i < TRIES && !in_time; i++) {
        s = (struct scene){.what = QUEUED, .fd = -1};
        pica_task *blocked = body_spawn(blocks, NULL);
        pica_task *queued = body_spawn(is_served, &s);
        int64_t before = pica_now();
        CHECK_EQ(body_end(blocked), 1);
        CHECK_EQ(body_end(queued), 0);
        /* Where this task was held up, the spare may have come before, and be blocked itself. */
        in_time = s.served - before < PICA_MS(350) &&
                  s.where == (int)pica_executor_workers(check_executor());
    }
    CHECK(in_time);
}

/* While it works, and while it rests, the executor can end. */
static intptr_t ends_with_the_spare(void *arg)
{
    struct scene s = {.what = QUEUED};
    pica_task *task = body_spawn(is_served, &s);
    CHECK_EQ(is_stuck(&s), 1);
    pica_detach(task);
    if (arg)
        CHECK_SOON(spare_rests(pica_executor_self()));
    return 5;
}

static void the_end(void)
{
    for (unsigned i = 0; i < 40; i++) {
        pica_options options = check_options();
        CHECK_EQ(pica_run(ends_with_the_spare, i % 2 ? &options : NULL, &options), 5);
    }
}

static void compute(int64_t ns)
{
    for (int64_t from = pi_thread_cpu_ns(pthread_self());
         pi_thread_cpu_ns(pthread_self()) - from < ns;)
        pi_spin_wait(1);
}

/* It comes when its worker has computed for 3 ms in one turn; what that one has computed in earlier
 * ones is no reason, nor where it was one of two meanwhile. Without a suspension. */
static __attribute__((noinline)) void becomes_the_only_one(pica_executor *ex)
{
    int64_t from = pi_thread_cpu_ns(pthread_self()), blocked = pica_after(PICA_MS(90));
    compute(PICA_MS(1));
    CHECK_OK(pica_executor_resize(ex, 1));
    while (!pi_spare_works(ex) && pi_thread_cpu_ns(pthread_self()) - from < PICA_MS(20))
        pi_spin_wait(1);
    int64_t took = pi_thread_cpu_ns(pthread_self()) - from;
    if (pica_now() < blocked) /* else it may have come for the time alone */
        CHECK_LE(PICA_MS(3), took);
}

static intptr_t grows_and_shrinks(void *arg)
{
    pica_executor *ex = pica_executor_self();
    for (unsigned round = 0; round < TRIES; round++) {
        CHECK_OK(pica_executor_resize(ex, 2));
        for (unsigned turn = 0; turn < 10; turn++) {
            compute(PICA_US(500));
            CHECK_OK(pica_yield());
        }
        becomes_the_only_one(ex);
        CHECK_SOON(spare_rests(ex));
    }
    return (intptr_t)arg;
}

static intptr_t grows_and_shrinks_there(void *arg)
{
    return body_end(body_spawn_on(0, grows_and_shrinks, arg));
}

static void not_for_what_was_before(void)
{
    pica_options options = check_options();
    options.workers_max = 2;
    CHECK_EQ(pica_run(grows_and_shrinks_there, body_arg(7), &options), 7);
}

/* Forbidden: with one worker nothing runs beside a task, however long it takes. */
static intptr_t runs_alone(void *arg)
{
    struct scene s = {.what = QUEUED};
    int64_t until = pica_after(PICA_MS(150));
    pica_task *task;
    (void)arg;
    CHECK_FATAL_OK(pica_spawn(&task, is_served, &s));
    while (pica_now() < until)
        CHECK_EQ(pi_load_acquire(&s.served), 0);
    CHECK_EQ(body_end(task), 0);
    CHECK_EQ(s.where, 0);
    return 6;
}

static void not_where_it_is_forbidden(void)
{
    pica_options options = check_options();
    options.flags |= PICA_NO_SPARE;
    CHECK_EQ(pica_run(runs_alone, NULL, &options), 6);
}

CHECK_MAIN
{
    unsigned modes = CHECK_SPARE | CHECK_TWO;
    check_run_in(modes, "queued tasks", queued_tasks);
    check_run_in(modes, "injected tasks", injected_tasks);
    check_run_in(modes, "timers", timers);
    check_run_in(modes, "descriptors", descriptors);
    check_run_in(CHECK_SPARE, "what it holds is handed back", what_it_holds_is_handed_back);
    check_run_in(CHECK_SPARE, "it is no pin", it_is_no_pin);
    check_run_in(CHECK_SPARE, "it gets stuck itself", it_gets_stuck_itself);
    check_run_in(CHECK_SPARE, "a blocking call", a_blocking_call);
    check_plain_in(CHECK_SPARE, "not for what was before", not_for_what_was_before);
    check_plain_in(CHECK_SPARE, "the end", the_end);
    check_plain_in(CHECK_SPARE, "not where it is forbidden", not_where_it_is_forbidden);
}
