/* SPDX-License-Identifier: MIT */
/* epoll_test.c: the reactor as a driver, without an executor: sleeping, waking, and a wake
 * that a rescuer takes out of the sleeper's set. */
#include "executor/base/atomics.h"
#include "executor/sched/driver.h"
#include "io/epoll.h"
#include "tests/check.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static const pi_driver_ops *const ops = &pi_driver_default;

typedef struct pair {
    void *shared;
    pi_driver *a, *b;
    uint64_t turn; /* [atomic] */
    uint64_t stop; /* [atomic] */
    uint64_t rounds;
} pair;

static void pair_open(pair *p)
{
    memset(p, 0, sizeof(*p));
    CHECK_FATAL_OK(ops->shared_open(&p->shared));
    CHECK_FATAL_OK(ops->open(&p->a, p->shared));
    CHECK_FATAL_OK(ops->open(&p->b, p->shared));
}

static void pair_close(pair *p)
{
    ops->close(p->a);
    ops->close(p->b);
    ops->shared_close(p->shared);
}

static void deadlines(void)
{
    pair p;
    pair_open(&p);
    CHECK_EQ(ops->poll(p.a, 0), 0);
    for (int i = 0; i < 5; i++) {
        int64_t deadline = pica_after(PICA_US(700 * i));
        CHECK_EQ(ops->poll(p.a, deadline), 0);
        CHECK_LE(deadline, pica_now());
    }
    int64_t past = pica_now() - 1;
    CHECK_EQ(ops->poll(p.a, past), 0);
    pair_close(&p);
}

/* Kernels before 5.11, and sandboxes, know no epoll_pwait2: milliseconds then, rounded up. */
static int deadlines_denied(int error)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 441 /* epoll_pwait2 */, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {.len = 4, .filter = filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, 2, &program))
        return 2;
    pair p;
    pair_open(&p);
    for (int i = 1; i < 4; i++) {
        int64_t deadline = pica_after(PICA_US(700 * i));
        if (ops->poll(p.a, deadline) != 0 || pica_now() < deadline)
            return 1;
    }
    pair_close(&p);
    return 0;
}

static void without_epoll_pwait2(void)
{
    static const int errors[] = {ENOSYS, EPERM, EACCES};
    for (int i = 0; i < 3; i++) {
        int status = -1;
        pid_t child = fork();
        CHECK_FATAL(child >= 0);
        if (child == 0)
            _exit(deadlines_denied(errors[i]));
        CHECK_EQ(waitpid(child, &status, 0), child);
        CHECK(WIFEXITED(status));
        if (WEXITSTATUS(status) == 2)
            continue; /* no seccomp here */
        CHECK_EQ(WEXITSTATUS(status), 0);
    }
}

/* A wake before the sleep ends it, once; polls that do not sleep leave it be. */
static void woken_before(void)
{
    pair p;
    pair_open(&p);
    ops->wake(p.a);
    ops->wake(p.a);
    CHECK_EQ(ops->poll(p.a, 0), 0);
    CHECK_EQ(ops->poll(p.b, 0), 0);
    CHECK_EQ(ops->poll(p.a, PICA_NEVER), 0);
    int64_t deadline = pica_after(PICA_MS(2));
    CHECK_EQ(ops->poll(p.a, deadline), 0);
    CHECK_LE(deadline, pica_now());
    pair_close(&p);
}

/* Sleep until it is my turn, as a worker does: say that I sleep by looking, then sleep. */
static void wait_for_turn(pair *p, pi_driver *mine, uint64_t turn)
{
    while (pi_load_seq_cst(&p->turn) < turn)
        ops->poll(mine, PICA_NEVER);
}

static void *answer(void *arg)
{
    pair *p = arg;
    for (uint64_t i = 0; i < p->rounds; i++) {
        wait_for_turn(p, p->b, 2 * i + 1);
        pi_store_seq_cst(&p->turn, 2 * i + 2);
        ops->wake(p->a);
    }
    return NULL;
}

