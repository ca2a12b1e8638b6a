/* SPDX-License-Identifier: MIT */
/* wait.h: the one way to sleep. Every suspension of a task or block of a plain thread goes
 * through here, and exactly one of wake, deadline, cancel and close ends it.
 *
 * Who waits does this:
 *
 *     pi_waiter me;
 *     pi_wait_begin(&me);                     // from here on wakers may win
 *     lock(object); link &me (or copy its token) into the object; unlock(object);
 *     int how = pi_wait_park(&me, deadline);  // sleeps, unless somebody won already
 *     if (how != PI_WOKEN)                    // timeout or cancel: still linked
 *         lock(object); unlink; unlock(object);
 *
 * Who wakes reads the waiter's token and calls pi_wait_end(token, PI_WOKEN): true means
 * that it won and the waiter will see PI_WOKEN; false means that the wait has ended
 * otherwise, or long ago: what was meant for it goes to the next in line. A token may be
 * kept too long: wait words live in type-stable memory and carry a sequence number, so a
 * late pi_wait_end() fails. (A plain thread's word lives on its stack: a token of one may
 * only be used under a lock of the object that the thread takes before it returns.)
 *
 * Protocol: the wait word {sequence:40, floor:16, state:8} of a fiber (or thread).
 *
 *   IDLE     not waiting; the fiber runs
 *   WAITING  begun: wakers may win, the fiber still runs
 *   PARKED   registers saved; who wins queues the fiber
 *   WOKEN TIMEOUT CANCEL CLOSED   somebody won
 *
 *   (A) IDLE -> WAITING          the waiter, a store; sequence + 1, state published before
 *   (B) WAITING -> PARKED        the worker, once it is off the fiber's stack. Release:
 *                                publishes the registers. Pairs with (D).
 *   (C) WAITING -> won           anybody; (B) then fails and the worker resumes the fiber
 *   (D) PARKED -> won            anybody; acquire; the winner queues the fiber
 *   (E) won -> IDLE              the waiter, a store
 *   Canceller: sets the scope's flag, fences, reads the word.        } one of the two
 *   Waiter:    (A), fences, reads the flags of its scopes, (B).      } sees the other
 *              The fence is the read-modify-write by which it makes itself known to its waker
 *              (a lock, a swap); one that waits for time alone has to fence itself.
 *   Floor:  the level of the outermost scope that can cancel this wait; a canceller of a
 *           scope further out (behind a shield) leaves the wait alone.
 *   So      a wait ends once, and no wake is lost.
 *   Proof   tests/executor/sched/wait_model.c; of cancels, scope_model.c.
 */
#ifndef PI_WAIT_H
#define PI_WAIT_H

#include <stdbool.h>
#include <stdint.h>

typedef struct pi_fiber pi_fiber;

typedef enum pi_how {
    PI_WAIT_IDLE = 0,
    PI_WAITING = 1,
    PI_PARKED = 2,
    PI_WOKEN = 3,
    PI_TIMEOUT = 4,
    PI_CANCEL = 5,
    PI_CLOSED = 6
} pi_how;

/** A wait word with what its winner needs to queue the waiter. In a fiber (type-stable) or
 *  on a plain thread's stack. */
typedef struct pi_wait {
    uint64_t word;   /* [atomic] see the protocol */
    pi_fiber *fiber; /* [const] NULL: a plain thread, which sleeps on the word itself */
} pi_wait;

/** Names one wait: which word, and what it holds while the wait lasts. Copy it freely. */
typedef struct pi_token {
    pi_wait *wait;
    uint64_t word; /* sequence and floor, state WAITING */
} pi_token;

/** The parts of a wait word. */
#define PI_WAIT_STATE_BITS 8
#define PI_WAIT_FLOOR_BITS 16
#define PI_WAIT_STATE(word) ((pi_how)((word)&0xffu))
static inline uint64_t pi_wait_as(uint64_t word, pi_how state)
{
    return (word & ~(uint64_t)0xff) | (uint64_t)state;
}
static inline uint16_t pi_wait_floor(uint64_t word)
{
    return (uint16_t)(word >> PI_WAIT_STATE_BITS);
}
/** The word of the next wait after this one. */
static inline uint64_t pi_wait_next(uint64_t word, uint16_t floor)
{
    unsigned shift = PI_WAIT_STATE_BITS + PI_WAIT_FLOOR_BITS;
    return ((word >> shift) + 1) << shift | (uint64_t)floor << PI_WAIT_STATE_BITS | PI_WAITING;
}
/** The floor of a wait that no scope ends. */
#define PI_WAIT_SHIELDED UINT16_MAX

