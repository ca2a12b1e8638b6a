/* SPDX-License-Identifier: MIT */
/* dump.c: what an executor's tasks are doing, for people. See pica_dump(). Everything is read
 * while others write it: a line may be out of date, never wild (memory is type-stable). */
#include "executor/base/line.h"
#include "executor/sched/executor.h"

struct dump {
    int fd;
    int count;
    int error;
};

static void one(pica_task *task, void *arg)
{
    static const char *const names[] = {"ready", "running", "waiting", "done"};
    struct dump *dump = arg;
    if (dump->error || pi_task_done(task))
        return;
    pi_fiber *fiber = pi_load_acquire(&task->fiber);
    pica_status status = pica_task_status(task);
    pi_line line;
    pi_line_begin(&line);
    pi_line_add(&line, "task %llu (", (unsigned long long)task->id);
    pi_line_add_name(&line, pica_task_name(task));
    pi_line_add(&line, ") %s", names[status]);
    if (fiber && status == PICA_WAITING)
        pi_line_add(&line, " for %u ms",
                    (uint32_t)(pica_now() / 1000000) - pi_load_relaxed(&fiber->since_ms));
    if (pi_load_relaxed(&task->cancels))
        pi_line_add(&line, ", cancelled");
    if (fiber && fiber->base != task)
        pi_line_add(&line, ", inline in task %llu", (unsigned long long)fiber->base->id);
    pi_line_add(&line, ", spawned at ");
    pi_line_add_site(&line, task->site);
    pi_line_add(&line, " by %llu", (unsigned long long)task->parent);
    dump->error = pi_line_write(&line, dump->fd);
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
