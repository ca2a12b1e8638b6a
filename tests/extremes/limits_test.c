/* SPDX-License-Identifier: MIT */
/* limits_test.c: the limits of the process are reached: descriptors, address space, mappings.
 * Each time in a child process: what asks for more gets an error, the rest goes on, and once there
 * is room again everything works. */
#include "tests/extremes/child.h"
#include "tests/extremes/load.h"
#include "tests/proc.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>

static intptr_t works(void *arg)
{
    (void)arg;
    load_run(10);
    return 0;
}

/* --- 64 descriptors --------------------------------------------------------------------------- */

#define CALLERS 200

static int tell[2]; /* a pipe from the server's process to its clients' */

static void use_descriptors(rlim_t most)
{
    struct rlimit limit;
    CHECK_FATAL(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = most;
    CHECK_FATAL(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

static intptr_t serve(void *stream)
{
    char byte;
    ssize_t n = pica_read(stream, &byte, 1);
    if (n == 1)
        n = pica_write(stream, &byte, 1);
    pica_close(stream);
    return n < 0 ? n : 0;
}

struct door {
    pica_listener *listener;
    pica_addr at;
};

static intptr_t accepts(void *arg)
{
    struct door *door = arg;
    pica_group servers;
    int rc = 0;
    pica_group_begin(&servers);
    for (unsigned i = 0; i < CALLERS && rc == 0; i++) {
        pica_stream *stream;
        rc = pica_accept(door->listener, &stream, NULL); /* EMFILE never comes so far */
        if (rc == 0 && (rc = pica_group_spawn(&servers, serve, stream)) < 0)
            pica_close(stream);
    }
    CHECK_OK(rc);
    CHECK_OK(pica_group_end(&servers, rc));
    pica_group_deinit(&servers);
    return rc;
}

/* Until the clients have taken all descriptors, then they may go on. */
static intptr_t sees_the_end(void *arg)
{
    struct door *door = arg;
    pica_addr elsewhere = door->at;
    pica_stream *stream;
    int rc;
    ((struct sockaddr_in *)(void *)&elsewhere.storage)->sin_port = htons(9);
    while ((rc = pica_tcp_connect(&stream, &elsewhere)) != -EMFILE) {
        if (rc == 0)
            pica_close(stream);
        if (pica_sleep(PICA_US(200)) < 0)
            return -ECANCELED;
    }
    pica_listener *other = NULL;
    CHECK_EQ(pica_tcp_listen(&other, &elsewhere, NULL), -EMFILE);
    CHECK(write(tell[1], "!", 1) == 1);
    return 0;
}

static intptr_t answers_all(void *arg)
{
    struct door door;
    pica_task *watcher;
    intptr_t result = -1;
    (void)arg;
    CHECK_FATAL_OK(pica_addr_parse(&door.at, "127.0.0.1", 0));
    CHECK_FATAL_OK(pica_tcp_listen(&door.listener, &door.at, NULL));
    CHECK_FATAL_OK(pica_listener_addr(door.listener, &door.at));
    CHECK_FATAL_OK(pica_spawn(&watcher, sees_the_end, &door));
    CHECK(write(tell[1], &door.at, sizeof(door.at)) == sizeof(door.at));
    CHECK_OK(accepts(&door));
    CHECK_OK(pica_await(watcher, &result));
    CHECK_EQ(result, 0);
    pica_unref(watcher);
    pica_listener_close(door.listener);
    return 0;
}

/* At whichever descriptor it fails, it keeps none of those before. */
static void too_few_for_an_executor(void)
{
    pica_options options = check_options();
    pica_executor *ex = NULL;
    int unused = dup(0), rc = -EMFILE;
    close(unused);
    for (int most = unused; rc < 0 && most < unused + 20; most++) {
        use_descriptors((rlim_t)most);
        rc = pica_executor_create(&ex, &options);
        CHECK(most == unused ? rc == -EMFILE : rc == -EMFILE || rc == 0);
        use_descriptors((rlim_t)most + 1);
        int next = dup(0);
        if (rc < 0)
            CHECK_EQ(next, unused);
        close(next);
    }
    CHECK_EQ(rc, 0);
    pica_executor_destroy(ex);
}

static void few_descriptors(void)
{
    struct rlimit limit;
    CHECK_FATAL(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    use_descriptors(64);
    child_runs(answers_all);
    too_few_for_an_executor();
    use_descriptors(limit.rlim_cur);
    child_runs(works);
}

/* Three times as many clients as the server has descriptors: each is answered in its time. */
static void calls(void)
{
    static int clients[CALLERS];
    pica_addr where;
    char byte = 0;
    CHECK_FATAL(read(tell[0], &where, sizeof(where)) == sizeof(where));
    for (unsigned i = 0; i < CALLERS; i++) {
        clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK_FATAL(clients[i] >= 0);
        CHECK(connect(clients[i], (struct sockaddr *)&where.storage, where.length) == 0);
    }
    CHECK_FATAL(read(tell[0], &byte, 1) == 1);
    for (unsigned i = 0; i < CALLERS; i++)
        CHECK(send(clients[i], &(char){(char)i}, 1, MSG_NOSIGNAL) == 1);
    for (unsigned i = 0; i < CALLERS; i++) {
        CHECK(recv(clients[i], &byte, 1, 0) == 1 && byte == (char)i);
        close(clients[i]);
    }
}

static void descriptors(void)
{
    CHECK_FATAL(pipe(tell) == 0);
    pid_t pid = child_start(few_descriptors);
    close(tell[1]);
    calls();
    child_ends_well(pid);
    close(tell[0]);
}

/* --- Address space, mappings ------------------------------------------------------------------ */

#define PARKED 20000

static intptr_t parks(void *latch)
{
    check_hit(latch);
    return pica_sleep(PICA_NEVER);
}

/* More parked tasks than there is room for stacks. Those that have none end with -ENOMEM, the
 * others wait on. */
static intptr_t parks_many(void *arg)
{
    check_latch parked = {0};
    pica_task **tasks = calloc(PARKED, sizeof(pica_task *));
    CHECK_FATAL(tasks);
    unsigned made = 0, ended = 0;
    (void)arg;
    while (made < PARKED && pica_spawn(&tasks[made], parks, &parked) == 0)
        made++;
    CHECK_LT(0, made);
    do {
        CHECK_OK(pica_sleep(PICA_MS(1)));
        ended = 0;
        for (unsigned i = 0; i < made; i++)
            ended += pica_task_status(tasks[i]) == PICA_DONE;
    } while (check_hits(&parked) + ended < made);
    CHECK(made < PARKED || ended > 0); /* or there was room enough */
    CHECK_LT(0, check_hits(&parked));
    for (unsigned i = 0; i < made; i++)
        pica_cancel(tasks[i]);
    for (unsigned i = 0; i < made; i++) {
        intptr_t result = 0;
        CHECK_OK(pica_await(tasks[i], &result));
        CHECK(result == -ENOMEM || result == -ECANCELED);
        pica_unref(tasks[i]);
    }
    free(tasks);
    load_run(10); /* on the stacks that came back */
    return 0;
}

#if !defined(PI_ASAN) && !defined(PI_TSAN) /* a sanitizer's shadow needs it all */
static void little_address_space(void)
{
    struct rlimit limit;
    uint64_t mapped, resident;
    CHECK_FATAL(getrlimit(RLIMIT_AS, &limit) == 0);
    rlim_t before = limit.rlim_cur;
    proc_memory(&mapped, &resident);
    limit.rlim_cur = mapped + ((uint64_t)400 << 20);
    CHECK_FATAL(setrlimit(RLIMIT_AS, &limit) == 0);
    child_runs(parks_many);
    limit.rlim_cur = before;
    CHECK_FATAL(setrlimit(RLIMIT_AS, &limit) == 0);
    child_runs(works);
}
#endif

/* Take mappings until the kernel grants no more: neighbours that differ can't be merged.
 * @return one address range that holds them */
static char *take_mappings(size_t most, size_t *pages)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *all =
        mmap(NULL, most * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK_FATAL(all != MAP_FAILED);
    *pages = 0;
    for (size_t i = 1; i < most; i += 2, *pages = i)
        if (mprotect(all + i * page, page, PROT_READ) != 0)
            break;
    return all;
}

static intptr_t adds(void *arg)
{
    return (intptr_t)arg + 1;
}

/* An executor that was there before goes on, on the stacks that it has. */
static void no_mappings(void)
{
    enum { MOST = 70000 };
    size_t page = (size_t)sysconf(_SC_PAGESIZE), taken;
    pica_options options = check_options();
    pica_executor *ex = check_executor_open(&options), *other = NULL;
    pica_task *task;
    intptr_t result = 0;
    CHECK_FATAL_OK(pica_executor_spawn(ex, &task, works, NULL));
    CHECK_EQ(pica_join(task, NULL), 0);
    pica_unref(task);
    char *all = take_mappings(MOST, &taken);
    bool reached = taken + 2 < MOST;
    for (unsigned i = 0; reached && i < 1000; i++) {
        CHECK_FATAL_OK(pica_executor_spawn(ex, &task, adds, (void *)7));
        CHECK_EQ(pica_join(task, &result), 0);
        CHECK_EQ(result, 8);
        pica_unref(task);
    }
    if (reached) {
        int rc = pica_executor_create(&other, &options); /* a thread's stack is a mapping */
        if (rc == 0)
            pica_executor_destroy(other);
        else
            CHECK(rc == -EAGAIN || rc == -ENOMEM);
    }
    munmap(all, MOST * page);
    check_executor_close(ex);
    child_runs(works);
    if (!reached)
        fprintf(stderr, "vm.max_map_count is too high to be reached: not tried\n");
}

#if !defined(PI_ASAN) && !defined(PI_TSAN)
static void address_space(void)
{
    child_ends_well(child_start(little_address_space));
}
#endif

static void mappings(void)
{
    child_ends_well(child_start(no_mappings));
}

CHECK_MAIN
{
    check_timeout(60);
    check_plain_in(CHECK_ONE | CHECK_TWO, "64 descriptors", descriptors);
#if !defined(PI_ASAN) && !defined(PI_TSAN)
    check_plain_in(CHECK_ONE | CHECK_TWO, "address space", address_space);
    check_plain_in(CHECK_ONE | CHECK_TWO, "vm.max_map_count", mappings);
#else
    (void)mappings;
    (void)parks_many;
#endif
}
