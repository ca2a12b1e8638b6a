/* SPDX-License-Identifier: MIT */
/* child.h: what a process goes through that is not the test's own. */
#ifndef PICA_TESTS_EXTREMES_CHILD_H
#define PICA_TESTS_EXTREMES_CHILD_H

#include "tests/executor/bodies.h"

#include <sys/wait.h>
#include <unistd.h>

/** body() is a child process's whole life, with checks of its own. @return its number */
static inline pid_t child_start(void (*body)(void))
{
    pid_t pid = fork();
    CHECK_FATAL(pid >= 0);
    if (pid > 0)
        return pid;
    uint64_t before = check_failures();
    alarm(100);
    body();
    (void)check_lost_errors();
    _exit(check_failures() > before ? 1 : 0);
}

/** It ends by itself, and all its checks held. */
static inline void child_ends_well(pid_t pid)
{
    int state = 0;
    CHECK_EQ(waitpid(pid, &state, 0), pid);
    CHECK_EQ(state, 0);
}

/** In a child: the task's whole life, in an executor of the case's mode. It returns 0. */
static inline void child_runs(pica_fn fn)
{
    pica_options options = check_options();
    pica_executor *ex = check_executor_open(&options);
    CHECK_EQ(body_end(body_spawn_in(ex, fn, NULL)), 0);
    check_executor_close(ex);
}

#endif
