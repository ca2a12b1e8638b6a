/* SPDX-License-Identifier: MIT */
/* spawn.c: the public ways to spawn. How a task is made is in sched/spawn.h. */
#include "executor/sched/spawn.h"

static __attribute__((noinline)) int spawn_slow(pica_task **out, pica_fn fn, void *arg,
                                                const pica_attr *attr, const char *site)
{
    pi_worker *worker = pi_worker_self();
    return worker ? pi_spawn(worker->ex, worker, NULL, NULL, out, fn, arg, attr, site) : -EPERM;
}

int pica_spawn_at(pica_task **out, pica_fn fn, void *arg, const pica_attr *attr, const char *site)
{
    pi_worker *worker = pi_worker_self();
    if (PI_UNLIKELY(attr != NULL) || !pi_spawn_fast(worker, NULL, NULL, out, fn, arg, 0, site))
        return spawn_slow(out, fn, arg, attr, site);
    return pi_spawn_done(worker);
}

static __attribute__((noinline)) int spawn_copy_slow(pica_task **out, pica_fn fn, const void *arg,
                                                     size_t size, const char *site)
{
    pica_attr attr = PICA_ATTR_INIT;
    attr.copy_size = size;
    if (!arg || size == 0)
        return -EINVAL;
    /* The copy is what the task gets; the original is only read. */
    return spawn_slow(out, fn, (void *)(uintptr_t)arg, &attr, site);
}

int pica_spawn_copy_at(pica_task **out, pica_fn fn, const void *arg, size_t size, const char *site)
{
    pi_worker *worker = pi_worker_self();
    if (PI_UNLIKELY(!arg || size == 0 || size > PICA_COPY_MAX) ||
        !pi_spawn_fast(worker, NULL, NULL, out, fn, arg, size, site))
        return spawn_copy_slow(out, fn, arg, size, site);
    return pi_spawn_done(worker);
}

int pica_executor_spawn_at(pica_executor *ex, pica_task **out, pica_fn fn, void *arg,
                           const pica_attr *attr, const char *site)
{
    if (!ex)
        return -EINVAL;
    pi_worker *worker = pi_worker_self();
    return pi_spawn(ex, worker && worker->ex == ex ? worker : NULL, NULL, NULL, out, fn, arg, attr,
                    site);
}
