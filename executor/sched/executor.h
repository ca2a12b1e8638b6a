/* SPDX-License-Identifier: MIT */
/* executor.h: what the workers of an executor share. How it ends: closing.h. */
#ifndef PI_EXECUTOR_H
#define PI_EXECUTOR_H

#include "executor/sched/idle.h"
#include "executor/sched/pool.h"
#include "executor/sched/worker.h"

#include <pica/executor.h>
#include <pthread.h>

enum {
    PI_RUNNING = 0,
    PI_CLOSING = 1,
    PI_STOPPED = 2
};

/** Those who wait for a stack of one class, in their order. Zeroed: nobody. */
typedef struct pi_starving {
    pica_task *first; /* [inject mutex writes, atomic] */
    pica_task *last;  /* [inject mutex] */
    uint32_t came_ms; /* [inject mutex] when one of them last got its stack, by the clock below */
} pi_starving;

struct pica_executor {
    uint32_t workers_count; /* [reserve mutex writes, atomic] that work, the spare aside */
    uint32_t workers_min;   /* [const] with which it began, and which never rest */
    uint32_t workers_max;   /* [const] */
    uint32_t seats;         /* [reserve mutex writes, atomic] workers that have been made */
    uint32_t seats_max;     /* [const] room in workers[]: workers_max, and a spare */
    uint32_t flags;         /* [const] */
    uint32_t phase;         /* [atomic] RUNNING, CLOSING, STOPPED; a futex */
    uint32_t quiet;         /* [atomic] a futex: 1: the last task ended while RUNNING */
    uint32_t draining;      /* [atomic] somebody waits for the last task's end */
    uint32_t outcome;       /* [atomic] set once: what all who call for a shutdown are told */
    const pi_driver_ops *driver; /* [const] */
    void *driver_shared;         /* [const] */
    bool asymmetric;             /* [const] who cancels fences for the workers; see scope.c */
    unsigned stack_class;        /* [const] the default */
    void (*on_lost_error)(void *, const pica_lost_error *); /* [const] */
    void (*on_ignored_cancel)(void *, const pica_ignored_cancel *); /* [const] */
    void (*on_left)(void *, const pica_left *);             /* [const] */
    void *hook_arg;                                         /* [const] */
    uint64_t left_said[PICA_LEFT_DESCRIPTOR + 1]; /* [atomic] lines of each kind; see audit.h */
    uint64_t next_ids;     /* [atomic] where the next block of task numbers begins */
    uint32_t trim_after_ms; /* [const] 0: never; see trim.h */
    uint32_t trim_asked;    /* [atomic] how often pica_trim() was called */

    pi_pool pool;
    pi_idle idle;

    /* Inject queue: tasks from outside. Mutex rank INJECT. */
    pthread_mutex_t inject_mutex __attribute__((aligned(PI_CACHE_LINE)));
    pica_task *inject_head;   /* [mutex] */
    pica_task **inject_tail;  /* [mutex] */
    uint32_t inject_length;   /* [mutex writes, atomic] */
    uint64_t foreign_spawned; /* [atomic] */
    uint64_t foreign_undone;  /* [atomic] counted, then refused */

    /* Unstarted tasks that found no stack: starved.h. The mutex is the same. */
    pi_starving starving[PI_STACK_CLASSES]; /* by the class of the stack that they need */
    uint32_t starved;         /* [mutex writes, atomic] how many in all */
    int64_t starved_clock_ns; /* [mutex] for how long somebody has tried to start one, in all */
    int64_t starved_tried_ns; /* [mutex] when somebody last did */

    /* Monitor. */
    pthread_t monitor;
    bool monitor_started;     /* [creator] */
    uint32_t *monitor_turns;  /* [monitor] every worker's turns at the last tick */
    int64_t *monitor_cpu_ns;  /* [monitor] every worker's CPU time when that was last noted */
    bool monitor_noted;       /* [monitor] it was so at the last tick, which found all alive */
    uint32_t monitor_pace;    /* [atomic] a futex: how it waits for its next tick; pace.h */
    int64_t monitor_alive;    /* [monitor] since when all seem stuck, or 0 */
    pthread_mutex_t rescue_mutex; /* guards attaching and detaching drivers */

    pthread_mutex_t reserve_mutex;
    pi_worker *workers; /* [const] see reserve.h */
};

/** How many workers there are to steal from, to wake and to count, resting ones included. */
static inline uint32_t pi_executor_seats(const pica_executor *ex)
{
    return pi_load_acquire(&ex->seats); /* partner: take_seats() */
}

/** Wake worker i, if i >= 0. loop.c. */
void pi_executor_wake(pica_executor *ex, int i);

#endif
