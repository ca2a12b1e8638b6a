/* SPDX-License-Identifier: MIT */
/* churn_test.c: executors are created, used and destroyed ten thousand times, one after the
 * other and several at once. Nothing of them stays: no descriptor, thread, mapping or memory. */
#include "tests/embedding/process.h"
#include "tests/executor/bodies.h"

#include <pica/net.h>
#include <pica/scope.h>
#include <pthread.h>
#include <stdlib.h>

#define ROUNDS 10000

static intptr_t says_a_word(void *arg)
{
    pica_stream *stream;
    int rc = pica_tcp_connect(&stream, arg);
    if (CHECK_OK(rc)) {
        CHECK_OK(pica_write_all(stream, "pica", 4, NULL));
        pica_close(stream);
    }
    return rc;
}

/* Uses a bit of everything: stacks, timers, descriptors, a deadline that has not come. */
static intptr_t talks_to_itself(void *unused)
{
    pica_addr address;
    pica_listener *listener = NULL;
    pica_stream *stream = NULL;
    pica_scope scope;
    char bytes[8];
    (void)unused;
    pica_scope_begin(&scope, pica_after(PICA_SEC(60)));
    CHECK_FATAL_OK(pica_addr_parse(&address, "127.0.0.1:0", 0));
    CHECK_FATAL_OK(pica_tcp_listen(&listener, &address, NULL));
    CHECK_FATAL_OK(pica_listener_addr(listener, &address));
    pica_task *client = body_spawn(says_a_word, &address);
    CHECK_FATAL_OK(pica_accept(listener, &stream, NULL));
    ssize_t n, have = 0;
    while (have < 4 && (n = pica_read(stream, bytes + have, sizeof(bytes) - (size_t)have)) > 0)
        have += n;
    CHECK_EQ(have, 4);
    CHECK_EQ(body_end(client), 0);
    pica_close(stream);
    pica_listener_close(listener);
    return pica_scope_end(&scope, 0);
}

static intptr_t works(void *unused)
{
    (void)unused;
    CHECK_EQ(body_end(body_spawn(body_yields, body_arg(3))), 3);
    CHECK_OK(pica_sleep(PICA_US(10)));
    return 5;
}

static intptr_t naps(void *unused)
{
    (void)unused;
    (void)!pica_sleep(PICA_US(10)); /* cancelled, if the executor goes meanwhile */
    return 0;
}

/* Each round is another kind of executor. */
static pica_options options_of(uint64_t round)
{
    pica_options o = check_options();
    o.workers = 1 + (unsigned)(round % 3);
    o.driver = round % 4 ? PICA_DRIVER_EPOLL : PICA_DRIVER_FUTEX;
    if (round % 5 == 0)
        o.flags |= PICA_FORCE_MIGRATION;
    if (round % 7 == 0)
        o.flags |= PICA_NAME_OVERFLOWS;
    if (round % 11 == 0)
        o.flags |= PICA_PIN_WORKERS;
    if (round % 3 == 1)
        o.workers_max = o.workers + 2;
    if (round % 9 == 0)
        o.stack_size = (size_t)256 << 10;
    return o;
}

static void one_round(uint64_t round)
{
    pica_options o = options_of(round);
    pica_executor *ex = NULL;
    pica_task *task, *forgotten;
    unsigned most = o.workers_max > o.workers ? o.workers_max : o.workers;
    bool talks = o.driver == PICA_DRIVER_EPOLL && round % 16 == 1;
    CHECK_FATAL_OK(pica_executor_create(&ex, &o));
    CHECK_FATAL_OK(
        pica_executor_spawn(ex, NULL, body_sleeps, NULL)); /* lives when it is destroyed */
    CHECK_FATAL_OK(pica_executor_spawn(ex, &forgotten, naps, NULL)); /* its handle dies with it */
    CHECK_FATAL_OK(pica_executor_spawn(ex, &task, talks ? talks_to_itself : works, NULL));
    CHECK_EQ(pica_executor_resize(ex, most), 0);
    CHECK_EQ(pica_executor_resize(ex, o.workers), 0);
    CHECK_EQ(body_end(task), talks ? 0 : 5);
    if (round % 2)
        CHECK_EQ(pica_executor_shutdown(ex, pica_now()), 1);
    CHECK_EQ(pica_executor_destroy(ex), NULL);
}

