/* SPDX-License-Identifier: MIT */
/* signals_test.c: signals at 1 kHz to every thread, without SA_RESTART, while streams, sleeps and
 * semaphores are at work: no call fails with EINTR, nothing is lost. */
#include "tests/executor/bodies.h"
#include "tests/extremes/load.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static uint64_t arrived;      /* [atomic, relaxed] in workers */
static uint64_t arrived_else; /* [atomic, relaxed] in other threads */
static uint32_t stop;         /* [atomic] */

static void count(int number)
{
    (void)number;
    pi_add_relaxed(pica_worker_index() >= 0 ? &arrived : &arrived_else, UINT64_C(1));
}

/* The library's threads block all signals; here they are to get them. */
static intptr_t lets_in(void *arg)
{
    sigset_t set;
    (void)arg;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    return pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static void *sends(void *arg)
{
    pid_t self = (pid_t)syscall(SYS_gettid);
    while (!pi_load_acquire(&stop)) {
        DIR *dir = opendir("/proc/self/task");
        for (struct dirent *e; (e = readdir(dir));) {
            pid_t thread = (pid_t)atoi(e->d_name);
            if (thread > 0 && thread != self)
                syscall(SYS_tgkill, getpid(), thread, SIGUSR1);
        }
        closedir(dir);
        check_let_pass(PICA_MS(1));
    }
    return arg;
}

static uint64_t joined; /* [atomic, relaxed] */
static check_latch gone;

static intptr_t naps(void *arg)
{
    int rc = pica_sleep(PICA_US(300));
    return rc < 0 ? rc : (intptr_t)arg;
}

/* A plain thread: its waits are interrupted as well. */
static void *spawns(void *executor)
{
    lets_in(NULL);
    for (intptr_t i = 1; !pi_load_acquire(&stop); i++) {
        pica_task *task = body_spawn_in(executor, naps, body_arg(i));
        intptr_t result = 0;
        CHECK_EQ(pica_join(task, &result), 0);
        CHECK_EQ(result, i);
        pica_unref(task);
        pi_add_relaxed(&joined, UINT64_C(1));
    }
    check_hit(&gone);
    return NULL;
}

static void interrupted(void)
{
    pica_executor *ex = pica_executor_self();
    pthread_t sender, spawner;
    struct sigaction action = {.sa_handler = count};
    sigemptyset(&action.sa_mask);
    sigaction(SIGUSR1, &action, NULL); /* no SA_RESTART */
    for (unsigned i = 0; i < pica_executor_workers(ex); i++)
        CHECK_EQ(body_end(body_spawn_on(i, lets_in, NULL)), 0);
    pi_store_release(&stop, 0u);
    uint64_t here = pi_load_relaxed(&arrived), elsewhere = pi_load_relaxed(&arrived_else);
    uint64_t joins = pi_load_relaxed(&joined);
    CHECK_FATAL(pthread_create(&sender, NULL, sends, NULL) == 0);
    CHECK_FATAL(pthread_create(&spawner, NULL, spawns, ex) == 0);
    load_for(PICA_MS(800));
    while (pi_load_relaxed(&arrived) <= here + 10 ||
           pi_load_relaxed(&arrived_else) <= elsewhere + 10 || pi_load_relaxed(&joined) == joins)
        load_run(50); /* the two threads wait for a CPU, like all others */
    gone = (check_latch){0};
    pi_store_release(&stop, 1u);
    CHECK_HITS(&gone, 1); /* what it joins may need this worker: block only then */
    pthread_join(sender, NULL);
    pthread_join(spawner, NULL);
    CHECK_LT(joins, pi_load_relaxed(&joined));
    /* One may be under way to a worker. */
    signal(SIGUSR1, SIG_IGN);
}

CHECK_MAIN
{
    check_timeout(60);
    check_run_in(CHECK_ONE | CHECK_TWO | CHECK_FOUR | CHECK_MIGRATE, "signals at 1 kHz",
                 interrupted);
}
