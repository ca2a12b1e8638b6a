/* SPDX-License-Identifier: MIT */
/* spawn_test.c: what spawning takes, refuses and promises. See pica/task.h. */
#include "tests/executor/bodies.h"

#include <pthread.h>

/* --- Arguments ---------------------------------------------------------------------------- */

struct copied {
    uint64_t words[PICA_COPY_MAX / sizeof(uint64_t)];
};

static intptr_t sums(void *arg)
{
    const struct copied *copy = arg;
    uint64_t sum = 0;
    for (size_t i = 0; i < sizeof(copy->words) / sizeof(copy->words[0]); i++)
        sum += copy->words[i];
    return (intptr_t)sum;
}

/* The original is overwritten at once, and lies elsewhere. */
static void argument_is_copied(void)
{
    struct copied original;
    pica_task *tasks[20];
    for (unsigned t = 0; t < 20; t++) {
        for (size_t i = 0; i < sizeof(original.words) / sizeof(original.words[0]); i++)
            original.words[i] = t * 100 + i;
        CHECK_FATAL_OK(pica_spawn_copy(&tasks[t], sums, &original));
        memset(&original, 0xff, sizeof(original));
    }
    for (unsigned t = 0; t < 20; t++)
        CHECK_EQ(body_end(tasks[t]), 8 * 100 * t + 28);
}

static intptr_t reads_char(void *arg)
{
    return *(const char *)arg;
}

static void copies_of_any_size(void)
{
    char small = 'x';
    pica_task *task = NULL;
    CHECK_OK(pica_spawn_copy(&task, reads_char, &small));
    small = 'y';
    CHECK_EQ(body_end(task), 'x');
    char large[PICA_COPY_MAX + 1] = "";
    task = NULL;
    CHECK_EQ(pica_spawn_copy(&task, reads_char, &large), -EINVAL);
    CHECK_EQ(task, NULL);
}

static intptr_t is_aligned(void *arg)
{
    return (uintptr_t)arg % _Alignof(max_align_t) == 0;
}

static void copy_is_aligned(void)
{
    long double value = 1;
    pica_task *task;
    CHECK_FATAL_OK(pica_spawn_copy(&task, is_aligned, &value));
    CHECK_EQ(body_end(task), 1);
}

static intptr_t checks_name(void *arg)
{
    CHECK_STR(pica_task_name(pica_self()), arg);
    return 0;
}

static void name_is_kept(void)
{
    pica_attr attr = PICA_ATTR_INIT;
    attr.name = "magpie";
    pica_task *task;
    CHECK_FATAL_OK(pica_spawn_with(&task, checks_name, (void *)(uintptr_t) "magpie", &attr));
    CHECK_STR(pica_task_name(task), "magpie");
    CHECK_EQ(body_end(task), 0);
    task = body_spawn(checks_name, (void *)(uintptr_t) "task");
    CHECK_STR(pica_task_name(task), "task");
    CHECK_EQ(body_end(task), 0);
}

static void refused(const pica_attr *attr)
{
    pica_task *task = NULL;
    CHECK_EQ(pica_spawn_with(&task, body_returns, NULL, attr), -EINVAL);
    CHECK_EQ(task, NULL);
    CHECK_EQ(pica_executor_spawn_with(check_executor(), &task, body_returns, NULL, attr), -EINVAL);
    CHECK_EQ(task, NULL);
}

