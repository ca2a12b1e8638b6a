/* SPDX-License-Identifier: MIT */
/* process.h: what a process holds, to be compared before and after: descriptors, threads,
 * mappings, memory. As proc.h, it uses nothing of pica. */
#ifndef PICA_TESTS_EMBEDDING_PROCESS_H
#define PICA_TESTS_EMBEDDING_PROCESS_H

#include "tests/proc.h"

#include <dlfcn.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
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

static inline process_state process_look(unsigned threads_wanted)
{
    process_state s;
    s.threads = proc_threads(threads_wanted);
    s.descriptors = proc_entries("/proc/self/fd");
    s.mappings = proc_mappings();
    s.heap = process_heap();
    proc_memory(&s.mapped, &s.resident);
    process_purge();
    proc_memory(&s.mapped, &s.kept);
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
