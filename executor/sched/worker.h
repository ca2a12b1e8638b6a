/* SPDX-License-Identifier: MIT */
/* worker.h: a worker thread, its queues, and how tasks get into them.
 *
 * A worker's loop (loop.h) stands on the thread's own stack. It takes a task, switches to
 * its fiber, and when the fiber switches back does what the fiber asked for (`after`): queue
 * it again, commit its park, or put it away. That happens here, off the fiber's stack,
 * because only then are its registers saved and may another worker run it.
 *
 *   1. Only the thread itself (in its loop, or in a task that it runs) touches the fields
 *      tagged [owner].
 *   2. pi_worker_self() is read anew after everything that may suspend (law 3).
 *   3. A task that is ready lies in exactly one place: some deque, pinned list, mailbox, or
 *      the inject queue, or among the `next` of a worker; one that finds no stack, in a queue of
 *      starved.h.
 *
 * Elsewhere: what sleeps and wakes (idle.h), stuck workers (monitor.h, rescue.h), memory (pool.h).
 */
#ifndef PI_WORKER_H
#define PI_WORKER_H

#include "executor/base/arena.h"
#include "executor/base/ck.h"
#include "executor/sched/deque.h"
#include "executor/sched/driver.h"
#include "executor/sched/fiber.h"
#include "executor/sched/idle.h"
#include "executor/sched/pool.h"
#include "executor/sched/timer.h"

#include <pica/executor.h>
#include <pthread.h>

/** What a fiber asks its worker's loop to do once it has left its stack. */
typedef enum pi_after {
    PI_AFTER_YIELD, /* queue it again */
    PI_AFTER_PARK,  /* WAITING -> PARKED, or queue it if somebody won already */
    PI_AFTER_END,   /* its task has ended: put it away */
    PI_AFTER_NEXT   /* nothing: its task is among the worker's next already */
} pi_after;

