/* SPDX-License-Identifier: MIT */
/* futex.h: sleeping on a word, for plain threads; and starting threads. */
#ifndef PI_FUTEX_H
#define PI_FUTEX_H

#include <pthread.h>
#include <stdint.h>

/** Sleep while *at == value, until woken or a deadline (PICA_NEVER: none). May return early.
 *  @return 0; -ETIMEDOUT; -EAGAIN, -EINTR: early */
int pi_futex_wait(uint32_t *at, uint32_t value, int64_t deadline_ns);

/** Wake up to n sleepers. Uses the address alone, never looks at the word. */
void pi_futex_wake(uint32_t *at, int n);

/** Start a thread that leaves all signals to the host's threads. @return 0; -EAGAIN */
int pi_thread_start(pthread_t *out, void *(*fn)(void *), void *arg);

/** The CPU time that a thread of this process has had, in nanoseconds; 0: it can't be told. */
int64_t pi_thread_cpu_ns(pthread_t thread);

#endif
