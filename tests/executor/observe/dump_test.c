/* SPDX-License-Identifier: MIT */
/* dump_test.c: what one wants to know of each live task, with its stack and its calls; also while
 * tasks come and go, and where writing fails. */
#include "tests/executor/bodies.h"

#include <fcntl.h>
#include <pica/gather.h>
#include <pica/group.h>
#include <pica/net.h>
#include <pica/sem.h>
#include <poll.h>
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

/* How many lines of a task's own there are; what is said of its stack is indented below. */
static int lines(const char *text)
{
    int n = 0;
    for (size_t length; *text; text += length) {
        n += strncmp(text, "task ", 5) == 0;
        length = strcspn(text, "\n");
        length += text[length] == '\n';
    }
    return n;
}

/* All that is said of a task: its line and those below it. @return "" if there is none; static */
static const char *all_of(const char *text, const pica_task *task)
{
    static char all[8000];
    char begin[40];
    all[0] = 0;
    snprintf(begin, sizeof(begin), "task %llu (", (unsigned long long)pica_task_id(task));
    const char *at = strstr(text, begin);
    if (at) {
        const char *end = strstr(at, "\ntask ");
        snprintf(all, sizeof(all), "%.*s", end ? (int)(end - at) : (int)strlen(at), at);
    }
    return all;
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

static int64_t begun_ms; /* this program; before the clock of any worker */

static void each_live_task(void)
{
    char *text;
    check_latch asleep = {0};
    pica_task *sleeper = spawn_named("sleeper", body_sleeps, &asleep, 0);
    CHECK_HITS(&asleep, 1);
    BODY_WAITS(sleeper);
    pica_task *queued = spawn_named("queued", body_returns, NULL, body_pin_here());
    CHECK_EQ(dump(&text), 3);
    CHECK_EQ(lines(text), 3);
    const char *line = line_of(text, pica_self());
    CHECK(says(line, "(main) running"));
    line = line_of(text, sleeper);
    CHECK(says(line, "(sleeper) waiting"));
    const char *since = strstr(line, ", for ");
    CHECK(since != NULL);
    unsigned ms = 0;
    CHECK(since && sscanf(since, ", for %u ms", &ms) == 1);
    CHECK_LE(ms, pica_now() / 1000000 - begun_ms); /* its worker's clock is a coarse one */
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
    pica_task *held = body_spawn(body_returns, NULL);
    CHECK_OK(pica_await(held, NULL));
    CHECK_EQ(dump(&text), 1); /* what has ended is gone, also where somebody still holds it */
    CHECK_EQ(lines(text), 1);
    free(text);
    pica_unref(held);
}

static void a_cancelled_task(void)
{
    char *text;
    pica_task *task = spawn_named("late", body_sleeps, NULL, body_pin_here());
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
    CHECK_SOON(pi_load_acquire(&f.child)); /* it may have been faster than who spawned it */
    BODY_WAITS(f.child);
    BODY_WAITS(f.parent);
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
    line = line_of(text, f.parent);
    CHECK(says(line, "(parent) waiting"));
    snprintf(inlined, sizeof(inlined), "for task %llu", (unsigned long long)pica_task_id(f.child));
    CHECK(says(line, inlined));
    if (check_mode() == CHECK_ONE) {
        snprintf(inlined, sizeof(inlined), "runs inline, innermost first: task %llu\n",
                 (unsigned long long)pica_task_id(f.child));
        CHECK(says(all_of(text, f.parent), inlined));
        CHECK(strstr(all_of(text, f.child), "\n    ") == NULL); /* it has no stack of its own */
    }
    free(text);
    CHECK_OK(pica_cancel(f.child));
    CHECK_EQ(body_end(f.parent), -ECANCELED);
    pica_unref(f.child);
}

#define DESCENT 12 /* more than are named */

struct descent {
    unsigned left;
    check_latch asleep;
};

static intptr_t descends(void *arg)
{
    struct descent *d = arg;
    if (d->left-- == 0)
        return body_sleeps(&d->asleep);
    pica_task *child = body_spawn(descends, d);
    intptr_t result = 0;
    CHECK_EQ(pica_await(child, &result), -ECANCELED);
    pica_unref(child);
    return result;
}

/* Of many the innermost are named, and of the calls of them all the innermost are told. */
static void a_long_chain(void)
{
    char *text;
    struct descent d = {.left = DESCENT};
    pica_task *first = NULL;
    pica_attr attr = PICA_ATTR_INIT;
    attr.stack_size = (size_t)2 << 20; /* for all of them */
    CHECK_FATAL_OK(pica_spawn_with(&first, descends, &d, &attr));
    CHECK_HITS(&d.asleep, 1);
    BODY_WAITS(first);
    CHECK_EQ(dump(&text), DESCENT + 2);
    const char *all = all_of(text, first);
    CHECK(says(all, "runs inline, innermost first: task "));
    CHECK(says(all, " and 4 more\n"));
    CHECK(says(all, "\n    and so on"));
    free(text);
    CHECK_OK(pica_cancel(first));
    CHECK_EQ(body_end(first), -ECANCELED);
}

/* --- What a task waits for ---------------------------------------------------------------- */

static pica_sem sem;
static int ends[2], stuffed[2];

static intptr_t waits_for_sem(void *arg)
{
    (void)arg;
    return pica_sem_acquire(&sem);
}

static intptr_t waits_for_input(void *arg)
{
    (void)arg;
    return pica_poll_fd(ends[0], POLLIN, PICA_NEVER);
}

static intptr_t waits_for_output(void *arg)
{
    (void)arg;
    return pica_poll_fd(stuffed[1], POLLOUT, PICA_NEVER);
}

static intptr_t waits_for_either(void *arg)
{
    return pica_poll_fd(*(int *)arg, POLLIN | POLLOUT, PICA_NEVER);
}

/* The only place is taken by one that sleeps. */
static intptr_t waits_for_a_place(void *arg)
{
    pica_group group;
    pica_group_options options = PICA_GROUP_OPTIONS_INIT;
    options.limit = 1;
    CHECK_FATAL_OK(pica_group_begin_with(&group, &options));
    CHECK_OK(pica_group_spawn(&group, body_sleeps, arg));
    return pica_group_end(&group, pica_group_spawn(&group, body_sleeps, NULL));
}

static void fill(int fd)
{
    char bytes[4096] = "";
    CHECK_EQ(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    while (write(fd, bytes, sizeof(bytes)) > 0) {
    }
}

static intptr_t joins(void *task)
{
    return pica_join(task, NULL);
}

static intptr_t gathers(void *task)
{
    pica_task *tasks[2] = {task, task};
    return pica_gather(tasks, 2, NULL, 0);
}

static intptr_t has_a_member(void *arg)
{
    pica_group group;
    pica_group_begin(&group);
    CHECK_OK(pica_group_spawn(&group, body_sleeps, arg));
    return pica_group_end(&group, 0);
}

static void what_it_waits_for(void)
{
    char *text, words[80];
    enum { TASKS = 9 };
    int socket_ends[2];
    CHECK_FATAL(pipe(ends) == 0 && pipe(stuffed) == 0);
    CHECK_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, socket_ends) == 0);
    fill(stuffed[1]);
    fill(socket_ends[0]);
    CHECK_OK(pica_sem_init(&sem, 0));
    check_latch asleep = {0};
    pica_task *tasks[TASKS], *other = body_spawn(body_sleeps, &asleep);
    tasks[0] = body_spawn(body_sleeps, &asleep);
    CHECK_HITS(&asleep, 2);
    tasks[1] = body_spawn(waits_for_sem, NULL);
    tasks[2] = body_spawn(waits_for_input, NULL);
    tasks[3] = body_spawn(joins, tasks[0]);
    tasks[4] = body_spawn(gathers, other);
    tasks[5] = body_spawn(has_a_member, &asleep);
    tasks[6] = body_spawn(waits_for_output, NULL);
    tasks[7] = body_spawn(waits_for_a_place, &asleep);
    tasks[8] = body_spawn(waits_for_either, &socket_ends[0]);
    CHECK_HITS(&asleep, 4);
    for (unsigned i = 0; i < TASKS; i++)
        BODY_WAITS(tasks[i]);
    CHECK_EQ(dump(&text), TASKS + 4); /* the main one, the other one, two members */
    CHECK(says(line_of(text, tasks[0]), "waiting asleep, for "));
    snprintf(words, sizeof(words), "waiting for semaphore 0x%llx, for ",
             (unsigned long long)(uintptr_t)&sem);
    CHECK(says(line_of(text, tasks[1]), words));
    snprintf(words, sizeof(words), "waiting for input of descriptor %d, ", ends[0]);
    CHECK(says(line_of(text, tasks[2]), words));
    snprintf(words, sizeof(words), "waiting for task %llu, ",
             (unsigned long long)pica_task_id(tasks[0]));
    CHECK(says(line_of(text, tasks[3]), words));
    CHECK(says(line_of(text, tasks[4]), "waiting for some of 2 tasks, "));
    const char *line = line_of(text, tasks[5]);
    CHECK(strstr(line, "waiting for the members of group 0x") || strstr(line, ", run inline"));
    snprintf(words, sizeof(words), "waiting for output of descriptor %d, ", stuffed[1]);
    CHECK(says(line_of(text, tasks[6]), words));
    CHECK(says(line_of(text, tasks[7]), "waiting for a place in group 0x"));
    snprintf(words, sizeof(words), "waiting for input or output of descriptor %d, ",
             socket_ends[0]);
    CHECK(says(line_of(text, tasks[8]), words));
    free(text);
    for (unsigned i = TASKS; i-- > 0;) { /* the gatherer's cancel ends the other one, too */
        CHECK_OK(pica_cancel(tasks[i]));
        CHECK_EQ(body_end(tasks[i]), -ECANCELED);
    }
    CHECK_EQ(body_end(other), -ECANCELED);
    close(ends[0]);
    close(ends[1]);
    close(stuffed[0]);
    close(stuffed[1]);
    close(socket_ends[0]);
    close(socket_ends[1]);
}

