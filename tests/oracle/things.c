/* SPDX-License-Identifier: MIT */
/* things.c: semaphores and sockets of random programs. See oracle.h. */
#include "tests/oracle/oracle.h"

#include <pica/net.h>
#include <sys/socket.h>

/* --- Semaphores ------------------------------------------------------------------------------------------ */

static void close_sem(tested_sem *t)
{
    pi_store_release(&t->begun, 1u);
    pica_sem_close(&t->sem);
    pi_store_release(&t->done, 1u);
}

int sem_act(span *s, check_rng *rng)
{
    enum { TRY, UNTIL, WAIT } how = (unsigned)check_rng_below(rng, 3);
    tested_sem *t = &w.sems[check_rng_below(rng, 2)];
    int64_t n = 1 + (int64_t)check_rng_below(rng, (uint64_t)t->permits), until = soon(rng);
    int64_t scopes = s ? visible_deadline(s) : PICA_NEVER;
    bool closed = pi_load_acquire(&t->done), must = s && must_be_cancelled(s);
    int rc = how == TRY     ? pica_sem_try_acquire_n(&t->sem, n)
             : how == UNTIL ? pica_sem_acquire_n_until(&t->sem, n, until)
                            : pica_sem_acquire_n(&t->sem, n);
    CHECK(how == TRY || !must || rc == -ECANCELED);
    if (t->closes && one_in(rng, 16))
        close_sem(t);
    if (rc == 0) {
        CHECK(!closed);
        CHECK_LE(pi_add_acq_rel(&t->held, n) + n, t->permits);
        rc = s ? pass_time(s, rng) : 0;
        pi_sub_acq_rel(&t->held, n);
        CHECK_EQ(pica_sem_release_n(&t->sem, n), 0);
        return rc;
    }
    if (rc == -ECANCELED && s && how != TRY) {
        saw_cancel(s);
        return rc;
    }
    CHECK(rc == -ESHUTDOWN   ? pi_load_acquire(&t->begun) != 0
          : rc == -ETIMEDOUT ? how == UNTIL && until <= pica_now() && until <= scopes
                             : rc == -EAGAIN && how == TRY && !closed);
    return 0;
}

/* --- Sockets ------------------------------------------------------------------------------------ */

#define BYTES "12345678"

intptr_t tell(node *n, check_rng *rng)
{
    pica_stream *stream;
    CHECK_FATAL_OK(pica_stream_adopt(&stream, n->fd));
    int rc = pass_time(&n->root, rng);
    if (rc == 0) {
        bool must = must_be_cancelled(&n->root);
        rc = waited(&n->root, must, pica_write_all(stream, BYTES, sizeof(BYTES), NULL));
        n->told = rc == 0;
    }
    pica_close(stream);
    return rc;
}

/* All that is told is heard, although the reader may be cancelled. */
int talk(span *s, check_rng *rng)
{
    pica_stream *stream;
    char bytes[sizeof(BYTES)] = "";
    int fds[2];
    node *n = node_new(rng, TELLER, 0, s->node->ex);
    if (!n)
        return 0;
    CHECK_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    CHECK_FATAL_OK(pica_stream_adopt(&stream, fds[0]));
    n->fd = fds[1];
    CHECK_FATAL(node_spawn(rng, s, n));
    bool must = must_be_cancelled(s);
    ssize_t got = pica_read(stream, bytes, sizeof(bytes));
    int rc = waited(s, must, got < 0 ? (int)got : 0);
    if (rc < 0) {
        pica_scope shield;
        pica_shield_begin(&shield, PICA_NEVER);
        got = pica_read(stream, bytes, sizeof(bytes));
        CHECK_EQ(pica_scope_end(&shield, 0), 0);
    }
    int awaited = await_one(s, n);
    CHECK_EQ(got, n->told ? (ssize_t)sizeof(bytes) : 0);
    CHECK(!n->told || strcmp(bytes, BYTES) == 0);
    pica_close(stream);
    pica_unref(n->task);
    return rc < 0 ? rc : awaited;
}
