/* SPDX-License-Identifier: MIT */
/** @file
 * Bare coroutines: a function with a stack of its own that yields values to its caller.
 * They need no executor, and work inside a task as well.
 *
 *     static intptr_t count(pica_co *co, void *arg)
 *     {
 *         for (intptr_t i = 0; i < *(int *)arg; i++)
 *             pica_co_yield(co, i);
 *         return 0;
 *     }
 *
 *     pica_co *co = NULL;
 *     intptr_t v;
 *     int rc = pica_co_create(&co, count, &n, 0);
 *     if (rc == 0)
 *         while ((rc = pica_co_resume(co, 0, &v)) == 1)
 *             use(v);
 *     pica_co_destroy(co);
 *
 * A coroutine is used by one thread or task at a time; handing it to another needs the
 * same care as any other plain object. Its stack ends in a guard: an overflow ends the process,
 * and nobody says whose it was. A scope or group that it begins is its task's, also while the
 * coroutine stands at a yield, and ends before the coroutine returns or is destroyed.
 * C++: no exception may leave its function (std::terminate()), nor be in flight while it yields.
 */
#ifndef PICA_CO_H
#define PICA_CO_H

#include <pica/base.h>

PICA_BEGIN_DECLS

typedef struct pica_co pica_co;

/** What a coroutine runs. @return its last value */
typedef intptr_t (*pica_co_fn)(pica_co *co, void *arg);

/**
 * Create a coroutine; it starts at the first resume.
 *
 * @param out         the coroutine; release it with pica_co_destroy()
 * @param fn          what it runs
 * @param arg         passed to fn
 * @param stack_size  bytes of stack it may count on; 0: 32 KiB; at most 1 GiB
 * @return 0; -EINVAL (NULL, a size out of range); -ENOMEM
 * Where: anywhere. Never suspends.
 */
PICA_API PICA_NODISCARD int pica_co_create(pica_co **out, pica_co_fn fn, void *arg,
                                           size_t stack_size);

/**
 * Run a coroutine until it yields or returns.
 *
 * @param in   what its pica_co_yield() returns; of no meaning at the first resume
 * @param out  NULL, or where to put what it yielded or returned
 * @return 1: it yielded; 0: it returned; -EALREADY: it had returned before; -EDEADLK: it
 *         is running (it resumes itself, or one that resumed it)
 * Where: anywhere. May suspend the calling task only if the coroutine does.
 */
PICA_API PICA_NODISCARD int pica_co_resume(pica_co *co, intptr_t in, intptr_t *out);

/** Hand a value to the one that resumed co and stop until the next resume.
 *  @return the resume's `in`. Where: inside co's function; elsewhere abort(). */
PICA_API intptr_t pica_co_yield(pica_co *co, intptr_t value);

/** Has it returned? @return 1 or 0 */
PICA_API int pica_co_done(const pica_co *co);

/** Free a coroutine. One that has not returned is abandoned where it stands: nothing more
 *  of it runs, what its frames own is lost. NULL is fine; one that is running, or in which the
 *  calling task has a scope or group open: abort(). @return NULL */
PICA_API pica_co *pica_co_destroy(pica_co *co);

PICA_END_DECLS

#endif
