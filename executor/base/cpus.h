/* SPDX-License-Identifier: MIT */
/* cpus.h: which processors this process may use, and which a thread shall. */
#ifndef PI_CPUS_H
#define PI_CPUS_H

#include <sched.h>
#include <stdbool.h>

/** What affinity and the cgroup's quota (version 2 or 1) allow, at least 1, at most most. */
unsigned pi_cpus_usable(unsigned most);

/** Bind the calling thread to one of the CPUs that it may use: the n-th, counted round and round.
 *  @param before  where it might run before, for pi_cpus_unpin()
 *  @return false: the kernel does not let it; nothing has changed */
bool pi_cpus_pin(unsigned n, cpu_set_t *before);
void pi_cpus_unpin(const cpu_set_t *before);

/** The node of memory that the CPU which runs the caller belongs to; 0 where there is only one. */
unsigned pi_cpus_node(void);

#endif
