/* SPDX-License-Identifier: MIT */
/* calls.c: the stand-ins for the functions that calls.list says may fail. Each asks sites.c
 * whether it is to fail; if not, it makes the call, and notes how that failed.
 *
 * Some fail only after they have done it, as the real ones do: close, munmap, and a connect that a
 * signal interrupts. None calls anything that suspends, so errno is the thread's own throughout. */
#include "tests/faults/sites.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* Functions that return -1 and set errno. */
#define STAND_IN(type, name, parameters, arguments)                                                \
    type fault_##name parameters;                                                                  \
    type fault_##name parameters                                                                   \
    {                                                                                              \
        unsigned site = sites_here(__builtin_frame_address(0));                                    \
        int error = sites_meet(site);                                                              \
        if (error) {                                                                               \
            errno = error;                                                                         \
            return -1;                                                                             \
        }                                                                                          \
        type rc = name arguments;                                                                  \
        if (rc < 0)                                                                                \
            sites_note(site, errno);                                                               \
        return rc;                                                                                 \
    }

STAND_IN(int, accept4, (int fd, struct sockaddr *addr, socklen_t *length, int flags),
         (fd, addr, length, flags))
STAND_IN(int, bind, (int fd, const struct sockaddr *addr, socklen_t length), (fd, addr, length))
STAND_IN(int, epoll_create1, (int flags), (flags))
STAND_IN(int, epoll_ctl, (int epfd, int op, int fd, struct epoll_event *event),
         (epfd, op, fd, event))
STAND_IN(int, epoll_wait, (int epfd, struct epoll_event *events, int n, int timeout),
         (epfd, events, n, timeout))
STAND_IN(int, eventfd, (unsigned count, int flags), (count, flags))
STAND_IN(int, fstat, (int fd, struct stat *out), (fd, out))
STAND_IN(int, getpeername, (int fd, struct sockaddr *addr, socklen_t *length), (fd, addr, length))
STAND_IN(int, getsockname, (int fd, struct sockaddr *addr, socklen_t *length), (fd, addr, length))
STAND_IN(int, getsockopt, (int fd, int level, int name, void *value, socklen_t *length),
         (fd, level, name, value, length))
STAND_IN(int, listen, (int fd, int backlog), (fd, backlog))
STAND_IN(int, madvise, (void *at, size_t length, int advice), (at, length, advice))
STAND_IN(int, mincore, (void *at, size_t length, unsigned char *pages), (at, length, pages))
STAND_IN(int, mprotect, (void *at, size_t length, int protection), (at, length, protection))
STAND_IN(int, poll, (struct pollfd * fds, nfds_t n, int timeout), (fds, n, timeout))
STAND_IN(ssize_t, process_madvise,
         (int pid, const struct iovec *ranges, size_t n, int advice, unsigned flags),
         (pid, ranges, n, advice, flags))
STAND_IN(ssize_t, read, (int fd, void *to, size_t n), (fd, to, n))
STAND_IN(ssize_t, readv, (int fd, const struct iovec *iov, int n), (fd, iov, n))
STAND_IN(ssize_t, recv, (int fd, void *to, size_t n, int flags), (fd, to, n, flags))
STAND_IN(ssize_t, recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags))
STAND_IN(int, sched_getaffinity, (pid_t pid, size_t size, cpu_set_t *set), (pid, size, set))
STAND_IN(int, sched_setaffinity, (pid_t pid, size_t size, const cpu_set_t *set), (pid, size, set))
STAND_IN(ssize_t, send, (int fd, const void *from, size_t n, int flags), (fd, from, n, flags))
STAND_IN(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags))
STAND_IN(int, setsockopt, (int fd, int level, int name, const void *value, socklen_t length),
         (fd, level, name, value, length))
STAND_IN(int, shutdown, (int fd, int how), (fd, how))
STAND_IN(int, sigaltstack, (const stack_t *stack, stack_t *old), (stack, old))
STAND_IN(int, sigtimedwait, (const sigset_t *set, siginfo_t *info, const struct timespec *timeout),
         (set, info, timeout))
STAND_IN(int, socket, (int domain, int type, int protocol), (domain, type, protocol))
STAND_IN(long, sysconf, (int name), (name))
STAND_IN(ssize_t, write, (int fd, const void *from, size_t n), (fd, from, n))
STAND_IN(ssize_t, writev, (int fd, const struct iovec *iov, int n), (fd, iov, n))

#undef STAND_IN

