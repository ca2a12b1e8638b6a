/* SPDX-License-Identifier: MIT */
/* audit_test.c: what is left when an executor ends is reported, each once, with where it comes
 * from; and nothing else, and nothing unless somebody asks. */
#include "tests/executor/bodies.h"
#include "tests/executor/death.h"

#include <pica/net.h>
#include <pica/sem.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* --- What a hook is told ------------------------------------------------------------------- */

static struct {
    check_latch calls[4]; /* by kind */
    uint32_t strange;     /* [atomic] */
    pica_left last[4];    /* of each kind */
    char name[4][40], site[4][40], waits[4][80];
} told;
static pthread_mutex_t telling = PTHREAD_MUTEX_INITIALIZER; /* several threads may */

static void on_left(void *arg, const pica_left *left)
{
    if (arg != &told || left->size != sizeof(*left) || left->kind < PICA_LEFT_TASK ||
        left->kind > PICA_LEFT_DESCRIPTOR) {
        pi_store_release(&told.strange, 1u);
        return;
    }
    pthread_mutex_lock(&telling);
    told.last[left->kind] = *left;
    snprintf(told.name[left->kind], sizeof(told.name[0]), "%s", left->name);
    snprintf(told.site[left->kind], sizeof(told.site[0]), "%s", left->site);
    snprintf(told.waits[left->kind], sizeof(told.waits[0]), "%s", left->waits);
    pthread_mutex_unlock(&telling);
    check_hit(&told.calls[left->kind]);
}

static pica_options asks(void)
{
    memset(&told, 0, sizeof(told));
    pica_options options = check_options();
    options.on_left = on_left;
    options.hook_arg = &told;
    options.on_lost_error = NULL;
    return options;
}

static void expect_calls(uint64_t tasks, uint64_t handles, uint64_t descriptors)
{
    CHECK_EQ(check_hits(&told.calls[PICA_LEFT_TASK]), tasks);
    CHECK_EQ(check_hits(&told.calls[PICA_LEFT_HANDLE]), handles);
    CHECK_EQ(check_hits(&told.calls[PICA_LEFT_DESCRIPTOR]), descriptors);
    CHECK(!pi_load_acquire(&told.strange));
}

/* --- With pica_run() ------------------------------------------------------------------------ */

static pica_sem sem;
static uint64_t left_id;

static intptr_t waits_for_sem(void *arg)
{
    (void)arg;
    return pica_sem_acquire(&sem);
}

static pica_listener *listens(void)
{
    pica_addr at;
    pica_listener *listener = NULL;
    CHECK_FATAL_OK(pica_addr_parse(&at, "127.0.0.1:0", 0));
    CHECK_FATAL_OK(pica_tcp_listen(&listener, &at, NULL));
    return listener;
}

static intptr_t tidy(void *arg)
{
    pica_listener *listener = listens();
    (void)arg;
    CHECK_EQ(body_end(body_spawn(body_yields, body_arg(3))), 3);
    pica_task *task = body_spawn(body_sleeps, NULL);
    CHECK_OK(pica_cancel(task));
    CHECK_EQ(body_end(task), -ECANCELED);
    pica_listener_close(listener);
    return 0;
}

static void nothing_left(void)
{
    pica_options options = asks();
    CHECK_EQ(pica_run(tidy, NULL, &options), 0);
    expect_calls(0, 0, 0);
}

static intptr_t leaves_a_task(void *arg)
{
    pica_attr attr = PICA_ATTR_INIT;
    attr.name = "forgotten";
    pica_task *task;
    (void)arg;
    CHECK_OK(pica_sem_init(&sem, 0));
    CHECK_FATAL_OK(pica_spawn_at(&task, waits_for_sem, NULL, &attr, "some/file.c:7"));
    left_id = pica_task_id(task);
    BODY_WAITS(task);
    pica_unref(task);
    return 0;
}

static void a_task(void)
{
    char words[80];
    pica_options options = asks();
    CHECK_EQ(pica_run(leaves_a_task, NULL, &options), 0);
    expect_calls(1, 0, 0);
    CHECK_EQ(told.last[PICA_LEFT_TASK].id, left_id);
    CHECK_STR(told.name[PICA_LEFT_TASK], "forgotten");
    CHECK_STR(told.site[PICA_LEFT_TASK], "some/file.c:7");
    snprintf(words, sizeof(words), " for semaphore 0x%llx", (unsigned long long)(uintptr_t)&sem);
    CHECK_STR(told.waits[PICA_LEFT_TASK], words);
}

/* One that is cancelled already is its canceller's business. */
static intptr_t leaves_a_cancelled_one(void *arg)
{
    check_latch latch = {0};
    (void)arg;
    pica_task *task = body_spawn(body_sleeps, &latch);
    CHECK_HITS(&latch, 1);
    BODY_WAITS(task);
    CHECK_OK(pica_cancel(task));
    pica_unref(task);
    return 0;
}

/* One that is spawned after the executor began to end starts cancelled: its spawner was left. */
static intptr_t spawns_then_waits(void *arg)
{
    intptr_t rc = body_sleeps(arg);
    CHECK_OK(pica_spawn(NULL, body_sleeps, NULL));
    return rc;
}

static intptr_t leaves_a_spawner(void *arg)
{
    check_latch latch = {0};
    (void)arg;
    pica_task *task = body_spawn(spawns_then_waits, &latch);
    CHECK_HITS(&latch, 1);
    BODY_WAITS(task);
    pica_unref(task);
    return 0;
}

static void cancelled_already(void)
{
    pica_options options = asks();
    CHECK_EQ(pica_run(leaves_a_cancelled_one, NULL, &options), 0);
    expect_calls(0, 0, 0);
    options = asks();
    CHECK_EQ(pica_run(leaves_a_spawner, NULL, &options), 0);
    expect_calls(1, 0, 0);
}

