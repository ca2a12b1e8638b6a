/* SPDX-License-Identifier: MIT */
/* dump.c: what an executor's tasks are doing, for people. See pica_dump(). Everything is read
 * while others write it: a line may be out of date, never wild (memory is type-stable). */
#include "executor/sched/executor.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct dump {
    int fd;
    int count;
    int error;
};

static __attribute__((noinline)) int write_all(int fd, const char *text, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, text, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return -errno;
        text += done;
        n -= (size_t)done;
    }
    return 0;
}

static void one(pica_task *task, void *arg)
{
    static const char *const names[] = {"ready", "running", "waiting", "done"};
    struct dump *dump = arg;
    if (dump->error || pi_task_done(task))
        return;
    pi_fiber *fiber = pi_load_acquire(&task->fiber);
    pica_status status = pica_task_status(task);
    char since[32] = "", inlined[40] = "", line[320];
    if (fiber && status == PICA_WAITING) {
        uint32_t now_ms = (uint32_t)(pica_now() / 1000000);
        snprintf(since, sizeof(since), " for %u ms", now_ms - fiber->since_ms);
    }
    if (fiber && fiber->base != task)
        snprintf(inlined, sizeof(inlined), ", inline in task %llu",
                 (unsigned long long)fiber->base->id);
    uint32_t cancels = pi_load_relaxed(&task->cancels);
    /* Long names are cut, so that the rest of the line still fits; of a path, the end counts. */
    size_t site_length = strlen(task->site);
    const char *site = task->site + (site_length > 80 ? site_length - 80 : 0);
    int n = snprintf(line, sizeof(line),
                     "task %llu (%.80s) %s%s%s%s, spawned at %s by %llu\n",
                     (unsigned long long)task->id, pica_task_name(task), names[status], since,
                     cancels ? ", cancelled" : "", inlined, site,
                     (unsigned long long)task->parent);
    if (n < 0)
        return;
    dump->error = write_all(dump->fd, line,
                            (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1);
    dump->count++;
}

int pica_dump(pica_executor *ex, int fd)
{
    struct dump dump = {.fd = fd};
    if (!ex)
        return -EINVAL;
    pi_pool_each(&ex->pool, one, &dump);
    return dump.error ? dump.error : dump.count;
}