static void attributes_out_of_range(void)
{
    pica_attr attr = PICA_ATTR_INIT;
    attr.size = 0;
    refused(&attr);
    attr = (pica_attr)PICA_ATTR_INIT;
    attr.pin = pica_executor_workers(check_executor()) + 1;
    refused(&attr);
    attr = (pica_attr)PICA_ATTR_INIT;
    attr.stack_size = ((size_t)1 << 30) + 1;
    refused(&attr);
    attr.stack_size = SIZE_MAX;
    refused(&attr);
    attr = (pica_attr)PICA_ATTR_INIT;
    attr.copy_size = PICA_COPY_MAX + 1;
    refused(&attr);
    attr = (pica_attr)PICA_ATTR_INIT;
    attr.reserved = 1;
    refused(&attr);
    attr = (pica_attr)PICA_ATTR_INIT;
    attr.copy_size = 1; /* of nothing */
    CHECK_EQ(pica_spawn_with(NULL, body_returns, NULL, &attr), -EINVAL);
    pica_task *task = NULL;
    CHECK_EQ(pica_spawn(&task, NULL, NULL), -EINVAL);
    CHECK_EQ(pica_executor_spawn(check_executor(), &task, NULL, NULL), -EINVAL);
    CHECK_EQ(pica_executor_spawn(NULL, &task, body_returns, NULL), -EINVAL);
    CHECK_EQ(task, NULL);
}

/* A caller that was compiled against an older header knows fewer attributes. */
static void attributes_of_an_older_caller(void)
{
    pica_attr attr = PICA_ATTR_INIT;
    attr.size = offsetof(pica_attr, pin);
    attr.pin = 99; /* beyond what it knows: not read */
    attr.name = "old";
    pica_task *task;
    CHECK_FATAL_OK(pica_spawn_with(&task, body_returns, body_arg(3), &attr));
    CHECK_STR(pica_task_name(task), "old");
    CHECK_EQ(body_end(task), 3);
}

static void out_may_be_null(void)
{
    check_latch latch = {0};
    for (unsigned i = 0; i < 100; i++)
        CHECK_OK(pica_spawn(NULL, body_hits, &latch));
    CHECK_HITS(&latch, 100);
}

/* --- Where and when tasks run ------------------------------------------------------------- */

struct pinned {
    int worker;
    check_latch *done;
};

static intptr_t stays(void *arg)
{
    const struct pinned *pinned = arg;
    for (unsigned i = 0; i < 200; i++) {
        CHECK_EQ(pica_worker_index(), pinned->worker);
        CHECK_OK(i % 50 == 49 ? pica_sleep(PICA_US(50)) : pica_yield());
    }
    CHECK_EQ(pica_worker_index(), pinned->worker);
    check_hit(pinned->done);
    return 0;
}

static void pinned_stays(void)
{
    check_latch done = {0};
    unsigned workers = pica_executor_workers(check_executor()), n = 0;
    pica_task *tasks[64];
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned w = 0; w < workers; w++) {
            struct pinned pinned = {(int)w, &done};
            pica_attr attr = PICA_ATTR_INIT;
            attr.pin = w + 1;
            attr.copy_size = sizeof(pinned);
            CHECK_FATAL_OK(pica_spawn_with(&tasks[n], stays, &pinned, &attr));
            n++;
        }
    }
    for (unsigned i = 0; i < n; i++)
        CHECK_EQ(body_end(tasks[i]), 0);
    CHECK_EQ(check_hits(&done), n);
}

static intptr_t awaits_from_its_worker(void *arg)
{
    int here = pica_worker_index();
    pica_task *child = body_spawn(body_yields, arg);
    intptr_t result = body_end(child);
    CHECK_EQ(pica_worker_index(), here);
    return result;
}

static void pinned_may_await_others(void)
{
    unsigned workers = pica_executor_workers(check_executor());
    for (unsigned w = 0; w < workers; w++)
        CHECK_EQ(body_end(body_spawn_on(w, awaits_from_its_worker, body_arg(w + 5))), w + 5);
}

struct trace {
    char text[32]; /* one worker writes */
    unsigned n;
};

struct tracer {
    struct trace *trace;
    char name;
};

