/* SPDX-License-Identifier: MIT */
/* sweep.c: see sweep.h; the letters refer to it.
 *
 * Lock: the serving's, for a bounded number of steps; not over a system call. */
#include "io/http/sweep.h"

#include "executor/base/clock.h"
#include "executor/base/membarrier.h"
#include "io/own.h"

/* A connection that has been silent for so long is closed when draining. One that was active
 * a moment ago has probably its next request on the way: that is answered, and told that it
 * was the last. */
#define QUIET_NS 200000000

/* Connections that are picked together, and looked at for that. */
#define CLAIMS 16
#define STEPS (8 * CLAIMS)

/* A wait that may have to end. Its connection is pinned. */
typedef struct claim {
    pi_http_conn *conn;
    int64_t since;
    uint32_t phase;
    bool overdue;
} claim;

/* What a sweep goes by. */
typedef struct terms {
    const pica_http_server *server;
    int64_t now;
    int64_t grace; /* when who has sent nothing yet has had its time; PICA_NEVER: not draining */
    bool draining;
    bool looks; /* at those who write, whether their clients take something */
} terms;

/* --- The ring ------------------------------------------------------------------------------- */

static void link_before(pi_http_link *at, pi_http_link *link)
{
    link->next = at;
    link->prev = at->prev;
    link->prev->next = at->prev = link;
}

static void unlink(pi_http_link *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
}

void pi_http_sweep_enter(pi_http_conn *c)
{
    pi_http_serving *serving = c->serving;
    pi_lock_acquire(&serving->lock);
    link_before(&serving->conns, &c->link);
    pi_lock_release(&serving->lock);
}

void pi_http_sweep_leave(pi_http_conn *c)
{
    pi_http_serving *serving = c->serving;
    pi_lock_acquire(&serving->lock);
    while (pi_load_relaxed(&c->pinned)) {
        pi_lock_release(&serving->lock);
        for (unsigned rounds = 0; pi_load_relaxed(&c->pinned); rounds++)
            pi_spin_wait(rounds); /* for as long as the sweep fences */
        pi_lock_acquire(&serving->lock);
    }
    unlink(&c->link);
    pi_lock_release(&serving->lock);
}

/* --- The sweep ------------------------------------------------------------------------------ */

static int64_t allowed(const terms *t, uint32_t phase)
{
    switch (phase) {
    case PI_HTTP_IDLE:
        return t->draining && t->server->idle_timeout > QUIET_NS ? QUIET_NS
                                                                 : t->server->idle_timeout;
    case PI_HTTP_BODY:
        return t->server->body_timeout;
    case PI_HTTP_WRITE:
        return t->server->write_timeout;
    case PI_HTTP_LINGER:
        return PI_HTTP_LINGER_NS;
    default:
        return t->server->head_timeout;
    }
}

/* [lock] Has this connection waited long enough, or is it to be looked at? Then pick it. */
static bool pick(pi_http_conn *c, const terms *t, claim *out)
{
    uint32_t phase = pi_load_relaxed(&c->phase); /* lasts() looks again */
    if (phase == PI_HTTP_BUSY)
        return false;
    int64_t since = pi_load_relaxed(&c->since);
    if (since == 0)
        pi_store_release(&c->since, since = t->now); /* (D) */
    int64_t lasted = t->now - since;
    /* Who was accepted late, when the grace was over, has as long from then on. */
    bool overdue = lasted >= allowed(t, phase) ||
                   (phase == PI_HTTP_FRESH && t->now >= t->grace && lasted >= PI_HTTP_GRACE_NS);
    if (!overdue && !(phase == PI_HTTP_WRITE && t->looks))
        return false;
    pi_store_relaxed(&c->pinned, true);
    *out = (claim){.conn = c, .since = since, .phase = phase, .overdue = overdue};
    return true;
}

/* (C) After the fence: does that very wait last? */
static bool lasts(const claim *of)
{
    return pi_load_acquire(&of->conn->phase) == of->phase && /* pairs with (A) */
           pi_load_relaxed(&of->conn->since) == of->since;
}

/* (F) Has the client taken something since the last look? Then the wait has begun anew. */
static bool takes(const claim *of, int64_t now)
{
    if (of->phase != PI_HTTP_WRITE)
        return false;
    int unsent = pi_own_unsent(of->conn->stream);
    if (unsent < 0 || unsent == of->conn->unsent)
        return false;
    of->conn->unsent = unsent;
    if (lasts(of))
        pi_store_release(&of->conn->since, now); /* if it is over by now, the same as (D) */
    return true;
}

/* (C) End those waits that last. */
static void settle(const pi_http_serving *serving, const claim *picked, unsigned n, int64_t now)
{
    claim claims[CLAIMS];
    unsigned claimed = 0;
    for (unsigned i = 0; i < n; i++) {
        if (takes(&picked[i], now) || !picked[i].overdue)
            continue;
        pi_store_relaxed(&picked[i].conn->claimed, picked[i].phase);
        claims[claimed++] = picked[i];
    }
    if (claimed == 0)
        return;
    if (serving->fences)
        pi_fence_seq_cst();
    else
        pi_membarrier();
    for (unsigned i = 0; i < claimed; i++) {
        if (lasts(&claims[i]))
            pi_own_nudge(claims[i].conn->stream);
        else
            pi_store_relaxed(&claims[i].conn->claimed, 0u);
    }
}

/* [lock] Pick some of those behind the cursor. @return how many; *more: there are others */
static unsigned pick_some(pi_http_serving *serving, pi_http_link *cursor, const terms *t,
                          claim *picked, bool *more)
{
    unsigned n = 0;
    for (int steps = 0; n < CLAIMS && steps < STEPS; steps++) {
        pi_http_link *at = cursor->next;
        *more = at != &serving->conns;
        if (!*more)
            break;
        unlink(cursor);
        link_before(at->next, cursor);
        n += pick(PI_HTTP_CONN_OF(at), t, &picked[n]);
    }
    return n;
}

void pi_http_sweep(pi_http_serving *serving)
{
    const pica_http_server *server = serving->server;
    bool draining = pi_load_acquire(&server->draining);
    int64_t now = pi_now();
    terms t = {.server = server,
               .now = now,
               .grace = draining          ? server->grace
                        : serving->ending ? now
                                          : PICA_NEVER,
               .draining = draining || serving->ending,
               .looks = now - serving->looked >= server->tick};
    if (t.looks)
        serving->looked = now;
    claim picked[CLAIMS];
    pi_http_link cursor; /* stands in the ring where the sweep has got to */
    pi_lock_acquire(&serving->lock);
    link_before(serving->conns.next, &cursor);
    for (bool more = true; more;) {
        unsigned n = pick_some(serving, &cursor, &t, picked, &more);
        pi_lock_release(&serving->lock);
        settle(serving, picked, n, now);
        pi_lock_acquire(&serving->lock);
        for (unsigned i = 0; i < n; i++)
            pi_store_relaxed(&picked[i].conn->pinned, false);
    }
    unlink(&cursor);
    pi_lock_release(&serving->lock);
}
