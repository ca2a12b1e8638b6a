/* SPDX-License-Identifier: MIT */
/* cpu_wait.h: how long others kept the CPUs from us, for tests that measure time on a machine that
 * is not theirs alone. */
#ifndef PICA_TESTS_CPU_WAIT_H
#define PICA_TESTS_CPU_WAIT_H

#include "tests/check.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/** For how many nanoseconds all threads of this process but the caller's have been ready to run
 *  so far, and did not; 0 where the kernel does not say. Takes some 50 us. */
static inline int64_t cpu_wait_of_others(void)
{
    long long sum = 0;
    DIR *directory = opendir("/proc/self/task");
    CHECK_FATAL(directory != NULL);
    for (struct dirent *e; (e = readdir(directory));) {
        char path[300];
        long long ran, waited;
        if (atoi(e->d_name) <= 0 || atoi(e->d_name) == (int)syscall(SYS_gettid))
            continue;
        snprintf(path, sizeof(path), "/proc/self/task/%s/schedstat", e->d_name);
        FILE *file = fopen(path, "re");
        if (!file)
            continue; /* it has ended */
        if (fscanf(file, "%lld %lld", &ran, &waited) == 2)
            sum += waited;
        fclose(file);
    }
    closedir(directory);
    return sum;
}

#endif
