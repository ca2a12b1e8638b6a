/* SPDX-License-Identifier: MIT */
/* cpus.h: how many processors this process may use. */
#ifndef PI_CPUS_H
#define PI_CPUS_H

/** What affinity and the cgroup's quota (version 2 or 1) allow, at least 1, at most most. */
unsigned pi_cpus_usable(unsigned most);

#endif
