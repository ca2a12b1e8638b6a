/* SPDX-License-Identifier: MIT */
/* finish.c: all that a task's end takes, in its order: its group's pointer, its word, its group's
 * count, the executor's count. See worker.h. */
#include "executor/sched/closing.h"

#include <string.h>

void pi_task_finish(pi_worker *worker, pica_task *task, intptr_t result, bool held)
{
    pica_scope *group = task->flags & PI_TASK_MEMBER ? task->group : NULL;
    bool is_main = task->flags & PI_TASK_MAIN;
    pica_executor *ex = worker->ex;
    if (PI_UNLIKELY(group != NULL))
        pi_store_relaxed(&task->group, (pica_scope *)NULL); /* before the group may end */
    if (!held || !pi_task_end_inline(task, result))
        pi_task_end(task, result);
    if (PI_UNLIKELY(group != NULL)) {
        void (*member_ended)(pica_scope *, intptr_t);
        memcpy(&member_ended, &group->member_ended, sizeof(member_ended));
        member_ended(group, result);
    }
    pi_store_release(&worker->ended, worker->ended + 1);
    if (PI_UNLIKELY(is_main))
        pi_executor_close(ex);
    pi_executor_task_ended(ex);
}
