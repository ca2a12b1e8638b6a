/* SPDX-License-Identifier: MIT */
/* driver_futex.c: the driver for executors that only compute: a worker sleeps on a word.
 * See driver.h. It has no events, so nothing to attach. */
#include "executor/base/alloc.h"
#include "executor/base/atomics.h"
#include "executor/base/futex.h"
#include "executor/sched/driver.h"

#include <errno.h>
#include <stddef.h>

typedef struct futex_driver {
    uint32_t woken; /* [atomic] 1: a wake is pending. The waker's release pairs with the
                       sleeper's acquire. */
} futex_driver;

static int shared_open(void **shared)
{
    *shared = NULL;
    return 0;
}

static void shared_close(void *shared)
{
    (void)shared;
}

static int driver_open(pi_driver **out, void *shared)
{
    (void)shared;
    futex_driver *driver = pi_zalloc(sizeof(*driver));
    if (!driver)
        return -ENOMEM;
    *out = (pi_driver *)driver;
    return 0;
}

static void driver_close(pi_driver *driver)
{
    pi_free(driver);
}

static int driver_poll(pi_driver *base, int64_t deadline_ns)
{
    futex_driver *driver = (futex_driver *)base;
    if (deadline_ns == 0)
        return 0;
    while (!pi_xchg_acquire(&driver->woken, 0u))
        if (pi_futex_wait(&driver->woken, 0, deadline_ns) == -ETIMEDOUT)
            break;
    return 0;
}

static void driver_wake(pi_driver *base)
{
    futex_driver *driver = (futex_driver *)base;
    if (!pi_xchg_release(&driver->woken, 1u))
        pi_futex_wake(&driver->woken, 1);
}

const pi_driver_ops pi_driver_futex = {
    .name = "futex",
    .shared_open = shared_open,
    .shared_close = shared_close,
    .open = driver_open,
    .close = driver_close,
    .poll = driver_poll,
    .wake = driver_wake,
};
