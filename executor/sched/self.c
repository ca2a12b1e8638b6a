/* SPDX-License-Identifier: MIT */
/* self.c: which worker runs here. See pi_worker_self() in worker.h for how it is read. */
#include "executor/sched/executor.h"

/* The only thread-local of the library (rule 7 in docs/architecture.md). Static TLS: one word. */
extern __thread pi_worker *pi_worker_current;
__thread pi_worker *pi_worker_current
    __attribute__((tls_model("initial-exec"), visibility("hidden"), PI_NAMED_BY_ASM));

#if !defined(__x86_64__)
__attribute__((noinline)) pi_worker *pi_worker_self(void)
{
    pi_worker *worker = pi_worker_current;
    __asm__ __volatile__("" : "+r"(worker)); /* not pure: never merged with another call */
    return worker;
}
#endif

__attribute__((noinline)) void pi_worker_set_self(pi_worker *worker)
{
    pi_worker_current = worker;
    __asm__ __volatile__("" ::: "memory");
}

pica_task *pi_task_self(void)
{
    pi_worker *worker = pi_worker_self();
    return worker && worker->fiber ? worker->fiber->current : NULL;
}

pi_fiber *pi_hook_begin(void)
{
    pi_worker *worker = pi_worker_self();
    pi_fiber *fiber = worker ? worker->fiber : NULL;
    if (fiber) {
        worker->beneath = fiber;
        worker->fiber = NULL;
    }
    return fiber;
}

void pi_hook_end(pi_fiber *fiber)
{
    if (!fiber)
        return;
    pi_worker *worker = pi_worker_self();
    worker->fiber = fiber;
    worker->beneath = NULL;
}

pi_driver *pi_driver_self(void)
{
    pi_worker *worker = pi_worker_self();
    return worker ? worker->driver : NULL;
}

void *pi_driver_shared_self(void)
{
    pi_worker *worker = pi_worker_self();
    return worker ? worker->ex->driver_shared : NULL;
}

const pi_driver_ops *pi_driver_ops_self(void)
{
    pi_worker *worker = pi_worker_self();
    return worker ? worker->ex->driver : NULL;
}
