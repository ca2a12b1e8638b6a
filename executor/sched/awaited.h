/* SPDX-License-Identifier: MIT */
/* awaited.h: what a parked fiber waits for, read while everything else runs on.
 *
 * A fiber is not held while it is looked at. The wait word says afterwards whether what was read
 * made sense: it is PARKED with the same sequence number before and after only if the fiber has
 * not run in between (wait.h), and then nobody else wrote. As with a seqlock, writers pay
 * nothing. Callers: any thread, as long as the executor lives. */
#ifndef PI_AWAITED_H
#define PI_AWAITED_H

#include "executor/base/line.h"
#include "executor/sched/fiber.h"

typedef struct pi_awaited {
    pi_for what;
    uintptr_t which; /* see pi_for */
} pi_awaited;

/** Begin a look. @return false: the fiber is not parked */
static inline bool pi_stands_begin(const pi_fiber *fiber, uint64_t *word)
{
    *word = pi_load_acquire(&fiber->wait.word);
    return PI_WAIT_STATE(*word) == PI_PARKED;
}

/** Has the fiber stood all the time? Acquire at the beginning: registers and stack, published by
 *  the park's release (wait.h, B). Fence and load here: who resumes it has swapped the word before
 *  it writes, so whoever has read anything of what it wrote finds the word moved on. (For what is
 *  not atomic, as stacks, that holds on CPUs that keep stores in order.)
 *  Proof: "a look" of tests/executor/sched/wait_model.c. */
static inline bool pi_stands(const pi_fiber *fiber, uint64_t word)
{
    pi_fence_seq_cst();
    return pi_load_relaxed(&fiber->wait.word) == word;
}

/** What the wait that `word` belongs to is for. @return false: it is over */
bool pi_awaited_read(const pi_fiber *fiber, uint64_t word, pi_awaited *out);

/** Add " for task 7" and the like to a line; nothing, if that was not told. */
void pi_awaited_add(pi_line *line, pi_awaited awaited);

#endif
