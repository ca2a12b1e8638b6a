/* SPDX-License-Identifier: MIT */
/* fault.c: see fault.h. Each function stands in for one that the linker's --wrap has led
 * here; __real_ is the original. */
#include "tests/fault.h"

#include "executor/base/atomics.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>

static struct arm {
    uint32_t armed;   /* [atomic] release by arm_it(): publishes the next four */
    uint32_t again;   /* [main] every k-th, not only the k-th */
    uint64_t k;       /* [main] */
    int error;        /* [main] */
    void (*fn)(void); /* [main] what happens meanwhile, or NULL */
    uint64_t calls;   /* [atomic, relaxed] a counter */
    uint64_t failed;  /* [atomic, relaxed] a counter */
} arms[FAULT_CALLS];

static uint64_t advised[128]; /* [atomic, relaxed] counters */

static void arm_it(fault_call call, uint64_t k, int again, int error, void (*fn)(void))
{
    struct arm *arm = &arms[call];
    pi_store_release(&arm->armed, 0u);
    arm->again = again != 0;
    arm->k = k;
    arm->error = error;
    arm->fn = fn;
    pi_store_relaxed(&arm->calls, 0u);
    pi_store_relaxed(&arm->failed, 0u);
    pi_store_release(&arm->armed, 1u);
}

void fault_arm(fault_call call, uint64_t k, int again, int error)
{
    arm_it(call, k, again, error, NULL);
}

void fault_meanwhile(fault_call call, uint64_t k, void (*fn)(void))
{
    arm_it(call, k, 0, 0, fn);
}

void fault_disarm(void)
{
    for (unsigned i = 0; i < FAULT_CALLS; i++)
        pi_store_release(&arms[i].armed, 0u);
}

uint64_t fault_met(fault_call call)
{
    return pi_load_relaxed(&arms[call].calls);
}

uint64_t fault_failed(fault_call call)
{
    return pi_load_relaxed(&arms[call].failed);
}

uint64_t fault_advised(int advice)
{
    return pi_load_relaxed(&advised[advice]);
}

const char *fault_name(fault_call call)
{
    static const char *const names[FAULT_CALLS] = {
        "accept4", "epoll_create1", "epoll_ctl",       "eventfd",  "madvise", "malloc",
        "mmap",    "mprotect",      "process_madvise", "shutdown", "socket",  "pthread_create"};
    return names[call];
}

/* 0: go on; otherwise the errno. */
static int fault(fault_call call)
{
    struct arm *arm = &arms[call];
    if (!pi_load_acquire(&arm->armed))
        return 0;
    uint64_t n = pi_add_relaxed(&arm->calls, 1u) + 1;
    if (arm->again ? n % arm->k != 0 : n != arm->k)
        return 0;
    if (arm->fn)
        arm->fn();
    else
        pi_add_relaxed(&arm->failed, 1u);
    return arm->error;
}

/* Out of line and not inlined: law 3 holds here as well. */
static __attribute__((noinline)) int refuse(int error)
{
    errno = error;
    return -1;
}

int __real_accept4(int fd, struct sockaddr *addr, socklen_t *length, int flags);
int __wrap_accept4(int fd, struct sockaddr *addr, socklen_t *length, int flags);
int __wrap_accept4(int fd, struct sockaddr *addr, socklen_t *length, int flags)
{
    int error = fault(FAULT_ACCEPT);
    return error ? refuse(error) : __real_accept4(fd, addr, length, flags);
}

int __real_epoll_create1(int flags);
int __wrap_epoll_create1(int flags);
int __wrap_epoll_create1(int flags)
{
    int error = fault(FAULT_EPOLL_CREATE);
    return error ? refuse(error) : __real_epoll_create1(flags);
}

int __real_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
    /* Taking something out of a set can't fail for want of memory. */
    int error = op == EPOLL_CTL_DEL ? 0 : fault(FAULT_EPOLL_CTL);
    return error ? refuse(error) : __real_epoll_ctl(epfd, op, fd, event);
}

int __real_eventfd(unsigned count, int flags);
int __wrap_eventfd(unsigned count, int flags);
int __wrap_eventfd(unsigned count, int flags)
{
    int error = fault(FAULT_EVENTFD);
    return error ? refuse(error) : __real_eventfd(count, flags);
}

int __real_madvise(void *at, size_t length, int advice);
int __wrap_madvise(void *at, size_t length, int advice);
int __wrap_madvise(void *at, size_t length, int advice)
{
    if (advice >= 0 && advice < (int)(sizeof(advised) / sizeof(advised[0])))
        pi_add_relaxed(&advised[advice], UINT64_C(1));
    int error = fault(FAULT_MADVISE);
    if (error == FAULT_IGNORED)
        return 0;
    return error ? refuse(error) : __real_madvise(at, length, advice);
}

void *__real_mmap(void *at, size_t length, int prot, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t length, int prot, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t length, int prot, int flags, int fd, off_t offset)
{
    int error = fault(FAULT_MMAP);
    if (!error)
        return __real_mmap(at, length, prot, flags, fd, offset);
    refuse(error);
    return MAP_FAILED;
}

int __real_mprotect(void *at, size_t length, int prot);
int __wrap_mprotect(void *at, size_t length, int prot);
int __wrap_mprotect(void *at, size_t length, int prot)
{
    int error = fault(FAULT_MPROTECT);
    return error ? refuse(error) : __real_mprotect(at, length, prot);
}

ssize_t __real_process_madvise(int pid, const struct iovec *ranges, size_t n, int advice,
                               unsigned flags);
ssize_t __wrap_process_madvise(int pid, const struct iovec *ranges, size_t n, int advice,
                               unsigned flags);
ssize_t __wrap_process_madvise(int pid, const struct iovec *ranges, size_t n, int advice,
                               unsigned flags)
{
    int error = fault(FAULT_PROCESS_MADVISE);
    return error ? refuse(error) : __real_process_madvise(pid, ranges, n, advice, flags);
}

int __real_shutdown(int fd, int how);
int __wrap_shutdown(int fd, int how);
int __wrap_shutdown(int fd, int how)
{
    int error = fault(FAULT_SHUTDOWN);
    return error ? refuse(error) : __real_shutdown(fd, how);
}

int __real_socket(int domain, int type, int protocol);
int __wrap_socket(int domain, int type, int protocol);
int __wrap_socket(int domain, int type, int protocol)
{
    int error = fault(FAULT_SOCKET);
    return error ? refuse(error) : __real_socket(domain, type, protocol);
}

int __real_pthread_create(pthread_t *out, const pthread_attr_t *attr, void *(*fn)(void *),
                          void *arg);
int __wrap_pthread_create(pthread_t *out, const pthread_attr_t *attr, void *(*fn)(void *),
                          void *arg);
int __wrap_pthread_create(pthread_t *out, const pthread_attr_t *attr, void *(*fn)(void *),
                          void *arg)
{
    int error = fault(FAULT_THREAD);
    return error ? error : __real_pthread_create(out, attr, fn, arg);
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
    return fault(FAULT_MALLOC) ? NULL : __real_malloc(size);
}

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size)
{
    return fault(FAULT_MALLOC) ? NULL : __real_calloc(n, size);
}

void *__real_aligned_alloc(size_t align, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size)
{
    return fault(FAULT_MALLOC) ? NULL : __real_aligned_alloc(align, size);
}
