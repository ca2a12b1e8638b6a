/* SPDX-License-Identifier: MIT */
/* sys.c: see sys.h. */
#include "io/sys.h"

#include "executor/base/atomics.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Debian 11's headers lack it; every architecture of Linux gives it this number. */
#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

/* Only ever inlined into a function of this file, straight after its system call. */
static inline __attribute__((always_inline)) int failure(void)
{
    int code = errno;
    return code == ETIMEDOUT ? -PICA_EPEERTIMEDOUT : -code;
}

int pi_sys_socket(int domain, int type, int protocol)
{
    int rc = socket(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
    return rc < 0 ? failure() : rc;
}

int pi_sys_bind(int fd, const struct sockaddr *addr, socklen_t length)
{
    return bind(fd, addr, length) < 0 ? failure() : 0;
}

int pi_sys_listen(int fd, int backlog)
{
    return listen(fd, backlog) < 0 ? failure() : 0;
}

int pi_sys_accept(int fd, struct sockaddr *addr, socklen_t *length)
{
    int rc;
    do
        rc = accept4(fd, addr, length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    while (rc < 0 && errno == EINTR);
    return rc < 0 ? failure() : rc;
}

int pi_sys_connect(int fd, const struct sockaddr *addr, socklen_t length)
{
    if (connect(fd, addr, length) == 0)
        return 0;
    /* An interrupted connect goes on by itself. */
    return errno == EINTR ? -EINPROGRESS : failure();
}

int pi_sys_shutdown(int fd, int how)
{
    return shutdown(fd, how) < 0 ? failure() : 0;
}

int pi_sys_local_addr(int fd, struct sockaddr *addr, socklen_t *length)
{
    return getsockname(fd, addr, length) < 0 ? failure() : 0;
}

int pi_sys_peer_addr(int fd, struct sockaddr *addr, socklen_t *length)
{
    return getpeername(fd, addr, length) < 0 ? failure() : 0;
}

int pi_sys_set_option(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof(value)) < 0 ? failure() : 0;
}

int pi_sys_get_option(int fd, int level, int name, int *value)
{
    int v = 0;
    socklen_t length = sizeof(v);
    if (getsockopt(fd, level, name, &v, &length) < 0)
        return failure();
    *value = v;
    return 0;
}

#if !PI_BARE_CALLS
/* recv() and send() are cancellation points of pthread_cancel(): in a process of several threads
 * the C library wraps each in two locked instructions (0.7 % of an echo). No thread that runs
 * tasks is ever cancelled so. The sanitizers watch the functions, not the system calls. */
static inline __attribute__((always_inline)) ssize_t receive(int fd, void *buffer, size_t n)
{
#if defined(PI_ASAN) || defined(PI_TSAN)
    return recv(fd, buffer, n, 0);
#else
    return syscall(SYS_recvfrom, fd, buffer, n, (size_t)0, NULL, NULL);
#endif
}

static inline __attribute__((always_inline)) ssize_t transmit(int fd, const void *buffer, size_t n)
{
#if defined(PI_ASAN) || defined(PI_TSAN)
    return send(fd, buffer, n, MSG_NOSIGNAL);
#else
    return syscall(SYS_sendto, fd, buffer, n, (size_t)MSG_NOSIGNAL, NULL, (size_t)0);
#endif
}

ssize_t pi_sys_recv(int fd, void *buffer, size_t n)
{
    ssize_t rc;
    do
        rc = receive(fd, buffer, n);
    while (rc < 0 && errno == EINTR);
    return rc < 0 ? failure() : rc;
}

ssize_t pi_sys_send(int fd, const void *buffer, size_t n)
{
    ssize_t rc;
    do
        rc = transmit(fd, buffer, n);
    while (rc < 0 && errno == EINTR);
    return rc < 0 ? failure() : rc;
}
#endif

/* struct msghdr and writev(2) want the vector without const, and leave it alone. */
static struct iovec *unconst(const struct iovec *iov)
{
    return (struct iovec *)(uintptr_t)iov;
}

ssize_t pi_sys_recvv(int fd, const struct iovec *iov, int n)
{
    struct msghdr message = {.msg_iov = unconst(iov), .msg_iovlen = (size_t)n};
    ssize_t rc;
    do
        rc = recvmsg(fd, &message, 0);
    while (rc < 0 && errno == EINTR);
    return rc < 0 ? failure() : rc;
}

ssize_t pi_sys_sendv(int fd, const struct iovec *iov, int n)
{
    struct msghdr message = {.msg_iov = unconst(iov), .msg_iovlen = (size_t)n};
    ssize_t rc;
    do
        rc = sendmsg(fd, &message, MSG_NOSIGNAL);
    while (rc < 0 && errno == EINTR);
    return rc < 0 ? failure() : rc;
}

ssize_t pi_sys_read(int fd, void *buffer, size_t n)
{
    ssize_t rc;
    do
        rc = read(fd, buffer, n);
    while (rc < 0 && errno == EINTR);
    return rc < 0 ? failure() : rc;
}

ssize_t pi_sys_readv(int fd, const struct iovec *iov, int n)
{
    ssize_t rc;
    do
        rc = readv(fd, iov, n);
    while (rc < 0 && errno == EINTR);
    return rc < 0 ? failure() : rc;
}

/* A pipe has no MSG_NOSIGNAL. SIGPIPE goes to the writing thread, so it is blocked there
 * over the call and the one the call raised is taken off again. One that the host had
 * blocked and pending before stays. */
ssize_t pi_sys_writev(int fd, const struct iovec *iov, int n)
{
    sigset_t pipe_only, before, pending;
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    sigemptyset(&pending);
    (void)pthread_sigmask(SIG_BLOCK, &pipe_only, &before);
    (void)sigpending(&pending);

    ssize_t rc;
    do
        rc = writev(fd, iov, n);
    while (rc < 0 && errno == EINTR);
    if (rc < 0)
        rc = failure();

    if (rc == -EPIPE && !sigismember(&pending, SIGPIPE)) {
        const struct timespec now = {0, 0};
        while (sigtimedwait(&pipe_only, NULL, &now) < 0 && errno == EINTR)
            ;
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

void pi_sys_close(int fd)
{
    /* Linux has released the number whatever this returns. */
    (void)close(fd);
}

int pi_sys_get_flags(int fd)
{
    int rc = fcntl(fd, F_GETFL);
    return rc < 0 ? failure() : rc;
}

int pi_sys_set_flags(int fd, int flags)
{
    return fcntl(fd, F_SETFL, flags) < 0 ? failure() : 0;
}

int pi_sys_set_cloexec(int fd)
{
    return fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ? failure() : 0;
}

int pi_sys_is_plain_file(int fd)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return failure();
    return S_ISREG(st.st_mode) || S_ISDIR(st.st_mode);
}

int pi_sys_queued(int fd)
{
    struct tcp_info info;
    socklen_t length = sizeof(info);
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) < 0)
        return failure();
    if (length < offsetof(struct tcp_info, tcpi_sacked))
        return -EOPNOTSUPP; /* qemu-user gives an int */
    return (int)info.tcpi_unacked; /* of a listener: its queue's length */
}

