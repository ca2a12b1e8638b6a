/* SPDX-License-Identifier: MIT */
/* errnos.c: see errnos.h. A code that stands for a mistake of the caller's is left out where the
 * library can't make it: it never passes a closed number (EBADF; a number is closed by the last
 * who uses it), memory that is not there (EFAULT) or arguments that depend on nothing (EINVAL).
 * What a security module or a seccomp filter may say is EPERM or EACCES. */
#include "tests/faults/errnos.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define OWN "EBADF, EFAULT, EINVAL, ENOTSOCK: number, memory and arguments are the library's own"

static const errnos rows[] = {
    /* Memory */
    {NULL, "malloc", {ENOMEM}, {0}, "no other"},
    {NULL, "calloc", {ENOMEM}, {0}, "no other"},
    {NULL, "aligned_alloc", {ENOMEM}, {0}, "EINVAL: alignments are constants"},
    {NULL,
     "mmap",
     {ENOMEM, EAGAIN, EPERM},
     {0},
     "EACCES, EBADF, ENODEV: no file; EINVAL: constants"},
    {NULL, "munmap", {ENOMEM}, {0}, "EINVAL: what mmap gave"},
    {NULL, "madvise", {EINVAL, ENOMEM, EAGAIN, EPERM}, {0}, "EBADF, EIO: no file"},
    {NULL, "mincore", {EAGAIN, ENOMEM}, {0}, "EFAULT, EINVAL: a stack's own pages, our buffer"},
    {NULL,
     "process_madvise",
     {EBADF, EINVAL, EINTR, ENOMEM, ENOSYS, EPERM},
     {0},
     "EFAULT: memory of its own; ESRCH: the process itself"},
    {NULL, "mprotect", {ENOMEM, EACCES}, {0}, "EINVAL: what mmap gave"},
    {NULL, "sigaltstack", {ENOMEM, EPERM}, {0}, "EFAULT, EINVAL: the thread's own, constants"},

    /* Threads */
    {NULL, "pthread_create", {EAGAIN}, {0}, "EINVAL, EPERM: no attributes"},
    {NULL, "pthread_getcpuclockid", {ENOENT}, {0}, "ESRCH: a worker's thread lives"},
    {NULL, "sched_getaffinity", {EINVAL, EPERM}, {0}, "EFAULT; ESRCH: the caller itself"},
    {NULL, "sched_setaffinity", {EINVAL, EPERM}, {0}, "EFAULT; ESRCH: the caller itself"},
    {"pages", "sysconf", {0}, {0}, "EINVAL: the size of a page is always known"},
    {NULL, "sysconf", {EINVAL}, {0}, "no other"},
    {"pi_futex_wait",
     "syscall",
     {EAGAIN, EINTR},
     {0},
     "EFAULT, EINVAL, ENOSYS: as above; ETIMEDOUT: only when it is time"},
    {"pi_futex_wake", "syscall", {0}, {0}, "EFAULT, EINVAL, ENOSYS: a word of the library's own"},
    {"pi_membarrier_ready", "syscall", {EINVAL, ENOSYS, EPERM}, {0}, "no other"},
    {"try_membarrier",
     "syscall",
     {ENOMEM},
     {0},
     "EINVAL, ENOSYS, EPERM: asked before it is used; later they end the process, as "
     "membarrier_test "
     "shows"},

    /* Files */
    {NULL,
     "open",
     {EACCES, EINTR, EMFILE, ENFILE, ENOENT, ENOMEM},
     {0},
     "EEXIST, EROFS, ENOSPC and others: for reading; ELOOP, ENAMETOOLONG: the kernel's own files"},
    {"read_file",
     "read",
     {EINTR, EIO, ENOMEM, ENODEV},
     {0},
     OWN "; EAGAIN: blocks; EISDIR: a file"},
    {NULL, "read", {EINTR, EIO, EINVAL}, {EAGAIN}, "EBADF, EFAULT: as above; EISDIR: refused"},
    {NULL, "readv", {EINTR, EIO, EINVAL}, {EAGAIN}, "as read"},
    {"pi_sys_eventfd_write",
     "write",
     {EINTR},
     {0},
     "EAGAIN: after 2^64 wakes; EINVAL: eight bytes; " OWN},
    {NULL,
     "write",
     {EAGAIN, EBADF, EINTR, EIO, ENOSPC, EPIPE},
     {0},
     "EDQUOT, EFBIG, EPERM: as EIO to the library, which passes codes on; EFAULT, EINVAL"},
    {"pi_sys_writev",
     "writev",
     {EINTR, EIO, EINVAL, ENOSPC, EPIPE},
     {EAGAIN},
     "EDQUOT, EFBIG: no plain files; EBADF, EFAULT"},
    {NULL, "sigtimedwait", {EINTR}, {0}, "EAGAIN: no signal is there; EINVAL: a constant"},
    {NULL, "close", {EINTR, EIO, ENOSPC, EDQUOT}, {0}, "EBADF: closed once"},
    {NULL, "fcntl", {EPERM, EACCES}, {0}, "EBADF, EINVAL: asked before; others: other commands"},
    {NULL, "fstat", {ENOMEM, EOVERFLOW, EACCES}, {0}, "EBADF: asked before; others: paths"},

    /* Readiness */
    {NULL, "poll", {EINTR, ENOMEM, EINVAL}, {0}, "EFAULT: one on the stack"},
    {NULL, "epoll_create1", {EMFILE, ENFILE, ENOMEM}, {0}, "EINVAL: a constant"},
    {NULL, "eventfd", {EMFILE, ENFILE, ENODEV, ENOMEM}, {0}, "EINVAL: a constant"},
    {"pi_sys_epoll_add",
     "epoll_ctl",
     {EEXIST, ELOOP, ENOMEM, ENOSPC, EPERM},
     {0},
     "EBADF, EINVAL: numbers of its own"},
    {"pi_sys_epoll_modify", "epoll_ctl", {ENOENT, ENOMEM}, {0}, "as above"},
    {"pi_sys_epoll_delete", "epoll_ctl", {ENOENT, ENOMEM}, {0}, "as above"},
    {NULL, "epoll_wait", {EINTR}, {0}, "EBADF, EFAULT, EINVAL: a set of its own"},
    {"pi_sys_epoll_wait_ns", "syscall", {EINTR, ENOSYS, EPERM}, {0}, "EBADF, EFAULT, EINVAL"},

    /* Sockets */
    {NULL,
     "socket",
     {EACCES, EAFNOSUPPORT, EINVAL, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPROTONOSUPPORT, EPERM},
     {0},
     "no other"},
    {NULL,
     "bind",
     {EACCES, EADDRINUSE, EADDRNOTAVAIL, ENOMEM, EPERM},
     {0},
     OWN "; ELOOP, ENOENT, EROFS and others: UNIX sockets"},
    {NULL, "listen", {EADDRINUSE, EACCES}, {0}, OWN "; EOPNOTSUPP: a stream socket"},
    {NULL,
     "accept4",
     {ECONNABORTED, EHOSTDOWN, EHOSTUNREACH, EINTR, EMFILE, ENETDOWN, ENETUNREACH, ENFILE, ENOBUFS,
      ENOMEM, ENONET, ENOPROTOOPT, ENOSR, EOPNOTSUPP, EPERM, EPROTO, EPROTONOSUPPORT,
      ESOCKTNOSUPPORT, ETIMEDOUT},
     {EAGAIN},
     OWN},
    {NULL,
     "connect",
     {EACCES, EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT, EAGAIN, EALREADY, ECONNREFUSED, ECONNRESET,
      EHOSTUNREACH, EINTR, EISCONN, ENETUNREACH, ENOBUFS, EPERM, ETIMEDOUT},
     {EINPROGRESS},
     OWN "; EPROTOTYPE: UNIX sockets"},
    {NULL, "shutdown", {ENOTCONN, EACCES}, {0}, OWN},
    {NULL, "getsockname", {ENOBUFS, EACCES}, {0}, OWN},
    {NULL, "getpeername", {ENOBUFS, ENOTCONN, EACCES}, {0}, OWN},
    {NULL, "setsockopt", {EINVAL, ENOMEM, ENOPROTOOPT, EPERM}, {0}, OWN},
    {NULL, "getsockopt", {EINVAL, ENOPROTOOPT, ENOTSOCK, EACCES}, {0}, OWN},
    {NULL,
     "recv",
     {ECONNREFUSED, ECONNRESET, EHOSTUNREACH, EINTR, ENOMEM, ENOTCONN, ETIMEDOUT},
     {EAGAIN},
     OWN},
    {"pi_sys_recv",
     "syscall",
     {ECONNREFUSED, ECONNRESET, EHOSTUNREACH, EINTR, ENOMEM, ENOTCONN, ETIMEDOUT},
     {EAGAIN},
     OWN},
    {NULL,
     "recvmsg",
     {ECONNREFUSED, ECONNRESET, EHOSTUNREACH, EINTR, ENOMEM, ENOTCONN, ETIMEDOUT},
     {EAGAIN},
     OWN},
    {NULL,
     "send",
     {EACCES, ECONNRESET, EHOSTUNREACH, EINTR, EMSGSIZE, ENETUNREACH, ENOBUFS, ENOMEM, ENOTCONN,
      EPIPE, ETIMEDOUT},
     {EAGAIN},
     OWN "; EALREADY, EDESTADDRREQ, EISCONN, EOPNOTSUPP: connected, without flags"},
    {"pi_sys_send",
     "syscall",
     {EACCES, ECONNRESET, EHOSTUNREACH, EINTR, EMSGSIZE, ENETUNREACH, ENOBUFS, ENOMEM, ENOTCONN,
      EPIPE, ETIMEDOUT},
     {EAGAIN},
     OWN "; as send"},
    {NULL,
     "sendmsg",
     {EACCES, ECONNRESET, EHOSTUNREACH, EINTR, EMSGSIZE, ENETUNREACH, ENOBUFS, ENOMEM, ENOTCONN,
      EPIPE, ETIMEDOUT},
     {EAGAIN},
     OWN "; as send"},
};