static intptr_t leaves_a_handle(void *arg)
{
    (void)arg;
    pica_task *task = NULL;
    CHECK_FATAL_OK(pica_spawn_at(&task, body_yields, NULL, NULL, "some/file.c:8"));
    left_id = pica_task_id(task);
    pica_ref(task);
    CHECK_OK(pica_await(task, NULL));
    return 0;
}

static void a_handle(void)
{
    pica_options options = asks();
    CHECK_EQ(pica_run(leaves_a_handle, NULL, &options), 0);
    expect_calls(0, 1, 0);
    CHECK_EQ(told.last[PICA_LEFT_HANDLE].id, left_id);
    CHECK_EQ(told.last[PICA_LEFT_HANDLE].references, 2);
    CHECK_STR(told.site[PICA_LEFT_HANDLE], "some/file.c:8");
    CHECK_STR(told.name[PICA_LEFT_HANDLE], "task");
}

static intptr_t leaves_a_listener(void *arg)
{
    (void)arg;
    (void)listens();
    return 0;
}

static void a_descriptor(void)
{
    pica_options options = asks();
    CHECK_EQ(pica_run(leaves_a_listener, NULL, &options), 0);
    expect_calls(0, 0, 1);
    CHECK_STR(told.name[PICA_LEFT_DESCRIPTOR], "listener");
    CHECK_LE(3, told.last[PICA_LEFT_DESCRIPTOR].fd);
    CHECK_EQ(told.last[PICA_LEFT_DESCRIPTOR].id, 0);
}

/* --- With an executor of one's own ----------------------------------------------------------- */

#define MANY 100

static void embedded(void)
{
    pica_options options = asks();
    pica_executor *ex = NULL;
    check_latch latch = {0};
    pica_task *tasks[MANY];
    CHECK_FATAL_OK(pica_executor_create(&ex, &options));
    for (unsigned i = 0; i < MANY; i++)
        CHECK_FATAL_OK(pica_executor_spawn(ex, &tasks[i], body_sleeps, &latch));
    CHECK_HITS(&latch, MANY);
    for (unsigned i = 0; i < MANY / 2; i++)
        pica_unref(tasks[i]);
    expect_calls(0, 0, 0); /* not before the end */
    CHECK_EQ(pica_executor_shutdown(ex, pica_now()), 1);
    expect_calls(MANY, 0, 0);
    pica_executor_destroy(ex);
    expect_calls(MANY, MANY / 2, 0);
}

/* Those that end by themselves in the time that they are given have not been left. */
static void drained(void)
{
    pica_options options = asks();
    pica_executor *ex = NULL;
    CHECK_FATAL_OK(pica_executor_create(&ex, &options));
    for (unsigned i = 0; i < MANY; i++)
        CHECK_OK(pica_executor_spawn(ex, NULL, body_yields, NULL));
    CHECK_EQ(pica_executor_shutdown(ex, PICA_NEVER), 0);
    pica_executor_destroy(ex);
    expect_calls(0, 0, 0);
}

/* The struct of a caller that was compiled before there was such a hook. */
static void an_older_caller(void)
{
    pica_options options = asks();
    options.size = offsetof(pica_options, on_left);
    CHECK_EQ(pica_run(leaves_a_handle, NULL, &options), 0);
    expect_calls(0, 0, 0);
}

/* --- On stderr ------------------------------------------------------------------------------- */

static intptr_t leaves_many(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 40; i++)
        CHECK_OK(pica_await(body_spawn(body_returns, NULL), NULL));
    (void)leaves_a_task(NULL);
    return leaves_a_listener(NULL);
}

static void runs_with(void *flags)
{
    pica_options options = PICA_OPTIONS_INIT;
    options.workers = 1;
    options.flags = *(const unsigned *)flags;
    (void)pica_run(leaves_many, NULL, &options);
}

static int count(const char *text, const char *words)
{
    int n = 0;
    for (; (text = strstr(text, words)); text++)
        n++;
    return n;
}

static void on_stderr(void)
{
    unsigned flags = 0;
    death d = death_of(runs_with, &flags);
    CHECK(WIFEXITED(d.state));
    CHECK_STR(d.said, "");
    flags = PICA_REPORT_LEFT;
    d = death_of(runs_with, &flags);
    CHECK(WIFEXITED(d.state));
    CHECK_EQ(count(d.said, "(forgotten, spawned at some/file.c:7) still lived when its executor "
                           "ended, waiting for semaphore 0x"),
             1);
    CHECK_EQ(count(d.said, "pica: 1 reference left to task "), 32);
    CHECK_EQ(count(d.said, "pica: and 8 more of that kind (task with references) left\n"), 1);
    CHECK_EQ(count(d.said, " (listener) was left open\n"), 1);
    CHECK_EQ(count(d.said, "\n"), 1 + 32 + 1 + 1);
}

CHECK_MAIN
{
    check_plain_in(CHECK_ALL, "nothing left", nothing_left);
    check_plain_in(CHECK_ALL, "a task", a_task);
    check_plain_in(CHECK_ALL, "cancelled already", cancelled_already);
    check_plain_in(CHECK_ALL, "a handle", a_handle);
    check_plain_in(CHECK_ALL, "a descriptor", a_descriptor);
    check_plain_in(CHECK_ALL, "embedded", embedded);
    check_plain_in(CHECK_ALL, "drained", drained);
    check_plain("an older caller", an_older_caller);
    if (!check_emulated()) /* the child starts threads */
        check_plain("on stderr", on_stderr);
}
