/* SPDX-License-Identifier: MIT */
/* trace.c: see trace.h. */
#include "executor/observe/trace.h"

#include "executor/observe/unwind.h"

#include <sys/mman.h>
#include <unistd.h>

#define ATTEMPTS 4

/* From the innermost task outwards. A link is followed only once it is known to be one, as the
 * fiber still stood when it was read: what has ended is linked by the same member into queues, one
 * of which (the mailbox) points into tasks, not at them.
 * @return false: `self` is not on this fiber, or the fiber stands no more */
static bool look_at_chain(const pi_fiber *fiber, uint64_t word, const pica_task *self,
                          pi_trace *trace)
{
    const pica_task *base = pi_load_relaxed(&fiber->base);
    const pica_task *inner = NULL, *task = pi_load_relaxed(&fiber->current);
    bool found = false;
    trace->is_base = base == self;
    for (trace->chain = 0; pi_stands(fiber, word); trace->chain++) {
        if (task == self) {
            found = true;
            trace->runs_inline = inner ? inner->id : 0;
        }
        if (task == base) {
            trace->base_id = base->id;
            return found;
        }
        if (trace->chain < PI_TRACE_CHAIN)
            trace->chain_ids[trace->chain] = task->id;
        inner = task;
        task = pi_load_relaxed(&task->outer);
    }
    return false;
}

static void look_at_stack(const pi_fiber *fiber, pi_trace *trace)
{
    pi_unwind_from from = {
        .pc = (uintptr_t)pi_load_relaxed(&fiber->context.ip),
        .sp = (uintptr_t)pi_load_relaxed(&fiber->context.sp),
        .fp = (uintptr_t)pi_load_relaxed(&fiber->context.fp),
        .low = (uintptr_t)fiber->low,
        .top = (uintptr_t)fiber,
    };
    trace->stack_now = from.top - from.sp;
    trace->frames = pi_unwind(&from, trace->pcs, PI_TRACE_FRAMES);
}

bool pi_trace_take(pica_task *task, pi_trace *trace)
{
    for (unsigned i = 0; i < ATTEMPTS; i++) {
        uint64_t word;
        const pi_fiber *fiber = trace->fiber = pi_load_acquire(&task->fiber);
        if (!fiber || !pi_stands_begin(fiber, &word))
            return false;
        bool here = look_at_chain(fiber, word, task, trace);
        trace->since_ms = pi_load_relaxed(&fiber->since_ms);
        if (here && trace->is_base)
            look_at_stack(fiber, trace);
        if (pi_awaited_read(fiber, word, &trace->awaited))
            return here; /* else it has ended since its fiber was read */
    }
    return false;
}

/* ---- the stack's high-water mark ---- */

#define CHUNK 512 /* pages that one system call is asked about */

/* The lowest page of [low, low + length) that is in memory. @return NULL: none is, or the kernel
 * would not say */
static const char *lowest_resident(const char *low, size_t length, size_t page)
{
    unsigned char resident[CHUNK];
    for (size_t done = 0; done < length; done += CHUNK * page) {
        size_t n = length - done < CHUNK * page ? length - done : CHUNK * page;
        if (mincore((void *)(uintptr_t)(low + done), n, resident) != 0)
            return NULL;
        for (size_t i = 0; i < (n + page - 1) / page; i++)
            if (resident[i] & 1)
                return low + done + i * page;
    }
    return NULL;
}

/* Fresh pages are zero, so the lowest byte that is not is about where the stack ended. */
#if defined(PI_ASAN)
__attribute__((no_sanitize("address")))
#endif
static const char *
lowest_used(const char *at, const char *end)
{
    while (at < end && *(const volatile uintptr_t *)(const volatile void *)at == 0)
        at += sizeof(uintptr_t);
    return at;
}

size_t pi_trace_stack_mark(const pi_fiber *fiber)
{
    long told = sysconf(_SC_PAGESIZE);
    if (told <= 0)
        return 0;
    size_t page = (size_t)told;
    const char *low = fiber->low, *end = (const char *)fiber;
    const char *resident = lowest_resident(low, (size_t)(end - low), page);
    if (!resident)
        return 0;
    /* The page that the fiber itself lies in is always there. */
    size_t in_page = (size_t)(end - resident) < page ? (size_t)(end - resident) : page;
    return (size_t)(end - lowest_used(resident, resident + in_page));
}