const errnos_exception errnos_all_unreachable[] = {
    {"pass_on",
     "write",
     "a race of three: a rescuer takes the wake of a worker that has just fallen asleep; the call "
     "is the same as wake's",
     {0}},
    {"jemalloc_is_live", "malloc", "only where jemalloc is the process's malloc", {0}},
    {"pi_overflow_thread_begin",
     "malloc",
     "a sanitizer gives threads a signal stack of its own",
     {0}},
    {"pi_overflow_thread_begin", "sigaltstack", "as above: only the first call is made", {0}},
    {"pi_overflow_thread_end", "sigaltstack", "as above", {0}},
};
const unsigned errnos_unreachable_count =
    sizeof(errnos_all_unreachable) / sizeof(errnos_all_unreachable[0]);

/* Where the program need not be told. */
const errnos_exception errnos_all_absorbed[] = {
    /* What is made better if it can be. */
    {"advise_many", NULL, "pages that are not given back now are later", {0}},
    {"pi_stack_trim", NULL, "as above", {0}},
    {"map", "madvise", "huge pages under stacks cost memory, no more", {0}},
    {"madvise_says_yes", NULL, "then guards are made otherwise", {0}},
    {"guard", NULL, "a stack without a guard is counted; who wants none says so by an option", {0}},
    {"pi_membarrier_ready", NULL, "then takes are exchanges", {0}},
    {"try_membarrier", NULL, "tried again", {0}},
    {"pi_cpus_usable",
     NULL,
     "then another source says how many CPUs there are, at worst: one",
     {0}},
    {"read_file", NULL, "as above", {0}},
    {"pi_idle_init", NULL, "as many searchers as workers", {0}},
    {"pi_cpus_pin", NULL, "an unpinned worker works as well", {0}},
    {"pi_cpus_unpin", NULL, "as above", {0}},
    {"wait_for_events", "syscall", "then by epoll_wait", {0}},
    {"take", "setsockopt", "an accepted connection without TCP_NODELAY is a connection", {0}},
    {"pi_http_spares_new", NULL, "then each request asks malloc", {0}},
    {"is_talking", "poll", "a client of which nothing is known may be talking", {0}},
    {"begin_to_end", "getsockopt", "then a drain takes what comes until the queue is empty", {0}},
    {"jemalloc_is_live", NULL, "taken for the system's allocator", {0}},
    /* What is tried again. */
    {"attach", NULL, "by the monitor's next tick", {0}},
    {"pi_thread_cpu_ns", NULL, "as above", {0}},
    {"grow", "malloc", "timers go without a heap", {0}},
    {"pi_futex_wait", NULL, "EAGAIN is a wake that came first", {0}},
    /* What is over, whatever the call says. */
    {"pi_sys_close", NULL, "the number is free", {0}},
    {"detach", NULL, "it was not attached", {0}},
    {"pi_descriptor_unwatch", NULL, "it is closed next", {0}},
    {"pi_pages_free", NULL, "nobody could do anything about it", {0}},
    {"pi_stacks_deinit", NULL, "as above", {0}},
    {"pi_overflow_thread_end", NULL, "as above", {0}},
    /* What has become something else. */
    {"map", "mmap", "told as ENOMEM", {EAGAIN, EPERM}},
    {"pi_pages_alloc", "mmap", "told as ENOMEM", {EAGAIN, EPERM}},
    {"classify", NULL, "then it is no socket, or none of TCP", {0}},
    {"finish_connect", "connect", "it is under way, or connected", {EALREADY, EISCONN}},
    {"pi_descriptor_watch", "epoll_ctl", "then it is changed", {EEXIST}},
    {"take",
     "accept4",
     "a connection that broke in the queue is passed over; in a shortage, accept waits",
     {ECONNABORTED, EHOSTDOWN, EHOSTUNREACH, EMFILE, ENETDOWN, ENETUNREACH, ENFILE, ENOBUFS, ENOMEM,
      ENONET, ENOPROTOOPT, EPERM, EPROTO}},
    {"fetch_room", "calloc", "then a cancel looks for the group's members among all tasks", {0}},
    {"pi_group_failed", "malloc", "the group knows its first error, and fewer of the others", {0}},
    /* What only tells people something. */
    {"lowest_resident", NULL, "the dump leaves the mark out", {0}},
    {"window_resident", NULL, "as above", {0}},
    {"pi_trace_stack_mark", NULL, "as above", {0}},
    {"pi_overflow_thread_begin", NULL, "overflows go unnamed", {0}},
};
const unsigned errnos_absorbed_count = sizeof(errnos_all_absorbed) / sizeof(errnos_all_absorbed[0]);

