/* SPDX-License-Identifier: MIT */
/** @file
 * Tasks: functions that run on an executor and may suspend.
 *
 *     static intptr_t fetch(void *arg) { ... return 42; }
 *
 *     pica_task *t;
 *     intptr_t value;
 *     if (pica_spawn(&t, fetch, arg) == 0) {
 *         if (pica_await(t, &value) == 0)
 *             printf("%ld\n", (long)value);
 *         pica_unref(t);
 *     }
 *
 * Life.         Spawn gives one reference to the handle; await and join consume none. A
 *               task may have ended before spawn returns, and runs to its end whether or
 *               not anybody holds its handle. Whoever waits for or refers to a task in
 *               another task or thread holds a reference of its own, taken before the
 *               handle was passed on. A handle that is used although nobody holds the task
 *               any more aborts, as long as no other task has taken its place; but not in
 *               pica_task_id(), pica_task_name() and pica_task_status(), which then tell anything.
 * Stacks.       A task gets its stack when it starts. If there is none it waits until one
 *               comes back, or until somebody who awaits it, gathers it with
 *               PICA_GATHER_COLLECT or ends its group has room for it on his own (of a group's
 *               members for the first 1024); where for a second none of its size does, the
 *               task's result is -ENOMEM, and its function is never called (see
 *               pica_attr.on_drop).
 *               Below each lie 16 KiB of guard: an overflow ends the process. Code with frames
 *               as large needs -fstack-clash-protection, or one may jump over the guard.
 * Order.        Tasks start in the order in which they were spawned, but for a child that
 *               its waiter runs at once on its own stack; parallel workers keep no order
 *               among themselves.
 * Suspending.   A call that suspends may come back on another thread. Keep no address of
 *               a thread-local (errno is one) across it.
 * Cancelling.   pica_cancel() is sticky: until it is taken back, every suspension point
 *               of the task returns -ECANCELED, on entry too, so clean-up that has to
 *               wait belongs into a shield (scope.h). A call that returns -ECANCELED or
 *               -ETIMEDOUT has had no effect, unless its text says otherwise.
 * FP control.   Rounding mode and exception masks belong to the thread; a suspension
 *               neither saves nor restores them.
 * C++.          Exceptions work within a task, on whatever thread it has come to. None may be
 *               in flight, nor its handler be open, across a suspension: the C++ runtime keeps
 *               those per thread. So neither a catch block nor a destructor that runs for an
 *               exception may suspend; keep a std::exception_ptr, leave the block, and then
 *               wait. No exception may leave a task's function, nor a handler, an on_drop or a
 *               hook: as with one that is noexcept std::terminate() is called, with nothing
 *               unwound yet, and stderr told which task it was. pthread_exit() in a task aborts.
 */
#ifndef PICA_TASK_H
#define PICA_TASK_H

#include <pica/base.h>
#include <pica/executor.h>

PICA_BEGIN_DECLS

/** The most bytes that pica_spawn_copy() carries. */
#define PICA_COPY_MAX 64

/** How a task is spawned; zero means the default. */
typedef struct pica_attr {
    size_t size;       /**< sizeof(pica_attr) */
    const char *name;  /**< for dumps and reports, where control characters are shown as '?'; a
                            literal, or what outlives the executor */
    size_t stack_size; /**< bytes that the task may count on, at most 1 GiB; 0: the executor's */
    size_t copy_size;  /**< if not 0: arg points to so many bytes, at most PICA_COPY_MAX,
                            which are copied into the task; it gets the copy's address */
    /** 0: runs anywhere; n: on worker n - 1 alone, and not before that one is free. Only one of the
     *  workers that the executor began with can be a pin, as all others come and go (-EINVAL): not
     *  one that pica_executor_resize() has added, nor the spare. So pica_worker_index() + 1, "where
     *  the caller runs", is a pin unless the caller runs on one of those. */
    unsigned pin;
    /** If not NULL: the task may end without ever having started, and then its argument is
     *  released by this function instead of its own. So it ends if it is cancelled before it
     *  starts (result -ECANCELED), also by its group, by a cancelled task that awaits it, or by
     *  a shutdown; and if there is no stack for it, and for a second none comes back (result
     *  -ENOMEM; without on_drop its argument is left to whoever spawned it). Called exactly once
     *  in that case, with the argument that the task's function would have got, before anybody
     *  learns of the end; otherwise not at all, nor if the spawn fails.
     *  Where: any of the executor's threads, outside of all tasks: pica_self() is NULL there.
     *  It may free, release, unref, cancel and spawn (pica_executor_spawn()), and must not
     *  wait: a wait that would block aborts, and what is for tasks alone (pica_sleep()) gives
     *  -EPERM. */
    void (*on_drop)(void *arg);
    /** Not 0: the task starts at once, on the worker of its spawner, before the spawn returns
     *  (asyncio's eager tasks), and runs there until it suspends for the first time or ends;
     *  only then its spawner goes on, ahead of all that is queued (but now and then it lets the
     *  others have a turn, as an await does). The spawn then suspends its caller, which may come
     *  back on another thread, but is still no cancellation point; what the task did until then
     *  happens before the return, and the handle is stored in *out before the task's first
     *  instruction. If the task computes for long, its spawner waits for so long.
     *  Queued as any other, not eager: a task that is pinned to another worker, one for which
     *  there is no stack just now, one spawned by a plain thread, by a hook or an on_drop, or
     *  into another executor. */
    unsigned eager;
    unsigned reserved; /**< 0 */
} pica_attr;

