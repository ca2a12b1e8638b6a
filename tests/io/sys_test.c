/* SPDX-License-Identifier: MIT */
/* sys_test.c: what the kernel answers comes out of each call of io/sys.h as it promises. EINTR is
 * tried again, ETIMEDOUT is the peer's, every other errno is the code. A seccomp filter hands what
 * is asked of one descriptor to a signal handler that answers from a script. So it meets the bare
 * instruction as well, which no replaced function of the C library does. */
#include "io/sys.h"
#include "tests/check.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <ucontext.h>

#define FD 0x5a5a5a /* beyond what a process can have open */
#define ANSWERS 3

static volatile long script[ANSWERS];
static volatile unsigned asked;

static void answer(int sig, siginfo_t *info, void *context)
{
    ucontext_t *at = context;
    long rc = script[asked < ANSWERS ? asked : ANSWERS - 1];
    (void)sig;
    (void)info;
    asked++;
#if defined(__x86_64__)
    at->uc_mcontext.gregs[REG_RAX] = rc;
#elif defined(__aarch64__)
    at->uc_mcontext.regs[0] = (uint64_t)rc;
#endif
}

/* For the calling thread, for ever. */
static bool filter_calls(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, FD, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {.len = 4, .filter = filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* --- The calls ---------------------------------------------------------------------------- */

static char bytes[8];
static const struct iovec vector = {bytes, sizeof(bytes)};
static struct sockaddr_in where = {.sin_family = AF_INET};
static socklen_t length = sizeof(where);
static struct epoll_event event;

static ssize_t calls_recv(void)
{
    return pi_sys_recv(FD, bytes, sizeof(bytes));
}

static ssize_t calls_send(void)
{
    return pi_sys_send(FD, bytes, sizeof(bytes));
}

static ssize_t calls_recvv(void)
{
    return pi_sys_recvv(FD, &vector, 1);
}

static ssize_t calls_sendv(void)
{
    return pi_sys_sendv(FD, &vector, 1);
}

static ssize_t calls_read(void)
{
    return pi_sys_read(FD, bytes, sizeof(bytes));
}

static ssize_t calls_readv(void)
{
    return pi_sys_readv(FD, &vector, 1);
}

static ssize_t calls_writev(void)
{
    return pi_sys_writev(FD, &vector, 1);
}

static ssize_t calls_accept(void)
{
    return pi_sys_accept(FD, (struct sockaddr *)&where, &length);
}

static ssize_t calls_connect(void)
{
    return pi_sys_connect(FD, (const struct sockaddr *)&where, sizeof(where));
}

static ssize_t calls_epoll_wait(void)
{
    return pi_sys_epoll_wait(FD, &event, 1, 0);
}

static ssize_t calls_epoll_wait_ns(void)
{
    const struct timespec now = {0, 0};
    return pi_sys_epoll_wait_ns(FD, &event, 1, &now);
}

static ssize_t calls_epoll_modify(void)
{
    return pi_sys_epoll_modify(FD, 0, EPOLLIN, 0);
}

static ssize_t calls_set_option(void)
{
    return pi_sys_set_option(FD, SOL_SOCKET, SO_KEEPALIVE, 1);
}

static ssize_t calls_get_option(void)
{
    int value = 0;
    return pi_sys_get_option(FD, SOL_SOCKET, SO_ERROR, &value);
}

static ssize_t calls_set_cloexec(void)
{
    return pi_sys_set_cloexec(FD);
}

static ssize_t calls_is_plain_file(void)
{
    return pi_sys_is_plain_file(FD);
}

/* --- What becomes of the answers ------------------------------------------------------------ */

enum { AGAIN = 1 }; /* what EINTR leads to, besides a code */

static const struct {
    const char *name;
    ssize_t (*call)(void);
    int interrupted; /* AGAIN, or what the call then returns */
} calls[] = {
    {"recv", calls_recv, AGAIN},
    {"send", calls_send, AGAIN},
    {"recvv", calls_recvv, AGAIN},
    {"sendv", calls_sendv, AGAIN},
    {"read", calls_read, AGAIN},
    {"readv", calls_readv, AGAIN},
    {"writev", calls_writev, AGAIN},
    {"accept", calls_accept, AGAIN},
    {"connect", calls_connect, -EINPROGRESS},
    {"epoll_wait", calls_epoll_wait, 0},
    {"epoll_wait_ns", calls_epoll_wait_ns, 0},
    {"epoll_modify", calls_epoll_modify, -EINTR}, /* which these never meet */
    {"set_option", calls_set_option, -EINTR},
    {"get_option", calls_get_option, -EINTR},
    {"set_cloexec", calls_set_cloexec, -EINTR},
    {"is_plain_file", calls_is_plain_file, -EINTR},
};

/* After two of `first` comes 7. */
static void comes_to(size_t i, long first, ssize_t rc, unsigned times)
{
    script[0] = script[1] = first;
    script[2] = 7;
    asked = 0;
    ssize_t got = calls[i].call();
    if (!CHECK_EQ(got, rc) || !CHECK_EQ(asked, times))
        check_fail(__FILE__, __LINE__, "%s, answered by %ld", calls[i].name, first);
}

static void *asks(void *unused)
{
    if (!CHECK(filter_calls()))
        return unused;
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        comes_to(i, -ENOBUFS, -ENOBUFS, 1);
        comes_to(i, -ETIMEDOUT, -PICA_EPEERTIMEDOUT, 1);
        if (calls[i].interrupted == AGAIN)
            comes_to(i, -EINTR, 7, 3);
        else
            comes_to(i, -EINTR, calls[i].interrupted, 1);
    }
    script[0] = script[1] = -EINTR;
    script[2] = 8;
    asked = 0;
    pi_sys_eventfd_write(FD);
    CHECK_EQ(asked, 3);
    return unused;
}

static void answers(void)
{
    if (check_emulated() || prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0)
        check_skip("there is no seccomp here");
    struct sigaction action = {.sa_sigaction = answer, .sa_flags = SA_SIGINFO}, before;
    CHECK_FATAL(sigaction(SIGSYS, &action, &before) == 0);
    pthread_t thread; /* whose filter ends with it */
    CHECK_FATAL(pthread_create(&thread, NULL, asks, NULL) == 0);
    pthread_join(thread, NULL);
    sigaction(SIGSYS, &before, NULL);
}

CHECK_MAIN
{
    check_plain("what the kernel answers", answers);
}