static void flat_since(const process_state *before)
{
    process_state after = process_look(before->threads);
    bool ok = CHECK_EQ(after.threads, before->threads);
    ok &= CHECK_EQ(after.descriptors, before->descriptors);
#if !defined(PI_ASAN) && !defined(PI_TSAN) /* their mallocs keep what is freed; LSan counts */
    ok &= CHECK_LE(after.mappings, before->mappings + PROCESS_MAPPINGS_SLACK);
    ok &= CHECK_LE(after.heap, before->heap + PROCESS_HEAP_SLACK);
    if (!check_emulated()) {
        ok &= CHECK_LE(after.mapped, before->mapped + PROCESS_MAPPED_SLACK);
        ok &= CHECK_LE(after.resident, before->resident + PROCESS_RESIDENT_SLACK);
        ok &= CHECK_LE(after.kept, before->kept + PROCESS_KEPT_SLACK);
    }
#endif
    if (!ok) {
        process_print("before", before);
        process_print("after", &after);
    }
}

static void one_after_the_other(void)
{
    unsigned threads = proc_entries("/proc/self/task");
    uint64_t rounds = check_rounds(ROUNDS), warm = rounds / 10;
    for (uint64_t i = 0; i < warm; i++)
        one_round(i);
    process_state before = process_look(threads);
    for (uint64_t i = warm; i < rounds; i++)
        one_round(i);
    flat_since(&before);
}

/* pica_run(), where the calling thread is a worker. */
static void run_again_and_again(void)
{
    unsigned threads = proc_entries("/proc/self/task");
    uint64_t rounds = check_rounds(ROUNDS / 2), warm = rounds / 10;
    process_state before = {0};
    for (uint64_t i = 0; i < rounds; i++) {
        if (i == warm)
            before = process_look(threads);
        pica_options o = options_of(i);
        CHECK_EQ(pica_run(works, NULL, &o), 5);
    }
    flat_since(&before);
}

static void *thread_churns(void *arg)
{
    uint64_t rounds = check_rounds(ROUNDS / 20), salt = *(const uint64_t *)arg;
    for (uint64_t i = 0; i < rounds; i++)
        one_round(i + salt);
    return NULL;
}

/* From several plain threads: each with executors of its own. */
static void side_by_side(void)
{
    static uint64_t salts[] = {0, 1, 2, 3};
    unsigned threads = proc_entries("/proc/self/task");
    process_state before = {0};
    for (unsigned pass = 0; pass < 2; pass++) { /* the first one warms malloc's arenas up */
        pthread_t hosts[4];
        for (unsigned i = 0; i < 4; i++)
            CHECK_FATAL(pthread_create(&hosts[i], NULL, thread_churns, &salts[i]) == 0);
        for (unsigned i = 0; i < 4; i++)
            pthread_join(hosts[i], NULL);
        if (pass == 0)
            before = process_look(threads);
    }
    flat_since(&before);
}

/* The host has had blocks of such sizes as pica uses: what it has freed lies anywhere, and must
 * not keep malloc from using what an executor has freed for the next one. */
static void after_the_hosts_own(void)
{
    void *blocks[64];
    size_t n = sizeof(blocks) / sizeof(blocks[0]);
    unsigned threads = proc_entries("/proc/self/task");
    for (size_t i = 0; i < n; i++)
        blocks[i] = memset(malloc((size_t)(i % 8 + 1) << 14), 1, 1);
    for (size_t i = 0; i < n; i++)
        free(blocks[i]);
    process_state before = process_look(threads);
    for (uint64_t i = check_rounds(ROUNDS / 10); i > 0; i--) {
        pica_options o = options_of(i);
        CHECK_EQ(pica_run(naps, NULL, &o), 0);
    }
    flat_since(&before);
}

CHECK_MAIN
{
    check_timeout(120);
    check_plain("one after the other", one_after_the_other);
    check_plain("run again and again", run_again_and_again);
    check_plain("side by side", side_by_side);
    check_plain("after the host's own", after_the_hosts_own);
}
