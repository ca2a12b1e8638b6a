/* SPDX-License-Identifier: MIT */
/** @file
 * The executor: worker threads that run tasks and steal them from one another.
 *
 * A program of its own calls pica_run(), which is asyncio.run(). A library or a program
 * with a life of its own creates an executor, spawns into it from any thread, shuts it
 * down and destroys it. Several executors may live in one process; none of them touches
 * signal handlers, locale, terminal or malloc of its host.
 */
#ifndef PICA_EXECUTOR_H
#define PICA_EXECUTOR_H

#include <pica/base.h>

PICA_BEGIN_DECLS

typedef struct pica_executor pica_executor;
typedef struct pica_task pica_task;

/** Bits of pica_options.flags. */
enum {
    /** Never run an awaited child on the waiter's stack. For tests: it hides no races. */
    PICA_NO_INLINE = 1u << 0,
    /** Every suspension moves the task to another worker. For tests: it finds addresses
     *  of thread-locals that are kept across a suspension. A task moved so waits for that
     *  very worker, even if it is stuck; with one worker the flag does nothing. */
    PICA_FORCE_MIGRATION = 1u << 1,
    /** Report a stack overflow by task, size and spawn site on stderr before the process
     *  dies of it (but none of a pica_co). Installs a handler for SIGSEGV and SIGBUS while the
     *  executor lives. */
    PICA_NAME_OVERFLOWS = 1u << 2,
    /** Where the kernel grants no more guard pages, fail with -ENOMEM; without this flag
     *  stacks without a guard are used then, counted in pica_stats.stacks_unguarded. */
    PICA_STRICT_GUARDS = 1u << 3,
    /** Never start the spare worker, which otherwise runs the other tasks while every worker
     *  is stuck in a task that neither ends nor suspends. With one worker and this flag no two
     *  tasks ever run at the same time. */
    PICA_NO_SPARE = 1u << 4,
    /** Bind each worker's thread to a CPU of its own (of those that the creating thread may use,
     *  in turn; the spare runs anywhere), and let it steal from those of its own node of memory
     *  first. For machines that do nothing else: a worker whose CPU others want waits for it. */
    PICA_PIN_WORKERS = 1u << 5,
    /** When the executor ends, report what was left, as pica_options.on_left does: on stderr
     *  where there is no such hook, at most 32 lines of each kind. For debugging: a program may
     *  well leave some tasks to be cancelled. */
    PICA_REPORT_LEFT = 1u << 6,
    /** Where jemalloc is the process's malloc: each worker allocates from an arena of its own,
     *  which no other thread shares (but any may free what comes from it), gives the arena's
     *  unused memory back when it had nothing to do for pica_options.trim_after_ns, and
     *  pica_stats tells how much there is. The thread that called pica_run() gets its former
     *  arena back. Elsewhere the flag does nothing. */
    PICA_ARENAS = 1u << 7
};

/** What a worker sleeps in. */
enum {
    PICA_DRIVER_EPOLL = 0, /**< sockets and descriptors; the default */
    PICA_DRIVER_FUTEX = 1  /**< computing alone: waits for descriptors give -ENOSYS */
};

/** A task that failed although nobody ever looked at its result: its last handle is gone, or its
 *  executor. */
typedef struct pica_lost_error {
    size_t size;      /**< sizeof(pica_lost_error) in the library */
    uint64_t id;      /**< the task's number */
    const char *name; /**< its name, or "task" */
    const char *site; /**< where it was spawned, "file.c:42" */
    intptr_t error;   /**< its negative error code; never -ECANCELED */
} pica_lost_error;

/** A task that was cancelled and goes on: its waits return -ECANCELED, and it waits again. */
typedef struct pica_ignored_cancel {
    size_t size;         /**< sizeof(pica_ignored_cancel) in the library */
    uint64_t id;         /**< the task's number */
    const char *name;    /**< its name, or "task" */
    const char *site;    /**< where it was spawned, "file.c:42" */
    unsigned returns;    /**< how many of its waits in a row have returned -ECANCELED on entry */
    int64_t duration_ns; /**< over what time */
} pica_ignored_cancel;

