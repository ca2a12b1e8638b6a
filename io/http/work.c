/* SPDX-License-Identifier: MIT */
/* work.c: see work.h. */
#include "io/http/work.h"

#include "executor/base/alloc.h"
#include "executor/base/atomics.h"
#include "executor/sched/worker.h"

/* Workers beyond that go without. */
#define PLACES 64

typedef struct place {
    pi_http_work *work; /* [atomic] its worker's; NULL: none. Release when given, acquire when
                           taken: ThreadSanitizer orders the tasks of a worker by nothing else */
} __attribute__((aligned(PI_CACHE_LINE))) place;

struct pi_http_spares {
    place places[PLACES];
};

pi_http_spares *pi_http_spares_new(void)
{
    return pi_aligned_zalloc(_Alignof(pi_http_spares), sizeof(pi_http_spares));
}

void pi_http_spares_free(pi_http_spares *spares)
{
    for (int i = 0; spares && i < PLACES; i++)
        pi_free(spares->places[i].work);
    pi_free(spares);
}

/* @return the place of the caller's worker, or NULL */
static place *place_here(pi_http_spares *spares)
{
    uint32_t worker = pi_worker_self()->index;
    return PI_LIKELY(spares && worker < PLACES) ? &spares->places[worker] : NULL;
}

pi_http_work *pi_http_work_take(pi_http_spares *spares)
{
    place *here = place_here(spares);
    pi_http_work *work = here ? pi_load_acquire(&here->work) : NULL;
    if (PI_UNLIKELY(!work))
        return pi_malloc(sizeof(*work));
    pi_store_relaxed(&here->work, (pi_http_work *)NULL);
    return work;
}

void pi_http_work_give(pi_http_spares *spares, pi_http_work *work)
{
    place *here = place_here(spares);
    if (PI_LIKELY(here && !pi_load_relaxed(&here->work)))
        pi_store_release(&here->work, work);
    else
        pi_free(work);
}
