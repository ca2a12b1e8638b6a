/* SPDX-License-Identifier: MIT */
/* hist_test.c: the histogram's error stays below one per cent, at every size. */
#include "perf/common/hist.h"
#include "tests/check.h"

#include <string.h>

static pb_hist hist, other, difference;

static bool close_to(uint64_t got, uint64_t wanted)
{
    uint64_t off = got > wanted ? got - wanted : wanted - got;
    return off * 100 <= wanted;
}

static void one_value(void)
{
    for (uint64_t v = 1; v < (uint64_t)1 << 40; v += v / 37 + 1) {
        memset(&hist, 0, sizeof hist);
        pb_hist_add(&hist, (int64_t)v);
        pb_hist_add(&hist, (int64_t)v);
        pb_hist_add(&hist, (int64_t)1 << 39); /* so that the greatest does not help */
        if (!CHECK(close_to(pb_hist_quantile(&hist, 0.5), v)))
            return;
    }
}

static void quantiles(void)
{
    memset(&hist, 0, sizeof hist);
    for (int64_t v = 1; v <= 1000000; v++)
        pb_hist_add(&hist, v * 10);
    CHECK_EQ(hist.total, 1000000);
    CHECK(close_to(pb_hist_quantile(&hist, 0.01), 100000));
    CHECK(close_to(pb_hist_quantile(&hist, 0.5), 5000000));
    CHECK(close_to(pb_hist_quantile(&hist, 0.99), 9900000));
    CHECK(close_to(pb_hist_quantile(&hist, 0.9999), 9999000));
    CHECK_EQ(pb_hist_quantile(&hist, 1), 10000000);
}

static void ends(void)
{
    memset(&hist, 0, sizeof hist);
    CHECK_EQ(pb_hist_quantile(&hist, 0.5), 0);
    pb_hist_add(&hist, -5);
    CHECK_EQ(pb_hist_quantile(&hist, 0.5), 0);
    pb_hist_add(&hist, INT64_MAX);
    CHECK_EQ(pb_hist_quantile(&hist, 1), INT64_MAX);
    CHECK_EQ(hist.total, 2);
}

static void what_came_in_between(void)
{
    memset(&hist, 0, sizeof hist);
    memset(&other, 0, sizeof other);
    for (int i = 0; i < 100; i++)
        pb_hist_add(&hist, 1000);
    pb_hist_merge(&other, &hist);
    for (int i = 0; i < 50; i++)
        pb_hist_add(&hist, 2000000);
    pb_hist_difference(&difference, &hist, &other);
    CHECK_EQ(difference.total, 50);
    CHECK(close_to(pb_hist_quantile(&difference, 0.01), 2000000));
    pb_hist_merge(&other, &difference);
    CHECK_EQ(other.total, hist.total);
    CHECK_EQ(other.sum_ns, hist.sum_ns);
}

CHECK_MAIN
{
    check_plain("one value", one_value);
    check_plain("quantiles", quantiles);
    check_plain("ends", ends);
    check_plain("what came in between", what_came_in_between);
}
