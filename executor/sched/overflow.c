/* SPDX-License-Identifier: MIT */
/* overflow.c: see overflow.h. Only async-signal-safe calls below the handler. */
#include "executor/sched/overflow.h"

#include "executor/base/alloc.h"
#include "executor/base/line.h"
#include "executor/sched/worker.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#define ALT_STACK ((size_t)32 << 10)
#define CHAIN_MAX 32 /* tasks of an inline chain that are named, besides the outermost */

/* Process-wide, because signal handlers are; touched only under the mutex or by the handler. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static unsigned users;
static struct taken {
    int number;
    bool ours;            /* our handler is installed, or lies below one of the host's */
    struct sigaction old; /* what it replaced */
} taken[] = {{.number = SIGSEGV}, {.number = SIGBUS}};

static void say(const pica_task *task, const char *how)
{
    pi_line line;
    pi_line_begin(&line);
    pi_line_add(&line, "pica: %s ", how);
    pi_line_add_task(&line, task->id, pi_task_name(task), task->site);
    pi_line_add(&line, ", stack %zu KiB)", pi_stack_class_size(pi_task_stack_class(task)) >> 10);
    (void)pi_line_write(&line, STDERR_FILENO);
}

static void say_left_out(size_t n)
{
    pi_line line;
    pi_line_begin(&line);
    pi_line_add(&line, "pica:   run inline by %zu more", n);
    (void)pi_line_write(&line, STDERR_FILENO);
}

/* The task, and those that run it inline, from the inside out. There may be ten thousands on a
 * large stack: then the innermost ones and the one that lies at the bottom of it all. */
static void say_chain(const pica_task *task)
{
    size_t n = 0, left_out = 0;
    say(task, "stack overflow in");
    for (const pica_task *t = task->outer; t; t = t->outer) {
        if (n++ < CHAIN_MAX || !t->outer) {
            if (left_out)
                say_left_out(left_out);
            say(t, "  run inline by");
        } else {
            left_out++;
        }
    }
}

static void handler(int number, siginfo_t *info, void *context)
{
    pi_worker *worker = pi_worker_self();
    const pi_fiber *fiber = NULL;
    const char *at = info->si_addr;
    if (worker)
        fiber = worker->fiber ? worker->fiber : worker->beneath; /* a hook, perhaps */
    if (fiber && at < fiber->low && at >= fiber->low - PI_STACK_GUARD) {
        say_chain(fiber->current);
    }
    const struct sigaction *old = number == SIGSEGV ? &taken[0].old : &taken[1].old;
    if (old->sa_flags & SA_SIGINFO) {
        old->sa_sigaction(number, info, context);
    } else if (old->sa_handler != SIG_DFL && old->sa_handler != SIG_IGN) {
        old->sa_handler(number);
    } else if (old->sa_handler == SIG_DFL || info->si_code > 0) {
        signal(number, SIG_DFL); /* the faulting instruction runs again and ends the process */
        if (info->si_code <= 0)  /* there is none: somebody has sent the signal */
            raise(number);
    }
}

static bool is_ours(const struct sigaction *action)
{
    return action->sa_flags & SA_SIGINFO && action->sa_sigaction == handler;
}

/* Of what stands there now: may it lead on to ours? */
static bool may_lead_on(const struct taken *t, const struct sigaction *now)
{
    return now->sa_handler != SIG_DFL && now->sa_handler != SIG_IGN &&
           now->sa_handler != t->old.sa_handler;
}

static void take(struct taken *t)
{
    struct sigaction now, action;
    sigaction(t->number, NULL, &now);
    if (t->ours && may_lead_on(t, &now))
        return;
    memset(&action, 0, sizeof(action));
    action.sa_sigaction = handler;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    t->old = now; /* known before the first call of ours */
    sigaction(t->number, &action, &t->old);
    t->ours = true;
}

/* A handler that the host has put in place of ours since is its own to keep. It may lead on to
 * ours, which is not installed a second time then: a fault would go in circles. */
static void give_back(struct taken *t)
{
    struct sigaction now;
    sigaction(t->number, NULL, &now);
    if (!is_ours(&now))
        return;
    sigaction(t->number, &t->old, NULL);
    t->ours = false;
}

void pi_overflow_install(void)
{
    pthread_mutex_lock(&mutex);
    if (users++ == 0) {
        take(&taken[0]);
        take(&taken[1]);
    }
    pthread_mutex_unlock(&mutex);
}

void pi_overflow_uninstall(void)
{
    pthread_mutex_lock(&mutex);
    if (--users == 0) {
        give_back(&taken[0]);
        give_back(&taken[1]);
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
