/* SPDX-License-Identifier: MIT */
/* load.h: a bit of everything at once, for the tests of this folder: clients of an echo server,
 * sleepers, tasks that share a semaphore's permits. Checks that every byte comes back in its
 * order, that no sleep is too short, that permits are kept and that nothing fails. */
#ifndef PICA_TESTS_EXTREMES_LOAD_H
#define PICA_TESTS_EXTREMES_LOAD_H

#include "executor/base/atomics.h"
#include "tests/check.h"

#include <pica/group.h>
#include <pica/net.h>
#include <pica/sem.h>
#include <pica/task.h>

#define LOAD_CLIENTS 16
#define LOAD_SLEEPERS 16
#define LOAD_SHARERS 16
#define LOAD_PERMITS 3

typedef struct load {
    uint64_t rounds; /* of each task */
    pica_listener *listener;
    pica_addr at;
    pica_group servers;
    pica_sem permits;
    int32_t inside; /* [atomic] */
} load;

static inline char load_byte(uint64_t i)
{
    return (char)(i * 31 + (i >> 8) * 7);
}

static inline intptr_t load_serve(void *stream)
{
    char bytes[2048];
    ssize_t n;
    while ((n = pica_read(stream, bytes, sizeof(bytes))) > 0)
        if ((n = pica_write_all(stream, bytes, (size_t)n, NULL)) < 0)
            break;
    pica_close(stream);
    return n;
}

static inline intptr_t load_accept(void *arg)
{
    load *l = arg;
    for (unsigned i = 0; i < LOAD_CLIENTS; i++) {
        pica_stream *stream;
        int rc = pica_accept(l->listener, &stream, NULL);
        if (rc == 0 && (rc = pica_group_spawn(&l->servers, load_serve, stream)) < 0)
            pica_close(stream);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static inline intptr_t load_exchange(pica_stream *stream, char *bytes, size_t n, uint64_t sent)
{
    for (size_t i = 0; i < n; i++)
        bytes[i] = load_byte(sent + i);
    int rc = pica_write_all(stream, bytes, n, NULL);
    for (size_t have = 0; rc == 0 && have < n;) {
        ssize_t got = pica_read(stream, bytes, n - have);
        bool right = got > 0;
        for (ssize_t i = 0; i < got; i++)
            right = right && bytes[i] == load_byte(sent + have + (size_t)i);
        if (!CHECK(right))
            return got < 0 ? got : -EPROTO;
        have += (size_t)got;
    }
    return rc;
}

static inline intptr_t load_ask(void *arg)
{
    load *l = arg;
    pica_stream *stream;
    char bytes[2048];
    intptr_t rc = pica_tcp_connect(&stream, &l->at);
    if (rc < 0)
        return rc;
    uint64_t sent = 0;
    for (uint64_t i = 0; i < l->rounds && rc == 0; i++) {
        size_t n = 1 + (size_t)(i * 577 % sizeof(bytes));
        rc = load_exchange(stream, bytes, n, sent);
        sent += n;
    }
    pica_close(stream);
    return rc;
}

static inline intptr_t load_sleep(void *arg)
{
    load *l = arg;
    int rc = 0;
    for (uint64_t i = 0; i < l->rounds / 4 && rc == 0; i++) {
        int64_t ns = PICA_US(50 + 100 * (int64_t)(i % 20));
        int64_t until = pica_after(ns);
        rc = pica_sleep(ns);
        CHECK_LE(until, pica_now());
    }
    return rc;
}

static inline intptr_t load_share(void *arg)
{
    load *l = arg;
    int rc = 0;
    for (uint64_t i = 0; i < l->rounds && rc == 0; i++) {
        rc = pica_sem_acquire(&l->permits);
        if (rc < 0)
            break;
        CHECK_LE(pi_add_relaxed(&l->inside, 1) + 1, LOAD_PERMITS);
        rc = i % 8 ? pica_yield() : pica_sleep(PICA_US(20));
        pi_add_relaxed(&l->inside, -1);
        pica_sem_release(&l->permits);
    }
    return rc;
}

/** Runs in a task until all of it is done. */
static inline void load_run(uint64_t rounds)
{
    static load l;
    pica_group group;
    memset(&l, 0, sizeof(l));
    l.rounds = rounds;
    CHECK_FATAL_OK(pica_sem_init(&l.permits, LOAD_PERMITS));
    CHECK_FATAL_OK(pica_addr_parse(&l.at, "127.0.0.1", 0));
    CHECK_FATAL_OK(pica_tcp_listen(&l.listener, &l.at, NULL));
    CHECK_FATAL_OK(pica_listener_addr(l.listener, &l.at));
    pica_group_begin(&l.servers);
    pica_group_begin(&group);
    int rc = pica_group_spawn(&group, load_accept, &l);
    for (unsigned i = 0; rc == 0 && i < LOAD_CLIENTS; i++)
        rc = pica_group_spawn(&group, load_ask, &l);
    for (unsigned i = 0; rc == 0 && i < LOAD_SLEEPERS; i++)
        rc = pica_group_spawn(&group, load_sleep, &l);
    for (unsigned i = 0; rc == 0 && i < LOAD_SHARERS; i++)
        rc = pica_group_spawn(&group, load_share, &l);
    CHECK_OK(pica_group_end(&group, rc));
    CHECK_OK(pica_group_end(&l.servers, 0));
    pica_group_deinit(&group);
    pica_group_deinit(&l.servers);
    pica_listener_close(l.listener);
    CHECK_EQ(pica_sem_value(&l.permits), LOAD_PERMITS);
    CHECK_EQ(pica_sem_destroy(&l.permits), 0);
}

/** load_run() again and again for so long, and at least twice; PICA_TEST_SCALE lengthens it. */
static inline void load_for(int64_t ns)
{
    int64_t until = pica_after((int64_t)check_rounds((uint64_t)ns));
    do {
        load_run(50);
        load_run(100);
    } while (pica_now() < until);
}

#endif
