/* SPDX-License-Identifier: MIT */
/* winners.h: those whose waits were won under a lock and who are set going after the unlock, in
 * the order in which they were won (see pi_wait_win()). Parked fibers are chained by a link of
 * their own, so any number of them needs no memory; of plain threads there is room for one, and
 * the next one sets it going under the lock.
 *
 *     pi_winners winners = PI_WINNERS_NONE;
 *     lock(object);
 *     for (each waiter that is due) unlink it; pi_winners_win(&winners, its token, PI_WOKEN);
 *     unlock(object);
 *     pi_winners_go(winners);
 */
#ifndef PI_WINNERS_H
#define PI_WINNERS_H

#include "executor/sched/fiber.h"

struct pi_winners {
    pi_fiber *first, *last;
    pi_won thread;
};

#define PI_WINNERS_NONE ((pi_winners){NULL, NULL, {NULL, NULL}})

/** [lock] pi_wait_end(), but for setting it going. The waiter may be gone after it. */
static inline bool pi_winners_win(pi_winners *winners, pi_token token, pi_how how)
{
    pi_won won;
    if (!pi_wait_win(token, how, &won))
        return false;
    if (won.fiber) {
        if (winners->first)
            winners->last->next = won.fiber; /* nobody else's until it is queued: it is parked */
        else
            winners->first = won.fiber;
        winners->last = won.fiber;
    } else if (won.futex) {
        if (winners->thread.futex)
            pi_wait_go(winners->thread);
        winners->thread = won;
    }
    return true;
}

static inline void pi_winners_go(pi_winners winners)
{
    if (winners.thread.futex)
        pi_wait_go(winners.thread);
    for (pi_fiber *fiber = winners.first, *next; fiber; fiber = next) {
        next = fiber == winners.last ? NULL : fiber->next;
        pi_wait_go((pi_won){.fiber = fiber});
    }
}

#endif
