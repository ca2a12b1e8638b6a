/* SPDX-License-Identifier: MIT */
/* sys.h: the system calls of io/, each in a function of its own that is never inlined and
 * returns a value >= 0 or -errno.
 *
 * Why: a task that suspends may come back on another thread, and compilers keep the
 * address of errno over a suspension. Here it is read right after the call, in a frame
 * that cannot suspend. Nothing else in io/ touches errno. (recv and send, which every message
 * takes, are inline where they need no errno: see there.)
 *
 * EINTR is retried. The kernel's ETIMEDOUT of a connection becomes -PICA_EPEERTIMEDOUT,
 * because -ETIMEDOUT is what a deadline gives. No call here blocks: descriptors are
 * non-blocking, and epoll's wait is the worker's sleep.
 *
 * Callers: io/ alone, any thread.
 */
#ifndef PI_IO_SYS_H
#define PI_IO_SYS_H

#include "executor/base/atomics.h"

#include <pica/base.h>

#include <errno.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

#define PI_SYSTEM_CALL __attribute__((noinline))

/* recv(2) and send(2) by the bare instruction. A CPU that comes out of the kernel no longer knows
 * where the functions that it went in through return to, and guesses wrong at each, which costs
 * more than what they do; so the call stands where its result is used. The kernel returns the
 * code itself: no errno is read. Elsewhere than on x86-64, and in builds that watch or replace
 * the C library's functions (sanitizers; tests/faults), the calls go through that: sys.c. */
#if defined(__x86_64__) && defined(__LP64__) && !defined(PI_ASAN) && !defined(PI_TSAN) &&          \
    !defined(PI_CALLS_BY_NAME)
#define PI_BARE_CALLS 1
#else
#define PI_BARE_CALLS 0
#endif

/** Sockets. All are made non-blocking and close-on-exec. */
int pi_sys_socket(int domain, int type, int protocol) PI_SYSTEM_CALL;
int pi_sys_bind(int fd, const struct sockaddr *addr, socklen_t length) PI_SYSTEM_CALL;
int pi_sys_listen(int fd, int backlog) PI_SYSTEM_CALL;
int pi_sys_accept(int fd, struct sockaddr *addr, socklen_t *length) PI_SYSTEM_CALL;
int pi_sys_connect(int fd, const struct sockaddr *addr, socklen_t length) PI_SYSTEM_CALL;
int pi_sys_shutdown(int fd, int how) PI_SYSTEM_CALL;
int pi_sys_local_addr(int fd, struct sockaddr *addr, socklen_t *length) PI_SYSTEM_CALL;
int pi_sys_peer_addr(int fd, struct sockaddr *addr, socklen_t *length) PI_SYSTEM_CALL;

/** Options that are an int. */
int pi_sys_set_option(int fd, int level, int name, int value) PI_SYSTEM_CALL;
int pi_sys_get_option(int fd, int level, int name, int *value) PI_SYSTEM_CALL;

/** Bytes. Sockets never raise SIGPIPE; pi_sys_write() and pi_sys_writev(), for pipes and
 *  terminals, take back the one that their own call raised. */
#if PI_BARE_CALLS
static inline ssize_t pi_sys_recv(int fd, void *buffer, size_t n);
static inline ssize_t pi_sys_send(int fd, const void *buffer, size_t n);
#else
ssize_t pi_sys_recv(int fd, void *buffer, size_t n) PI_SYSTEM_CALL;
ssize_t pi_sys_send(int fd, const void *buffer, size_t n) PI_SYSTEM_CALL;
#endif
ssize_t pi_sys_recvv(int fd, const struct iovec *iov, int n) PI_SYSTEM_CALL;
ssize_t pi_sys_sendv(int fd, const struct iovec *iov, int n) PI_SYSTEM_CALL;
ssize_t pi_sys_read(int fd, void *buffer, size_t n) PI_SYSTEM_CALL;
ssize_t pi_sys_readv(int fd, const struct iovec *iov, int n) PI_SYSTEM_CALL;
ssize_t pi_sys_writev(int fd, const struct iovec *iov, int n) PI_SYSTEM_CALL;

/** Descriptors. */
void pi_sys_close(int fd) PI_SYSTEM_CALL;
int pi_sys_get_flags(int fd) PI_SYSTEM_CALL;
int pi_sys_set_flags(int fd, int flags) PI_SYSTEM_CALL;
int pi_sys_set_cloexec(int fd) PI_SYSTEM_CALL;
/** 1: a regular file or a directory, which epoll cannot watch; 0: something else. */
int pi_sys_is_plain_file(int fd) PI_SYSTEM_CALL;
/** What of `events` holds now (poll(2) without waiting); 0: nothing; -EBADF. */
int pi_sys_poll_now(int fd, short events) PI_SYSTEM_CALL;
/** Connections that stand in a TCP listener's queue; below 0: unknown. */
int pi_sys_queued(int fd) PI_SYSTEM_CALL;
/** Bytes that have been written to a TCP socket and are not acknowledged yet; below 0: unknown. */
int pi_sys_unsent(int fd) PI_SYSTEM_CALL;

/** Readiness. The waits return 0 when a signal interrupts them. */
int pi_sys_epoll_create(void) PI_SYSTEM_CALL;
int pi_sys_epoll_add(int epfd, int fd, uint32_t events, uint64_t data) PI_SYSTEM_CALL;
int pi_sys_epoll_modify(int epfd, int fd, uint32_t events, uint64_t data) PI_SYSTEM_CALL;
int pi_sys_epoll_delete(int epfd, int fd) PI_SYSTEM_CALL;
int pi_sys_epoll_wait(int epfd, struct epoll_event *events, int n, int timeout_ms) PI_SYSTEM_CALL;
int pi_sys_epoll_wait_ns(int epfd, struct epoll_event *events, int n,
                         const struct timespec *timeout) PI_SYSTEM_CALL;
int pi_sys_eventfd(void) PI_SYSTEM_CALL;
void pi_sys_eventfd_write(int fd) PI_SYSTEM_CALL;

#if PI_BARE_CALLS
/* recvfrom(2) and sendto(2) have the same arguments, the last two an address that is not given. */
static inline __attribute__((always_inline)) ssize_t pi_sys_transfer(long number, int fd,
                                                                     const void *buffer, size_t n,
                                                                     int flags)
{
    long rc;
    do
        __asm__ __volatile__("movl %k[flags], %%r10d\n\t"
                             "xorl %%r8d, %%r8d\n\t"
                             "xorl %%r9d, %%r9d\n\t"
                             "syscall"
                             : "=a"(rc)
                             : "a"(number), "D"(fd), "S"(buffer), "d"(n), [flags] "ri"(flags)
                             : "rcx", "r8", "r9", "r10", "r11", "memory", "cc");
    while (PI_UNLIKELY(rc == -EINTR));
    return PI_UNLIKELY(rc == -ETIMEDOUT) ? -PICA_EPEERTIMEDOUT : rc;
}

static inline ssize_t pi_sys_recv(int fd, void *buffer, size_t n)
{
    return pi_sys_transfer(SYS_recvfrom, fd, buffer, n, 0);
}

static inline ssize_t pi_sys_send(int fd, const void *buffer, size_t n)
{
    return pi_sys_transfer(SYS_sendto, fd, buffer, n, MSG_NOSIGNAL);
}
#endif

#endif