#ifdef __cplusplus
#define PICA_ATTR_INIT {sizeof(pica_attr), NULL, 0, 0, 0, NULL, 0, 0}
#else
#define PICA_ATTR_INIT {.size = sizeof(pica_attr)}
#endif

/** What a task is doing. */
typedef enum pica_status {
    PICA_READY = 0,   /**< queued: not yet started, or woken */
    PICA_RUNNING = 1, /**< on a worker, or just about to */
    PICA_WAITING = 2, /**< suspended */
    PICA_DONE = 3     /**< ended */
} pica_status;

/**
 * Spawn a task: queue fn to run on the caller's executor.
 *
 * @param out  a pica_task **: the handle, with one reference, to be released by
 *             pica_unref(); NULL: none is kept, and its error, if any, is reported as lost
 * @param fn   its function; what it returns is the task's result
 * @param arg  passed to fn; owned by the task once spawn has returned 0
 * @return 0; -EINVAL (fn NULL), -ENOMEM, -EPERM (a plain thread: pica_executor_spawn())
 *
 * Where:  a task. Never suspends (but see pica_attr.eager), is no cancellation point.
 * Order:  what ran before happens before the task's first instruction.
 */
#define pica_spawn(out, fn, arg) pica_spawn_at((out), (fn), (arg), NULL, PICA_SITE)

/** Spawn with attributes. As pica_spawn(); -EINVAL also for attributes out of range, and for a copy
 *  of NULL. */
#define pica_spawn_with(out, fn, arg, attr) pica_spawn_at((out), (fn), (arg), (attr), PICA_SITE)

/** Spawn with a copy of *argp inside the task, so that the argument needs no malloc. As
 *  pica_spawn(); -EINVAL where sizeof *argp exceeds PICA_COPY_MAX. */
#define pica_spawn_copy(out, fn, argp)                                                             \
    pica_spawn_copy_at((out), (fn), (argp), sizeof *(argp), PICA_SITE)

/** Spawn into an executor from anywhere. As pica_spawn(); -ESHUTDOWN once it shuts down. */
#define pica_executor_spawn(ex, out, fn, arg)                                                      \
    pica_executor_spawn_at((ex), (out), (fn), (arg), NULL, PICA_SITE)

/** pica_executor_spawn() with attributes. */
#define pica_executor_spawn_with(ex, out, fn, arg, attr)                                           \
    pica_executor_spawn_at((ex), (out), (fn), (arg), (attr), PICA_SITE)

/** What the macros above expand to. @param site  static storage */
PICA_API PICA_NODISCARD int pica_spawn_at(pica_task **out, pica_fn fn, void *arg,
                                          const pica_attr *attr, const char *site);
PICA_API PICA_NODISCARD int pica_spawn_copy_at(pica_task **out, pica_fn fn, const void *arg,
                                               size_t size, const char *site);
PICA_API PICA_NODISCARD int pica_executor_spawn_at(pica_executor *ex, pica_task **out, pica_fn fn,
                                                   void *arg, const pica_attr *attr,
                                                   const char *site);

/**
 * Wait for a task's end, whatever happens to the caller.
 *
 * If the caller is cancelled or one of its scopes expires, the task is cancelled too and
 * still awaited; then the call returns -ECANCELED. A child that nobody has started yet
 * may be run at once, on the caller's stack.
 *
 * @param task    a handle the caller holds
 * @param result  if not NULL: what the task returned, also an error code, also where
 *                somebody else cancelled it. Set whenever the task has ended, so with
 *                -ECANCELED as well
 * @return 0: ended; -ECANCELED: the caller is cancelled (the task has ended all the same);
 *         -EDEADLK: the caller waits for itself, directly or through tasks on its stack (other
 *         circles are not found: tasks that await each other never end, nor does their executor);
 *         -EINVAL: NULL. A task that had ended before the call: 0, even for a cancelled
 *         caller
 *
 * Where:  a task (suspends; a cancellation point) or a plain thread (blocks).
 * Order:  everything the task did happens before the return.
 */
PICA_API PICA_NODISCARD int pica_await(pica_task *task, intptr_t *result);

/**
 * Wait for a task's end, but leave it alone if the caller is cancelled: asyncio.shield.
 *
 * As pica_await(), with these differences: on -ECANCELED the task goes on and *result is
 * untouched; it is never run on the caller's stack.
 */
