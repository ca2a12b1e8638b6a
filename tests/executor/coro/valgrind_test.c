/* SPDX-License-Identifier: MIT */
/* valgrind_test.c: what valgrind_test.sh runs under memcheck: stacks side by side, with frames that
 * are written before a switch and read after it; stacks that are used again, abandoned, unmapped;
 * and a connection, for what the kernel is given. */
#include "tests/executor/bodies.h"
#include "tests/io/peers.h"

#include <pica/co.h>

struct level {
    pica_co *co;
    const struct level *below;
};

static intptr_t counts(pica_co *co, void *arg)
{
    const struct level *here = arg;
    char frame[1500];
    memset(frame, 'x', sizeof(frame));
    for (intptr_t i = 0; i < 100; i++) {
        intptr_t there = i;
        if (here->below)
            CHECK_EQ(pica_co_resume(here->below->co, 0, &there), 1);
        CHECK(frame[i] == 'x' && frame[1499 - i] == 'x');
        pica_co_yield(co, there);
    }
    return -1;
}

/* A coroutine that resumes another, whose stack is a neighbour; both are abandoned in the middle,
 * with frames that were never left. */
static void resumes_and_abandons(void)
{
    struct level inner = {NULL, NULL}, outer = {NULL, &inner};
    intptr_t value = -1;
    CHECK_FATAL_OK(pica_co_create(&inner.co, counts, &inner, 0));
    CHECK_FATAL_OK(pica_co_create(&outer.co, counts, &outer, 0));
    for (intptr_t i = 0; i < 4; i++) {
        CHECK_EQ(pica_co_resume(outer.co, 0, &value), 1);
        CHECK_EQ(value, i);
    }
    pica_co_destroy(outer.co);
    pica_co_destroy(inner.co);
}

/* @return how many bytes of its frames were others than it had written */
static __attribute__((noinline)) intptr_t goes_down(intptr_t number, unsigned depth)
{
    unsigned char block[700];
    memset(block, (int)(number + depth), sizeof(block));
    switch (depth % 4) {
    case 0:
        CHECK_OK(pica_sleep(PICA_US(200)));
        break;
    case 1:
        CHECK_EQ(body_end(body_spawn(body_yields, body_arg(number))), number);
        break;
    case 2:
        resumes_and_abandons();
        break;
    default:
        CHECK_OK(pica_yield());
    }
    intptr_t wrong = depth ? goes_down(number, depth - 1) : 0;
    for (unsigned i = 0; i < sizeof(block); i++)
        wrong += block[i] != (unsigned char)(number + depth);
    return wrong;
}

static intptr_t has_frames(void *arg)
{
    return goes_down((intptr_t)arg, 11);
}

static void side_by_side(void)
{
    enum { N = 20, ROUNDS = 3 }; /* the second round is on the stacks of the first */
    for (unsigned round = 0; round < ROUNDS; round++) {
        pica_task *tasks[N];
        for (intptr_t i = 0; i < N; i++)
            tasks[i] = body_spawn(has_frames, body_arg(i));
        for (unsigned i = 0; i < N; i++)
            CHECK_EQ(body_end(tasks[i]), 0);
    }
}

static intptr_t has_a_large_frame(void *arg)
{
    volatile unsigned char block[200 << 10];
    for (size_t i = 0; i < sizeof(block); i += 100)
        block[i] = (unsigned char)(i / 100);
    intptr_t wrong = has_frames(arg);
    for (size_t i = 0; i < sizeof(block); i += 100)
        wrong += block[i] != (unsigned char)(i / 100);
    return wrong;
}

static void large_stacks(void)
{
    enum { N = 3 };
    pica_task *tasks[N];
    pica_attr attr = PICA_ATTR_INIT;
    attr.stack_size = (size_t)256 << 10;
    for (intptr_t i = 0; i < N; i++)
        CHECK_FATAL_OK(pica_spawn_with(&tasks[i], has_a_large_frame, body_arg(i), &attr));
    for (unsigned i = 0; i < N; i++)
        CHECK_EQ(body_end(tasks[i]), 0);
}

static intptr_t echoes(void *arg)
{
    char bytes[64];
    ssize_t n;
    while ((n = pica_read(arg, bytes, sizeof(bytes))) > 0)
        CHECK_OK(pica_write_all(arg, bytes, (size_t)n, NULL));
    pica_close(arg);
    return n;
}

static void over_a_connection(void)
{
    pica_addr at;
    pica_listener *l = peers_listen(&at);
    pica_stream *client = NULL, *server = NULL;
    CHECK_FATAL_OK(pica_tcp_connect(&client, &at));
    CHECK_FATAL_OK(pica_accept(l, &server, NULL));
    pica_task *task = body_spawn(echoes, server);
    for (int i = 0; i < 20; i++) {
        char out[16], in[16];
        memset(out, i, sizeof(out));
        CHECK_EQ(pica_write_all(client, out, sizeof(out), NULL), 0);
        CHECK_EQ(pica_read(client, in, sizeof(in)), sizeof(in));
        CHECK_MEM(in, out, sizeof(in));
    }
    CHECK_OK(pica_shutdown(client, SHUT_WR));
    CHECK_EQ(body_end(task), 0);
    pica_close(client);
    pica_listener_close(l);
}

CHECK_MAIN
{
    check_run("stacks side by side", side_by_side);
    check_run("large stacks", large_stacks);
    check_run("over a connection", over_a_connection);
}