/* --- Its stack ---------------------------------------------------------------------------- */

static void *returns_to[3]; /* where the frames below will return to */

static __attribute__((noinline)) intptr_t sleeps_below(void *arg)
{
    returns_to[0] = __builtin_return_address(0);
    intptr_t result = body_sleeps(arg);
    __asm__ volatile("" : "+r"(result)); /* no tail call */
    return result;
}

static __attribute__((noinline)) intptr_t sleeps_further_below(void *arg)
{
    returns_to[1] = __builtin_return_address(0);
    intptr_t result = sleeps_below(arg);
    __asm__ volatile("" : "+r"(result));
    return result;
}

static intptr_t sleeps_deep(void *arg)
{
    returns_to[2] = __builtin_return_address(0);
    intptr_t result = sleeps_further_below(arg);
    __asm__ volatile("" : "+r"(result));
    return result;
}

/* Each call that has not returned has a line with its address, from the inside out. */
static void back_trace(void)
{
    char *text, frame[40];
    check_latch asleep = {0};
    pica_task *task = body_spawn(sleeps_deep, &asleep);
    CHECK_HITS(&asleep, 1);
    BODY_WAITS(task);
    CHECK_EQ(dump(&text), 2);
    const char *at = all_of(text, task);
    for (unsigned i = 0; i < 3; i++) {
        snprintf(frame, sizeof(frame), "\n    at 0x%zx ", (size_t)returns_to[i]);
        const char *found = strstr(at, frame);
        if (CHECK(found != NULL))
            at = found + 1;
        else
            fputs(all_of(text, task), stderr);
        CHECK(says(at, "(dump_test+0x"));
    }
    CHECK(strstr(all_of(text, pica_self()), "\n    at ") == NULL); /* it runs */
    free(text);
    CHECK_OK(pica_cancel(task));
    CHECK_EQ(body_end(task), -ECANCELED);
}

