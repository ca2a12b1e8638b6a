/* SPDX-License-Identifier: MIT */
/* arena.h: arenas of jemalloc's for single threads, where jemalloc is the process's malloc.
 * Elsewhere all of this does nothing.
 *
 *   1. An arena outlives its thread, as memory from it may: it is never reset nor destroyed, and
 *      memory may be freed by any thread. Its number goes to a list for the next thread that
 *      wants one, so a process has as many as it ever had threads with one at a time.
 *   2. That list is the process's, like the arenas themselves.
 */
#ifndef PI_ARENA_H
#define PI_ARENA_H

#include <stdbool.h>
#include <stdint.h>

typedef struct pi_arena {
    uint32_t number;             /* [owner writes, atomic] 1 + jemalloc's number; 0: none */
    unsigned before;             /* [owner] what the thread had */
    const uint64_t *allocated;   /* [owner] bytes that the thread ever allocated, and freed; */
    const uint64_t *deallocated; /*         jemalloc keeps them */
    uint64_t seen;               /* [owner] their sum at the last look */
    uint64_t settled;            /* [owner, atomic] and when its cache was emptied */
} pi_arena;

/** Let the calling thread allocate from an arena of its own. Where there is none to be had it
 *  goes on as before. @param arena  zeroed */
void pi_arena_enter(pi_arena *arena);

/** The calling thread gets its former arena back. */
void pi_arena_leave(pi_arena *arena);

/** Has the thread allocated or freed since it settled last? The owner. */
bool pi_arena_used(const pi_arena *arena);

/** Has the thread neither allocated nor freed since the last look, but before? Then what its cache
 *  held is back in the arenas that it came from. The owner.
 *  @return whether these should be purged now: any, as it may have freed what others allocated */
bool pi_arena_settles(pi_arena *arena);

/** Give its unused memory back. Any thread. */
void pi_arena_purge(const pi_arena *arena);

/** Read jemalloc's statistics anew. @return false: there are none */
bool pi_arena_stats_refresh(void);

/** A number that jemalloc knows by a name; 0: it does not. Any thread. */
uint64_t pi_arena_stat(const char *name);
/** The same of an arena, by its name within "stats.arenas.<i>.". */
uint64_t pi_arena_stat_of(const pi_arena *arena, const char *name);

#endif
