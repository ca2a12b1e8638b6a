/* SPDX-License-Identifier: MIT */
/* work.h: what a connection needs only while it has something to do, and where that comes from.
 *
 * A block is taken when input has arrived and given back before the connection waits for
 * another request, so a silent connection costs little. Each worker keeps the block that it was
 * given last: it is warm, and most requests need no malloc.
 *
 *   1. A place of the spares belongs to the worker of that index, in the one executor that
 *      the serving's tasks run on: it is touched by tasks that run there, between two of their
 *      suspensions.
 *
 * Callers: the tasks of a serving's connections; pi_http_spares_new() and _free() are its own.
 */
#ifndef PI_HTTP_WORK_H
#define PI_HTTP_WORK_H

#include "executor/base/atomics.h"
#include "executor/sched/worker.h"
#include "io/http/chunked.h"
#include "io/http/parser.h"
#include "io/http/response.h"

/** Bytes in and out that need no further malloc; enough for most requests. */
#define PI_HTTP_IN_SMALL 2048
#define PI_HTTP_OUT_SMALL 1024

typedef struct pi_http_work {
    pi_http_head head;
    pi_http_chunked decoder;
    pi_http_stamp stamp;
    char in[PI_HTTP_IN_SMALL];
    char out[PI_HTTP_OUT_SMALL];
} pi_http_work;

/** Workers beyond that go without. */
#define PI_HTTP_PLACES 64

typedef struct pi_http_place {
    pi_http_work *work; /* [atomic] its worker's; NULL: none. Release when given, acquire when
                           taken: ThreadSanitizer orders the tasks of a worker by nothing else */
} __attribute__((aligned(PI_CACHE_LINE))) pi_http_place;

typedef struct pi_http_spares {
    pi_http_place places[PI_HTTP_PLACES];
} pi_http_spares;

/** Places for a serving's workers. @return them, or NULL: no memory, so none will be kept */
pi_http_spares *pi_http_spares_new(void);

/** Free them and what they hold. NULL is fine. No connection is left. */
void pi_http_spares_free(pi_http_spares *spares);

/** @return the place of the caller's worker, or NULL */
static inline pi_http_place *pi_http_place_here(pi_http_spares *spares)
{
    uint32_t worker = pi_worker_self()->index;
    return PI_LIKELY(spares && worker < PI_HTTP_PLACES) ? &spares->places[worker] : NULL;
}

/** Take a block, from a suspension's end on.
 *  @param spares  or NULL
 *  @param stamp   of the server, for a new block
 *  @return a block, of which the stamp alone is set up, or NULL: no memory */
pi_http_work *pi_http_work_new_slow(const pi_http_stamp *stamp);
static inline pi_http_work *pi_http_work_take(pi_http_spares *spares, const pi_http_stamp *stamp)
{
    pi_http_place *here = pi_http_place_here(spares);
    pi_http_work *work = here ? pi_load_acquire(&here->work) : NULL;
    if (PI_UNLIKELY(!work))
        return pi_http_work_new_slow(stamp);
    pi_store_relaxed(&here->work, (pi_http_work *)NULL);
    return work;
}

/** Give it back. */
void pi_http_work_free_slow(pi_http_work *work);
static inline void pi_http_work_give(pi_http_spares *spares, pi_http_work *work)
{
    pi_http_place *here = pi_http_place_here(spares);
    if (PI_LIKELY(here && !pi_load_relaxed(&here->work)))
        pi_store_release(&here->work, work);
    else
        pi_http_work_free_slow(work);
}

#endif
