/* SPDX-License-Identifier: MIT */
/* wait.c: see wait.h. The letters refer to the protocol there. */
#include "executor/sched/wait.h"

#include "executor/base/assert.h"
#include "executor/base/clock.h"
#include "executor/base/futex.h"
#include "executor/sched/check.h"
#include "executor/sched/fiber.h"
#include "executor/sched/ignored.h"
#include "executor/sched/scope.h"
#include "executor/sched/worker.h"

#include <errno.h>

/* So many calls in a row may a cancelled task have refused before each of them also lets the
 * others run: a loop that ignores its return codes must not starve them. */
#define PATIENCE 64

/* ---- the word ---- */

/* Win a wait that is begun (C) or parked (D). @return the state it was in, IDLE: lost */
static inline pi_how win(pi_wait *wait, uint64_t waiting, pi_how how)
{
    uint64_t parked = pi_wait_as(waiting, PI_PARKED);
    uint64_t won = pi_wait_as(waiting, how);
    uint64_t seen = pi_load_relaxed(&wait->word);
    for (;;) {
        if (seen != waiting && seen != parked)
            return PI_WAIT_IDLE;
        uint64_t expected = seen;
        if (pi_cas_acq_rel(&wait->word, &expected, won))
            return PI_WAIT_STATE(seen);
        seen = expected; /* WAITING became PARKED, or somebody won */
    }
}

bool pi_wait_commit(pi_wait *wait)
{
    uint64_t word = pi_load_relaxed(&wait->word);
    return PI_WAIT_STATE(word) == PI_WAITING &&
           pi_cas_acq_rel(&wait->word, &word, pi_wait_as(word, PI_PARKED)); /* (B) */
}

static uint32_t *futex_of(pi_wait *wait)
{
    /* The half that holds the state: the low one. */
    return (uint32_t *)(void *)&wait->word + (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__);
}

/* So many lines take the frames that a fiber parked with, if these are few. */
#define FRAMES 6

/* The fiber is going to run, and with many of them parked its memory is cold: ask for what it
 * touches first, the rest of itself and the frames of the call that parked. */
static inline void prefetch(const pi_fiber *fiber, uintptr_t frames)
{
    __builtin_prefetch((const char *)fiber + PI_CACHE_LINE, 1);
    for (uintptr_t line = 0; line < FRAMES; line++)
        __builtin_prefetch((const void *)(frames + line * PI_CACHE_LINE), 1);
}

void pi_wait_prefetch_next(void)
{
#ifndef PI_TSAN /* which knows no hints. The task may be somebody else's by now, even another one */
    int64_t oldest = 0;
    const pi_node *node = pi_deque_peek(&pi_worker_self()->deque, &oldest);
    const pica_task *task = (const pica_task *)(const void *)node;
    const pi_fiber *fiber = task ? pi_load_relaxed(&task->fiber) : NULL;
    if (!fiber)
        return;
    prefetch(fiber, (uintptr_t)fiber - FRAMES * PI_CACHE_LINE); /* its context is not for others */
    uintptr_t given = (uintptr_t)pi_load_relaxed(&task->arg);   /* whatever that is */
    __builtin_prefetch(fiber, 1);
    __builtin_prefetch((const char *)task + PI_CACHE_LINE);
    __builtin_prefetch((const void *)given);
    __builtin_prefetch((const void *)(given + PI_CACHE_LINE));
#endif
}

bool pi_wait_win(pi_token token, pi_how how, pi_won *won)
{
    pi_fiber *fiber = token.wait->fiber; /* before the swap: then a thread's may be gone */
    pi_how was = win(token.wait, token.word, how);
    if (was == PI_WAIT_IDLE)
        return false;
    *won = (pi_won){was == PI_PARKED ? fiber : NULL, fiber ? NULL : futex_of(token.wait)};
    return true;
}

void pi_wait_go(pi_won won)
{
    if (won.fiber) {
        prefetch(won.fiber, (uintptr_t)won.fiber->context.sp);
        pi_worker_ready(won.fiber->base); /* read after the swap: it may be bound anew before */
    } else if (won.futex) {
        pi_futex_wake(won.futex, 1); /* an address, not a look */
    }
}

bool pi_wait_end(pi_token token, pi_how how)
{
    pi_won won;
    if (!pi_wait_win(token, how, &won))
        return false;
    pi_wait_go(won);
    return true;
}

/* ---- the waiter ---- */

static inline pi_fiber *fiber_here(void)
{
    pi_worker *worker = pi_worker_self();
    return worker ? worker->fiber : NULL;
}

int pi_wait_check(void)
{
    pi_fiber *fiber = fiber_here();
    return fiber && pi_scopes_cancelled(fiber) ? pi_wait_refuse(fiber) : 0;
}

int pi_wait_check_worker(void)
{
    return pi_check_worker();
}

int pi_wait_refuse(pi_fiber *fiber)
{
    pi_ignored_note(fiber);
    if (PI_UNLIKELY(++fiber->refused > PATIENCE))
        pi_worker_suspend(pi_worker_self(), fiber, PI_AFTER_YIELD);
    return -ECANCELED;
}

