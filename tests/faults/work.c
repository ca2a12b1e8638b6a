/* SPDX-License-Identifier: MIT */
/* work.c: see work.h. */
#include "tests/faults/work.h"

#include "tests/faults/sites.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>

int work_error, work_standing_error;
bool work_again;

int64_t work_patience(void)
{
    return pica_after(work_again ? PICA_MS(150) : PICA_SEC(10));
}

const work works[] = {
    {"coroutines", work_coroutines, NULL, NULL, 0, 0},
    {"coroutines, no guards by advice", work_coroutines, "guard", "madvise", EINVAL, 0},
    {"pica_run", work_run, NULL, NULL, 0, 0},
    {"pica_run, affinity unknown", work_run, "pi_cpus_usable", "sched_getaffinity", EINVAL, 0},
    {"pica_run, no eventfd", work_run, "pi_sys_eventfd", "eventfd", EMFILE, 0},
    {"pica_run, no watches", work_run, "open_reactor", "epoll_ctl", ENOSPC, 0},
    {"pica_run, pinned", work_pinned, NULL, NULL, 0, 0},
    {"loses an error", work_loses, NULL, NULL, 0, 0},
    {"compute, one worker", work_one, NULL, NULL, 0, 0},
    {"compute", work_compute, NULL, NULL, 0, 0},
    {"compute, futex driver", work_futex, NULL, NULL, 0, 0},
    {"idle", work_idle, NULL, NULL, 0, 0},
    {"trim", work_trim, NULL, NULL, 0, 0},
    {"trim, old kernel", work_trim, "advise_many", "process_madvise", ENOSYS, 0},
    {"resize", work_resize, NULL, NULL, 0, 0},
    {"crowd", work_crowd, NULL, NULL, 0, 0},
    {"shutdown", work_shutdown, NULL, NULL, 0, 0},
    {"left open", work_left_open, NULL, NULL, 0, 0},
    {"left open, port taken", work_left_open, "pi_sys_bind", "bind", EADDRINUSE, 0},
    {"left open, port taken late", work_left_open, "pi_sys_listen", "listen", EADDRINUSE, 0},
    {"net", work_net, NULL, NULL, 0, 0},
    {"net, old kernel", work_net, "pi_sys_epoll_wait_ns", "syscall", ENOSYS, 0},
    {"net, registered before", work_net, "pi_descriptor_watch", "epoll_ctl", EEXIST, 0},
    {"http", work_http, NULL, NULL, 0, 0},
    {"rescue", work_rescue, NULL, NULL, 0, 0},
    {"rescue, in a circle", work_rescue, "attach", "epoll_ctl", ELOOP, 0},
    {"alone", work_alone, NULL, NULL, 0, 0},
    {"misuse", work_misuse, NULL, NULL, 0, SIGABRT},
    {"overflow", work_overflow, NULL, NULL, 0, SIGSEGV},
};
const unsigned works_count = sizeof(works) / sizeof(works[0]);

/* What a fault leads to beyond its own code: a task that is cancelled, a peer that has gone, a
 * deadline because nobody answers, memory where the code is not passed on. */
static bool is_consequence(intptr_t rc)
{
    switch (rc) {
    case -ECANCELED:
    case -ECONNRESET:
    case -ECONNREFUSED:
    case -EPIPE:
    case -ENOMEM:
    case -ENOTCONN:
    case -PICA_EPEERTIMEDOUT:
        return true;
    case -ETIMEDOUT:
        return work_again || work_error == EISCONN; /* told so, it talks to nobody */
    case -ENOENT: /* told that it is registered, the library changes a registration */
        return work_error == EEXIST || work_standing_error == EEXIST;
    default:
        return rc == -work_standing_error;
    }
}

bool work_fine(intptr_t rc, const char *what, int line)
{
    if (rc >= 0)
        return true;
    if (rc == -work_error || (work_error == ETIMEDOUT && rc == -PICA_EPEERTIMEDOUT))
        sites_tell();
    /* The library itself tries again after a signal. */
    if (!work_error || rc == -EINTR || (rc != -work_error && !is_consequence(rc)))
        check_fail("work", line, "%s: %lld (%s), while %d is made to happen", what, (long long)rc,
                   pica_strerror(rc), work_error);
    return false;
}

pica_options work_options(unsigned workers)
{
    pica_options options = check_options();
    options.workers = workers;
    return options;
}

void work_in_executor(const pica_options *options, pica_fn main_task)
{
    pica_executor *ex;
    if (!WORK_FINE(pica_executor_create(&ex, options)))
        return;
    check_watch(ex);
    pica_task *task;
    if (WORK_FINE(pica_executor_spawn(ex, &task, main_task, NULL))) {
        intptr_t result = 0;
        CHECK_EQ(pica_join(task, &result), 0); /* a plain thread's wait can't fail */
        WORK_FINE(result);
        pica_unref(task);
    }
    check_executor_close(ex);
}
