/* SPDX-License-Identifier: MIT */
/* ignored.c: see ignored.h. */
#include "executor/sched/ignored.h"

#include "executor/base/clock.h"
#include "executor/base/line.h"
#include "executor/sched/exception.h"
#include "executor/sched/executor.h"

#include <unistd.h>

/* A default hook, for programs that set none: a line on stderr. */
static void report_line(const pica_ignored_cancel *r)
{
    pi_line line;
    pi_line_begin(&line);
    pi_line_add(&line, "pica: ");
    pi_line_add_task(&line, r->id, r->name, r->site);
    pi_line_add(&line, ") goes on although it is cancelled: %u waits in %lld ms have told it",
                r->returns, (long long)(r->duration_ns / 1000000));
    (void)pi_line_write(&line, STDERR_FILENO);
}

static __attribute__((noinline, cold)) void report_slow(const pica_task *task, uint32_t returns,
                                                        int64_t duration_ns)
{
    const pica_executor *ex = pi_task_executor(task);
    pica_ignored_cancel report = {.size = sizeof(report),
                                  .id = task->id,
                                  .name = pi_task_name(task),
                                  .site = task->site,
                                  .returns = returns,
                                  .duration_ns = duration_ns};
    if (ex->on_ignored_cancel) {
        PI_NO_EXCEPTION_PASSES();
        ex->on_ignored_cancel(ex->hook_arg, &report);
    } else {
        report_line(&report);
    }
}

void pi_ignored_note(pi_fiber *fiber)
{
    pica_task *task = fiber->current;
    uint16_t level = pi_load_relaxed(&task->level);
    if (task->ignored & PI_IGNORED_REPORTED)
        return;
    if (++task->ignored == 1 && (!fiber->ignored_level || level <= fiber->ignored_level)) {
        fiber->ignored_level = level;
        fiber->ignored_since_ns = pi_now();
    }
    uint32_t returns = task->ignored;
    if (returns <= PI_IGNORED_MANY)
        return;
    int64_t duration_ns = pi_now() - fiber->ignored_since_ns;
    if (duration_ns < PI_IGNORED_NS)
        return;
    task->ignored = PI_IGNORED_REPORTED; /* before the hook: what it calls may come here, too */
    report_slow(task, returns, duration_ns);
}
