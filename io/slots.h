/* SPDX-License-Identifier: MIT */
/* slots.h: where descriptors live, and what the reactors of one executor share.
 *
 *   1. A slot's memory is a pi_descriptor from its first use until the executor is gone,
 *      so that a late event may read it.
 *   2. A free slot has PI_SHUT in both words and PI_LIFE_CLOSED with no share.
 *   3. A slot belongs to the free list, to one caller that reserved it, or is open.
 *
 * Slabs are added and never freed before pi_slots_free(). Callers: any thread.
 * Lock: slots->lock guards the free list and the number of slabs; innermost, nothing is
 * called under it.
 */
#ifndef PI_IO_SLOTS_H
#define PI_IO_SLOTS_H

#include "io/descriptor.h"

#define PI_SLAB_SHIFT 9 /* 512 descriptors, 64 KiB */
#define PI_SLAB_SLOTS (1u << PI_SLAB_SHIFT)
#define PI_SLABS 8192u /* 4 million descriptors; a process has 2^20 unless told otherwise */
#define PI_REACTORS 256u
#define PI_NUMBERS (PI_SLABS * PI_SLAB_SLOTS)

struct pi_reactor;

typedef struct pi_slots {
    pi_lock lock;
    uint32_t free;                            /* [lock] index + 1 of the first free slot; 0: none */
    uint32_t slabs_made;                      /* [lock] */
    uint64_t open;                            /* [atomic] descriptors open; statistics, relaxed */
    struct pi_reactor *reactors[PI_REACTORS]; /* [atomic] by number; release when made */
    pi_descriptor *slabs[PI_SLABS];  /* [atomic] release when made, before its first event */
    uint64_t taken[PI_NUMBERS / 64]; /* [atomic] a bit for each number: it is a stream's or a
                                        listener's, or somebody waits for it in pollfd.c. Memory
                                        that nobody has touched costs nothing */
} pi_slots;

/** @return the table, or NULL */
pi_slots *pi_slots_new(void);

/** Close what is still open, and free everything. The executor is at rest. */
void pi_slots_free(pi_slots *slots);

/** Call visit() with each open descriptor that is ours to close. The executor is at rest. */
void pi_slots_each_open(pi_slots *slots, void (*visit)(int fd, const char *what, void *arg),
                        void *arg);

/** Reserve a slot. @return it, or NULL: no memory */
pi_descriptor *pi_slots_reserve(pi_slots *slots);

/** Put a slot back: one that was reserved and not opened, or whose last share was given up.
 *  NULL is fine. */
void pi_slots_give_back(pi_descriptor *d);

/** Claim a number that no stream or listener has and nobody waits for in pollfd.c. Acquire, and
 *  release in disclaim. Numbers beyond the table are always free. @return false: it is taken */
static inline bool pi_slots_claim(pi_slots *slots, uint32_t number)
{
    uint64_t bit = UINT64_C(1) << number % 64;
    return number >= PI_NUMBERS || !(pi_or_acq_rel(&slots->taken[number / 64], bit) & bit);
}
static inline void pi_slots_disclaim(pi_slots *slots, uint32_t number)
{
    if (number < PI_NUMBERS)
        pi_and_release(&slots->taken[number / 64], ~(UINT64_C(1) << number % 64));
}

/** The slot of an event. */
static inline pi_descriptor *pi_slots_at(pi_slots *slots, uint32_t index)
{
    pi_descriptor *slab = pi_load_acquire(&slots->slabs[index >> PI_SLAB_SHIFT]);
    return &slab[index & (PI_SLAB_SLOTS - 1)];
}

/** The shared table of the caller's executor, if its driver is the epoll reactor.
 *  @return 0; -EPERM: a plain thread; -ENOSYS: another driver */
int pi_slots_self(pi_slots **out);

#endif
