/* SPDX-License-Identifier: MIT */
/* crowd_test.c: 64 workers on however few CPUs there are, which others want as well: stress-ng if
 * it is installed, else processes that compute. All of the load ends, and rightly. */
#include "tests/extremes/load.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORKERS 64
#define PROCESSES 4

static _Noreturn void compute(void)
{
    for (volatile uint64_t n = 0;; n++)
        if (n % 100000 == 0)
            sched_yield();
}

/* Before there are threads to fork away from. */
static void rivals_start(pid_t *pids)
{
    pid_t parent = getpid();
    for (unsigned i = 0; i < PROCESSES; i++) {
        pids[i] = fork();
        CHECK_FATAL(pids[i] >= 0);
        if (pids[i] > 0)
            continue;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) /* it has died before it could be said */
            _exit(0);
        if (i == 0 && freopen("/dev/null", "w", stdout) && freopen("/dev/null", "w", stderr))
            execlp("stress-ng", "stress-ng", "--cpu", "2", "--switch", "2", "--timeout", "120s",
                   (char *)NULL);
        compute();
    }
}

static void rivals_stop(const pid_t *pids)
{
    for (unsigned i = 0; i < PROCESSES; i++) {
        kill(pids[i], i == 0 ? SIGTERM : SIGKILL); /* so that stress-ng ends its own */
        CHECK_EQ(waitpid(pids[i], NULL, 0), pids[i]);
    }
}

static intptr_t loads(void *arg)
{
    (void)arg;
    load_for(PICA_MS(300));
    return 0;
}

static void crowded(void)
{
    pid_t pids[PROCESSES];
    rivals_start(pids);
    pica_options options = check_options();
    options.workers = WORKERS;
    pica_executor *ex = check_executor_open(&options);
    pica_task *tasks[3];
    CHECK_EQ(pica_executor_workers(ex), WORKERS);
    for (unsigned i = 0; i < 3; i++) {
        CHECK_FATAL_OK(pica_executor_spawn(ex, &tasks[i], loads, NULL));
        CHECK_EQ(pica_join(tasks[i], NULL), 0);
        pica_unref(tasks[i]);
    }
    check_executor_close(ex);
    rivals_stop(pids);
}

CHECK_MAIN
{
    check_timeout(90);
    check_plain_in(CHECK_TWO | CHECK_NO_INLINE, "64 workers among others", crowded);
}
