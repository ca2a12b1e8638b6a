/* SPDX-License-Identifier: MIT */
/* hist.c: see hist.h. */
#include "perf/common/hist.h"

#include "executor/base/atomics.h"

#include <string.h>

static unsigned bucket_of(uint64_t ns)
{
    if (ns >= (uint64_t)1 << PB_HIST_MAX_BITS)
        ns = ((uint64_t)1 << PB_HIST_MAX_BITS) - 1;
    if (ns < 1u << PB_HIST_SUB_BITS)
        return (unsigned)ns;
    unsigned top = 63 - (unsigned)__builtin_clzll(ns);
    unsigned shift = top - PB_HIST_SUB_BITS;
    return (shift << PB_HIST_SUB_BITS) + (unsigned)(ns >> shift);
}

static uint64_t middle_of(unsigned bucket)
{
    if (bucket < 2u << PB_HIST_SUB_BITS)
        return bucket;
    unsigned shift = (bucket >> PB_HIST_SUB_BITS) - 1;
    uint64_t low = (uint64_t)(bucket - (shift << PB_HIST_SUB_BITS)) << shift;
    return low + ((uint64_t)1 << shift) / 2;
}

void pb_hist_add(pb_hist *h, int64_t ns)
{
    uint64_t v = ns > 0 ? (uint64_t)ns : 0;
    uint64_t *slot = &h->count[bucket_of(v)];
    pi_store_relaxed(slot, *slot + 1);
    pi_store_relaxed(&h->total, h->total + 1);
    h->sum_ns += v;
    if (v > h->max_ns)
        h->max_ns = v;
}

void pb_hist_merge(pb_hist *into, const pb_hist *from)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < PB_HIST_BUCKETS; i++) {
        uint64_t n = pi_load_relaxed(&from->count[i]);
        into->count[i] += n;
        total += n;
    }
    into->total += total;
    into->sum_ns += from->sum_ns;
    if (from->max_ns > into->max_ns)
        into->max_ns = from->max_ns;
}

void pb_hist_difference(pb_hist *out, const pb_hist *now, const pb_hist *before)
{
    memset(out, 0, sizeof *out);
    for (unsigned i = 0; i < PB_HIST_BUCKETS; i++) {
        out->count[i] = now->count[i] - before->count[i];
        out->total += out->count[i];
        if (out->count[i] != 0)
            out->max_ns = middle_of(i);
    }
    out->sum_ns = now->sum_ns - before->sum_ns;
}

uint64_t pb_hist_quantile(const pb_hist *h, double share)
{
    if (h->total == 0)
        return 0;
    if (share >= 1)
        return h->max_ns;
    uint64_t rank = (uint64_t)(share * (double)h->total);
    uint64_t seen = 0;
    for (unsigned i = 0; i < PB_HIST_BUCKETS; i++) {
        seen += h->count[i];
        if (seen > rank)
            return middle_of(i) < h->max_ns ? middle_of(i) : h->max_ns;
    }
    return h->max_ns;
}