static inline void begin(pi_waiter *me, bool shielded, pi_for what, uintptr_t which)
{
    pi_fiber *fiber = fiber_here();
    pi_wait *wait = fiber ? &fiber->wait : &me->thread;
    uint16_t floor = shielded ? PI_WAIT_SHIELDED : fiber ? fiber->floor : 0;
    if (fiber) {
        pi_store_release(&fiber->waits_for, (uint8_t)what); /* partner: pi_awaited_read() */
        pi_store_release(&fiber->waits_which, which);
    } else {
        *wait = (pi_wait){0};
    }
    uint64_t word = pi_wait_next(pi_load_relaxed(&wait->word), floor);
    me->token = (pi_token){wait, word};
    pi_store_release(&wait->word, word); /* (A) */
}

void pi_wait_begin_for(pi_waiter *me, pi_for what, uintptr_t which)
{
    begin(me, false, what, which);
}

void pi_wait_begin_shielded_for(pi_waiter *me, pi_for what, uintptr_t which)
{
    begin(me, true, what, which);
}

bool pi_wait_abandon(pi_waiter *me)
{
    pi_wait *wait = me->token.wait;
    uint64_t expected = me->token.word;
    if (pi_cas_acq_rel(&wait->word, &expected, pi_wait_as(expected, PI_WAIT_IDLE)))
        return true;
    pi_how won = PI_WAIT_STATE(expected);
    pi_store_relaxed(&wait->word, pi_wait_as(expected, PI_WAIT_IDLE)); /* (E) */
    /* A cancel that won has handed nothing over; it stays pending in its scope. */
    return won == PI_CANCEL || won == PI_TIMEOUT;
}

static pi_how thread_park(pi_wait *wait, int64_t deadline_ns)
{
    uint64_t word;
    pi_require(!pi_worker_self(), "a hook or on_drop has to wait: it would block a worker");
    while (PI_WAIT_STATE(word = pi_load_acquire(&wait->word)) == PI_WAITING) {
        if (deadline_ns != PICA_NEVER && pi_now() >= deadline_ns)
            (void)win(wait, word, PI_TIMEOUT);
        else
            (void)pi_futex_wait(futex_of(wait), (uint32_t)word, deadline_ns);
    }
    return PI_WAIT_STATE(word);
}

/* The part of a park that only a wait with a scope to look at, or a deadline, needs.
 * @return true: a timer was armed; *by_scope says for whom */
static bool arm(pi_fiber *fiber, pi_token token, int64_t deadline_ns, bool *by_scope)
{
    pi_wait *wait = &fiber->wait;
    *by_scope = false;
    if (pi_wait_floor(token.word) != PI_WAIT_SHIELDED) {
        if (pi_scopes_cancelled(fiber)) {
            (void)win(wait, token.word, PI_CANCEL);
            return false;
        }
        int64_t scopes = fiber->deadlines ? pi_scopes_deadline(fiber) : PICA_NEVER;
        if (scopes < deadline_ns) {
            deadline_ns = scopes;
            *by_scope = true;
        }
    }
    if (deadline_ns == PICA_NEVER || PI_WAIT_STATE(pi_load_relaxed(&wait->word)) != PI_WAITING)
        return false;
    pi_timer_arm(&pi_worker_self()->timers, &fiber->timer, token, deadline_ns);
    return true;
}

static inline void sleep_until_won(pi_fiber *fiber)
{
    if (PI_WAIT_STATE(pi_load_acquire(&fiber->wait.word)) != PI_WAITING)
        return;
    pi_worker *worker = pi_worker_self();
    pi_store_relaxed(&fiber->since_ms, worker->now_ms);
    pi_worker_suspend(worker, fiber, PI_AFTER_PARK);
}

/* @param by_scope  the timer was armed for a scope's deadline. @return as pi_wait_park() */
static inline pi_how end_park(pi_fiber *fiber, bool by_scope)
{
    uint64_t word = pi_load_acquire(&fiber->wait.word); /* what the winner wrote before (D) */
    pi_how how = PI_WAIT_STATE(word);
    pi_store_relaxed(&fiber->wait.word, pi_wait_as(word, PI_WAIT_IDLE)); /* (E) */
    if (PI_LIKELY(how == PI_WOKEN || how == PI_CLOSED))
        return how;
    /* The walk marks the scope that expired, and delivers what was found further out. */
    if (how == PI_CANCEL || by_scope)
        (void)pi_scopes_cancelled_slow(fiber);
    return by_scope ? PI_CANCEL : how;
}

static __attribute__((noinline)) pi_how park_slow(pi_waiter *me, int64_t deadline_ns)
{
    pi_fiber *fiber = me->token.wait->fiber;
    bool by_scope;
    if (!fiber)
        return thread_park(me->token.wait, deadline_ns);
    bool armed = arm(fiber, me->token, deadline_ns, &by_scope);
    sleep_until_won(fiber);
    if (armed)
        pi_timer_disarm(&fiber->timer);
    return end_park(fiber, by_scope);
}

/* Without a scope to look at, and a deadline, a wait needs a small frame only, and each line that
 * the frames of a parked task take is one to fetch when it wakes up. */
pi_how pi_wait_park(pi_waiter *me, int64_t deadline_ns)
{
    pi_fiber *fiber = me->token.wait->fiber;
    pi_fence_after_rmw(); /* word before flags; partner: pi_scope_interrupt() */
    if (PI_UNLIKELY(!fiber || deadline_ns != PICA_NEVER) || !pi_scopes_quiet(fiber))
        return park_slow(me, deadline_ns);
    sleep_until_won(fiber);
    return end_park(fiber, false);
}
