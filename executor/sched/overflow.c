/* SPDX-License-Identifier: MIT */
/* overflow.c: see overflow.h. Only async-signal-safe calls below the handler. */
#include "executor/sched/overflow.h"

#include "executor/base/alloc.h"
#include "executor/sched/worker.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ALT_STACK ((size_t)32 << 10)

/* Process-wide, because signal handlers are; touched only under the mutex or by the handler. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static unsigned users;
static struct sigaction old_segv, old_bus;

static void say(const pica_task *task, const char *how)
{
    char line[320];
    int n = snprintf(line, sizeof(line), "pica: %s task %llu (%s, spawned at %s, stack %zu KiB)\n",
                     how, (unsigned long long)task->id, pica_task_name(task), task->site,
                     pi_stack_class_size(pi_task_stack_class(task)) >> 10);
    if (n > 0 && write(STDERR_FILENO, line, (size_t)n < sizeof(line) ? (size_t)n
                                                                     : sizeof(line) - 1) < 0)
        return;
}

static void handler(int number, siginfo_t *info, void *context)
{
    pi_worker *worker = pi_worker_self();
    pi_fiber *fiber = worker ? worker->fiber : NULL;
    const char *at = info->si_addr;
    if (fiber && at < fiber->low && at >= fiber->low - PI_STACK_GUARD) {
        say(fiber->current, "stack overflow in");
        for (const pica_task *t = fiber->current->outer; t; t = t->outer)
            say(t, "  run inline by");
    }
    const struct sigaction *old = number == SIGSEGV ? &old_segv : &old_bus;
    if (old->sa_flags & SA_SIGINFO) {
        old->sa_sigaction(number, info, context);
    } else if (old->sa_handler != SIG_DFL && old->sa_handler != SIG_IGN) {
        old->sa_handler(number);
    } else {
        signal(number, SIG_DFL); /* the faulting instruction runs again and ends the process */
    }
}

void pi_overflow_install(void)
{
    pthread_mutex_lock(&mutex);
    if (users++ == 0) {
        struct sigaction action;
        memset(&action, 0, sizeof(action));
        action.sa_sigaction = handler;
        action.sa_flags = SA_SIGINFO | SA_ONSTACK;
        sigaction(SIGSEGV, &action, &old_segv);
        sigaction(SIGBUS, &action, &old_bus);
    }
    pthread_mutex_unlock(&mutex);
}

void pi_overflow_uninstall(void)
{
    pthread_mutex_lock(&mutex);
    if (--users == 0) {
        sigaction(SIGSEGV, &old_segv, NULL);
        sigaction(SIGBUS, &old_bus, NULL);
    }
    pthread_mutex_unlock(&mutex);
}

void *pi_overflow_thread_begin(void)
{
    stack_t old;
    if (sigaltstack(NULL, &old) < 0 || !(old.ss_flags & SS_DISABLE))
        return NULL; /* the host's own */
    void *memory = pi_malloc(ALT_STACK);
    stack_t alt = {.ss_sp = memory, .ss_size = ALT_STACK};
    if (memory && sigaltstack(&alt, NULL) < 0) {
        pi_free(memory);
        return NULL;
    }
    return memory;
}

void pi_overflow_thread_end(void *memory)
{
    if (!memory)
        return;
    stack_t off = {.ss_flags = SS_DISABLE};
    sigaltstack(&off, NULL);
    pi_free(memory);
}
