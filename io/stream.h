/* SPDX-License-Identifier: MIT */
/* stream.h: handles and descriptors, for the files that make and use them. */
#ifndef PI_IO_STREAM_H
#define PI_IO_STREAM_H

#include "executor/sched/worker.h"
#include "io/descriptor.h"

#include <pica/net.h>

/** A handle is its descriptor under another name. */
static inline pi_descriptor *pi_of_stream(const pica_stream *stream)
{
    return (pi_descriptor *)(uintptr_t)stream;
}

static inline pi_descriptor *pi_of_listener(const pica_listener *listener)
{
    return (pi_descriptor *)(uintptr_t)listener;
}

static inline pica_stream *pi_as_stream(pi_descriptor *d)
{
    return (pica_stream *)d;
}

static inline pica_listener *pi_as_listener(pi_descriptor *d)
{
    return (pica_listener *)d;
}

/** After pica_try_accept() failed: may there still be connections in the queue, to be tried again
 *  later? */
bool pi_accept_may_go_on(int rc);

/** After so many calls in a row that found their bytes there, a task yields, unless its worker
 *  has run others as often: a busy peer must not keep its task running for ever, but who waits
 *  for each request has no need to let others run before each 64th answer. Sooner, if what it
 *  does between them takes so long that the monitor hurries its worker: before it reads, but after
 *  it has written, since somebody waits for that. */
#define PI_STREAK_MAX 64

/** Count a call that did not wait. @return whether it was the last before a yield */
static inline bool pi_streak_is_over(uint8_t *streak, bool reads)
{
    if (PI_LIKELY(++*streak < PI_STREAK_MAX && !(reads && pi_worker_is_due(pi_worker_self()))))
        return false;
    *streak = 0;
    return true;
}

/** The same, and yield if it was. The caller uses dir. @return 0; -ECANCELED: it has been left */
int pi_streak_end_slow(pi_descriptor *d, pi_direction *dir, bool ready);
static inline int pi_streak(pi_descriptor *d, pi_direction *dir, uint8_t *streak, bool ready)
{
    return PI_UNLIKELY(pi_streak_is_over(streak, dir == &d->in)) ? pi_streak_end_slow(d, dir, ready)
                                                                 : 0;
}

/** After a write. That the caller is cancelled, its next call says. */
void pi_yield_after_write_slow(void);
static inline void pi_yield_after_write(void)
{
    if (PI_UNLIKELY(pi_worker_is_due(pi_worker_self())))
        pi_yield_after_write_slow();
}

#endif
