/* SPDX-License-Identifier: MIT */
/* death.h: what has to end the process, and has to say why. The body runs in a child process,
 * made before the case has any thread but the harness's own. */
#ifndef PICA_TESTS_DEATH_H
#define PICA_TESTS_DEATH_H

#include "tests/check.h"

#include <pica/executor.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/** How it ended, and what it wrote to stderr. */
typedef struct death {
    int state; /* of waitpid() */
    char said[8000];
} death;

static inline death death_of(void (*body)(void *arg), void *arg)
{
    death d = {0, ""};
    int ends[2];
    CHECK_FATAL(pipe(ends) == 0);
    pid_t pid = fork();
    CHECK_FATAL(pid >= 0);
    if (pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        alarm(60); /* one that hangs instead dies of another signal */
        body(arg);
        _exit(0);
    }
    close(ends[1]);
    size_t n = 0;
    for (ssize_t got;
         n < sizeof(d.said) - 1 && (got = read(ends[0], d.said + n, sizeof(d.said) - 1 - n)) > 0;)
        n += (size_t)got;
    close(ends[0]);
    char *emulator = strstr(d.said, "qemu: uncaught target signal"); /* not the program's words */
    if (emulator)
        *emulator = '\0';
    CHECK_EQ(waitpid(pid, &d.state, 0), pid);
    return d;
}

/** body() calls abort() after a sentence with these words in it. */
static inline void death_says(void (*body)(void *arg), void *arg, const char *words)
{
    death d = death_of(body, arg);
    CHECK(WIFSIGNALED(d.state) && WTERMSIG(d.state) == SIGABRT);
    if (!CHECK(strstr(d.said, words) != NULL))
        fprintf(stderr, "status %x, said: %s\n", (unsigned)d.state, d.said);
}

/** The same as the main task of an executor with one worker. */
static inline void death_run(void *fn)
{
    pica_options options = PICA_OPTIONS_INIT;
    options.workers = 1;
    options.flags = PICA_NO_SPARE; /* no second thread: TSan allows none in a fork */
    (void)pica_run(*(pica_fn *)fn, NULL, &options);
}

static inline void death_says_in_task(pica_fn fn, const char *words)
{
    death_says(death_run, &fn, words);
}

#endif