PICA_API PICA_NODISCARD int pica_join(pica_task *task, intptr_t *result);

/** pica_join() with a deadline: -ETIMEDOUT when it passes; the task goes on. */
PICA_API PICA_NODISCARD int pica_join_until(pica_task *task, intptr_t *result,
                                            int64_t deadline_ns);

/**
 * Let the others that are ready run first, in their order.
 *
 * @return 0; -ECANCELED; -EPERM on a plain thread
 * Where: a task. Suspends; a cancellation point.
 */
PICA_API PICA_NODISCARD int pica_yield(void);

/**
 * Sleep. A duration of 0 or less is pica_yield().
 *
 * @param duration_ns  nanoseconds; PICA_NEVER: until cancelled
 * @return 0; -ECANCELED; -EPERM on a plain thread
 * Where: a task. Suspends; a cancellation point.
 */
PICA_API PICA_NODISCARD int pica_sleep(int64_t duration_ns);

/** Sleep until an absolute time. As pica_sleep(); a time in the past is a yield. */
PICA_API PICA_NODISCARD int pica_sleep_until(int64_t deadline_ns);

/**
 * Ask a task to end: cancel its root scope. It counts; every call needs one uncancel.
 *
 * The task sees -ECANCELED at its next suspension point, or at the one it waits in. One
 * that has not started yet starts all the same, because it owns its argument, unless it has
 * an on_drop (pica_attr).
 *
 * @param task  a handle the caller holds; may be the caller's own task
 * @return 0; -EALREADY: it has ended; -EINVAL: NULL
 * Where: anywhere. Never suspends.
 */
PICA_API int pica_cancel(pica_task *task);

/** Take one pica_cancel() of the calling task back.
 *  @return how many are left; -EINVAL: there was none; -EPERM on a plain thread */
PICA_API int pica_uncancel(void);

/** How many cancels the calling task has not taken back: those by pica_cancel(), by whoever awaited
 *  or gathered it and was cancelled, and by the executor's end. The cancel of a group is not one of
 *  its members', nor a deadline one of anybody's. -EPERM on a plain thread. */
PICA_API int pica_cancelling(void);

/** Is the caller cancelled, here and now? A cancellation point that never suspends, for
 *  long computations. @return 0; -ECANCELED; -EPERM on a plain thread */
PICA_API PICA_NODISCARD int pica_check_cancel(void);

/**
 * Have a function called when the calling task has ended: clean-up that no return can forget.
 *
 * The handlers of a task are called after its function has returned, the last one added first,
 * before anybody learns that the task has ended; all have been when an await returns. They run as
 * part of the task, inside a shield: what cancelled the task does not disturb its clean-up, which
 * may wait, lock, spawn, await, open scopes (a deadline of its own keeps it from taking for ever)
 * and add handlers, which come next. They can't change the task's result.
 *
 * A task that a waiter runs on its own stack has handlers of its own; they run at its end,
 * not at the waiter's. A task that never starts (pica_attr.on_drop) has none.
 *
 * @param fn   called once with arg, and returns with every scope closed that it has opened
 * @param arg  must live until then: nothing that lies in the frames of the task's function
 * @return 0; -EINVAL: fn is NULL; -ENOMEM: nothing was added; -EPERM on a plain thread, in an
 *         on_drop, and in a hook (but on_ignored_cancel, which is part of its task)
 * Where: a task. Never suspends, is no cancellation point.
 */
PICA_API PICA_NODISCARD int pica_defer(void (*fn)(void *arg), void *arg);

/** The calling task, borrowed: valid while it runs; pica_ref() keeps it. NULL on a plain
 *  thread. */
PICA_API pica_task *pica_self(void);

/** A task's number, unique within its executor, never 0. Where: anywhere. */
PICA_API uint64_t pica_task_id(const pica_task *task);

/** A task's name, or "task". Where: anywhere. */
PICA_API const char *pica_task_name(const pica_task *task);

/** What a task is doing; may be out of date when it is read. Where: anywhere. */
PICA_API pica_status pica_task_status(const pica_task *task);

/** Read a task's result without waiting.
 *  @return 0 with *result set (unless result is NULL); -EINPROGRESS: not ended; -EINVAL: task is
 *  NULL. Where: anywhere.
 *  Order: everything the task did happens before a return of 0. */
PICA_API PICA_NODISCARD int pica_task_result(pica_task *task, intptr_t *result);

/** Take one more reference. NULL is fine. @return task. Where: anywhere. */
PICA_API pica_task *pica_ref(pica_task *task);

/** Drop a reference; the task itself goes on. NULL is fine. One drop too many: abort().
 *  @return NULL. Where: anywhere. */
PICA_API pica_task *pica_unref(pica_task *task);

/** Drop a reference and any interest in the task's result: its error, if it fails, goes
 *  to nobody. NULL is fine. @return NULL. Where: anywhere. */
PICA_API pica_task *pica_detach(pica_task *task);

PICA_END_DECLS

#endif