/** What may be left when an executor ends. */
enum {
    PICA_LEFT_TASK = 1,      /**< a task that had to be cancelled because the executor ended;
                                  it was awaited then */
    PICA_LEFT_HANDLE = 2,    /**< a task, ended, with references that nobody has dropped */
    PICA_LEFT_DESCRIPTOR = 3 /**< a descriptor that nobody has closed; the executor does, now */
};

/** One thing that was left. Permits of semaphores are not among them: a semaphore is the
 *  user's, no executor's; but a task that waited for one says so. */
typedef struct pica_left {
    size_t size;         /**< sizeof(pica_left) in the library */
    unsigned kind;       /**< PICA_LEFT_TASK and others */
    unsigned references; /**< of a handle: how many */
    uint64_t id;         /**< the task's number; 0: a descriptor */
    const char *name;    /**< the task's name, or "task"; of a descriptor, what it is */
    const char *site;    /**< where the task was spawned, "file.c:42"; "": a descriptor */
    const char *waits;   /**< of a task that lived: what it waited for, " for task 7"; or "" */
    int fd;              /**< the descriptor */
    unsigned reserved;   /**< 0 */
} pica_left;

/** Options of an executor. Start from PICA_OPTIONS_INIT; zero means the default. */
typedef struct pica_options {
    size_t size;       /**< sizeof(pica_options) */
    unsigned workers;  /**< threads; 0: the CPUs that affinity and the cgroup quota allow;
                            at most 256 */
    unsigned flags;    /**< PICA_NO_INLINE and others */
    unsigned driver;   /**< PICA_DRIVER_EPOLL or PICA_DRIVER_FUTEX */
    size_t stack_size; /**< bytes that a task may count on; 0: 32 KiB; at most 1 GiB */
    /** Called once for each lost error, on any thread and on several at the same time, never
     *  suspends, outlives the executor. It is outside of all tasks: pica_self() is NULL, what is
     *  for tasks alone gives -EPERM or, where it has no code to give, aborts. NULL: a line on
     *  stderr. */
    void (*on_lost_error)(void *hook_arg, const pica_lost_error *error);
    void *hook_arg; /**< passed to the hooks */
    unsigned workers_max; /**< how many pica_executor_resize() may make of them, at most 256;
                               less than workers: no more than those */
    /** Called once for each task that ignores its cancel for 64 waits in a row and for 100 ms: most
     *  likely it does not look at what they return, and will never end. (From the 65th on they
     *  let other tasks run, so it starves nobody. Waits inside a shield do not count; a cancelled
     *  scope that ends and pica_uncancel() end the row.) Runs on the task's own stack, in the
     *  wait that it should have noticed, where a debugger or a back-trace shows it; never
     *  suspends. NULL: a line on stderr. */
    void (*on_ignored_cancel)(void *hook_arg, const pica_ignored_cancel *report);
    /** Called for each thing that is left when the executor ends. The strings last as long as
     *  the call. For tasks: by the thread that ends the executor, perhaps on the stack of a
     *  task, and by its workers, at the same time, while other tasks still run; for the others:
     *  by the thread that is inside of pica_run() or pica_executor_destroy(), before it returns.
     *  Never suspends, and uses no handle. NULL: nothing is reported, but see
     *  PICA_REPORT_LEFT. */
    void (*on_left)(void *hook_arg, const pica_left *left);
    int64_t trim_after_ns; /**< give a free stack's memory back when it was not needed for so
                                long (up to three times as long); 0: 10 s; PICA_NEVER: only in
                                pica_trim() */
} pica_options;

#ifdef __cplusplus
#define PICA_OPTIONS_INIT {sizeof(pica_options), 0, 0, 0, 0, NULL, NULL, 0, NULL, NULL, 0}
#else
#define PICA_OPTIONS_INIT {.size = sizeof(pica_options)}
#endif

/**
 * Run a function as the main task of an executor made for it, and return its result.
 *
 * The calling thread becomes one of the workers. When the main task has ended, whatever
 * still lives is cancelled and awaited, the threads are joined, everything is freed.
 *
 * @param fn       the main task
 * @param arg      passed to fn
 * @param options  NULL for the defaults; read during the call only
 * @return what fn returned; or, before fn ran: -EINVAL (bad option), -ENOMEM, -EAGAIN
 *         (no more threads), -EMFILE, -ENFILE (no more descriptors)
 *
 * Where: a plain thread; from a task -EDEADLK.
 */
