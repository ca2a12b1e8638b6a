/* SPDX-License-Identifier: MIT */
/* spawn.c: the public ways to spawn. How a task is made is in sched/spawn.c. */
#include "executor/sched/spawn.h"

int pica_spawn_at(pica_task **out, pica_fn fn, void *arg, const pica_attr *attr, const char *site)
{
    pi_worker *worker = pi_worker_self();
    if (PI_UNLIKELY(!worker))
        return -EPERM;
    return pi_spawn(worker->ex, worker, NULL, out, fn, arg, attr, site);
}

int pica_spawn_copy_at(pica_task **out, pica_fn fn, const void *arg, size_t size, const char *site)
{
    pica_attr attr = PICA_ATTR_INIT;
    attr.copy_size = size;
    /* The copy is what the task gets; the original is only read. */
    return pica_spawn_at(out, fn, (void *)(uintptr_t)arg, &attr, site);
}

int pica_executor_spawn_at(pica_executor *ex, pica_task **out, pica_fn fn, void *arg,
                           const pica_attr *attr, const char *site)
{
    if (!ex)
        return -EINVAL;
    pi_worker *worker = pi_worker_self();
    return pi_spawn(ex, worker && worker->ex == ex ? worker : NULL, NULL, out, fn, arg, attr,
                    site);
}
