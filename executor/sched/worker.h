/* SPDX-License-Identifier: MIT */
/* worker.h: a worker thread, its queues, and how tasks get into them.
 *
 * A worker's loop (worker.c) stands on the thread's own stack. It takes a task, switches to
 * its fiber, and when the fiber switches back does what the fiber asked for (`after`): queue
 * it again, commit its park, or put it away. That happens here, off the fiber's stack,
 * because only then are its registers saved and may another worker run it.
 *
 *   1. Only the thread itself (in its loop, or in a task that it runs) touches the fields
 *      tagged [owner].
 *   2. pi_worker_self() is read anew after everything that may suspend (law 3).
 *   3. A task that is ready lies in exactly one place: some deque, pinned list, mailbox, or
 *      the inject queue, or is the `next` of a worker.
 *
 * Elsewhere: what sleeps and wakes (idle.h), stuck workers (monitor.h), memory (pool.h).
 */
#ifndef PI_WORKER_H
#define PI_WORKER_H

#include "executor/base/ck.h"
#include "executor/sched/deque.h"
#include "executor/sched/driver.h"
#include "executor/sched/fiber.h"
#include "executor/sched/pool.h"
#include "executor/sched/timer.h"

#include <pica/executor.h>
#include <pthread.h>

/** What a fiber asks its worker's loop to do once it has left its stack. */
typedef enum pi_after {
    PI_AFTER_YIELD, /* queue it again */
    PI_AFTER_PARK,  /* WAITING -> PARKED, or queue it if somebody won already */
    PI_AFTER_END    /* its task has ended: put it away */
} pi_after;

typedef struct pi_worker {
    /* Every spawn, await and switch. */
    pi_fiber *fiber;          /* [owner] what runs, or NULL in the loop */
    pica_executor *ex;        /* [const] */
    pi_context loop;          /* [owner] */
    int32_t budget;           /* [owner] switches and inline runs until the next look around */
    uint32_t index;           /* [const] */
    uint32_t turns;           /* [owner, atomic] switches and inline runs; the monitor reads */
    uint32_t flags;           /* [const] the executor's */
    pi_after after;           /* [owner] */
    pica_task *next;          /* [owner] to be run before anything else, or NULL */
    uint64_t next_id;         /* [owner] */
    uint64_t last_id;         /* [owner] end of the block of ids */
    pi_task_cache tasks;      /* [owner] */
    pi_fiber *fibers;         /* [owner] free ones of class 0, warmest first */
    uint32_t fibers_count;    /* [owner] */
    uint32_t breaths;         /* [owner] looks around from inside inline runs */
    uint64_t spawned;         /* [owner, atomic] */
    uint64_t ended;           /* [owner, atomic] */

    pi_deque deque;
    pi_timers timers;

    /* The loop alone. */
    pica_task *pinned_head;   /* [owner] ready tasks that only this worker runs, in order */
    pica_task **pinned_tail;  /* [owner] */
    bool pinned_turn;         /* [owner] pinned and deque take turns */
    uint32_t victim;          /* [owner] who paid last time */
    uint64_t random;          /* [owner] */
    uint32_t now_ms;          /* [owner] a coarse clock: when it last looked around */
    uint32_t migrate;         /* [owner] where the last forced migration went */
    bool closing_seen;        /* [owner] */
    pi_driver *driver;        /* [const] */
    uint64_t steals, sleeps, wakes; /* [owner, atomic] statistics */
    pthread_t thread;
    bool thread_started;      /* [executor] */

    /* Others. */
    pi_upmc mailbox __attribute__((aligned(PI_CACHE_LINE))); /* [any push, owner takes] */
    uint32_t parked;          /* [owner, atomic] it sleeps in its driver */
    uint32_t rescuer;         /* [atomic] 1 + who serves this one's driver while it is stuck */
    uint32_t to_rescue;       /* [atomic] 1 + whom to serve on waking; the monitor asks */
    uint32_t rescuing;        /* [rescue mutex writes, atomic] how many it serves */
    uint64_t rescues;         /* [owner, atomic] */
} pi_worker;

/** The worker whose thread this is, or NULL. Never inlined, never cached (law 3). */
pi_worker *pi_worker_self(void);
void pi_worker_set_self(pi_worker *worker);

/** The task that runs, or NULL outside of tasks. */
pica_task *pi_task_self(void);

/** Set up and tear down one worker; its thread is the executor's business. */
int pi_worker_init(pi_worker *worker, pica_executor *ex, uint32_t index);
void pi_worker_deinit(pi_worker *worker);

/** Run tasks until the executor stops. */
void pi_worker_run(pi_worker *worker);

/** Leave the fiber's stack and have `after` done. @return on whatever worker goes on */
void pi_worker_suspend(pi_worker *worker, pi_fiber *fiber, pi_after after);

/** Queue a task that is ready again. Any thread of the process. */
void pi_worker_ready(pica_task *task);

/** Queue a new task, from one of the executor's workers.
 *  @return 0; -ENOMEM: no room, nothing has happened */
int pi_worker_enqueue_new(pi_worker *worker, pica_task *task);

/** Queue a task, new or not, from outside of the executor's workers. */
void pi_worker_inject(pica_executor *ex, pica_task *task);

/** The budget is used up in the middle of a task: poll, fire timers. @return true: other tasks
 *  became ready by that */
bool pi_worker_breathe(pi_worker *worker);

/** Poll a driver and fire timers without sleeping. @return how much was found */
unsigned pi_worker_look_around(pi_worker *worker, pi_worker *at);

/** Switches and inline runs between two looks at reactor, timers and inject queue. At 61 an
 *  epoll_wait of 105 ns adds less than 2 ns to each. */
#define PI_BUDGET 61

/** One inline run or switch. @return true: the budget is used up */
static inline bool pi_worker_spend(pi_worker *worker)
{
    pi_store_relaxed(&worker->turns, worker->turns + 1);
    return PI_UNLIKELY(--worker->budget <= 0);
}

#endif