PICA_API intptr_t pica_run(pica_fn fn, void *arg, const pica_options *options);

/**
 * Create an executor and start its workers.
 *
 * @param out      the executor; release it with pica_executor_destroy()
 * @param options  NULL for the defaults; read during the call only
 * @return 0; -EINVAL (out NULL, bad option), -ENOMEM, -EAGAIN, -EMFILE, -ENFILE
 *
 * Where: anywhere, also in a task (which blocks its worker for as long as threads take to
 *        start). Never suspends.
 */
PICA_API PICA_NODISCARD int pica_executor_create(pica_executor **out, const pica_options *options);

/**
 * End what lives: wait until no task is left; cancel what remains at the deadline and
 * wait for its end, however long that takes.
 *
 * From the deadline on, or as soon as no task is left, spawning from foreign threads gives
 * -ESHUTDOWN; tasks that still live may spawn, and their tasks start cancelled. Several calls, at
 * once or one after the other, wait for the same end: the first deadline to pass counts, and all
 * are told the same.
 *
 * @param ex           the executor
 * @param deadline_ns  when to cancel; pica_now() or earlier: at once; PICA_NEVER: never
 * @return 0: all ended by themselves; 1: some had to be cancelled
 *
 * Where: a plain thread; from one of the executor's own tasks -EDEADLK.
 */
PICA_API PICA_NODISCARD int pica_executor_shutdown(pica_executor *ex, int64_t deadline_ns);

/**
 * Shut down at once (if that has not been done), join the threads and free everything.
 * Handles of its tasks that are still held die with it; a failure at which nobody has looked by
 * then is lost, and reported.
 *
 * @param ex  the executor, or NULL
 * @return NULL
 * Where: a plain thread. Called from one of the executor's own tasks: abort().
 */
PICA_API pica_executor *pica_executor_destroy(pica_executor *ex);

/** The executor whose worker runs the caller, or NULL on a plain thread. */
PICA_API pica_executor *pica_executor_self(void);

/** The number of workers of an executor. Where: anywhere. */
PICA_API unsigned pica_executor_workers(const pica_executor *ex);

/**
 * Let more workers work, or fewer.
 *
 * One that is taken away ends the task that it runs, hands over what it has queued, and rests; its
 * thread still listens to the descriptors and timers that began to wait on it, and passes on
 * what they wake. The workers that an executor began with stay, so tasks can be pinned to
 * those alone.
 *
 * @param ex       the executor
 * @param workers  from pica_options.workers (as it came out) to pica_options.workers_max
 * @return 0; -EINVAL: out of that range, or ex is NULL; -ENOMEM, -EMFILE, -ENFILE, -EAGAIN (no
 *         thread): there are as many as before; -ESHUTDOWN
 * Where: anywhere; several at once take turns. Never suspends, but blocks while threads start.
 */
PICA_API PICA_NODISCARD int pica_executor_resize(pica_executor *ex, unsigned workers);

/** The worker that runs the caller, or -1 on a plain thread: from 0 to the greatest number of
 *  workers that there may be; that number itself only where the spare stands in, while all the
 *  others are stuck. (So an array with a place for each worker has one place more.) It may differ
 *  after every call that suspends. */
PICA_API int pica_worker_index(void);

/** Which malloc is live in this process: "jemalloc" or "system". Where: anywhere. */
PICA_API const char *pica_allocator(void);

