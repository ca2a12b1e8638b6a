/* SPDX-License-Identifier: MIT */
/* clock.h: time and processor time, and a computation that lasts as long as one wants. */
#ifndef PB_CLOCK_H
#define PB_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t pb_clock(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/** The monotonic clock in nanoseconds. */
static inline int64_t pb_now(void)
{
    return pb_clock(CLOCK_MONOTONIC);
}

/** Processor time of the whole process, user and system, in nanoseconds. */
static inline int64_t pb_cpu(void)
{
    return pb_clock(CLOCK_PROCESS_CPUTIME_ID);
}

/** Sleep until a time of the monotonic clock. */
static inline void pb_sleep_until(int64_t at_ns)
{
    struct timespec ts = {.tv_sec = at_ns / 1000000000, .tv_nsec = at_ns % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) != 0)
        ;
}

/** Compute without a break for so long: arithmetic, no system call but the clock's. */
static inline uint64_t pb_burn(int64_t duration_ns)
{
    uint64_t x = 88172645463325252u;
    for (int64_t end = pb_now() + duration_ns; pb_now() < end;) {
        for (int i = 0; i < 1000; i++) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
        }
        __asm__ __volatile__("" : "+r"(x));
    }
    return x;
}

#endif
