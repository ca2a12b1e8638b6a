/* SPDX-License-Identifier: MIT */
/* proc.h: what the kernel says of this process, under /proc/self: descriptors, threads, mappings,
 * memory, and what the threads are at. Uses nothing of pica, so that a program that only loads it
 * may look, too. */
#ifndef PICA_TESTS_PROC_H
#define PICA_TESTS_PROC_H

#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/** How many entries a folder has, "." and ".." among them. */
static inline unsigned proc_entries(const char *path)
{
    unsigned n = 0;
    DIR *dir = opendir(path);
    while (dir && readdir(dir))
        n++;
    if (dir)
        closedir(dir);
    return n;
}

/** The number of threads, counted as entries are. The kernel takes a joined thread out of /proc a
 *  moment after the join, so more than are wanted get ten seconds to go. */
static inline unsigned proc_threads(unsigned wanted)
{
    unsigned n = 0;
    for (unsigned i = 0; (n = proc_entries("/proc/self/task")) > wanted && i < 10000; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    return n;
}

static inline unsigned proc_mappings(void)
{
    unsigned n = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    for (int c; maps && (c = fgetc(maps)) != EOF;)
        n += c == '\n';
    if (maps)
        fclose(maps);
    return n;
}

/** Bytes of address space, and of memory. */
static inline void proc_memory(uint64_t *mapped, uint64_t *resident)
{
    unsigned long long size = 0, in_use = 0;
    FILE *statm = fopen("/proc/self/statm", "re");
    if (!statm || fscanf(statm, "%llu %llu", &size, &in_use) != 2)
        abort();
    fclose(statm);
    *mapped = (uint64_t)size * (uint64_t)sysconf(_SC_PAGESIZE);
    *resident = (uint64_t)in_use * (uint64_t)sysconf(_SC_PAGESIZE);
}

/** Show look() that file of each thread but the caller's. One that has just ended has none. */
static inline void proc_other_threads(const char *file, void (*look)(FILE *file, void *arg),
                                      void *arg)
{
    DIR *directory = opendir("/proc/self/task");
    if (!directory)
        abort();
    for (struct dirent *e; (e = readdir(directory));) {
        char path[300];
        int thread = atoi(e->d_name);
        if (thread <= 0 || thread == (int)syscall(SYS_gettid))
            continue;
        snprintf(path, sizeof(path), "/proc/self/task/%s/%s", e->d_name, file);
        FILE *opened = fopen(path, "re");
        if (!opened)
            continue;
        look(opened, arg);
        fclose(opened);
    }
    closedir(directory);
}

static inline void proc_look_for_running(FILE *stat, void *running)
{
    char line[300] = "";
    const char *state = fgets(line, sizeof(line), stat) ? strrchr(line, ')') : NULL;
    *(bool *)running |= state && state[2] == 'R';
}

/** Has any thread but the caller's a CPU, or wants one? If not, all of them wait for something. */
static inline bool proc_others_run(void)
{
    bool running = false;
    proc_other_threads("stat", proc_look_for_running, &running);
    return running;
}

static inline void proc_add_waiting(FILE *schedstat, void *sum)
{
    long long ran, waited;
    if (fscanf(schedstat, "%lld %lld", &ran, &waited) == 2)
        *(int64_t *)sum += waited;
}

/** For how many nanoseconds all threads but the caller's have wanted a CPU so far, and had none; 0
 *  where the kernel does not say. Takes some 50 us. */
static inline int64_t proc_others_waited_ns(void)
{
    int64_t sum = 0;
    proc_other_threads("schedstat", proc_add_waiting, &sum);
    return sum;
}

#endif