/** Counters of an executor; a snapshot that need not be consistent. */
typedef struct pica_stats {
    size_t size;               /**< sizeof(pica_stats), set by the caller */
    uint64_t tasks_live;       /**< spawned and not ended */
    uint64_t tasks_held;       /**< handles' objects: live, or ended and still referenced */
    uint64_t stacks_live;      /**< bound to a started task */
    uint64_t stacks_unguarded; /**< ever handed out without a guard */
    uint64_t timers_armed;     /**< waits with a deadline */
    uint64_t descriptors_open; /**< sockets and adopted descriptors */
    uint64_t steals;           /**< tasks taken from another worker */
    uint64_t sleeps;           /**< times that a worker went to sleep in its driver */
    uint64_t wakes;            /**< times that a sleeping worker was woken by another thread */
    uint64_t rescues;          /**< times that a stuck worker's reactor was served by another */
    uint64_t trimmed_bytes;    /**< memory of free stacks that was given back */
    /* With PICA_ARENAS and jemalloc, else 0; reading them takes it some ten microseconds. */
    uint64_t malloc_allocated; /**< bytes that the process holds of malloc */
    uint64_t malloc_active;    /**< bytes of the pages that these lie in */
    uint64_t malloc_resident;  /**< bytes of memory that malloc occupies */
    uint64_t arenas_allocated; /**< as malloc_allocated, but from the workers' arenas */
    uint64_t arenas_resident;  /**< as malloc_resident, but by the workers' arenas */
} pica_stats;

/**
 * Read an executor's counters.
 *
 * @param ex   the executor
 * @param out  out->size says how much of it to fill; what the library does not know becomes 0
 * @return 0; -EINVAL (NULL, or a size that is none)
 * Where: anywhere. Never suspends.
 */
PICA_API PICA_NODISCARD int pica_executor_stats(const pica_executor *ex, pica_stats *out);

/**
 * Give the memory of stacks that no task uses back to the system.
 *
 * A stack that was used deeply keeps its memory, to be warm for the next task. By itself it
 * loses it when it has lain free for a while (pica_options.trim_after_ns). A host that is told
 * of memory pressure (by /proc/pressure/memory, which a task can wait for with pica_poll_fd(),
 * or by its cgroup's memory.events) does not wait for that. Stacks of live tasks are left as
 * they are. Each worker keeps 32 free stacks; what it has beyond them it gives when it is asked,
 * which one that runs a task without suspending is not before that task suspends. With
 * PICA_ARENAS the workers' arenas give back what they do not use as well, which is not counted.
 *
 * @param ex  the executor
 * @return bytes that the caller itself gave back, without what the workers still give
 *         (pica_stats.trimmed_bytes counts both); -EINVAL: ex is NULL
 *
 * Where: anywhere. Never suspends, but is no quick call: 0.4 us for each stack and 0.15 us for
 *        each page of it, measured on one machine.
 */
PICA_API int64_t pica_trim(pica_executor *ex);

/**
 * Write what each live task is doing, for people:
 *
 *     task 7 (fetch) waiting for input of descriptor 9, for 51 ms, spawned at a.c:17 by 1
 *         stack: 384 bytes in use, 3304 at most so far, of 44480
 *         at 0x7f88c6cef60a (libpica.so.0+0x1260a)
 *         at 0x7f88c6ceff09 pica_poll_fd+0xd9 (libpica.so.0+0x12f09)
 *         at 0x56278ad06372 fetch+0x52 (server+0x1372)
 *
 * A task's line begins with "task", what belongs to it is indented below. A task that runs on
 * its waiter's stack has a line, but no stack of its own; its waiter's says which it runs.
 *
 * - "at most so far" is the stack's mark, as far as its pages show: the deepest that this
 *   task or one that had the stack before it has been. What was trimmed or swapped out since
 *   does not count.
 * - The calls of a waiting task come from the tables that compilers put into every program
 *   (.eh_frame), so code needs no frame pointers. Names are those that a program or library
 *   exports (-rdynamic); `addr2line -f -e server 0x1371` (one less than the offset, to be
 *   inside of the call) finds the line. Tasks in a row that wait at the same place tell once.
 *
 * The executor goes on meanwhile, so tasks come and go between two lines. What is said of
 * one waiting task is of one moment: it is looked at, not held, and looked at again if it
 * was woken meanwhile.
 *
 * @param ex  the executor
 * @param fd  a descriptor; written to with plain write(2), which may block
 * @return the number of tasks; or the error of write(2)
 * Where: anywhere, also from a debugger unless some thread is stopped inside of dlopen() or
 *        dlclose(), whose lock it takes. Never suspends; allocates nothing; needs 8 KiB of
 *        stack.
 */
PICA_API int pica_dump(pica_executor *ex, int fd);

PICA_END_DECLS

#endif
