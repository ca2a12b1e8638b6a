/* SPDX-License-Identifier: MIT */
/* membarrier.h: a fence in all threads of the process at once, by the kernel (Linux 4.14). It
 * makes the one who calls it pay, about a microsecond, for two: the others need no fence where
 * they would have to order a store before a load. */
#ifndef PI_MEMBARRIER_H
#define PI_MEMBARRIER_H

#include <stdbool.h>

/** Announce that the process will use it. @return false: it can't; the others have to fence */
bool pi_membarrier_ready(void);

/** A sequentially consistent fence in every running thread, the caller's too. Where it is refused
 *  although pi_membarrier_ready() was told otherwise: abort(). */
void pi_membarrier(void);

#endif
