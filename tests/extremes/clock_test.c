/* SPDX-License-Identifier: MIT */
/* clock_test.c: the wall clock jumps by hours, to and fro, while tasks sleep and wait with
 * deadlines. The library asks the monotonic clock alone, so none of them notices. This program's
 * own clock_gettime() stands in for libc's: settimeofday() would jump for everybody. */
#include "tests/extremes/load.h"

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int64_t jump_s;    /* [atomic, relaxed] what the wall clock is off by */
static uint64_t wall;     /* [atomic, relaxed] how often somebody asked it */
static uint64_t monotone; /* [atomic, relaxed] the same for the monotonic one */

int clock_gettime(clockid_t clock, struct timespec *out)
{
    int rc = (int)syscall(SYS_clock_gettime, clock, out);
    if (clock == CLOCK_MONOTONIC) {
        pi_add_relaxed(&monotone, UINT64_C(1));
    } else if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI) {
        pi_add_relaxed(&wall, UINT64_C(1));
        out->tv_sec += pi_load_relaxed(&jump_s);
    }
    return rc;
}

static intptr_t jumps(void *arg)
{
    static const int64_t seconds[] = {3600, -7200, 86400, -86400 * 365, 1, -1};
    int rc = 0;
    for (unsigned i = 0; rc == 0; i++) {
        pi_add_relaxed(&jump_s, seconds[i % 6]);
        rc = pica_sleep(PICA_US(200));
    }
    return rc + (arg ? 0 : 0);
}

/* Whether deadlines come when they should: never before, and not hours after. */
static void deadlines(void)
{
    pica_sem never = PICA_SEM_INIT(0);
    for (unsigned i = 0; i < 50; i++) {
        struct timespec before, after;
        syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &before);
        CHECK_EQ(pica_sem_acquire_until(&never, pica_after(PICA_MS(2))), -ETIMEDOUT);
        syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &after);
        int64_t took = (int64_t)(after.tv_sec - before.tv_sec) * PICA_SEC(1) +
                       (after.tv_nsec - before.tv_nsec);
        CHECK_LE(PICA_MS(2), took);
        CHECK_LT(took, PICA_SEC(1800)); /* half of the jump */
    }
    CHECK_EQ(pica_sem_destroy(&never), 0);
}

static void wall_clock_jumps(void)
{
    pica_task *jumper;
    pi_store_relaxed(&wall, UINT64_C(0));
    pi_store_relaxed(&monotone, UINT64_C(0));
    CHECK_FATAL_OK(pica_spawn(&jumper, jumps, NULL));
    deadlines();
    load_for(PICA_MS(200));
    CHECK_OK(pica_cancel(jumper));
    CHECK_OK(pica_await(jumper, NULL));
    pica_unref(jumper);
    CHECK_LT(0, pi_load_relaxed(&monotone)); /* or this program's function stands in for nobody's */
    CHECK_EQ(pi_load_relaxed(&wall), 0);
}

CHECK_MAIN
{
    check_timeout(60);
    check_run("the wall clock jumps", wall_clock_jumps);
}
