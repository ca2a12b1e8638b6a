/* SPDX-License-Identifier: MIT */
/* work.c: see work.h. */
#include "io/http/work.h"

#include "executor/base/alloc.h"

pi_http_spares *pi_http_spares_new(void)
{
    return pi_aligned_zalloc(_Alignof(pi_http_spares), sizeof(pi_http_spares));
}

void pi_http_spares_free(pi_http_spares *spares)
{
    for (int i = 0; spares && i < PI_HTTP_PLACES; i++)
        pi_free(spares->places[i].work);
    pi_free(spares);
}

pi_http_work *pi_http_work_new_slow(const pi_http_stamp *stamp)
{
    pi_http_work *work = pi_malloc(sizeof(*work));
    if (work)
        work->stamp = *stamp;
    return work;
}

void pi_http_work_free_slow(pi_http_work *work)
{
    pi_free(work);
}
