/* SPDX-License-Identifier: MIT */
/* dump_test.c: one line per live task, with what one wants to know of it; also while tasks come
 * and go, and where writing fails. */
#include "tests/executor/bodies.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* @return the number that pica_dump() says; *text is to be freed */
static int dump(char **text)
{
    int fd = memfd_create("dump", MFD_CLOEXEC);
    CHECK_FATAL(fd >= 0);
    int n = pica_dump(check_executor(), fd);
    off_t length = lseek(fd, 0, SEEK_END);
    *text = calloc(1, (size_t)length + 1);
    CHECK_FATAL(*text && pread(fd, *text, (size_t)length, 0) == length);
    close(fd);
    return n;
}

static int lines(const char *text)
{
    int n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

/* The line of a task. @return "" if there is none; static storage */
static const char *line_of(const char *text, const pica_task *task)
{
    static char line[400];
    char begin[40];
    line[0] = 0;
    snprintf(begin, sizeof(begin), "task %llu (", (unsigned long long)pica_task_id(task));
    const char *at = strstr(text, begin);
    if (at)
        snprintf(line, sizeof(line), "%.*s", (int)strcspn(at, "\n"), at);
    return line;
}

static bool says(const char *line, const char *words)
{
    bool said = strstr(line, words) != NULL;
    if (!said)
        fprintf(stderr, "\"%s\" lacks \"%s\"\n", line, words);
    return said;
}

static pica_task *spawn_named(const char *name, pica_fn fn, void *arg, unsigned pin)
{
    pica_attr attr = PICA_ATTR_INIT;
    attr.name = name;
    attr.pin = pin;
    pica_task *task = NULL;
    CHECK_FATAL_OK(pica_spawn_at(&task, fn, arg, &attr, "some/file.c:77"));
    return task;
}

static void each_live_task(void)
{
    char *text;
    check_latch asleep = {0};
    pica_task *sleeper = spawn_named("sleeper", body_sleeps, &asleep, 0);
    CHECK_HITS(&asleep, 1);
    BODY_WAITS(sleeper);
    pica_task *queued =
        spawn_named("queued", body_returns, NULL, (unsigned)pica_worker_index() + 1);
    CHECK_EQ(dump(&text), 3);
    CHECK_EQ(lines(text), 3);
    const char *line = line_of(text, pica_self());
    CHECK(says(line, "(main) running"));
    line = line_of(text, sleeper);
    CHECK(says(line, "(sleeper) waiting"));
    CHECK(says(line, "some/file.c:77"));
    char by[40];
    snprintf(by, sizeof(by), "by %llu", (unsigned long long)pica_task_id(pica_self()));
    CHECK(says(line, by));
    CHECK(strstr(line, "cancelled") == NULL);
    CHECK(says(line_of(text, queued), "(queued) ready"));
    free(text);
    CHECK_EQ(body_end(queued), 0);
    CHECK_OK(pica_cancel(sleeper));
    CHECK_EQ(body_end(sleeper), -ECANCELED);
    CHECK_EQ(dump(&text), 1); /* what has ended is gone */
    CHECK_EQ(lines(text), 1);
    free(text);
}

static void a_cancelled_task(void)
{
    char *text;
    pica_task *task = spawn_named("late", body_sleeps, NULL, (unsigned)pica_worker_index() + 1);
    CHECK_OK(pica_cancel(task));
    CHECK_EQ(dump(&text), 2);
    CHECK(says(line_of(text, task), "cancelled"));
    free(text);
    CHECK_EQ(body_end(task), -ECANCELED);
}

struct family {
    check_latch asleep;
    pica_task *parent, *child;
};

static intptr_t has_a_child(void *arg)
{
    struct family *f = arg;
    pica_task *child = spawn_named("child", body_sleeps, &f->asleep, 0);
    pi_store_release(&f->child, pica_ref(child));
    intptr_t result = 0;
    CHECK_EQ(pica_await(child, &result), 0);
    pica_unref(child);
    return result;
}

/* One that runs on its waiter's stack is listed as well, and says where. */
static void an_inlined_child(void)
{
    char *text, inlined[60];
    struct family f = {.child = NULL};
    f.parent = spawn_named("parent", has_a_child, &f, 0);
    CHECK_HITS(&f.asleep, 1);
    BODY_WAITS(pi_load_acquire(&f.child));
    CHECK_EQ(dump(&text), 3);
    CHECK_EQ(lines(text), 3);
    const char *line = line_of(text, f.child);
    CHECK(says(line, "(child) waiting"));
    if (check_mode() == CHECK_ONE) { /* elsewhere it may have been stolen */
        snprintf(inlined, sizeof(inlined), "inline in task %llu",
                 (unsigned long long)pica_task_id(f.parent));
        CHECK(says(line, inlined));
    }
    if (check_mode() == CHECK_NO_INLINE)
        CHECK(strstr(line, "inline") == NULL);
    CHECK(says(line_of(text, f.parent), "(parent) waiting"));
    free(text);
    CHECK_OK(pica_cancel(f.child));
    CHECK_EQ(body_end(f.parent), -ECANCELED);
    pica_unref(f.child);
}

/* However long names and sites are: a line each, cut. */
static void long_names(void)
{
    char *text, name[1000];
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = 0;
    pica_task *tasks[5];
    for (unsigned i = 0; i < 5; i++)
        tasks[i] = spawn_named(name, body_sleeps, NULL, 0);
    CHECK_EQ(dump(&text), 6);
    CHECK_LT(strlen(text), 6 * 400);
    CHECK_EQ(lines(text), 6);
    for (unsigned i = 0; i < 5; i++)
        CHECK(says(line_of(text, tasks[i]), "spawned at some/file.c:77"));
    free(text);
    for (unsigned i = 0; i < 5; i++) {
        CHECK_OK(pica_cancel(tasks[i]));
        CHECK_EQ(body_end(tasks[i]), -ECANCELED);
    }
}

static void errors(void)
{
    CHECK_EQ(pica_dump(NULL, 1), -EINVAL);
    CHECK_EQ(pica_dump(check_executor(), -1), -EBADF);
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    CHECK_FATAL(full >= 0);
    CHECK_EQ(pica_dump(check_executor(), full), -ENOSPC);
    close(full);
}

/* A thread dumps all the time while tasks come, go, change hands and are cancelled. */
struct watcher {
    pica_executor *ex;
    uint32_t stop; /* [atomic] */
    uint64_t dumps;
};

static void *thread_dumps(void *arg)
{
    struct watcher *w = arg;
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    CHECK_FATAL(fd >= 0);
    do {
        CHECK_LE(1, pica_dump(w->ex, fd)); /* at least the main task */
        w->dumps++;
    } while (!pi_load_acquire(&w->stop));
    close(fd);
    return NULL;
}

static intptr_t comes_and_goes(void *arg)
{
    int rc = (intptr_t)arg % 3 ? pica_yield() : pica_sleep(PICA_US(20));
    pica_task *child = body_spawn(body_returns, arg);
    intptr_t result = rc;
    rc = pica_await(child, &result);
    pica_unref(child);
    return rc < 0 ? rc : result;
}

static void while_tasks_come_and_go(void)
{
    struct watcher w = {.ex = check_executor()};
    pthread_t thread;
    CHECK_FATAL(pthread_create(&thread, NULL, thread_dumps, &w) == 0);
    for (uint64_t i = check_rounds(1000); i > 0; i--) {
        pica_task *tasks[10];
        for (intptr_t k = 0; k < 10; k++)
            tasks[k] = body_spawn(comes_and_goes, body_arg(k));
        (void)pica_cancel(tasks[i % 10]);
        for (unsigned k = 0; k < 10; k++) {
            intptr_t result = 0;
            CHECK_EQ(pica_await(tasks[k], &result), 0);
            CHECK(result == k || (result == -ECANCELED && k == i % 10));
            pica_unref(tasks[k]);
        }
    }
    pi_store_release(&w.stop, 1u);
    pthread_join(thread, NULL);
    CHECK_LT(0, w.dumps);
}

CHECK_MAIN
{
    check_run("each live task", each_live_task);
    check_run("a cancelled task", a_cancelled_task);
    check_run("an inlined child", an_inlined_child);
    check_run("long names", long_names);
    check_run("errors", errors);
    check_run("while tasks come and go", while_tasks_come_and_go);
}
