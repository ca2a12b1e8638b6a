/* SPDX-License-Identifier: MIT */
/* unwind_frames.h: a function that calls another and stays in the back-trace; by different
 * compilers' flags, so that there are different tables of it. */
#ifndef PICA_TESTS_UNWIND_FRAMES_H
#define PICA_TESTS_UNWIND_FRAMES_H

#include <stdint.h>

/** Call fn(arg), in a frame of one's own. *returns_to: where fn returns to is not known here, but
 *  where this function returns to is. */
typedef intptr_t frame_fn(void *arg);
intptr_t frame_without_a_table(frame_fn *fn, void *arg, void **returns_to);

#endif