int pi_sys_unsent(int fd)
{
    int n;
    return ioctl(fd, SIOCOUTQ, &n) < 0 ? failure() : n;
}

int pi_sys_poll_now(int fd, short events)
{
    struct pollfd p = {.fd = fd, .events = events};
    int rc;
    do
        rc = poll(&p, 1, 0);
    while (rc < 0 && errno == EINTR);
    if (rc < 0)
        return failure();
    return p.revents & POLLNVAL ? -EBADF : (int)(unsigned short)p.revents;
}

int pi_sys_epoll_create(void)
{
    int rc = epoll_create1(EPOLL_CLOEXEC);
    return rc < 0 ? failure() : rc;
}

int pi_sys_epoll_add(int epfd, int fd, uint32_t events, uint64_t data)
{
    struct epoll_event event = {.events = events, .data.u64 = data};
    return epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event) < 0 ? failure() : 0;
}

int pi_sys_epoll_modify(int epfd, int fd, uint32_t events, uint64_t data)
{
    struct epoll_event event = {.events = events, .data.u64 = data};
    return epoll_ctl(epfd, EPOLL_CTL_MOD, fd, &event) < 0 ? failure() : 0;
}

int pi_sys_epoll_delete(int epfd, int fd)
{
    struct epoll_event event = {0};
    return epoll_ctl(epfd, EPOLL_CTL_DEL, fd, &event) < 0 ? failure() : 0;
}

int pi_sys_epoll_wait(int epfd, struct epoll_event *events, int n, int timeout_ms)
{
    int rc = epoll_wait(epfd, events, n, timeout_ms);
    if (rc < 0)
        rc = errno == EINTR ? 0 : failure();
    return rc;
}

int pi_sys_epoll_wait_ns(int epfd, struct epoll_event *events, int n,
                         const struct timespec *timeout)
{
    int rc = (int)syscall(SYS_epoll_pwait2, epfd, events, n, timeout, NULL, (size_t)0);
    if (rc < 0)
        rc = errno == EINTR ? 0 : failure();
    return rc;
}

int pi_sys_eventfd(void)
{
    int rc = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return rc < 0 ? failure() : rc;
}

void pi_sys_eventfd_write(int fd)
{
    const uint64_t one = 1;
    ssize_t rc;
    do
        rc = write(fd, &one, sizeof(one));
    while (rc < 0 && errno == EINTR);
}
