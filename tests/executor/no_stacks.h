/* SPDX-License-Identifier: MIT */
/* no_stacks.h: all the stacks of one class are held, and no memory for others comes, so that tasks
 * starve (executor/sched/starved.h). For one test of a program at a time; in a task. */
#ifndef PICA_TESTS_NO_STACKS_H
#define PICA_TESTS_NO_STACKS_H

#include "executor/sched/executor.h"
#include "tests/executor/bodies.h"
#include "tests/fault.h"

#include <string.h>

enum { CLASS = 3, MOST = 1000, INLINE = CHECK_ALL & ~CHECK_NO_INLINE };

static struct {
    pica_task *task[MOST]; /* those that have all the stacks there are, and wait for a cancel */
    unsigned n;
    check_latch started;
} holders;

static inline pica_attr of_class(void)
{
    pica_attr attr = PICA_ATTR_INIT;
    attr.stack_size = pi_stack_class_size(CLASS);
    return attr;
}

static inline pica_task *spawn_in_class(pica_fn fn, void *arg)
{
    pica_task *task = NULL;
    pica_attr attr = of_class();
    CHECK_FATAL_OK(pica_spawn_with(&task, fn, arg, &attr));
    return task;
}

static inline uint32_t starved(void)
{
    return pi_load_relaxed(&pica_executor_self()->starved);
}

/* As if somebody had got a stack just now, and as if nobody tried from now on: time stands still
 * for those who wait, and none of them is given up, however long the caller gets no CPU. */
static inline void nobody_gives_up(void)
{
    pica_executor *ex = pica_executor_self();
    pthread_mutex_lock(&ex->inject_mutex);
    ex->starving[CLASS].came_ms = (uint32_t)(ex->starved_clock_ns / 1000000);
    ex->starved_tried_ns = INT64_MAX;
    pthread_mutex_unlock(&ex->inject_mutex);
}

/* Until now, when it goes on. */
static inline void time_goes_on(void)
{
    pica_executor *ex = pica_executor_self();
    pthread_mutex_lock(&ex->inject_mutex);
    ex->starved_tried_ns = pica_now();
    pthread_mutex_unlock(&ex->inject_mutex);
}

/* So much time goes by for those who wait; the workers have tried since. */
static inline void starve_for(int64_t ns)
{
    pica_executor *ex = pica_executor_self();
    pthread_mutex_lock(&ex->inject_mutex);
    ex->starved_clock_ns += ns;
    pthread_mutex_unlock(&ex->inject_mutex);
    uint64_t tried = fault_met(FAULT_MMAP);
    while (fault_met(FAULT_MMAP) < tried + 2 && starved() > 0)
        CHECK_OK(pica_yield());
}

/* Hold all the stacks of a class; the last holder is starved. Nobody gives up. */
static inline void hold_all(void)
{
    memset(&holders, 0, sizeof(holders));
    nobody_gives_up();
    holders.task[holders.n++] = spawn_in_class(body_sleeps, &holders.started);
    CHECK_HITS(&holders.started, 1); /* there is a slab of them */
    fault_arm(FAULT_MMAP, 1, 1, ENOMEM);
    while (starved() == 0) {
        CHECK_FATAL(holders.n < MOST);
        holders.task[holders.n++] = spawn_in_class(body_sleeps, &holders.started);
        CHECK_SOON(check_hits(&holders.started) + starved() == holders.n);
    }
}

/* Cancel a holder, whose stack goes to the first that waits for one. */
static inline void give_one_back(void)
{
    pica_task *task = holders.task[--holders.n];
    CHECK_EQ(pica_cancel(task), 0);
    CHECK_EQ(body_end(task), -ECANCELED);
}

static inline void give_all_back(void)
{
    fault_disarm();
    while (holders.n > 0)
        give_one_back();
}

/* Run a function, which returns 3, with room for one of the class on its stack. */
static inline void run_in_a_larger_one(pica_fn fn)
{
    pica_task *task = NULL;
    pica_attr attr = PICA_ATTR_INIT;
    attr.stack_size = pi_stack_class_size(CLASS + 1);
    CHECK_FATAL_OK(pica_spawn_with(&task, fn, body_arg(3), &attr));
    CHECK_EQ(body_end(task), 3);
}

/* The one that starved as the last holder comes first, and so takes a stack for good. */
static inline void hold_all_and_one(void)
{
    hold_all();
    pica_task *waits = holders.task[--holders.n];
    give_one_back();
    CHECK_HITS(&holders.started, holders.n + 2);
    CHECK_EQ(starved(), 0);
    holders.task[holders.n++] = waits;
}

#endif
