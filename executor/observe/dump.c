/* SPDX-License-Identifier: MIT */
/* dump.c: what an executor's tasks are doing, for people. See pica_dump(). Everything is read
 * while others write it: a line may be out of date, never wild (memory is type-stable). What is
 * said of a parked task's stack is of one moment (trace.h). */
#include "executor/base/line.h"
#include "executor/observe/trace.h"
#include "executor/sched/executor.h"

#include <dlfcn.h>
#include <link.h>
#include <string.h>

struct dump {
    int fd;
    int count;
    int error;
    size_t shown; /* frames of the back-trace that was written last */
    uintptr_t last[PI_TRACE_FRAMES];
    pi_trace trace;
    pi_line line;
};

static void write_line(struct dump *dump)
{
    if (!dump->error)
        dump->error = pi_line_write(&dump->line, dump->fd);
}

/* ---- the task's own line ---- */

static void add_state(struct dump *dump, const pica_task *task, const pi_fiber *fiber,
                      pica_status status, bool traced)
{
    static const char *const names[] = {"ready", "running", "waiting", "done"};
    pi_line *line = &dump->line;
    pi_line_add(line, ") %s", names[status]);
    if (traced && dump->trace.runs_inline)
        pi_line_add(line, " for task %llu, run inline",
                    (unsigned long long)dump->trace.runs_inline);
    else if (traced)
        pi_awaited_add(line, dump->trace.awaited);
    if (fiber && status == PICA_WAITING) { /* first since when: it may park anew at any time */
        uint32_t since = traced ? dump->trace.since_ms : pi_load_relaxed(&fiber->since_ms);
        pi_line_add(line, ", for %u ms", (uint32_t)(pica_now() / 1000000) - since);
    }
    if (pi_load_relaxed(&task->cancels))
        pi_line_add(line, ", cancelled");
    if (traced ? !dump->trace.is_base : fiber && fiber->base != task)
        pi_line_add(line, ", inline in task %llu", (unsigned long long)fiber->base->id);
}

/* ---- what lies on its stack ---- */

static void say_stack(struct dump *dump, const pi_fiber *fiber, bool traced)
{
    size_t mark = pi_trace_stack_mark(fiber);
    pi_line_add(&dump->line, "    stack: ");
    if (traced) {
        size_t now = dump->trace.stack_now;
        pi_line_add(&dump->line, "%zu bytes in use, ", now);
        mark = mark > now ? mark : now; /* its lowest bytes may be zero, like unused ones */
    }
    pi_line_add(&dump->line, "%zu at most so far, of %zu", mark, pi_trace_stack_size(fiber));
    write_line(dump);
}

static void say_chain(struct dump *dump)
{
    const pi_trace *trace = &dump->trace;
    pi_line_add(&dump->line, "    runs inline, innermost first:");
    for (size_t i = 0; i < trace->chain && i < PI_TRACE_CHAIN; i++)
        pi_line_add(&dump->line, "%s task %llu", i ? "," : "",
                    (unsigned long long)trace->chain_ids[i]);
    if (trace->chain > PI_TRACE_CHAIN)
        pi_line_add(&dump->line, " and %zu more", trace->chain - PI_TRACE_CHAIN);
    write_line(dump);
}

/* For addr2line and for people: the offset in its file always, the name where it is exported. */
static void say_frame(struct dump *dump, uintptr_t pc, bool innermost)
{
    Dl_info info;
    struct link_map *map = NULL;
    uintptr_t inside = innermost ? pc : pc - 1; /* a call may be its function's end */
    pi_line *line = &dump->line;
    pi_line_add(line, "    at 0x%zx", (size_t)pc);
    if (dladdr1((const void *)inside, &info, (void **)&map, RTLD_DL_LINKMAP) && map) {
        const char *slash = info.dli_fname ? strrchr(info.dli_fname, '/') : NULL;
        if (info.dli_sname) {
            pi_line_add(line, " ");
            pi_line_add_name(line, info.dli_sname);
            pi_line_add(line, "+0x%zx", (size_t)(pc - (uintptr_t)info.dli_saddr));
        }
        pi_line_add(line, " (");
        pi_line_add_name(line, slash ? slash + 1 : info.dli_fname ? info.dli_fname : "");
        pi_line_add(line, "+0x%zx)", (size_t)(pc - map->l_addr));
    }
    write_line(dump);
}

/* Thousands of tasks wait at the same place: once is enough for those in a row. */
static void say_frames(struct dump *dump)
{
    const pi_trace *trace = &dump->trace;
    if (trace->frames == dump->shown &&
        memcmp(trace->pcs, dump->last, trace->frames * sizeof(trace->pcs[0])) == 0) {
        pi_line_add(&dump->line, "    at the same place as the one before");
        write_line(dump);
        return;
    }
    for (size_t i = 0; i < trace->frames; i++)
        say_frame(dump, trace->pcs[i], i == 0);
    if (trace->frames == PI_TRACE_FRAMES) {
        pi_line_add(&dump->line, "    and so on");
        write_line(dump);
    }
    dump->shown = trace->frames;
    memcpy(dump->last, trace->pcs, sizeof(dump->last));
}

/* ---- all of them ---- */

static void one(pica_task *task, void *arg)
{
    struct dump *dump = arg;
    if (dump->error || pi_task_done(task))
        return;
    bool traced = pi_trace_take(task, &dump->trace);
    const pi_fiber *fiber = traced ? dump->trace.fiber : pi_load_acquire(&task->fiber);
    pica_status status = traced ? PICA_WAITING : pica_task_status(task);
    pi_line *line = &dump->line;
    pi_line_add(line, "task %llu (", (unsigned long long)task->id);
    pi_line_add_name(line, pi_task_name(task));
    add_state(dump, task, fiber, status, traced);
    pi_line_add(line, ", spawned at ");
    pi_line_add_site(line, task->site);
    pi_line_add(line, " by %llu", (unsigned long long)task->parent);
    write_line(dump);
    dump->count++;
    if (traced ? !dump->trace.is_base : !fiber || fiber->base != task)
        return;
    say_stack(dump, fiber, traced);
    if (traced && dump->trace.chain)
        say_chain(dump);
    if (traced)
        say_frames(dump);
}

int pica_dump(pica_executor *ex, int fd)
{
    struct dump dump = {.fd = fd};
    if (!ex)
        return -EINVAL;
    pi_pool_each(&ex->pool, one, &dump);
    return dump.error ? dump.error : dump.count;
}
