/* SPDX-License-Identifier: MIT */
/* perturb.h: schedules that the machine by itself would hardly come to, in builds made for it
 * (PICA_PERTURB of CMake, the preset "perturb"; there is nothing of it in others).
 *
 * After Burckhardt, Kothari, Musuvathi and Nagarakatte, "A Randomized Scheduler with
 * Probabilistic Guarantees of Finding Bugs" (ASPLOS 2010): threads get random priorities, and
 * change them at a few random points. Here the system schedules; a priority is how seldom the
 * thread gives way before an atomic operation that others may see, and a change of it is a
 * long delay. What a thread draws depends on the seed and its number alone, so that a seed that
 * failed gives the same pressure again, as far as real threads repeat anything.
 */
#ifndef PI_PERTURB_H
#define PI_PERTURB_H

#include <stdint.h>

/** Before the first thread: what all threads draw from. @param seed  0 switches it off */
void pi_perturb_seed(uint64_t seed);

/** A point at which the thread may be delayed. Any thread, locks held or not; errno stays. */
void pi_perturb(void);

#endif
