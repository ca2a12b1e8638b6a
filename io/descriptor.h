/* SPDX-License-Identifier: MIT */
/* descriptor.h: an open descriptor, and how a task waits until it is ready.
 *
 * pica_stream and pica_listener are this structure under another name. It has two
 * directions, in and out; each is used by one task at a time and has a word that says all:
 *
 *   USED     a task is inside a call in this direction; it keeps the descriptor open
 *   WAITING  that task waits (or is about to); its token stands beside the word
 *   READY    nobody knows that the kernel would say EAGAIN: try the call
 *   FINAL    RDHUP, PRI, HUP or ERR was seen: a short read says nothing any more
 *   CLOSED   no new user
 *   sequence in the bits above; moves with every arming, closing of a waiter and reuse
 *
 * Protocol: all changes are whole-word compare-and-swaps.
 *
 *   (A) enter     not USED, not CLOSED -> USED, READY taken off. Acquire: pairs with (H).
 *                 The call that follows locks the socket, so whoever brings bytes after it
 *                 has looked, and with them an event, sees READY off.
 *   (B) arm       USED, not READY, not CLOSED -> + WAITING, sequence + 1. Release:
 *                 publishes the token, written before.            Pairs with (E), (G).
 *   (C) consume   USED READY -> READY taken off: instead of (B), and the call is tried again.
 *   (D) event, nobody waits   -> + READY. The reactor loads the word after epoll_wait: an
 *                 event whose READY stands already is seen by the call after the next (A).
 *   (E) event, WAITING        -> WAITING taken off; the winner ends the wait PI_WOKEN. It
 *                 read the token before; its CAS proves that the token is of this arming,
 *                 for a later one would have moved the sequence.
 *   (F) take back WAITING -> off; the waiter whose wait timed out or was cancelled. If (E)
 *                 came first, the readiness it brought is put back as READY; if (G) did,
 *                 the sequence has moved and the direction is the waiter's no more.
 *   (G) close     WAITING -> CLOSED, not USED, sequence + 1; wait ended PI_CLOSED.
 *                 otherwise + CLOSED; a user inside a call finds it when it leaves.
 *   (H) leave     USED -> off, READY as the call's outcome says. Release, pairs with (A).
 *   (I) stay      a user that does not leave between its calls (own.h): takes READY off instead of
 *                 (A), or after a call that found nothing; puts it on instead of (H). Relaxed:
 *                 the same user's next call needs no order.
 *   So  no readiness is lost, an event ends at most the wait it was meant for, and the
 *       number is not closed under a system call.
 *   Proof  tests/io/direction_model.c; of its life, descriptor_model.c.
 *
 * Life: a descriptor is open with three shares, one of each direction and one of the
 * closer; pi_descriptor_hold() adds more. A closer gives up its own and those of the
 * directions that nobody is inside of; a user that finds CLOSED on leaving gives up its
 * direction's. Whoever gives up the last closes the number and frees the slot. Slots are
 * type-stable (slots.h): a late event finds another generation, or CLOSED.
 */
#ifndef PI_IO_DESCRIPTOR_H
#define PI_IO_DESCRIPTOR_H

#include "executor/base/atomics.h"
#include "executor/base/lock.h"
#include "executor/sched/wait.h"

#include <pica/base.h>

#define PI_USED ((uint64_t)1)
#define PI_ARMED ((uint64_t)2) /* WAITING in the text above; wait.h has that name */
#define PI_READY ((uint64_t)4)
#define PI_FINAL ((uint64_t)8)
#define PI_SHUT ((uint64_t)16) /* CLOSED in the text above */
#define PI_SEQUENCE ((uint64_t)32)

typedef struct pi_direction {
    uint64_t word;  /* [atomic] see the protocol */
    pi_token token; /* [atomic] of the waiter; written by the user before (B) */
} pi_direction;

/** What a descriptor is. */
enum {
    PI_KIND_TCP = 1u << 0,    /* a short read stands for EAGAIN; see pi_direction_leave() */
    PI_KIND_SOCKET = 1u << 1, /* recv and send; without it read and write */
    PI_KIND_LISTENER = 1u << 2,
    PI_KIND_FOREIGN = 1u << 3, /* the number is not ours: never closed (pica_poll_fd) */
    PI_KIND_SHARED = 1u << 4,  /* adopted: others may hold the same open file, so closing
                                  the number does not end its registration with epoll */
    PI_KIND_NODELAY = 1u << 5  /* a listener whose connections inherit no TCP_NODELAY */
};

/** Bits of life. */
#define PI_LIFE_CLOSED 0x80000000u
#define PI_LIFE_OPEN 3u /* shares of an open descriptor that nobody holds */

struct pi_slots;