/** One wait of the caller; the node that objects link. */
typedef struct pi_waiter {
    pi_token token;
    struct pi_waiter *next, *prev; /* [object's lock] */
    void *data;                    /* the object's, e.g. what to hand over */
    pi_wait thread;                /* the word of a plain thread */
} pi_waiter;

/**
 * Is the caller cancelled? The check on entry of every suspension point.
 * @return 0 or -ECANCELED; 0 on a plain thread
 */
int pi_wait_check(void);

/** The same, but -EPERM on a plain thread. */
int pi_wait_check_worker(void);

/** The caller's fiber is cancelled: what to return. From the 65th time on it yields first. */
int pi_wait_refuse(pi_fiber *fiber);

/** What a task waits for, with a number that says which; for the dump and the exit audit. */
typedef enum pi_for {
    PI_FOR_UNTOLD = 0,
    PI_FOR_TIME,       /* nothing else; no number */
    PI_FOR_TASK,       /* its id */
    PI_FOR_SOME_TASKS, /* how many; one of them may be enough */
    PI_FOR_MEMBERS,    /* of a group; its address */
    PI_FOR_PLACE,      /* among those members that may run; the group's address */
    PI_FOR_SEMAPHORE,  /* its address */
    PI_FOR_INPUT,      /* a descriptor */
    PI_FOR_OUTPUT,     /* a descriptor */
    PI_FOR_EITHER      /* input or output; a descriptor */
} pi_for;

/** Begin a wait. Then pi_wait_park() or pi_wait_abandon(). Any task or plain thread. */
void pi_wait_begin_for(pi_waiter *me, pi_for what, uintptr_t which);

/** Begin a wait that cancels and scopes do not end (for structured waits, which see to the
 *  cancel themselves). */
void pi_wait_begin_shielded_for(pi_waiter *me, pi_for what, uintptr_t which);

static inline void pi_wait_begin(pi_waiter *me)
{
    pi_wait_begin_for(me, PI_FOR_UNTOLD, 0);
}
static inline void pi_wait_begin_shielded(pi_waiter *me)
{
    pi_wait_begin_shielded_for(me, PI_FOR_UNTOLD, 0);
}

/** End a wait that was begun and turned out to be needless. A waker may have won already.
 *  @return true: nobody had won, nobody will; false: somebody had (what it handed over is
 *  the caller's) */
bool pi_wait_abandon(pi_waiter *me);

/**
 * Sleep until the wait ends. Between pi_wait_begin() and this lies a read-modify-write, or a
 * fence: see the protocol.
 *
 * @param deadline_ns  PICA_NEVER, or when to give up
 * @return PI_WOKEN or PI_CLOSED, as the waker said; PI_TIMEOUT: deadline_ns passed;
 *         PI_CANCEL: a scope of the caller was cancelled or expired
 */
pi_how pi_wait_park(pi_waiter *me, int64_t deadline_ns);

/**
 * End somebody's wait and queue the task (or wake the thread).
 *
 * @param how  PI_WOKEN or PI_CLOSED; inside sched/ also PI_TIMEOUT, PI_CANCEL
 * @return true if this call ended the wait
 * Where: any thread. Never suspends.
 */
bool pi_wait_end(pi_token token, pi_how how);

/** Who has to be set going after its wait was won: a parked fiber, a sleeping thread, or, all
 *  zero, nobody (it runs and will see). */
typedef struct pi_won {
    pi_fiber *fiber;
    uint32_t *futex;
} pi_won;

/** pi_wait_end() in two steps, for wakers that hold a lock: win under it, go after it. Setting
 *  going may take a system call, and who wakes up would meet the lock.
 *  @param won  set if this call won */
bool pi_wait_win(pi_token token, pi_how how, pi_won *won);
void pi_wait_go(pi_won won);

/**
 * Ask for what the task that this worker runs next will touch first. For a task that has been
 * waiting and is about to do what displaces the nearest cache, a system call above all: it was
 * most likely one of many that became ready at once, and theirs was asked for too long ago.
 */
void pi_wait_prefetch_next(void);

/** pi_wait_win() for wakers of several: winners.h. */
typedef struct pi_winners pi_winners;

/** (B), by the worker's loop. @return false: somebody has won already, queue the fiber */
bool pi_wait_commit(pi_wait *wait);

#endif