int fault_fcntl(int fd, int command, ...);
int fault_fcntl(int fd, int command, ...)
{
    va_list args;
    va_start(args, command);
    int argument = command == F_GETFL ? 0 : va_arg(args, int);
    va_end(args);
    int error = sites_meet(sites_here(__builtin_frame_address(0)));
    if (error) {
        errno = error;
        return -1;
    }
    return fcntl(fd, command, argument);
}

int fault_open(const char *path, int flags, ...);
int fault_open(const char *path, int flags, ...)
{
    unsigned site = sites_here(__builtin_frame_address(0));
    int error = sites_meet(site);
    if (error) {
        errno = error;
        return -1;
    }
    int fd = open(path, flags);
    if (fd < 0)
        sites_note(site, errno);
    return fd;
}

long fault_syscall(long number, ...);
long fault_syscall(long number, ...)
{
    long a[6];
    va_list args;
    va_start(args, number);
    for (unsigned i = 0; i < 6; i++)
        a[i] = va_arg(args, long);
    va_end(args);
    unsigned site = sites_here(__builtin_frame_address(0));
    int error = sites_meet(site);
    if (error) {
        errno = error;
        return -1;
    }
    long rc = syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (rc < 0)
        sites_note(site, errno);
    return rc;
}

/* Only a connect that is under way can be interrupted, or be under way already. */
int fault_connect(int fd, const struct sockaddr *addr, socklen_t length);
int fault_connect(int fd, const struct sockaddr *addr, socklen_t length)
{
    unsigned site = sites_here(__builtin_frame_address(0));
    int error = sites_meet(site);
    bool goes_on = error == EINTR || error == EALREADY;
    int rc = error && !goes_on ? -1 : connect(fd, addr, length);
    if (goes_on && (rc == 0 || errno != EINPROGRESS))
        return rc;
    if (error)
        errno = error;
    else if (rc < 0)
        sites_note(site, errno);
    return rc;
}

int fault_close(int fd);
int fault_close(int fd)
{
    int error = sites_meet(sites_here(__builtin_frame_address(0)));
    int rc = close(fd);
    if (!error)
        return rc;
    errno = error;
    return -1;
}

/* --- Memory, counted ------------------------------------------------------------------------ */

void *fault_mmap(void *at, size_t length, int protection, int flags, int fd, off_t offset);
void *fault_mmap(void *at, size_t length, int protection, int flags, int fd, off_t offset)
{
    int error = sites_meet(sites_here(__builtin_frame_address(0)));
    if (error) {
        errno = error;
        return MAP_FAILED;
    }
    void *p = mmap(at, length, protection, flags, fd, offset);
    sites_count_mapping(p != MAP_FAILED);
    return p;
}

int fault_munmap(void *at, size_t length);
int fault_munmap(void *at, size_t length)
{
    int error = sites_meet(sites_here(__builtin_frame_address(0)));
    int rc = munmap(at, length);
    sites_count_mapping(-(rc == 0));
    if (!error)
        return rc;
    errno = error;
    return -1;
}

static void *counted(void *p)
{
    sites_count_block(p != NULL);
    return p;
}

void *fault_malloc(size_t size);
void *fault_malloc(size_t size)
{
    int error = sites_meet(sites_here(__builtin_frame_address(0)));
    return error ? NULL : counted(malloc(size));
}

void *fault_calloc(size_t n, size_t size);
void *fault_calloc(size_t n, size_t size)
{
    int error = sites_meet(sites_here(__builtin_frame_address(0)));
    return error ? NULL : counted(calloc(n, size));
}

void *fault_aligned_alloc(size_t align, size_t size);
void *fault_aligned_alloc(size_t align, size_t size)
{
    int error = sites_meet(sites_here(__builtin_frame_address(0)));
    return error ? NULL : counted(aligned_alloc(align, size));
}

void fault_free(void *p);
void fault_free(void *p)
{
    sites_count_block(-(p != NULL));
    free(p);
}

int fault_pthread_create(pthread_t *out, const pthread_attr_t *attr, void *(*fn)(void *),
                         void *arg);
int fault_pthread_create(pthread_t *out, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
    int error = sites_meet(sites_here(__builtin_frame_address(0)));
    return error ? error : pthread_create(out, attr, fn, arg);
}

int fault_pthread_getcpuclockid(pthread_t thread, clockid_t *out);
int fault_pthread_getcpuclockid(pthread_t thread, clockid_t *out)
{
    int error = sites_meet(sites_here(__builtin_frame_address(0)));
    return error ? error : pthread_getcpuclockid(thread, out);
}
