/* SPDX-License-Identifier: MIT */
/* unwind.h: the calls on a stack that does not run.
 *
 * Each frame is left by what its function's call-frame information says (eh_frame.h); where a
 * function has none (a JIT's), by its frame pointer, if that looks like one.
 *
 *   1. Nothing outside of [low, top) of the stack is read, and each frame lies above the one
 *      before, so even nonsense ends, and harmlessly.
 *   2. The stack may belong to a task that starts to run meanwhile. Then what comes out is
 *      nonsense: the caller finds out afterwards, by the wait word (trace.h), and drops it.
 */
#ifndef PI_UNWIND_H
#define PI_UNWIND_H

#include <stddef.h>
#include <stdint.h>

typedef struct pi_unwind_from {
    uintptr_t pc, sp, fp; /* where it stands */
    uintptr_t low, top;   /* its stack, mapped as long as the call lasts */
} pi_unwind_from;

/** @param out  the address where it stands, and those that it will return to, innermost first
 *  @return how many; max: perhaps there are more */
size_t pi_unwind(const pi_unwind_from *from, uintptr_t *out, size_t max);

#endif
