/* SPDX-License-Identifier: MIT */
/* model_workers.h: an executor's workers for the models of what meets in their loop (loop.h): ready
 * tasks, sleeping, closing, trimming, resting. The sources are the real ones; here is what lies
 * below them: a worker's pointer, drivers that are no barrier, a clock that stands still, tasks,
 * and failures in the place of functions that a model links no source for (weak ones, workers.c).
 *
 * Threads 0 to n - 1 of the model are the workers, unless they say otherwise
 * (pi_worker_set_self()). Links idle.c, deque.c, loop.c and steal.c.
 */
#ifndef PICA_TESTS_MODEL_WORKERS_H
#define PICA_TESTS_MODEL_WORKERS_H

#include "executor/sched/executor.h"

#include "tests/model/model.h"

enum {
    MODEL_WORKERS = 3,
    MODEL_TASKS = 5
};

extern pica_executor model_executor;
extern pi_worker model_workers[MODEL_WORKERS];
extern pica_task *const model_tasks; /* whose executor is found */

/** What a worker sleeps in. */
struct pi_driver {
    model_event woken;
    uint32_t told;       /* [atomic] where drivers order memory: a wake is pending */
    bool asleep;         /* plain: it is in there at present */
    int64_t deadline_ns; /* of its last sleep */
};
extern struct pi_driver model_drivers[MODEL_WORKERS];

/** Drivers pass on what a waker did before, as the real ones do (epoll.c, driver_futex.c). Off at
 *  first: what is right without rests on less. */
extern bool model_drivers_order;

/** Somebody has gone to sleep with a deadline. */
extern model_event model_has_deadline;

/** The time, for all who ask for it. Begins at 1 s. */
extern int64_t model_now_ns;

/** Everything new: n workers, none asleep, no task. For a set-up. */
void model_workers_reset(unsigned n);

/** A worker anew, as pi_worker_init(). @return 0, -ENOMEM */
int model_worker_init(unsigned w);

/** Worker w lies in bed, in its driver. For a set-up; then w's thread begins with the next. */
void model_worker_lay_down(unsigned w);

/** The calling thread's worker, which was laid down, sleeps until it is woken. */
void model_worker_sleeps_on(void);

/** Once nobody can go on: all that work sleep, they alone are counted so, and all queues are
 *  empty. */
void model_workers_check_asleep(void);

/** What a model of something else than sleeping leaves alive in the loop, among its reasons. */
/* clang-format off */
#define MODEL_LOOP_REASONS                                                                         \
    {"pi_idle_sleep_begin", "release or -> relaxed", "idle->beds[w / PER_BED]", 1,                 \
     "reserve_model.c says why"},                                                                  \
    {"take_sleeper", NULL, "", 0, "idle_model.c"},                                                 \
    {"get_up", NULL, "", 0, "idle_model.c"},                                                       \
    {"pi_idle_pick", NULL, "", 0, "idle_model.c, with a pick in vain"},                            \
    {"pi_idle_search_end", NULL, "", 0, "idle_model.c, less bounded"},                             \
    {"pi_pace_notice", NULL, "", 0, "pace_model.c"},                                               \
    {"pi_loop", "acquire load -> relaxed", "worker->ex->phase", 1,                                 \
     "nothing is read because of it but what the executor's end joins first"},                     \
    {"pi_executor_seats", "acquire load -> relaxed", "ex->seats", 1,                               \
     "it publishes the fields of a worker that is added, and none is added here"}
/* clang-format on */

static inline unsigned model_task_number(const pica_task *task)
{
    return (unsigned)(task - model_tasks);
}

#endif
