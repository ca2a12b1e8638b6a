/* SPDX-License-Identifier: MIT */
/* co.c: bare coroutines (pica/co.h). Each is one mapping: a stack with its guard, and the
 * coroutine itself at the top of it.
 *
 *   1. resumer is set exactly while the coroutine runs (or waits for one that it resumed).
 *   2. A coroutine that has returned is never switched to again.
 *   3. No scope that the current task has open lies in frames that are gone.
 */
#include <pica/co.h>

#include "executor/base/assert.h"
#include "executor/coro/stack.h"
#include "executor/coro/switch.h"
#include "executor/sched/worker.h"

struct pica_co {
    pi_context context;
    pi_context back; /* where the resumer stands */
    pica_co_fn fn;
    void *arg;
    intptr_t value; /* travels with the switch, either way */
    pi_stacks stacks;
    char *low; /* lowest usable address of its stack */
    bool running;
    bool done;
};

/* Has the current task, or one that it runs inline for, a scope or group open that lies in the
 * coroutine's frames? Those of other tasks nobody can look at from here. */
static bool holds_a_scope(const pica_co *co)
{
    const pi_worker *worker = pi_worker_self();
    const pica_task *task = worker && worker->fiber ? worker->fiber->current : NULL;
    for (; task; task = task->outer)
        for (const pica_scope *scope = task->scope; scope; scope = scope->outer)
            if ((const char *)scope >= co->low && (const char *)scope < (const char *)co)
                return true;
    return false;
}

static void entry(pi_context *from, pi_context *self)
{
    pica_co *co = (pica_co *)self; /* the context is its first member */
    pi_switch_arrived(self, from);
#ifdef PI_TSAN
    __tsan_acquire(co);
#endif
    co->value = co->fn(co, co->arg);
    pi_require(!holds_a_scope(co), "a coroutine returned inside a scope or group");
    co->done = true;
    pi_switch_ordered(&co->context, &co->back, co);
    __builtin_unreachable();
}

int pica_co_create(pica_co **out, pica_co_fn fn, void *arg, size_t stack_size)
{
    unsigned class = pi_stack_class(stack_size ? stack_size : PI_STACK_DEFAULT);
    if (!out || !fn || class >= PI_STACK_CLASSES || stack_size > PI_STACK_MAX)
        return -EINVAL;
    pi_stacks stacks = {.slab_bytes = 1};
    pi_stack stack;
    int rc = pi_stack_carve(&stacks, class, &stack);
    if (rc < 0)
        return rc;
    char *top = stack.low + stack.size - ((sizeof(pica_co) + 63) & ~(size_t)63);
    pica_co *co = (pica_co *)(void *)top;
    co->fn = fn;
    co->arg = arg;
    co->stacks = stacks;
    co->low = stack.low;
    pi_context_init(&co->context, stack.low, (size_t)(top - stack.low), entry);
    *out = co;
    return 0;
}

int pica_co_resume(pica_co *co, intptr_t in, intptr_t *out)
{
    if (!co)
        return -EINVAL;
    if (co->running)
        return -EDEADLK;
    if (co->done)
        return -EALREADY;
    co->running = true;
    co->value = in;
    pi_switch_ordered(&co->back, &co->context, co);
    co->running = false;
    if (out)
        *out = co->value;
    return !co->done;
}

intptr_t pica_co_yield(pica_co *co, intptr_t value)
{
    char *here = __builtin_frame_address(0);
    pi_require(co && co->running && here < (char *)co && here >= co->low,
               "pica_co_yield() outside the coroutine's function");
    co->value = value;
    pi_switch_ordered(&co->context, &co->back, co);
    return co->value;
}

int pica_co_done(const pica_co *co)
{
    return co->done;
}

pica_co *pica_co_destroy(pica_co *co)
{
    if (!co)
        return NULL;
    pi_require(!co->running, "pica_co_destroy() of a coroutine that is running");
    pi_require(co->done || !holds_a_scope(co),
               "pica_co_destroy() of a coroutine that has a scope or group open");
    pi_context_deinit(&co->context);
    pi_stacks stacks = co->stacks; /* the coroutine lies in what is unmapped now */
    pi_stacks_deinit(&stacks);
    return NULL;
}