/* What many share in a row is told once. */
static void the_same_place(void)
{
    char *text;
    check_latch asleep = {0};
    pica_task *tasks[20];
    for (unsigned i = 0; i < 20; i++)
        tasks[i] = body_spawn(body_sleeps, &asleep);
    CHECK_HITS(&asleep, 20);
    for (unsigned i = 0; i < 20; i++)
        BODY_WAITS(tasks[i]);
    CHECK_EQ(dump(&text), 21);
    unsigned told = 0, same = 0;
    for (unsigned i = 0; i < 20; i++) {
        told += strstr(all_of(text, tasks[i]), "\n    at 0x") != NULL;
        same += strstr(all_of(text, tasks[i]), "\n    at the same place") != NULL;
    }
    CHECK_EQ(told + same, 20);
    CHECK_LE(told, 2); /* the main task may lie between two of them */
    free(text);
    for (unsigned i = 0; i < 20; i++) {
        CHECK_OK(pica_cancel(tasks[i]));
        CHECK_EQ(body_end(tasks[i]), -ECANCELED);
    }
}

/* @return the bytes in use or the mark, of a task that waits; -1: not told */
static long stack_of(const pica_task *task, bool in_use)
{
    char *text;
    long now = -1, mark = -1, size = -1;
    CHECK_LE(2, dump(&text));
    const char *at = strstr(all_of(text, task), "\n    stack: ");
    if (CHECK(at != NULL))
        CHECK_EQ(sscanf(at, "\n    stack: %ld bytes in use, %ld at most so far, of %ld", &now,
                        &mark, &size),
                 3);
    CHECK_LT(0, now);
    CHECK_LE(now, mark);
    CHECK_LE(mark, size);
    free(text);
    return in_use ? now : mark;
}

