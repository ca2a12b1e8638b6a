/* SPDX-License-Identifier: MIT */
/* hist.h: a histogram of durations with a bounded relative error.
 *
 * Values below 256 ns have a bucket each; above, every power of two is cut into 128 equal
 * buckets, and a bucket stands for its middle: at most 0.4 % off. Values beyond 2^40 ns
 * (18 minutes) count as that.
 *
 *   1. The sum of all buckets is `total`.
 *   2. One thread adds. Others may read meanwhile: each bucket is right by itself, and a
 *      copy is a little older or younger from bucket to bucket.
 */
#ifndef PB_HIST_H
#define PB_HIST_H

#include <stdint.h>

#define PB_HIST_SUB_BITS 7
#define PB_HIST_MAX_BITS 40
#define PB_HIST_BUCKETS ((PB_HIST_MAX_BITS - PB_HIST_SUB_BITS + 1) << PB_HIST_SUB_BITS)

/* A power of two that starts at 2^k, k > 7, has the buckets (k - 7) * 128 + 128 and on. */

typedef struct pb_hist {
    uint64_t total;                  /* [atomic] written by the owner, relaxed */
    uint64_t sum_ns;                 /* [owner] */
    uint64_t max_ns;                 /* [owner] */
    uint64_t count[PB_HIST_BUCKETS]; /* [atomic] written by the owner, relaxed */
} pb_hist;

/** Add one value; negative ones count as 0. The owner. */
void pb_hist_add(pb_hist *h, int64_t ns);

/** into += from. from may still grow. */
void pb_hist_merge(pb_hist *into, const pb_hist *from);

/** out = now - before, bucket by bucket: what came in between two copies. */
void pb_hist_difference(pb_hist *out, const pb_hist *now, const pb_hist *before);

/** The value that a share of all values does not exceed: 0.99 gives the 99th percentile, 1
 *  the greatest. 0 where there are none. */
uint64_t pb_hist_quantile(const pb_hist *h, double share);

#endif