static intptr_t traces(void *arg)
{
    const struct tracer *tracer = arg;
    for (char i = '0'; i < '3'; i++) {
        tracer->trace->text[tracer->trace->n++] = tracer->name;
        tracer->trace->text[tracer->trace->n++] = i;
        int rc = pica_yield();
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* As in asyncio: in the order of spawning, and each yield lets all others have their turn. */
static void order_of_start(void)
{
    struct trace trace = {"", 0};
    pica_task *tasks[3];
    for (unsigned i = 0; i < 3; i++) {
        struct tracer tracer = {&trace, (char)('A' + i)};
        CHECK_FATAL_OK(pica_spawn_copy(&tasks[i], traces, &tracer));
    }
    CHECK_EQ(trace.n, 0); /* nothing runs before its spawner suspends */
    for (unsigned i = 0; i < 3; i++)
        CHECK_EQ(body_end(tasks[i]), 0);
    CHECK_STR(trace.text, "A0B0C0A1B1C1A2B2C2");
}

enum { MANY = 3000 }; /* more than the deque's first ring holds */

static struct {
    unsigned order[MANY]; /* one worker writes */
    unsigned n;
} started;

static intptr_t notes_its_start(void *arg)
{
    started.order[started.n++] = (unsigned)(uintptr_t)arg;
    return 0;
}

static void order_of_many(void)
{
    started.n = 0;
    for (unsigned i = 0; i < MANY; i++)
        CHECK_OK(pica_spawn(NULL, notes_its_start, body_arg(i)));
    while (started.n < MANY)
        CHECK_FATAL_OK(pica_yield());
    unsigned out_of_order = 0;
    for (unsigned i = 0; i < MANY; i++)
        out_of_order += started.order[i] != i;
    CHECK_EQ(out_of_order, 0);
}

/* --- Stack -------------------------------------------------------------------------------- */

static __attribute__((noinline)) intptr_t uses(size_t bytes)
{
    char *block = __builtin_alloca(bytes);
    for (size_t i = 0; i < bytes; i += 512)
        ((volatile char *)block)[i] = (char)i;
    return ((volatile char *)block)[0] == 0 ? 0 : -EIO;
}

static intptr_t uses_stack(void *arg)
{
    intptr_t rc = uses((size_t)arg);
    if (rc == 0)
        rc = pica_yield();
    return rc < 0 ? rc : uses((size_t)arg);
}

/* What was asked for can be used: on a stack of its own, and run inline. */
static void stack_size_is_granted(void)
{
    static const size_t sizes[] = {(size_t)1 << 10,   (size_t)32 << 10, (size_t)100 << 10,
                                   (size_t)500 << 10, (size_t)4 << 20,  (size_t)32 << 10};
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        pica_attr attr = PICA_ATTR_INIT;
        attr.stack_size = sizes[i];
        pica_task *task;
        void *bytes = body_arg((intptr_t)(sizes[i] - 256));
        CHECK_FATAL_OK(pica_spawn_with(&task, uses_stack, bytes, &attr));
        CHECK_EQ(body_end(task), 0);
        CHECK_FATAL_OK(pica_spawn_with(&task, uses_stack, bytes, &attr));
        intptr_t result = -1;
        CHECK_EQ(pica_join(task, &result), 0);
        CHECK_EQ(result, 0);
        pica_unref(task);
    }
}

/* --- Handles ------------------------------------------------------------------------------ */

static intptr_t hits_and_fails(void *arg)
{
    check_hit(arg);
    return -EIO;
}

static void detached_runs_to_its_end(void)
{
    check_latch latch = {0};
    for (unsigned i = 0; i < 50; i++)
        CHECK_EQ(pica_detach(body_spawn(hits_and_fails, &latch)), NULL);
    CHECK_HITS(&latch, 50);
}

static intptr_t hits_after_a_yield(void *arg)
{
    int rc = pica_yield();
    check_hit(arg);
    return rc;
}

static void unref_leaves_it_running(void)
{
    check_latch latch = {0};
    for (unsigned i = 0; i < 50; i++)
        CHECK_EQ(pica_unref(body_spawn(hits_after_a_yield, &latch)), NULL);
    CHECK_HITS(&latch, 50);
}

/* --- From outside ------------------------------------------------------------------------- */

static check_latch foreign_hits;

static void *foreign_thread(void *arg)
{
    pica_executor *ex = arg;
    CHECK_EQ(pica_self(), NULL);
    CHECK_EQ(pica_executor_self(), NULL);
    CHECK_EQ(pica_worker_index(), -1);
    CHECK_EQ(pica_spawn(NULL, body_returns, NULL), -EPERM);
    for (unsigned i = 0; i < 200; i++) {
        pica_task *task = NULL;
        CHECK_FATAL_OK(pica_executor_spawn(ex, &task, body_hits, &foreign_hits));
        CHECK_NE(pica_task_id(task), 0);
        intptr_t result = 0;
        if (i % 3 == 0)
            CHECK_EQ(pica_await(task, &result), 0);
        else if (i % 3 == 1)
            CHECK_EQ(pica_join(task, &result), 0);
        if (i % 3 != 2)
            CHECK_EQ(result, 1);
        pica_unref(task);
    }
    pica_attr attr = PICA_ATTR_INIT;
    char byte = 'c';
    for (unsigned w = 0; w < pica_executor_workers(ex); w++) {
        attr.pin = w + 1;
        attr.copy_size = 1;
        pica_task *task = NULL;
        CHECK_FATAL_OK(pica_executor_spawn_with(ex, &task, reads_char, &byte, &attr));
        CHECK_EQ(body_end(task), 'c');
    }
    return NULL;
}

static void from_foreign_threads(void)
{
    foreign_hits.count = 0;
    pica_options options = check_options();
    pica_executor *ex = check_executor_open(&options);
    pthread_t threads[3];
    for (unsigned i = 0; i < 3; i++)
        CHECK_FATAL(pthread_create(&threads[i], NULL, foreign_thread, ex) == 0);
    for (unsigned i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    CHECK_HITS(&foreign_hits, 600);
    check_executor_close(ex);
}

static intptr_t checks_self(void *arg)
{
    pica_task *self = pica_self();
    CHECK(self != NULL);
    CHECK_EQ(pica_executor_self(), check_executor());
    CHECK_LE(pica_worker_index(), (int)pica_executor_workers(check_executor())); /* the spare's */
    CHECK_LE(0, pica_worker_index());
    CHECK_EQ(pica_task_status(self), PICA_RUNNING);
    *(pica_task **)arg = self;
    return 0;
}

static void self_is_the_handle(void)
{
    pica_task *seen = NULL;
    pica_task *me = pica_self();
    pica_task *task = body_spawn(checks_self, &seen);
    CHECK_EQ(body_end(task), 0);
    CHECK_EQ(seen, task);
    CHECK_EQ(pica_self(), me); /* also after an inline run */
    CHECK_NE(seen, me);
}

static void ids_are_unique(void)
{
    enum { N = 300 };
    pica_task *tasks[N];
    uint64_t ids[N];
    for (unsigned i = 0; i < N; i++) {
        tasks[i] = body_spawn(body_returns, NULL);
        ids[i] = pica_task_id(tasks[i]);
        CHECK_NE(ids[i], 0);
    }
    unsigned same = 0;
    for (unsigned i = 0; i < N; i++)
        for (unsigned k = 0; k < i; k++)
            same += ids[i] == ids[k];
    CHECK_EQ(same, 0);
    for (unsigned i = 0; i < N; i++)
        CHECK_EQ(body_end(tasks[i]), 0);
}

CHECK_MAIN
{
    check_run("an argument is copied", argument_is_copied);
    check_run("copies of any size", copies_of_any_size);
    check_run("a copy is aligned", copy_is_aligned);
    check_run("a name is kept", name_is_kept);
    check_run("attributes out of range", attributes_out_of_range);
    check_run("attributes of an older caller", attributes_of_an_older_caller);
    check_run("out may be NULL", out_may_be_null);
    check_run("pinned stays where it is", pinned_stays);
    check_run("pinned may await others", pinned_may_await_others);
    check_run_in(CHECK_ONE, "order of start", order_of_start);
    check_run_in(CHECK_ONE, "order of many", order_of_many);
    check_run("a stack size is granted", stack_size_is_granted);
    check_run("detached runs to its end", detached_runs_to_its_end);
    check_run("unref leaves it running", unref_leaves_it_running);
    check_plain_in(CHECK_ALL, "from foreign threads", from_foreign_threads);
    check_run("self is the handle", self_is_the_handle);
    check_run("ids are unique", ids_are_unique);
}