typedef struct pi_descriptor {
    /* The line that a read or write touches. */
    pi_direction in, out;
    int32_t fd;          /* [const while open] */
    uint32_t generation; /* [atomic] moves with every reuse; the event's data carries it */
    uint8_t kind;        /* [const while open] */
    uint8_t watched;     /* [atomic] 1: registered with a reactor. Release in watch */
    uint8_t in_streak;   /* [user of in] calls in a row that did not wait; see stream.h */
    uint8_t out_streak;  /* [user of out] */
    uint32_t life;       /* [atomic] PI_LIFE_CLOSED, and shares in the bits below */
    /* The line that opening and closing touch. */
    struct pi_slots *slots; /* [const] */
    uint32_t index;         /* [const] */
    uint32_t next_free;     /* [slots->lock] */
    pi_lock watching;       /* guards the change of watched, epfd */
    int32_t epfd;           /* [watching] of the reactor that watches it */
    uint32_t in_turns;      /* [user of in] its worker's turns, at the end of the last streak */
    uint32_t out_turns;     /* [user of out] */
} __attribute__((aligned(2 * PI_CACHE_LINE))) pi_descriptor;

/** Give a reserved slot (slots.h) its descriptor; from here on handles may be used. */
void pi_descriptor_open(pi_descriptor *d, int fd, unsigned kind);

/** Close: later calls and whoever waits get -EBADF. Twice: abort(). Any thread. */
void pi_descriptor_close(pi_descriptor *d);

/** Keep the descriptor open over a system call that belongs to no direction.
 *  @return 0, then pi_descriptor_drop(d, 1); -EBADF: it is closed */
int pi_descriptor_hold(pi_descriptor *d);
void pi_descriptor_drop(pi_descriptor *d, uint32_t shares);

/** The checks at the entry of a call that may wait.
 *  @return 0; -EINVAL (NULL); -EPERM (a plain thread); -ECANCELED */
int pi_descriptor_check(const pi_descriptor *d);

/** (A). @param try_first  whether to try the call: READY stood
 *  @return 0: the caller uses the direction; -EBUSY; -EBADF */
static inline int pi_direction_enter(pi_direction *dir, bool *try_first)
{
    uint64_t w = pi_load_relaxed(&dir->word);
    do {
        if (PI_UNLIKELY(w & (PI_USED | PI_SHUT)))
            return w & PI_SHUT ? -EBADF : -EBUSY;
    } while (!pi_cas_acquire(&dir->word, &w, (w | PI_USED) & ~PI_READY));
    *try_first = (w & PI_READY) != 0;
    return 0;
}

/** (H). @param ready  whether the next call is to be tried: false only where the kernel has
 *  said EAGAIN, or said it by a short read of a TCP socket. FINAL overrules a false. */
static inline void pi_direction_leave(pi_descriptor *d, pi_direction *dir, bool ready)
{
    uint64_t w = pi_load_relaxed(&dir->word);
    uint64_t next;
    do {
        next = w & ~PI_USED;
        if (ready || w & PI_FINAL)
            next |= PI_READY;
    } while (!pi_cas_release(&dir->word, &w, next));
    if (PI_UNLIKELY(w & PI_SHUT))
        pi_descriptor_drop(d, 1);
}

/** (I) The caller uses the direction. */
static inline bool pi_direction_is_ready(const pi_direction *dir)
{
    return pi_load_relaxed(&dir->word) & PI_READY;
}
static inline void pi_direction_take_ready(pi_direction *dir)
{
    (void)pi_and_relaxed(&dir->word, ~PI_READY);
}
static inline void pi_direction_make_ready(pi_direction *dir)
{
    (void)pi_or_relaxed(&dir->word, PI_READY);
}

/**
 * Wait until the direction is ready; the caller uses it, and the kernel said EAGAIN.
 *
 * @param what  it waits for, to be told to those who ask
 * @return 0: try the call; -ETIMEDOUT: the deadline passed. Both: the caller uses the
 *         direction as before. -ECANCELED, -EBADF: it has been left, touch it no more
 */
int pi_direction_wait(pi_descriptor *d, pi_direction *dir, pi_for what, int64_t deadline_ns);

/** pi_direction_wait() without a deadline, after registering with the reactor of the
 *  caller's worker. Any failure has left the direction. Inline, and its rare half apart,
 *  because each frame of a parked task is a cache line to fetch when its event comes.
 *  @return 0; -ECANCELED, -EBADF; -ENOSYS, -EINVAL (another executor's), -ENOMEM, -ENOSPC */
int pi_direction_register_slow(pi_descriptor *d, pi_direction *dir);
static inline int pi_direction_await(pi_descriptor *d, pi_direction *dir)
{
    if (PI_UNLIKELY(!pi_load_acquire(&d->watched))) {
        int rc = pi_direction_register_slow(d, dir);
        if (rc < 0)
            return rc;
    }
    return pi_direction_wait(d, dir, dir == &d->in ? PI_FOR_INPUT : PI_FOR_OUTPUT, PICA_NEVER);
}

/** Register with the reactor of the caller's worker, unless that was done.
 *  @return 0; -ENOSYS, -EPERM, -EINVAL, -ENOMEM, -ENOSPC, and what epoll_ctl(2) says */
int pi_descriptor_watch(pi_descriptor *d, uint32_t events);

/** Take a registration back, where closing the number would not. */
void pi_descriptor_unwatch(pi_descriptor *d);

/** (D), (E): pass an event on. @return how many waits it ended */
int pi_descriptor_event(pi_descriptor *d, uint32_t generation, uint32_t events);

#endif
