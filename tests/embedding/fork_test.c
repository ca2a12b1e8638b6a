/* SPDX-License-Identifier: MIT */
/* fork_test.c: what is promised around fork() and exit(): a child may exec() at any time, also out
 * of a task and while everything is busy, and takes no descriptor of pica's along; a child that
 * was forked while no executor lived may use pica like any process; a process may exit at any
 * time. */
#include "tests/executor/bodies.h"

#include <pica/net.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

/* The child's program: exits with the number of its open descriptors, or 100 where a signal is
 * blocked. Descriptors 0, 1, 2 and that of the folder itself, beside "." and "..". */
static const char count[] = "set -- /proc/self/fd/*; n=$#; "
                            "while read -r k v; do "
                            "[ \"$k\" != SigBlk: ] || [ \"$v\" = 0000000000000000 ] || exit 100; "
                            "done </proc/self/status; exit $n";

/* The harness's and the caller's own descriptors, which a child inherits as well. */
static unsigned inherited;

static unsigned status_of(pid_t pid)
{
    int status = 0;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? (unsigned)WEXITSTATUS(status) : 1000;
}

/* In the child nothing but system calls. */
static unsigned fork_and_exec(void)
{
    static char sh[] = "/bin/sh", c[] = "-c";
    char *const argv[] = {sh, c, (char *)(uintptr_t)count, NULL};
    sigset_t none;
    sigemptyset(&none);
    pid_t pid = fork();
    CHECK_FATAL(pid >= 0);
    if (pid == 0) {
        sigprocmask(SIG_SETMASK, &none, NULL); /* a worker's is full, and exec() keeps it */
        execve(sh, argv, environ);
        _exit(101);
    }
    return status_of(pid);
}

static unsigned spawn_by_posix(void)
{
    static char sh[] = "/bin/sh", c[] = "-c";
    char *const argv[] = {sh, c, (char *)(uintptr_t)count, NULL};
    posix_spawnattr_t attr;
    sigset_t none;
    pid_t pid = -1;
    sigemptyset(&none);
    CHECK_FATAL(posix_spawnattr_init(&attr) == 0);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
    CHECK_EQ(posix_spawn(&pid, sh, NULL, &attr, argv, environ), 0);
    posix_spawnattr_destroy(&attr);
    return status_of(pid);
}

struct busy {
    check_latch enough;
};

static intptr_t keeps_busy(void *arg)
{
    struct busy *b = arg;
    while (!check_hits(&b->enough))
        CHECK_EQ(body_end(body_spawn(body_yields, body_arg(1))), 1);
    return 0;
}

static intptr_t forks(void *unused)
{
    (void)unused;
    CHECK_EQ(fork_and_exec(), inherited);
    CHECK_EQ(spawn_by_posix(), inherited);
    return 0;
}

/* A listener and a connection that nobody serves: theirs are descriptors, too. */
static intptr_t opens_sockets(void *arg)
{
    struct busy *b = arg;
    pica_addr address;
    pica_listener *listener = NULL;
    pica_stream *stream = NULL;
    CHECK_FATAL_OK(pica_addr_parse(&address, "127.0.0.1:0", 0));
    CHECK_FATAL_OK(pica_tcp_listen(&listener, &address, NULL));
    CHECK_FATAL_OK(pica_listener_addr(listener, &address));
    CHECK_FATAL_OK(pica_tcp_connect(&stream, &address));
    while (!check_hits(&b->enough))
        CHECK_OK(pica_sleep(PICA_US(100)));
    pica_close(stream);
    pica_listener_close(listener);
    return 0;
}

static void a_child_may_exec(void)
{
    struct busy b = {{0}};
    pica_task *tasks[2];
    inherited = fork_and_exec();
    CHECK_LE(4, inherited);
    CHECK_LT(inherited, 100);
    pica_options options = check_options();
    pica_executor *ex = check_executor_open(&options);
    for (unsigned i = 0; i < 2; i++)
        tasks[i] = body_spawn_in(ex, i ? opens_sockets : keeps_busy, &b);
    for (unsigned i = 0; i < 5; i++) {
        CHECK_EQ(fork_and_exec(), inherited);
        CHECK_EQ(spawn_by_posix(), inherited);
        CHECK_EQ(body_end(body_spawn_in(ex, forks, NULL)), 0);
    }
    check_hit(&b.enough);
    for (unsigned i = 0; i < 2; i++)
        CHECK_EQ(body_end(tasks[i]), 0);
    check_executor_close(ex);
}

/* As a daemon does: pica was used, is gone, the process forks and uses it again. */
static void a_child_may_begin_anew(void)
{
    pica_options options = check_options();
    for (unsigned i = 0; i < 5; i++) {
        CHECK_EQ(pica_run(body_yields, body_arg(7), &options), 7);
        pid_t pid = fork();
        CHECK_FATAL(pid >= 0);
        if (pid == 0)
            _exit(pica_run(body_yields, body_arg(23), &options) == 23 ? 23 : 1);
        CHECK_EQ(status_of(pid), 23);
        CHECK_EQ(pica_run(body_yields, body_arg(8), &options), 8);
    }
}

/* Tasks are cut off wherever they are, handlers of atexit() run meanwhile. */
static pica_executor *never_destroyed;

static void exits_with_9(void)
{
    _exit(9);
}

static void an_exit_is_an_exit(void)
{
    static struct busy never; /* nobody says that it is enough */
    pica_options options = check_options();
    for (unsigned i = 0; i < 10; i++) {
        pid_t pid = fork();
        CHECK_FATAL(pid >= 0);
        if (pid == 0) {
            pica_executor *ex = NULL;
            if (pica_executor_create(&ex, &options) < 0 ||
                pica_executor_spawn(ex, NULL, keeps_busy, &never) < 0 ||
                pica_executor_spawn(ex, NULL, opens_sockets, &never) < 0 || atexit(exits_with_9))
                _exit(1);
            never_destroyed = ex;
            check_let_pass(PICA_US(200) * i); /* they may be anywhere */
            exit(8);
        }
        CHECK_EQ(status_of(pid), 9);
    }
}

CHECK_MAIN
{
    check_plain_in(CHECK_ONE | CHECK_FOUR | CHECK_MIGRATE, "a child may exec", a_child_may_exec);
    if (check_emulated()) /* whose child can start no thread */
        return;
    check_plain_in(CHECK_ONE | CHECK_FOUR, "a child may begin anew", a_child_may_begin_anew);
    check_plain_in(CHECK_ONE | CHECK_FOUR, "an exit is an exit", an_exit_is_an_exit);
}
