/* SPDX-License-Identifier: MIT */
/* idle.c: which workers sleep, and who wakes them. Invariants, the loop that uses this and
 * the protocol are in idle.h; the letters refer to it. */
#include "executor/sched/idle.h"

#include "executor/base/assert.h"

#include <sched.h>

enum {
    BITS = 2, /* per worker */
    PER_BED = 64 / BITS
};

static uint64_t asleep_bit(unsigned w)
{
    return UINT64_C(1) << (w % PER_BED * BITS);
}

static uint64_t called_bit(unsigned w)
{
    return UINT64_C(2) << (w % PER_BED * BITS);
}

static const uint64_t all_asleep = UINT64_C(0x5555555555555555);

void pi_idle_limit(pi_idle *idle, unsigned workers)
{
    unsigned half = (workers + 1) / 2;
    pi_store_relaxed(&idle->limit, half < idle->cpus ? half : idle->cpus);
}

void pi_idle_init(pi_idle *idle, unsigned workers)
{
    pi_require(workers >= 1 && workers <= PI_IDLE_MAX, "an executor of %u workers", workers);
    *idle = (pi_idle){.workers = workers, .cpus = workers};
    cpu_set_t cpus;
    if (sched_getaffinity(0, sizeof cpus, &cpus) == 0 && CPU_COUNT(&cpus) >= 1)
        idle->cpus = (unsigned)CPU_COUNT(&cpus);
    pi_idle_limit(idle, workers);
}

bool pi_idle_search_begin(pi_idle *idle)
{
    uint32_t counts = pi_load_relaxed(&idle->counts);
    do {
        if ((counts & PI_IDLE_SEARCHING) >= pi_load_relaxed(&idle->limit))
            return false;
    } while (!pi_cas_relaxed(&idle->counts, &counts, counts + 1));
    return true;
}

bool pi_idle_search_end(pi_idle *idle)
{
    uint32_t old = pi_sub_relaxed(&idle->counts, 1u);
    pi_assert(old & PI_IDLE_SEARCHING);
    pi_fence_after_rmw(); /* (C) */
    return (old & PI_IDLE_SEARCHING) == 1;
}

bool pi_idle_sleep_begin(pi_idle *idle, unsigned w, bool searching)
{
    uint32_t old = pi_add_relaxed(&idle->counts, PI_IDLE_ONE_ASLEEP - (searching ? 1u : 0u));
    pi_assert(!searching || (old & PI_IDLE_SEARCHING));
    uint64_t bed = pi_or_release(&idle->beds[w / PER_BED], asleep_bit(w)); /* (D) */
    pi_assert(!(bed & (asleep_bit(w) | called_bit(w))));
    (void)bed;
    pi_fence_after_rmw(); /* (A) */
    return searching && (old & PI_IDLE_SEARCHING) == 1;
}

/* (F) Up again. Tells whether a pick was first. */
static bool get_up(pi_idle *idle, unsigned w)
{
    uint64_t mine = asleep_bit(w) | called_bit(w);
    uint64_t bed = pi_and_acquire(&idle->beds[w / PER_BED], ~mine);
    pi_sub_relaxed(&idle->counts, PI_IDLE_ONE_ASLEEP);
    return !(bed & mine);
}

bool pi_idle_sleep_abort(pi_idle *idle, unsigned w)
{
    return !get_up(idle, w);
}

bool pi_idle_woken(pi_idle *idle, unsigned w)
{
    return get_up(idle, w);
}

static bool somebody_in_bed(pi_idle *idle)
{
    for (unsigned i = 0; i * PER_BED < idle->workers; i++)
        if (pi_load_relaxed(&idle->beds[i]) & all_asleep)
            return true;
    return false;
}

/* Clear the ASLEEP bit of somebody. The lowest first: those above may sleep on. */
static int take_sleeper(pi_idle *idle)
{
    for (unsigned i = 0; i * PER_BED < idle->workers; i++) {
        uint64_t sleepers;
        while ((sleepers = pi_load_relaxed(&idle->beds[i]) & all_asleep)) {
            uint64_t bit = sleepers & -sleepers;
            if (pi_and_acq_rel(&idle->beds[i], ~bit) & bit)
                return (int)(i * PER_BED) + __builtin_ctzll(bit) / BITS;
        }
    }
    return -1;
}

int pi_idle_pick(pi_idle *idle)
{
    while (somebody_in_bed(idle)) {
        uint32_t counts = pi_load_relaxed(&idle->counts);
        do {
            if (counts & PI_IDLE_SEARCHING)
                return -1;
        } while (!pi_cas_relaxed(&idle->counts, &counts, counts + 1)); /* (D) */
        int w = take_sleeper(idle);
        if (w >= 0)
            return w;
        uint32_t old = pi_sub_relaxed(&idle->counts, 1u);
        if ((old & PI_IDLE_SEARCHING) != 1)
            return -1;
        pi_fence_after_rmw(); /* (C) */
    }
    return -1;
}

int pi_idle_submitted(pi_idle *idle)
{
    pi_fence_seq_cst(); /* (B) */
    return pi_idle_wanted(idle) ? pi_idle_pick(idle) : -1;
}

bool pi_idle_claim(pi_idle *idle, unsigned w)
{
    pi_fence_seq_cst(); /* (B) */
    uint64_t *bed = &idle->beds[w / PER_BED];
    uint64_t seen = pi_load_relaxed(bed);
    do {
        if (!(seen & asleep_bit(w)))
            return false;
    } while (!pi_cas_release(bed, &seen, (seen & ~asleep_bit(w)) | called_bit(w))); /* (E) */
    return true;
}
