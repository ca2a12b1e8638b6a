/* SPDX-License-Identifier: MIT */
/* driver.h: what an idle worker sleeps in. The seam between executor/ and io/.
 *
 * A worker owns one driver. It polls it now and then while it is busy, and sleeps in it
 * when it is not. Whatever a poll finds (a ready descriptor) it passes on by ending a wait
 * (wait.h), which queues the task with the worker that polls. Timers are the worker's, not
 * the driver's.
 *
 * Two drivers exist: epoll (io/epoll.c, the default, bound at link time) and a plain futex
 * (driver_futex.c). A table of functions is chosen when the executor is created.
 */
#ifndef PI_DRIVER_H
#define PI_DRIVER_H

#include <stdbool.h>
#include <stdint.h>

typedef struct pi_driver pi_driver; /* each implementation defines its own, and casts */

typedef struct pi_driver_ops {
    const char *name;

    /** Set up and tear down what all drivers of one executor share (the descriptor slots).
     *  @return 0; -ENOMEM and the kernel's codes, with *shared untouched */
    int (*shared_open)(void **shared);
    void (*shared_close)(void *shared);

    /** Make a worker's driver. @return 0; -ENOMEM, -EMFILE, -ENFILE, *out untouched */
    int (*open)(pi_driver **out, void *shared);
    void (*close)(pi_driver *driver);

    /** Handle what is ready; if nothing is, sleep until something is, or pi_driver wake, or
     *  the deadline. A deadline of 0 never sleeps. May return early for no reason.
     *  Only by a worker of the executor: with a deadline of 0 any of them (a rescuer polls
     *  a stuck worker's driver), otherwise its owner.
     *  @return how many events were handled, >= 0 */
    int (*poll)(pi_driver *driver, int64_t deadline_ns);

    /** End the poll that the owner sleeps in, or the next one that would. Any thread. */
    void (*wake)(pi_driver *driver);

    /** While attached, events of `stuck` also end `self`'s sleep, and self's poll handles
     *  them (never stuck's wake). Called by self's owner. NULL where the driver has no
     *  events. @return 0 or the kernel's code */
    int (*attach)(pi_driver *self, pi_driver *stuck);
    void (*detach)(pi_driver *self, pi_driver *stuck);

    /** Descriptors open in this executor, for statistics; NULL: 0. */
    uint64_t (*open_descriptors)(void *shared);

    /** Call visit() with each of those that are ours to close, and what it is; the executor is
     *  at rest. NULL: there are none. */
    void (*each_descriptor)(void *shared, void (*visit)(int fd, const char *what, void *arg),
                            void *arg);
} pi_driver_ops;

/** Where the caller stands: its worker's driver, what that executor's drivers share, and
 *  the table. NULL on a plain thread. A task reads them anew after every suspension. */
pi_driver *pi_driver_self(void);
void *pi_driver_shared_self(void);
const pi_driver_ops *pi_driver_ops_self(void);

extern const pi_driver_ops pi_driver_futex;

/** The driver of PICA_DRIVER_EPOLL; io/ defines it. */
extern const pi_driver_ops pi_driver_default;

#endif
