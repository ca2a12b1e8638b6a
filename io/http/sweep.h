/* SPDX-License-Identifier: MIT */
/* sweep.h: what a connection waits for, and who ends a wait that has lasted too long
 * (docs/decisions/http-waits.md says why so).
 *
 * The connection's task says in `phase` what it waits for. The sweep, which its server's task
 * does several times a second, notes in `since` when it first sees a wait, and ends one whose
 * time is up: it nudges the task, which reads or writes once more. If that is in vain, the wait has
 * failed; what comes at that moment has come in time (a request then is the connection's last one).
 * That costs a request a few plain stores and no look at the clock, where an armed timer would
 * cost many times as much; and idle connections are ended by the same means when draining.
 *
 *   1. The socket is its task's alone. So what has come is read, and nothing that the kernel
 *      refuses keeps a wait from ending.
 *   2. A connection is in its serving's ring, and not freed, while a sweep may touch it.
 *
 * Callers: the connection's task; pi_http_sweep() the serving's own, once at a time.
 */
#ifndef PI_HTTP_SWEEP_H
#define PI_HTTP_SWEEP_H

#include "io/http/conn.h"

/* Protocol
 *
 *   phase   FRESH  no byte has arrived yet            -read->  BUSY
 *           IDLE   waits for another request          -read->  BUSY
 *           HEAD   has a part of a head               -read->  BUSY
 *           BUSY   parses, or runs the handler; the sweep keeps its hands off
 *           BODY   waits for more of a body           -read->  BUSY
 *           WRITE  waits until the client takes bytes -done->  BUSY
 *           LINGER has answered, waits for the client's end
 *
 *   (A) wait     BUSY -> a waiting phase: its task, release. For a time of its own since = 0 and
 *                claimed = 0 before; or in the time of the wait before, whose claim then stands.
 *   (B) leave    a waiting phase -> BUSY, fence, read `claimed`: its task.   } one of the two
 *   (C) claim    claimed = phase, fence, look whether that wait still lasts: } sees the other
 *                the sweep, where the wait's time is up. It does: nudge. It does not: claimed = 0.
 *                For that phase alone: FRESH and the HEAD that follows share a time, but in the end
 *                FRESH is allowed less of it.
 *   (D) since    0 -> now: the sweep, release. In between the task may have gone on to another
 *                wait: that one then seems to have begun a moment before it did.
 *   (E) look     after a call that was in vain, and before a wait in the time of the last one:
 *                fence, read `since`, acquire, then `claimed`. Either the claim is seen here, or
 *                the nudge (C) comes after that call and has it repeated. Where `since` is 0 there
 *                is none: one for the time before may be there, and is taken back before (D).
 *   (F) takes    a WRITE wait begins anew when its client has taken something: the sweep looks once
 *                in a tick, and before (C). The kernel itself ends the wait only where a third of
 *                the socket's buffer is free, which takes a slow client longer than it may pause.
 *   Fences       The task's is one for the compiler alone, where the process can membarrier:
 *                then the sweep fences for both, once for all that it has claimed. Elsewhere
 *                (`fences`) each has its own.
 *   Life         The sweep pins a connection under the serving's lock, with (C); its task unlinks
 *                it under that lock once it is not pinned, and only then closes and frees it.
 *   Proof        tests/io/http/sweep_model.c
 */
typedef enum pi_http_phase {
    PI_HTTP_BUSY = 0,
    PI_HTTP_FRESH,
    PI_HTTP_IDLE,
    PI_HTTP_HEAD,
    PI_HTTP_BODY,
    PI_HTTP_WRITE,
    PI_HTTP_LINGER
} pi_http_phase;

/** How long a connection that has not sent its first request has for it while its server drains. */
#define PI_HTTP_GRACE_NS 1000000000

/** How long an answered client may go on sending, so that it can read the answer. */
#define PI_HTTP_LINGER_NS 1000000000

/** The time of what is waited for from now on begins. */
static inline void pi_http_begin_time(pi_http_conn *c)
{
    pi_store_relaxed(&c->since, (int64_t)0); /* this and the next published by the phase */
    pi_store_relaxed(&c->claimed, 0u);
}

/** (A): in the time that has begun, as later waits of several that have one together. Look whether
 *  that is over. */
static inline void pi_http_wait_on(pi_http_conn *c, pi_http_phase phase)
{
    pi_store_release(&c->phase, (uint32_t)phase);
}

/** (A): say what the connection waits for, from now on. */
static inline void pi_http_wait(pi_http_conn *c, pi_http_phase phase)
{
    pi_http_begin_time(c);
    pi_http_wait_on(c, phase);
}

/** (E). @return whether the time of a wait in that phase is up */
static inline bool pi_http_time_is_over(const pi_http_conn *c, uint32_t phase)
{
    if (PI_UNLIKELY(c->fences))
        pi_fence_seq_cst();
    else
        pi_fence_compiler();
    return PI_UNLIKELY(pi_load_relaxed(&c->claimed) == phase) && pi_load_acquire(&c->since) != 0 &&
           pi_load_relaxed(&c->claimed) == phase;
}

/** (E), of the wait that lasts. */
static inline bool pi_http_wait_is_over(const pi_http_conn *c)
{
    return pi_http_time_is_over(c, pi_load_relaxed(&c->phase));
}

/** (B). @return whether the time was up */
static inline bool pi_http_leave_wait(pi_http_conn *c)
{
    uint32_t phase = pi_load_relaxed(&c->phase);
    pi_store_relaxed(&c->phase, (uint32_t)PI_HTTP_BUSY);
    return pi_http_time_is_over(c, phase);
}

/** Into its serving's ring: the sweep may see it from now on. */
void pi_http_sweep_enter(pi_http_conn *c);

/** Out of the ring, once no sweep touches it. Spins while one ends its wait. */
void pi_http_sweep_leave(pi_http_conn *c);

/** Look through all connections: end the waits whose time is up; while draining also those for a
 *  request that they have no right to any more. */
void pi_http_sweep(pi_http_serving *serving);

#endif
