/* SPDX-License-Identifier: MIT */
/* fault.h: makes the k-th call of a system function fail, for tests that are linked with
 * pica_test(... FAULTS): the linker then leads the library's calls through fault.c. Calls of
 * libc itself are not met. Counting starts with fault_arm(); any thread's calls count. */
#ifndef PICA_TESTS_FAULT_H
#define PICA_TESTS_FAULT_H

#include <stdint.h>

typedef enum fault_call {
    FAULT_ACCEPT,
    FAULT_EPOLL_CREATE,
    FAULT_EPOLL_CTL, /**< but EPOLL_CTL_DEL, which needs no memory */
    FAULT_EVENTFD,
    FAULT_MADVISE,
    FAULT_MALLOC, /**< malloc, calloc, aligned_alloc */
    FAULT_MMAP,
    FAULT_MPROTECT,
    FAULT_PROCESS_MADVISE,
    FAULT_SHUTDOWN,
    FAULT_SOCKET,
    FAULT_THREAD, /**< pthread_create */
    FAULT_CALLS
} fault_call;

/** Instead of an errno, for madvise(): success, with nothing done. */
#define FAULT_IGNORED (-1)

/** From now on, fail the k-th call, or with `again` every k-th one. Several calls may be armed.
 *  @param error  the errno, > 0 */
void fault_arm(fault_call call, uint64_t k, int again, int error);

/** From now on, call fn within the k-th call, which succeeds: what somebody else does meanwhile. */
void fault_meanwhile(fault_call call, uint64_t k, void (*fn)(void));

/** Let all succeed again. */
void fault_disarm(void);

/** How many calls there were, and how many of them failed, since fault_arm(). */
uint64_t fault_met(fault_call call);
uint64_t fault_failed(fault_call call);

/** How many calls of madvise() asked for this, since the program began. */
uint64_t fault_advised(int advice);

/** "mmap" */
const char *fault_name(fault_call call);

#endif
