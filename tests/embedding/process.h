/* SPDX-License-Identifier: MIT */
/* process.h: what a process holds, to be compared before and after: descriptors, threads,
 * mappings, memory. Uses nothing of pica, so that a program that only loads it may look too. */
#ifndef PICA_TESTS_EMBEDDING_PROCESS_H
#define PICA_TESTS_EMBEDDING_PROCESS_H

#include <dirent.h>
#include <dlfcn.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

typedef struct process_state {
    unsigned descriptors;
    unsigned threads;
    unsigned mappings;
    uint64_t heap;     /* bytes that malloc has given out; 0 where it can't tell */
    uint64_t mapped;   /* bytes of address space */
    uint64_t resident; /* bytes */
    uint64_t kept;     /* the same, once malloc has given back what it can */
} process_state;

/* How much more there may be at the end than after the first part of many rounds. What malloc
 * and the loader keep of what they had, is a matter of chance; what stays behind in each of
 * hundreds or thousands of rounds, is not. */
#define PROCESS_MAPPINGS_SLACK 64u
#define PROCESS_HEAP_SLACK ((uint64_t)32 << 10)
#define PROCESS_MAPPED_SLACK ((uint64_t)1 << 30)
#define PROCESS_RESIDENT_SLACK ((uint64_t)24 << 20)
#define PROCESS_KEPT_SLACK ((uint64_t)4 << 20)

static inline unsigned process_entries(const char *path)
{
    unsigned n = 0;
    DIR *dir = opendir(path);
    while (dir && readdir(dir))
        n++;
    if (dir)
        closedir(dir);
    return n;
}

static inline unsigned process_mappings(void)
{
    unsigned n = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    for (int c; maps && (c = fgetc(maps)) != EOF;)
        n += c == '\n';
    if (maps)
        fclose(maps);
    return n;
}

static inline void process_memory(uint64_t *mapped, uint64_t *resident)
{
    unsigned long long size = 0, in_use = 0;
    FILE *statm = fopen("/proc/self/statm", "re");
    if (statm && fscanf(statm, "%llu %llu", &size, &in_use) != 2)
        size = in_use = 0;
    if (statm)
        fclose(statm);
    *mapped = (uint64_t)size * (uint64_t)sysconf(_SC_PAGESIZE);
    *resident = (uint64_t)in_use * (uint64_t)sysconf(_SC_PAGESIZE);
}

typedef int process_mallctl_fn(const char *name, void *old, size_t *old_len, void *value,
                               size_t len);

static inline process_mallctl_fn *process_mallctl(void)
{
    process_mallctl_fn *mallctl;
    *(void **)&mallctl = dlsym(RTLD_DEFAULT, "mallctl");
    return mallctl;
}

/* Have malloc give back to the kernel what it keeps for later. */
static inline void process_purge(void)
{
    process_mallctl_fn *mallctl = process_mallctl();
    if (mallctl)
        mallctl("arena.4096.purge", NULL, NULL, NULL, 0); /* all arenas */
    else
        malloc_trim(0);
}

/* jemalloc's own count where it is the malloc, else glibc's. */
static inline uint64_t process_heap(void)
{
    process_mallctl_fn *mallctl = process_mallctl();
    if (!mallctl)
        return mallinfo2().uordblks;
    uint64_t epoch = 1;
    size_t allocated = 0, len = sizeof(allocated);
    mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch));
    return mallctl("stats.allocated", &allocated, &len, NULL, 0) == 0 ? allocated : 0;
}

/** The number of threads. The kernel takes a joined thread out of /proc a moment after the join,
 *  so more than are wanted get some time to go. (Counts "." and "..", as all of them do.) */
static inline unsigned process_threads(unsigned wanted)
{
    unsigned n = 0;
    for (unsigned i = 0; (n = process_entries("/proc/self/task")) > wanted && i < 2000; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    return n;
}

static inline process_state process_look(unsigned threads_wanted)
{
    process_state s;
    s.threads = process_threads(threads_wanted);
    s.descriptors = process_entries("/proc/self/fd");
    s.mappings = process_mappings();
    s.heap = process_heap();
    process_memory(&s.mapped, &s.resident);
    process_purge();
    process_memory(&s.mapped, &s.kept);
    return s;
}

static inline void process_print(const char *when, const process_state *s)
{
    fprintf(stderr,
            "%s: %u descriptors, %u threads, %u mappings, heap %llu, mapped %llu, resident %llu, "
            "kept %llu\n",
            when, s->descriptors, s->threads, s->mappings, (unsigned long long)s->heap,
            (unsigned long long)s->mapped, (unsigned long long)s->resident,
            (unsigned long long)s->kept);
}

#endif
