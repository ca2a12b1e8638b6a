/* SPDX-License-Identifier: MIT */
/** @file
 * Waiting for several tasks, with the results in the order of the arguments.
 *
 *     pica_task *t[2] = {a, b};
 *     intptr_t r[2];
 *     int rc = pica_gather(t, 2, r, 0);
 */
#ifndef PICA_GATHER_H
#define PICA_GATHER_H

#include <pica/base.h>
#include <pica/executor.h>

PICA_BEGIN_DECLS

/** Bits of pica_gather()'s flags. */
enum {
    /** Wait for all; each result is the task's value or error (return_exceptions=True). */
    PICA_GATHER_COLLECT = 1u << 0
};

/**
 * Wait for several tasks.
 *
 * Without a flag the first failure (by completion) is returned at once, and the other
 * tasks go on running; one of these that fails later is reported as lost, unless somebody looks
 * at it. If the caller is cancelled, all tasks are cancelled and awaited,
 * then the call returns -ECANCELED. If all had ended before the cancel arrives, their
 * results are returned and the cancel stays pending.
 *
 * @param tasks    n handles the caller holds; the same one may stand there twice (as in asyncio,
 *                 a cancel of the caller then cancels it twice)
 * @param n        how many; 0 gives 0
 * @param results  NULL, or n slots. A slot is set once its task has ended: all of them
 *                 with a return of 0; with -ECANCELED too; after a failure those that had
 *                 ended by then, the others stay untouched
 * @param flags    0 or PICA_GATHER_COLLECT
 * @return 0; the first failure's error (not with PICA_GATHER_COLLECT; a task that somebody
 *         cancelled counts as failed with -ECANCELED); -ECANCELED: the caller is
 *         cancelled; -EINVAL: a handle or the array is NULL, an unknown flag (nothing has
 *         happened); -EDEADLK: one of them is the caller; -ENOMEM: no room for the wait
 *         (nothing has happened)
 *
 * Where:  a task (suspends; a cancellation point) or a plain thread (blocks).
 * Order:  everything the ended tasks did happens before the return.
 */
PICA_API PICA_NODISCARD int pica_gather(pica_task *const *tasks, size_t n, intptr_t *results,
                                        unsigned flags);

PICA_END_DECLS

#endif
