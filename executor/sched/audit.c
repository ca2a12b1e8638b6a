/* SPDX-License-Identifier: MIT */
/* audit.c: see audit.h. */
#include "executor/sched/audit.h"

#include "executor/sched/awaited.h"
#include "executor/sched/exception.h"

#include <string.h>
#include <unistd.h>

#define SAID_MAX 32 /* lines of one kind on stderr; a hook gets them all */

static const char *plural(uint64_t n)
{
    return n == 1 ? "" : "s";
}

/* The default: a line on stderr. */
static void say(const pica_left *left)
{
    pi_line line;
    pi_line_begin(&line);
    pi_line_add(&line, "pica: ");
    if (left->kind == PICA_LEFT_DESCRIPTOR) {
        pi_line_add(&line, "descriptor %d (%s) was left open", left->fd, left->name);
    } else {
        if (left->kind == PICA_LEFT_HANDLE)
            pi_line_add(&line, "%u reference%s left to ", left->references,
                        plural(left->references));
        pi_line_add_task(&line, left->id, left->name, left->site);
        pi_line_add(&line, ")");
        if (left->kind == PICA_LEFT_TASK)
            pi_line_add(&line, " still lived when its executor ended%s%s",
                        *left->waits ? ", waiting" : "", left->waits);
    }
    (void)pi_line_write(&line, STDERR_FILENO);
}

static void tell(pica_executor *ex, pica_left *left)
{
    left->size = sizeof(*left);
    pi_fiber *fiber = pi_hook_begin();
    if (ex->on_left) {
        PI_NO_EXCEPTION_PASSES();
        ex->on_left(ex->hook_arg, left);
    } else if (pi_add_relaxed(&ex->left_said[left->kind], UINT64_C(1)) < SAID_MAX) {
        say(left);
    }
    pi_hook_end(fiber);
}

/* What it waits for, if it does and does not just run another task inline. */
static void add_awaited(pi_line *line, const pica_task *task)
{
    const pi_fiber *fiber = pi_load_acquire(&task->fiber);
    uint64_t word;
    pi_awaited awaited;
    if (!fiber || !pi_stands_begin(fiber, &word))
        return;
    bool innermost = pi_load_relaxed(&fiber->current) == task;
    if (pi_awaited_read(fiber, word, &awaited) && innermost)
        pi_awaited_add(line, awaited);
}

bool pi_audit_look(pi_audited *of, pica_task *task)
{
    uint64_t id = pi_load_relaxed(&task->id);
    of->left = (pica_left){.kind = PICA_LEFT_TASK,
                           .id = id,
                           .name = pi_task_name(task),
                           .site = task->site,
                           .waits = of->waits.text};
    pi_line_begin(&of->waits);
    of->waits.text[0] = 0;
    add_awaited(&of->waits, task);
    /* It runs, perhaps, and may have ended by now, its object be another's. */
    pi_fence_seq_cst();
    uint32_t word = pi_load_acquire(&task->word);
    return word && !(word & PI_TASK_DONE) && pi_load_relaxed(&task->id) == id;
}

void pi_audit_tell(pica_executor *ex, pi_audited *of)
{
    tell(ex, &of->left);
}

static void tell_handle(pica_task *task, void *ex)
{
    pica_left left = {.kind = PICA_LEFT_HANDLE,
                      .id = task->id,
                      .name = pi_task_name(task),
                      .site = task->site,
                      .waits = "",
                      .references = pi_load_relaxed(&task->word) / PI_TASK_REF};
    tell(ex, &left);
}

static void tell_descriptor(int fd, const char *what, void *ex)
{
    pica_left left = {
        .kind = PICA_LEFT_DESCRIPTOR, .name = what, .site = "", .waits = "", .fd = fd};
    tell(ex, &left);
}

static void say_how_many_more(const pica_executor *ex)
{
    static const char *const what[] = {"", "task", "task with references", "descriptor"};
    for (unsigned kind = PICA_LEFT_TASK; kind <= PICA_LEFT_DESCRIPTOR; kind++) {
        uint64_t n = pi_load_relaxed(&ex->left_said[kind]);
        if (n <= SAID_MAX)
            continue;
        pi_line line;
        pi_line_begin(&line);
        pi_line_add(&line, "pica: and %llu more of that kind (%s) left",
                    (unsigned long long)(n - SAID_MAX), what[kind]);
        (void)pi_line_write(&line, STDERR_FILENO);
    }
}

void pi_audit_end(pica_executor *ex)
{
    if (!pi_audit_wanted(ex))
        return;
    pi_pool_each(&ex->pool, tell_handle, ex);
    if (ex->driver->each_descriptor)
        ex->driver->each_descriptor(ex->driver_shared, tell_descriptor, ex);
    say_how_many_more(ex);
}