typedef struct pi_worker {
    /* Every spawn, await and switch. */
    pi_fiber *fiber;          /* [owner] what runs, or NULL in the loop */
    pica_executor *ex;        /* [const] */
    pi_context loop;          /* [owner] */
    pi_idle *idle;            /* [const] the executor's */
    uint32_t index;           /* [const] */
    uint32_t turns;           /* [owner, atomic] switches and inline runs; the monitor reads */
    uint32_t look_at;         /* [atomic] the turn from which on it looks around; the monitor
                                 may bring it forward */
    uint32_t flags;           /* [const] the executor's */
    uint32_t default_flags;   /* [const] of a task without attributes: its stack's class */
    pi_after after;           /* [owner] */
    pica_task *next;          /* [owner] to be run before anything else, in this order, linked
                                 by their own next; NULL: none */
    uint64_t next_id;         /* [owner] */
    uint64_t last_id;         /* [owner] end of the block of ids */
    pi_task_cache tasks;      /* [owner] */
    pi_fiber *fibers;         /* [owner] free ones of class 0, warmest first */
    uint32_t fibers_count;    /* [owner, atomic] */
    pica_task *comeback;      /* [owner] who gave way between two inline runs; it runs again at
                                 the next look around, if it still lies in the own deque */
    uint32_t gave_way_ms;     /* [owner] when it last did between two inline runs, coarse */
    uint64_t spawned;         /* [owner, atomic] */
    uint64_t ended;           /* [owner, atomic] */

    pi_deque deque;
    pi_timers timers;

    /* The loop alone: what each turn looks at, */
    pica_task *pinned_head __attribute__((aligned(PI_CACHE_LINE))); /* [owner] ready tasks that
                                 only this worker runs, in order */
    int *errno_at;            /* [const] the thread's errno */
    pi_driver *driver;        /* [const] */
    int64_t own_until;        /* [owner, atomic] until then no thief takes from its deque */
    uint32_t now_ms;          /* [owner] a coarse clock: when it last looked around */
    bool searching;           /* [owner] it counts as one that searches (idle.h) */
    bool pinned_turn;         /* [owner] pinned and deque take turns */
    bool stuck_turn;          /* [owner] inject queue and the stuck take turns */
    bool others_came;         /* [owner] both and the own queues: it was their turn (loop.h) */
    bool closing_seen;        /* [owner] */
    uint32_t trim_ms;         /* [owner] when it looks next for what to trim (trim.h), coarse */
    uint32_t trim_answered;   /* [owner, atomic] the last request to trim that it has seen */
    int64_t polled_ns;        /* [owner] when it last polled, and did not sleep */
    pica_task **pinned_tail;  /* [owner] */
    uint32_t newest;          /* [owner] how often it has taken from a crowd (loop.h) */
    /* and the rest. */
    uint32_t victim;          /* [owner] who paid last time */
    uint32_t visits;          /* [owner] of thieves to its deque, when it looked last */
    int64_t visited_ns;       /* [owner] when it last found that there had been one */
    uint32_t node;            /* [owner, atomic] of memory, its CPU's; 0 if it is not pinned */
    uint64_t random;          /* [owner] */
    uint32_t migrate;         /* [owner] where the last forced migration went */
    int64_t retry_ns;         /* [owner] when to look for a stack for the starved again */
    pi_fiber *beneath;        /* [owner] on whose stack a hook runs, or NULL */
    uint64_t steals, sleeps, wakes; /* [owner, atomic] statistics */
    pi_arena arena;           /* [owner] with PICA_ARENAS */
    pthread_t thread;
    bool thread_started;      /* [executor] */

    /* Others. */
    pi_upmc mailbox __attribute__((aligned(PI_CACHE_LINE))); /* [any push, owner takes] */
    uint32_t parked;          /* [owner, atomic] it sleeps in its driver */
    uint32_t rescuer;         /* [atomic] 1 + who serves this one's driver while it is stuck */
    uint32_t to_rescue;       /* [atomic] 1 + whom to serve on waking; the monitor asks */
    uint32_t rescuing;        /* [rescue mutex writes, atomic] how many it serves */
    uint64_t rescues;         /* [owner, atomic] */
    uint32_t empty_turns;     /* [rescuer, atomic] when that has found its deque empty: turns, */
    int64_t empty_tail;       /* [rescuer, atomic] where it ended, */
    uint32_t empty_ms;        /* [rescuer, atomic] and the coarse time */
    uint32_t rests;           /* [reserve mutex writes, atomic] it hands over what it has, and takes
                                 nothing new; see reserve.h */
    uint32_t at_rest;         /* [owner, atomic] and has done so, or has not begun; see pace.h */
} pi_worker;

/** Of what an asm names: link-time optimisation does not see that, and would rename or drop it. */
#if defined(__GNUC__) && !defined(__clang__)
#define PI_NAMED_BY_ASM used, externally_visible
#else
#define PI_NAMED_BY_ASM used
#endif

/** The worker whose thread this is, or NULL. The value is read anew each time, and no address
 *  of it is ever formed (law 3): on x86-64 by two instructions in a volatile asm, which no
 *  compiler merges with another or moves across a call; elsewhere by a function that is never
 *  inlined. A call here would cost a tenth of a spawn and await. */
#if defined(__x86_64__)
static inline __attribute__((always_inline)) pi_worker *pi_worker_self(void)
{
    pi_worker *worker;
    __asm__ __volatile__("movq pi_worker_current@gottpoff(%%rip), %0\n\t"
                         "movq %%fs:(%0), %0"
                         : "=r"(worker)::"memory");
    return worker;
}
#else
pi_worker *pi_worker_self(void);
#endif
void pi_worker_set_self(pi_worker *worker);

/** The task that runs, or NULL outside of tasks. */
pica_task *pi_task_self(void);

/** A hook of the program's is called between the two, outside of any task, also where it runs on
 *  the stack of one: that may have ended, and what waits must not find it. @return for the end */
pi_fiber *pi_hook_begin(void);
void pi_hook_end(pi_fiber *fiber);

/** A worker's thread. @param arg  the worker */
void *pi_worker_main(void *arg);

/** Set up and tear down one worker; its thread is the executor's business. */
int pi_worker_init(pi_worker *worker, pica_executor *ex, uint32_t index);
void pi_worker_deinit(pi_worker *worker);

/** Run tasks until the executor stops, or the worker rests. */
void pi_worker_run(pi_worker *worker);