bool errnos_is_at(const errnos_exception *x, const char *function, const char *door,
                  const char *call)
{
    return (!x->call || strcmp(x->call, call) == 0) &&
           (strcmp(x->where, function) == 0 || strcmp(x->where, door) == 0);
}

static bool is_for(const errnos_exception *x, int error)
{
    bool named = !x->codes[0];
    for (const int *code = x->codes; *code; code++)
        named |= *code == error;
    return named;
}

const errnos *errnos_of(const char *function, const char *door, const char *call)
{
    const errnos *any = NULL;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strcmp(rows[i].call, call) != 0)
            continue;
        if (!rows[i].where)
            any = &rows[i];
        else if (strcmp(rows[i].where, *door ? door : function) == 0)
            return &rows[i];
    }
    return any;
}

const errnos_exception *errnos_unreachable(const char *function, const char *door, const char *call)
{
    for (unsigned i = 0; i < errnos_unreachable_count; i++)
        if (errnos_is_at(&errnos_all_unreachable[i], function, door, call))
            return &errnos_all_unreachable[i];
    return NULL;
}

const errnos_exception *errnos_absorbed(const char *function, const char *door, const char *call,
                                        int error)
{
    for (unsigned i = 0; i < errnos_absorbed_count; i++)
        if (errnos_is_at(&errnos_all_absorbed[i], function, door, call) &&
            is_for(&errnos_all_absorbed[i], error))
            return &errnos_all_absorbed[i];
    return NULL;
}

const char *errnos_name(int error)
{
    const char *name = strerrorname_np(error);
    return name ? name : "?";
}
