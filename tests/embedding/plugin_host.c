/* SPDX-License-Identifier: MIT */
/* plugin_host.c: loads plugins, uses them from threads that are older than they, and unloads
 * them, hundreds of times. Links no pica. Always one of two builds: on the system's malloc, or
 * on jemalloc.
 *
 *     plugin_host ALLOCATOR ROUNDS OBJECT...
 *
 * An OBJECT is a build of plugin.c, or libpica.so itself, which is then used by its own names.
 * ALLOCATOR is what each of them has to find. After each round the objects are out of the
 * process, and so are their threads, descriptors, mappings and signal handlers; if one left
 * thread-local storage behind, the loader would run out of room for it before the end.
 */
#include "executor/base/atomics.h"
#include "tests/embedding/plugin.h"
#include "tests/embedding/process.h"

#include <pica/executor.h>
#include <pica/task.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define THREADS 2
#define ASKS 5
#define OBJECTS 4

typedef struct plugin {
    const char *path;
    void *object;
    void *instance;
    void *(*open)(void);
    int (*ask)(void *instance, int n);
    void (*close)(void *instance);
    const char *(*allocator)(void);
} plugin;

static plugin plugins[OBJECTS];
static unsigned plugins_count;

static void die(const char *path, const char *what)
{
    fprintf(stderr, "plugin_host: %s: %s\n", path, what);
    exit(1);
}

static void *symbol(void *object, const char *path, const char *name)
{
    void *at = dlsym(object, name);
    if (!at)
        die(path, name);
    return at;
}

/* --- libpica.so by its names: the same as plugin.c ------------------------------------------ */

static struct {
    __typeof__(&pica_executor_create) create;
    __typeof__(&pica_executor_destroy) destroy;
    __typeof__(&pica_executor_spawn_at) spawn;
    __typeof__(&pica_await) await;
    __typeof__(&pica_unref) unref;
    __typeof__(&pica_sleep) sleep;
} raw;

static void *raw_open(void)
{
    pica_options options = PICA_OPTIONS_INIT;
    pica_executor *ex = NULL;
    options.workers = 2;
    return raw.create(&ex, &options) < 0 ? NULL : ex;
}

static intptr_t raw_adds_one(void *arg)
{
    int rc = raw.sleep(PICA_US(5));
    return rc < 0 ? rc : (intptr_t)arg + 1;
}

static int raw_ask(void *instance, int n)
{
    pica_task *task = NULL;
    intptr_t value = 0;
    int rc = raw.spawn(instance, &task, raw_adds_one, (void *)(intptr_t)n, NULL, PICA_SITE);
    if (rc == 0)
        rc = raw.await(task, &value);
    raw.unref(task);
    return rc < 0 ? rc : (int)value;
}

static void raw_close(void *instance)
{
    raw.destroy(instance);
}

static void load_raw(plugin *p)
{
    *(void **)&raw.create = symbol(p->object, p->path, "pica_executor_create");
    *(void **)&raw.destroy = symbol(p->object, p->path, "pica_executor_destroy");
    *(void **)&raw.spawn = symbol(p->object, p->path, "pica_executor_spawn_at");
    *(void **)&raw.await = symbol(p->object, p->path, "pica_await");
    *(void **)&raw.unref = symbol(p->object, p->path, "pica_unref");
    *(void **)&raw.sleep = symbol(p->object, p->path, "pica_sleep");
    *(void **)&p->allocator = symbol(p->object, p->path, "pica_allocator");
    p->open = raw_open;
    p->ask = raw_ask;
    p->close = raw_close;
}

/* --- A round ---------------------------------------------------------------------------------- */

static void load(plugin *p, const char *allocator)
{
    p->object = dlopen(p->path, RTLD_NOW | RTLD_LOCAL);
    if (!p->object)
        die(p->path, dlerror());
    if (strstr(p->path, "libpica.so")) {
        load_raw(p);
    } else {
        *(void **)&p->open = symbol(p->object, p->path, "plugin_open");
        *(void **)&p->ask = symbol(p->object, p->path, "plugin_ask");
        *(void **)&p->close = symbol(p->object, p->path, "plugin_close");
        *(void **)&p->allocator = symbol(p->object, p->path, "plugin_allocator");
        if (strstr(p->path, "static") && dlsym(p->object, "pica_run"))
            die(p->path, "shows the pica inside of it");
    }
    if (strcmp(p->allocator(), allocator) != 0)
        die(p->path, p->allocator());
    p->instance = p->open();
    if (!p->instance)
        die(p->path, "no executor");
}