/** Leave the fiber's stack and have `after` done. Returns on whatever worker goes on. */
void pi_worker_suspend(pi_worker *worker, pi_fiber *fiber, pi_after after);

/** The same for a yield that its caller has nothing to do after: tail-called, it returns
 *  straight to the caller's caller. @return 0 */
static inline int pi_worker_yield(pi_worker *worker, pi_fiber *fiber)
{
    worker->after = PI_AFTER_YIELD;
    pi_fiber_leaves(fiber);
    return pi_switch_away(&fiber->context, &worker->loop);
}

/** The budget is used up in the middle of a task, which lets all others run that are ready, and
 *  goes on at the next look around, if not before. Returns on whatever worker goes on. */
void pi_worker_give_way(pi_worker *worker, pi_fiber *fiber);

/** Queue a task that is ready again. Any thread of the process. */
void pi_worker_ready(pica_task *task);

/** Run a task before anything else, also before those that were to be run so. It is in no queue
 *  and has no other owner. From a task, which then suspends, or the loop. */
static inline void pi_worker_push_next(pi_worker *worker, pica_task *task)
{
    task->next = worker->next;
    worker->next = task;
}

/** Start a new task at once, and come back when it has suspended for the first time or ended;
 *  counts it as spawned. From a task of this worker. Suspends, is no cancellation point.
 *  @param out  NULL, or where to put the handle before the task runs
 *  @return false: there is no stack, nothing has happened */
bool pi_worker_start_eagerly(pi_worker *worker, pica_task *task, pica_task **out);

/** Queue a new task that is pinned, from one of the executor's workers. */
void pi_worker_push_pinned(pi_worker *worker, pica_task *task);

/** Queue a task, new or not, from outside of the executor's workers. */
void pi_worker_inject(pica_executor *ex, pica_task *task);

/** The budget is used up in the middle of a task: poll, fire timers. @return true: other tasks
 *  became ready by that */
bool pi_worker_breathe(pi_worker *worker);

/** Poll a driver and fire timers without sleeping. @return how much was found */
unsigned pi_worker_look_around(pi_worker *worker, pi_worker *at);

/** Switches and inline runs between two looks at reactor, timers and inject queue. */
#define PI_BUDGET 61
/** The reactor is left alone for so long after a poll, however many looks that are. An epoll_wait
 *  that finds nothing takes 0.1 us and more; a task may take 0.02. */
#define PI_POLL_NS 10000

/** For so long what a batch of events has queued is left to the worker whose batch it was
 *  (docs/decisions/batches.md). About what it costs two workers to wake one of them. */
#define PI_OWN_NS 100000

/** A deque is private again when no thief has come for so long (docs/decisions/private-queue.md).
 *  The exchanges in the meantime cost about as much as the membarrier of the next one. */
#define PI_ALONE_NS 100000

/** One inline run or switch. @return true: the budget is used up */
static inline bool pi_worker_spend(pi_worker *worker)
{
    uint32_t turns = pi_load_relaxed(&worker->turns) + 1;
    pi_store_relaxed(&worker->turns, turns);
    return PI_UNLIKELY((int32_t)(turns - pi_load_relaxed(&worker->look_at)) >= 0);
}

/** Is it so already? The monitor lets it be where turns are long. Whose turn it is may ask in the
 *  middle, and yield. */
static inline bool pi_worker_is_due(const pi_worker *worker)
{
    return (int32_t)(pi_load_relaxed(&worker->turns) - pi_load_relaxed(&worker->look_at)) >= 0;
}

/** Into the own deque. Owner. @return 0, -ENOMEM */
static inline int pi_worker_push(pi_worker *worker, pica_task *task)
{
    pi_store_relaxed(&task->home, (uint16_t)worker->index);
    return pi_deque_push(&worker->deque, &task->node);
}

/** More lies in the own deque than the worker itself takes next: wake a thief, and let it take.
 *  A single task is left alone: its spawner will most likely run it, and a thief that was woken
 *  for it would keep coming. @return 0 */
int pi_worker_share_slow(pi_worker *worker);

/** All that a task's end takes: its word, its group, the executor's count.
 *  @param held  by its awaiter, who ran it inline and holds a reference */
void pi_task_finish(pi_worker *worker, pica_task *task, intptr_t result, bool held);

#endif
