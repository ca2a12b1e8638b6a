/* SPDX-License-Identifier: MIT */
/* clock.h: the one door to time. */
#ifndef PI_CLOCK_H
#define PI_CLOCK_H

#include <pica/base.h>
#include <time.h>

/** The monotonic clock in nanoseconds. */
static inline int64_t pi_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/** The monotonic clock as of the last tick of the kernel, a few milliseconds ago; for
 *  deadlines that need not be exact, at a third of the price. */
static inline int64_t pi_now_coarse(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/** The time of day in seconds since 1970, by the same means. */
static inline int64_t pi_wall_s(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME_COARSE, &ts);
    return ts.tv_sec;
}

/** A time of the monotonic clock, for system calls. Before its beginning is its beginning. */
static inline struct timespec pi_timespec_of(int64_t time_ns)
{
    if (time_ns < 0)
        time_ns = 0;
    return (struct timespec){.tv_sec = time_ns / 1000000000, .tv_nsec = time_ns % 1000000000};
}

/** A relative timespec from now until a deadline, for system calls; zero if it is past. */
static inline struct timespec pi_timespec_until(int64_t deadline_ns)
{
    return pi_timespec_of(deadline_ns - pi_now());
}

#endif
