/* SPDX-License-Identifier: MIT */
/* trace.h: a consistent look at a parked task, while everything else runs on.
 *
 * A parked task is not held: its fiber, its stack and the tasks that it runs inline are read as
 * they lie there, all of it memory that stays what it is until the executor dies. If the fiber
 * has run meanwhile (awaited.h), what was read is dropped, and read once more.
 *
 * Callers: any thread, as long as the executor lives. */
#ifndef PI_TRACE_H
#define PI_TRACE_H

#include "executor/sched/awaited.h"

#define PI_TRACE_FRAMES 24
#define PI_TRACE_CHAIN 8

typedef struct pi_trace {
    const pi_fiber *fiber; /* what it is parked on */
    pi_awaited awaited;
    uint32_t since_ms;    /* when it parked, coarse */
    uint64_t base_id;     /* of the task whose fiber that is */
    uint64_t runs_inline; /* id of the task that it runs inline, which is what it waits for; or 0 */
    bool is_base;         /* the fiber is its own, not that of a task that runs it inline */
    /* Only of a base: */
    size_t stack_now;                   /* bytes of stack in use */
    size_t chain;                       /* how many tasks run inline on its fiber */
    uint64_t chain_ids[PI_TRACE_CHAIN]; /* the first of them, innermost first */
    size_t frames;                      /* PI_TRACE_FRAMES: perhaps there are more */
    uintptr_t pcs[PI_TRACE_FRAMES];     /* innermost first */
} pi_trace;

/** Look at a task, if it is parked.
 *  @return false: it is not, or would not stay so for long enough */
bool pi_trace_take(pica_task *task, pi_trace *trace);

/** The most bytes of a fiber's stack that were ever used at one time, as far as the pages show:
 *  by this task, and by those that had the stack before it, since it was carved or trimmed.
 *  Pages that were swapped out do not count. @return 0: the kernel would not say */
size_t pi_trace_stack_mark(const pi_fiber *fiber);

/** The bytes of stack that a fiber has at all, pica's reserve included. */
static inline size_t pi_trace_stack_size(const pi_fiber *fiber)
{
    return (size_t)((const char *)fiber - fiber->low);
}

#endif
