/* SPDX-License-Identifier: MIT */
/* exception.c: see exception.h. */
#include "executor/sched/exception.h"

#include "executor/base/assert.h"
#include "executor/base/line.h"
#include "executor/sched/worker.h"

#include <stdlib.h>
#include <unistd.h>

__attribute__((cold, visibility("hidden"), PI_NAMED_BY_ASM)) _Unwind_Reason_Code
pi_exception_would_leave(int version, _Unwind_Action actions, _Unwind_Exception_Class class,
                         struct _Unwind_Exception *exception, struct _Unwind_Context *context)
{
    const pica_task *task = pi_task_self();
    pi_line line;
    (void)version;
    (void)class;
    (void)exception;
    (void)context;
    pi_line_begin(&line);
    pi_line_add(&line, "pica: %s would leave ",
                actions & _UA_FORCE_UNWIND ? "pthread_exit() or a thread's cancellation"
                                           : "an exception");
    if (task) {
        pi_line_add_task(&line, (unsigned long long)task->id, pi_task_name(task), task->site);
        pi_line_add(&line, ")");
    } else {
        pi_line_add(&line, "a function that the executor called");
    }
    (void)pi_line_write(&line, STDERR_FILENO);
    if (actions & _UA_FORCE_UNWIND)
        abort(); /* frames have been unwound already */
    return _URC_FATAL_PHASE1_ERROR;
}