static void ping_pong(pair *p)
{
    pthread_t thread;
    CHECK_FATAL(pthread_create(&thread, NULL, answer, p) == 0);
    for (uint64_t i = 0; i < p->rounds; i++) {
        pi_store_seq_cst(&p->turn, 2 * i + 1);
        ops->wake(p->b);
        wait_for_turn(p, p->a, 2 * i + 2);
    }
    CHECK_EQ(pi_load_relaxed(&p->turn), 2 * p->rounds);
    pthread_join(thread, NULL);
}

static void no_wake_is_lost(void)
{
    pair p;
    pair_open(&p);
    p.rounds = check_rounds(20000);
    ping_pong(&p);
    pair_close(&p);
}

static void *rescue(void *arg)
{
    pair *p = arg;
    while (!pi_load_acquire(&p->stop)) {
        ops->poll(p->a, 0);
        ops->poll(p->b, 0);
    }
    return NULL;
}

/* The same with a third thread that empties both sets all the time. */
static void no_wake_is_lost_to_a_rescuer(void)
{
    pair p;
    pthread_t thread;
    pair_open(&p);
    p.rounds = check_rounds(20000);
    CHECK_FATAL(pthread_create(&thread, NULL, rescue, &p) == 0);
    ping_pong(&p);
    pi_store_release(&p.stop, (uint64_t)1);
    pthread_join(thread, NULL);
    pair_close(&p);
}

static void *attached(void *arg)
{
    pair *p = arg;
    pi_driver *rescuer;
    CHECK_FATAL_OK(ops->open(&rescuer, p->shared));
    while (!pi_load_acquire(&p->stop)) {
        CHECK_OK(ops->attach(rescuer, p->a));
        CHECK_OK(ops->attach(rescuer, p->b));
        ops->poll(rescuer, pica_after(PICA_US(300)));
        ops->detach(rescuer, p->b);
        ops->detach(rescuer, p->a);
    }
    ops->close(rescuer);
    return NULL;
}

/* And with one that is attached to both. */
static void no_wake_is_lost_to_an_attached_one(void)
{
    pair p;
    pthread_t thread;
    pair_open(&p);
    p.rounds = check_rounds(20000);
    CHECK_FATAL(pthread_create(&thread, NULL, attached, &p) == 0);
    ping_pong(&p);
    pi_store_release(&p.stop, (uint64_t)1);
    pthread_join(thread, NULL);
    pair_close(&p);
}

/* An edge of a worker that is awake does not keep its rescuer from sleeping. */
static void a_stale_edge_ends_nothing(void)
{
    pair p;
    pair_open(&p);
    p.rounds = 200; /* leaves edges behind in both sets */
    ping_pong(&p);
    CHECK_OK(ops->attach(p.a, p.b));
    CHECK_OK(ops->attach(p.a, p.b)); /* again: nothing new */
    ops->poll(p.a, pica_after(PICA_MS(1)));
    for (int i = 0; i < 3; i++) {
        int64_t deadline = pica_after(PICA_MS(2));
        CHECK_EQ(ops->poll(p.a, deadline), 0);
        CHECK_LE(deadline, pica_now());
    }
    /* Two that are attached to each other: the later one wins. */
    CHECK_OK(ops->attach(p.b, p.a));
    ops->detach(p.a, p.b);
    ops->detach(p.b, p.a);
    p.turn = 0;
    ping_pong(&p);
    pair_close(&p);
}

CHECK_MAIN
{
    check_timeout(60);
    check_plain("deadlines", deadlines);
    check_plain("without epoll_pwait2", without_epoll_pwait2);
    check_plain("woken before the sleep", woken_before);
    check_plain("no wake is lost", no_wake_is_lost);
    check_plain("no wake is lost to a rescuer", no_wake_is_lost_to_a_rescuer);
    check_plain("no wake is lost to an attached one", no_wake_is_lost_to_an_attached_one);
    check_plain("a stale edge ends nothing", a_stale_edge_ends_nothing);
}