#define DEEP 100000

static __attribute__((noinline)) void uses_much(void)
{
    volatile char much[DEEP];
    for (size_t i = 0; i < sizeof(much); i += 512)
        much[i] = 1;
}

static intptr_t sleeps_after(void *arg)
{
    check_latch *latch = arg;
    check_hit(&latch[0]);
    CHECK_EQ(pica_sem_acquire(&sem), 0);
    uses_much();
    return body_sleeps(&latch[1]);
}

/* The mark rises with what is used and stays; the stack keeps it for the next task. */
static void high_water(void)
{
    pica_attr attr = PICA_ATTR_INIT;
    attr.stack_size = (size_t)4 << 20; /* nobody had a stack of that size before */
    CHECK_OK(pica_sem_init(&sem, 0));
    for (int i = 0; i < 2; i++) {
        check_latch latches[2] = {{0}, {0}};
        pica_task *task = NULL;
        CHECK_FATAL_OK(pica_spawn_with(&task, sleeps_after, latches, &attr));
        CHECK_HITS(&latches[0], 1);
        BODY_WAITS(task);
        CHECK_LT(stack_of(task, true), DEEP);
        if (i == 0)
            CHECK_LT(stack_of(task, false), DEEP);
        else if (check_mode() == CHECK_ONE) /* elsewhere it may have got another one */
            CHECK_LE(DEEP, stack_of(task, false));
        CHECK_OK(pica_sem_release(&sem));
        CHECK_HITS(&latches[1], 1);
        BODY_WAITS(task);
        CHECK_LT(stack_of(task, true), DEEP);
        CHECK_LE(DEEP, stack_of(task, false));
        CHECK_LT(stack_of(task, false), 2 * DEEP);
        CHECK_OK(pica_cancel(task));
        CHECK_EQ(body_end(task), -ECANCELED);
    }
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
    begun_ms = pica_now() / 1000000;
    check_run("each live task", each_live_task);
    check_run("a cancelled task", a_cancelled_task);
    check_run("an inlined child", an_inlined_child);
    check_run_in(CHECK_ONE, "a long chain", a_long_chain);
    check_run("what it waits for", what_it_waits_for);
    check_run("back-trace", back_trace);
    check_run("the same place", the_same_place);
    check_run("high water", high_water);
    check_run("long names", long_names);
    check_run("errors", errors);
    check_run("while tasks come and go", while_tasks_come_and_go);
}
