/* SPDX-License-Identifier: MIT */
/* patience.h: how long a loop waits for what is to come, where CHECK_SOON will not do: it computes,
 * or keeps its worker.
 *
 *     patience p = patience_of(PICA_SEC(10));
 *     while (!came && patience_lasts(&p)) {
 *     }
 *
 * Of the time from one round to the next a tenth of a second counts at most. A machine that stands
 * still for a minute does so for all threads, and nothing has had the time to come. */
#ifndef PICA_TESTS_PATIENCE_H
#define PICA_TESTS_PATIENCE_H

#include <pica/base.h>

#include <stdbool.h>
#include <stdint.h>

#define PATIENCE_STEP_NS PICA_MS(100)

typedef struct patience {
    int64_t left_ns, looked_ns;
} patience;

static inline patience patience_of(int64_t ns)
{
    return (patience){.left_ns = ns, .looked_ns = pica_now()};
}

static inline bool patience_lasts(patience *p)
{
    int64_t now = pica_now(), step = now - p->looked_ns;
    p->looked_ns = now;
    p->left_ns -= step < PATIENCE_STEP_NS ? step : PATIENCE_STEP_NS;
    return p->left_ns > 0;
}

#endif
