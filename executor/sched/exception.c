/* SPDX-License-Identifier: MIT */
/* exception.c: see exception.h. <unwind.h> is the compiler's own; nothing of libgcc is called. */
#include "executor/sched/exception.h"

#include "executor/base/assert.h"
#include "executor/base/line.h"
#include "executor/sched/worker.h"

#include <stdlib.h>
#include <unistd.h>
#include <unwind.h>

static void add_task(pi_line *line)
{
    const pica_task *task = pi_task_self();
    if (!task)
        return;
    pi_line_add(line, "task %llu (", (unsigned long long)task->id);
    pi_line_add_name(line, pi_task_name(task));
    pi_line_add(line, ", spawned at ");
    pi_line_add_site(line, task->site);
    pi_line_add(line, ")");
}

/* Called by the runtime alone, by its address in the call-frame information. */
_Unwind_Reason_Code pi_exception_would_leave(int version, _Unwind_Action actions,
                                             _Unwind_Exception_Class class,
                                             struct _Unwind_Exception *exception,
                                             struct _Unwind_Context *context);

__attribute__((cold, visibility("hidden"), PI_NAMED_BY_ASM)) _Unwind_Reason_Code
pi_exception_would_leave(int version, _Unwind_Action actions, _Unwind_Exception_Class class,
                         struct _Unwind_Exception *exception, struct _Unwind_Context *context)
{
    pi_line line;
    (void)version;
    (void)class;
    (void)exception;
    (void)context;
    pi_line_begin(&line);
    pi_line_add(&line, "pica: %s would leave ",
                actions & _UA_FORCE_UNWIND ? "pthread_exit() or a thread's cancellation"
                                           : "an exception");
    add_task(&line);
    (void)pi_line_write(&line, STDERR_FILENO);
    if (actions & _UA_FORCE_UNWIND)
        abort(); /* frames have been unwound already */
    return _URC_FATAL_PHASE1_ERROR;
}
