/* SPDX-License-Identifier: MIT */
/* valgrind.h: telling Valgrind which memory is a stack.
 *
 * Valgrind sees nothing but a stack pointer that changes. Untold, it takes a switch to a stack
 * close by for a very large frame that comes or goes, and all that lies between for stale: it warns
 * of "client switching stacks", and reports what other tasks rightly keep there. So every stack has
 * a number at Valgrind's, from when it is carved until its memory is unmapped.
 *
 * Of reuse it need not be told: a task leaves a stack where the one before began, so what lies
 * below counts as stale by itself; and objects in caches keep what late readers may look at
 * (type-stable memory).
 *
 * With PI_VALGRIND (CMake: PICA_VALGRIND) these are a few instructions for each stack that is
 * carved, which do nothing outside of Valgrind; no library is needed. Without, they are nothing.
 */
#ifndef PI_VALGRIND_H
#define PI_VALGRIND_H

#include <stdbool.h>
#include <stddef.h>
#ifdef PI_VALGRIND
#include <valgrind/valgrind.h>
#endif

/** Is this program run by one of Valgrind's tools? It does not change. */
static inline bool pi_valgrind_runs(void)
{
#ifdef PI_VALGRIND
    return RUNNING_ON_VALGRIND != 0;
#else
    return false;
#endif
}

/** Memory is a stack from here on. @return its number */
static inline unsigned pi_valgrind_stack(char *low, size_t size)
{
#ifdef PI_VALGRIND
    return VALGRIND_STACK_REGISTER(low, low + size - 1);
#else
    (void)low;
    (void)size;
    return 0;
#endif
}

/** It is one no more. */
static inline void pi_valgrind_stack_gone(unsigned number)
{
#ifdef PI_VALGRIND
    VALGRIND_STACK_DEREGISTER(number);
#else
    (void)number;
#endif
}

#endif
