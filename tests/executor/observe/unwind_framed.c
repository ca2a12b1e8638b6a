/* SPDX-License-Identifier: MIT */
/* unwind_framed.c: compiled without call-frame information, but with a frame pointer, as what a
 * JIT makes. */
#include "tests/executor/observe/unwind_frames.h"

__attribute__((noinline)) intptr_t frame_without_a_table(frame_fn *fn, void *arg, void **returns_to)
{
    *returns_to = __builtin_return_address(0);
    intptr_t result = fn(arg);
    __asm__ volatile("" : "+r"(result)); /* no tail call */
    return result;
}