static void unload(plugin *p, const process_state *before)
{
    p->close(p->instance);
    if (p == plugins && /* the last one: now there are none of theirs */
        proc_threads(before->threads) != before->threads)
        die(p->path, "its threads live on");
    if (dlclose(p->object) != 0)
        die(p->path, dlerror());
}

static void gone(const plugin *p)
{
    char line[4096];
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps && fgets(line, sizeof(line), maps))
        if (strstr(line, p->path) || strstr(line, "libpica"))
            die(p->path, "is still mapped");
    if (!maps || fclose(maps) != 0)
        die(p->path, "/proc/self/maps");
    struct sigaction action;
    if (sigaction(SIGSEGV, NULL, &action) != 0 || action.sa_handler != SIG_DFL)
        die(p->path, "has left a handler of SIGSEGV");
}

/* Threads of the host, older than the plugins, which outlive them. */
static sem_t begin[THREADS], ended[THREADS];

static void ask_all(int base)
{
    for (int i = 0; i < ASKS; i++)
        for (unsigned k = 0; k < plugins_count; k++)
            if (plugins[k].ask(plugins[k].instance, base + i) != base + i + 1)
                die(plugins[k].path, "gave a wrong answer");
}

static void *thread_main(void *arg)
{
    int number = *(const int *)arg;
    for (;;) {
        while (sem_wait(&begin[number]) != 0) {
        }
        ask_all(1000 * (number + 1));
        sem_post(&ended[number]);
    }
    return NULL;
}

static void one_round(const char *allocator, const process_state *before)
{
    for (unsigned k = 0; k < plugins_count; k++)
        load(&plugins[k], allocator);
    for (unsigned i = 0; i < THREADS; i++)
        sem_post(&begin[i]);
    ask_all(0);
    for (unsigned i = 0; i < THREADS; i++)
        while (sem_wait(&ended[i]) != 0) {
        }
    /* The last first, as signal handlers that lie upon one another have to go. */
    for (unsigned k = plugins_count; k-- > 0;)
        unload(&plugins[k], before);
    for (unsigned k = 0; k < plugins_count; k++)
        gone(&plugins[k]);
}

int main(int argc, char **argv)
{
    static int numbers[THREADS];
    if (argc < 4 || argc > 3 + OBJECTS)
        return 2;
    unsigned rounds = (unsigned)strtoul(argv[2], NULL, 10), warm = rounds / 4;
    plugins_count = (unsigned)argc - 3;
    for (unsigned k = 0; k < plugins_count; k++)
        plugins[k].path = argv[3 + k];
    signal(SIGSEGV, SIG_DFL); /* a sanitizer's is not what is tested */
    signal(SIGBUS, SIG_DFL);
    for (int i = 0; i < THREADS; i++) {
        pthread_t thread;
        numbers[i] = i;
        if (sem_init(&begin[i], 0, 0) || sem_init(&ended[i], 0, 0) ||
            pthread_create(&thread, NULL, thread_main, &numbers[i]) || pthread_detach(thread))
            return 1;
    }

    process_state before = process_look(~0u);
    for (unsigned i = 0; i < rounds; i++) {
        if (i == warm)
            before = process_look(before.threads);
        one_round(argv[1], &before);
    }
    process_state after = process_look(before.threads);
    bool flat = after.threads == before.threads && after.descriptors == before.descriptors;
#if !defined(PI_ASAN) && !defined(PI_TSAN)
    flat = flat && after.mappings <= before.mappings + PROCESS_MAPPINGS_SLACK &&
           after.heap <= before.heap + PROCESS_HEAP_SLACK &&
           after.mapped <= before.mapped + PROCESS_MAPPED_SLACK &&
           after.resident <= before.resident + PROCESS_RESIDENT_SLACK &&
           after.kept <= before.kept + PROCESS_KEPT_SLACK;
#endif
    if (!flat) {
        process_print("before", &before);
        process_print("after", &after);
        return 1;
    }
    printf("ok %u rounds with %u objects, %s\n", rounds, plugins_count, argv[1]);
    return 0;
}
