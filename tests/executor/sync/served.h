/* SPDX-License-Identifier: MIT */
/* served.h: customers of a semaphore, who tell in which order they have been served. */
#ifndef PICA_TESTS_SERVED_H
#define PICA_TESTS_SERVED_H

#include "tests/executor/bodies.h"

#include <pica/sem.h>

struct served {
    pica_sem sem;
    uint32_t next; /* [atomic] the next number to be served */
};

struct customer {
    struct served *served;
    int64_t n;
};

static inline intptr_t acquires(void *arg)
{
    const struct customer *c = arg;
    pica_sem *sem = &c->served->sem;
    int rc = c->n == 1 ? pica_sem_acquire(sem) : pica_sem_acquire_n(sem, c->n);
    return rc < 0 ? rc : (intptr_t)pi_add_acq_rel(&c->served->next, 1u);
}

/** One that wants n permits, and stands in the queue by now. Its result is its number. */
static inline pica_task *customer(struct served *served, int64_t n)
{
    struct customer c = {served, n};
    pica_task *task = NULL;
    CHECK_FATAL_OK(pica_spawn_copy(&task, acquires, &c));
    BODY_WAITS(task);
    return task;
}

#endif
