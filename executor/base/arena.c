/* SPDX-License-Identifier: MIT */
/* arena.c: see arena.h. */
#include "executor/base/arena.h"

#include "executor/base/alloc.h"
#include "executor/base/lock.h"

#include <stdio.h>

#define ARENAS_MAX 4096u /* jemalloc has no more */

static pi_lock list_lock;                 /* rank ARENAS */
static uint16_t list_numbers[ARENAS_MAX]; /* [lock] arenas that no thread has */
static uint32_t list_length;              /* [lock] */

static bool read_value(const char *name, void *out, size_t size)
{
    pi_mallctl_fn *mallctl = pi_alloc_mallctl();
    return mallctl && mallctl(name, out, &size, NULL, 0) == 0;
}

static void command(const char *name)
{
    pi_mallctl_fn *mallctl = pi_alloc_mallctl();
    if (mallctl)
        (void)mallctl(name, NULL, NULL, NULL, 0);
}

/* @return an arena that no thread has, or -1 */
static int take(void)
{
    pi_lock_acquire(&list_lock);
    int number = list_length > 0 ? list_numbers[--list_length] : -1;
    pi_lock_release(&list_lock);
    unsigned made;
    if (number < 0 && read_value("arenas.create", &made, sizeof(made)) && made < ARENAS_MAX)
        number = (int)made;
    return number;
}

static void give(unsigned number)
{
    pi_lock_acquire(&list_lock);
    list_numbers[list_length++] = (uint16_t)number;
    pi_lock_release(&list_lock);
}

/* @return whether the thread is bound to it now; *before is what it was bound to */
static bool bind(unsigned number, unsigned *before)
{
    pi_mallctl_fn *mallctl = pi_alloc_mallctl();
    size_t size = sizeof(*before);
    return mallctl && mallctl("thread.arena", before, &size, &number, sizeof(number)) == 0;
}

void pi_arena_enter(pi_arena *arena)
{
    if (!read_value("thread.allocatedp", &arena->allocated, sizeof(arena->allocated)) ||
        !read_value("thread.deallocatedp", &arena->deallocated, sizeof(arena->deallocated)))
        return;
    int number = take();
    if (number < 0)
        return;
    if (!bind((unsigned)number, &arena->before)) { /* percpu_arena forbids it */
        give((unsigned)number);
        return;
    }
    pi_store_relaxed(&arena->number, (uint32_t)number + 1);
}

void pi_arena_leave(pi_arena *arena)
{
    if (!arena->number)
        return;
    unsigned own = arena->number - 1, bound;
    if (!bind(arena->before, &bound))
        return; /* then it stays the thread's */
    pi_store_relaxed(&arena->number, 0u);
    give(own);
}

static uint64_t moved(const pi_arena *arena)
{
    return *arena->allocated + *arena->deallocated;
}

bool pi_arena_used(const pi_arena *arena)
{
    return arena->number && moved(arena) != arena->settled;
}

bool pi_arena_settles(pi_arena *arena)
{
    if (!pi_arena_used(arena))
        return false;
    uint64_t before = arena->seen;
    arena->seen = moved(arena);
    if (arena->seen != before)
        return false;
    command("thread.tcache.flush");
    pi_store_relaxed(&arena->settled, arena->seen);
    return true;
}

void pi_arena_purge(const pi_arena *arena)
{
    char name[40];
    uint32_t number = pi_load_relaxed(&arena->number);
    if (!number)
        return;
    snprintf(name, sizeof(name), "arena.%u.purge", number - 1);
    command(name);
}

bool pi_arena_stats_refresh(void)
{
    pi_mallctl_fn *mallctl = pi_alloc_mallctl();
    uint64_t epoch = 1;
    size_t size = sizeof(epoch);
    return mallctl && mallctl("epoch", &epoch, &size, &epoch, sizeof(epoch)) == 0;
}

uint64_t pi_arena_stat(const char *name)
{
    size_t value = 0;
    return read_value(name, &value, sizeof(value)) ? value : 0;
}

uint64_t pi_arena_stat_of(const pi_arena *arena, const char *name)
{
    char whole[64];
    uint32_t number = pi_load_relaxed(&arena->number);
    if (!number)
        return 0;
    snprintf(whole, sizeof(whole), "stats.arenas.%u.%s", number - 1, name);
    return pi_arena_stat(whole);
}
