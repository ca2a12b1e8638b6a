/* SPDX-License-Identifier: MIT */
/* awaited.c: see awaited.h. */
#include "executor/sched/awaited.h"

bool pi_awaited_read(const pi_fiber *fiber, uint64_t word, pi_awaited *out)
{
    out->what = (pi_for)pi_load_acquire(&fiber->waits_for);
    out->which = pi_load_acquire(&fiber->waits_which);
    return pi_stands(fiber, word);
}

void pi_awaited_add(pi_line *line, pi_awaited awaited)
{
    unsigned long long which = awaited.which;
    switch (awaited.what) {
    case PI_FOR_UNTOLD:
        break;
    case PI_FOR_TIME:
        pi_line_add(line, " asleep");
        break;
    case PI_FOR_TASK:
        pi_line_add(line, " for task %llu", which);
        break;
    case PI_FOR_SOME_TASKS:
        pi_line_add(line, " for some of %llu tasks", which);
        break;
    case PI_FOR_MEMBERS:
        pi_line_add(line, " for the members of group 0x%llx", which);
        break;
    case PI_FOR_PLACE:
        pi_line_add(line, " for a place in group 0x%llx", which);
        break;
    case PI_FOR_SEMAPHORE:
        pi_line_add(line, " for semaphore 0x%llx", which);
        break;
    case PI_FOR_INPUT:
        pi_line_add(line, " for input of descriptor %llu", which);
        break;
    case PI_FOR_OUTPUT:
        pi_line_add(line, " for output of descriptor %llu", which);
        break;
    case PI_FOR_EITHER:
        pi_line_add(line, " for input or output of descriptor %llu", which);
        break;
    }
}
