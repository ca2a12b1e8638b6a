/* SPDX-License-Identifier: MIT */
/* epoll.h: what descriptors need of a reactor: its epoll descriptor, and how an event names
 * its descriptor. The reactor itself is epoll.c. */
#ifndef PI_IO_EPOLL_H
#define PI_IO_EPOLL_H

#include "executor/sched/driver.h"

#include <sys/epoll.h>

/** What a stream or listener is registered for, once. */
#define PI_EVENTS_ALL                                                                              \
    ((uint32_t)EPOLLIN | (uint32_t)EPOLLOUT | (uint32_t)EPOLLRDHUP | (uint32_t)EPOLLPRI |          \
     (uint32_t)EPOLLET)

/** Indices that are no slot's: a reactor's own eventfd, and another reactor's set, whose
 *  number then stands in place of the generation. */
#define PI_EVENT_WAKE UINT32_MAX
#define PI_EVENT_NESTED (UINT32_MAX - 1)

/** Beside a slot's index: whatever happens is told to its `in` direction (pollfd.c). */
#define PI_EVENT_ANY 0x40000000u

static inline uint64_t pi_event_data(uint32_t index, uint32_t generation)
{
    return (uint64_t)generation << 32 | index;
}

/** The epoll descriptor of a driver of pi_driver_default; valid as long as its executor. */
int pi_reactor_epfd(const pi_driver *driver);

#endif
