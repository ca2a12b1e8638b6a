/* SPDX-License-Identifier: MIT */
/** @file
 * Groups: tasks that end before the code that began them goes on (asyncio.TaskGroup).
 *
 *     pica_group g;
 *     pica_group_begin(&g);
 *     int rc = pica_group_spawn(&g, fetch, a);
 *     if (rc == 0)
 *         rc = pica_group_spawn(&g, fetch, b);
 *     rc = (int)pica_group_end(&g, rc);       // waits for both
 *     pica_group_deinit(&g);                  // frees the list of errors, if there were any
 *
 * The first member that fails (returns a negative code other than -ECANCELED) cancels the
 * other members and the body: waits inside the body return -ECANCELED. The end waits for
 * every member, whatever happens, and returns the first failure.
 *
 * By option (pica_group_begin_with()) a failure cancels nobody (PICA_GROUP_COLLECT), or the
 * first success cancels the others (PICA_GROUP_FIRST_SUCCESS: a race), or only so many
 * members run at a time (limit).
 *
 * A group is the caller's memory and belongs to the task that began it. It nests with
 * scopes in any order, and ends before what was begun before it.
 */
#ifndef PICA_GROUP_H
#define PICA_GROUP_H

#include <pica/base.h>
#include <pica/executor.h>
#include <pica/scope.h>
#include <pica/task.h>

PICA_BEGIN_DECLS

/** A group in the caller's memory; every member is private. Needs no initialisation. */
typedef struct pica_group {
    pica_scope scope; /* cancelled = the group is */
    uint64_t members; /* [atomic] lower half: 2 for each that has not ended, 1 if the owner waits;
                         upper half: how many have been spawned */
    uint32_t lock;    /* [atomic] guards what is tagged [lock] */
    uint32_t home;    /* [owner] 1 + the worker in whose queue members may lie */
    int64_t first_slot;                   /* [owner] from where on */
    intptr_t *errors;                     /* [lock] what failed, in order */
    size_t errors_count, errors_capacity; /* [lock] */
    intptr_t first;                       /* [lock] the first failure, or 0 */
    void *waiter;                         /* [lock] the owner's wait, in the end */
    intptr_t value;                       /* [lock] the first success, in a race */
    uint32_t outcome;                     /* [lock] what members came to, where that matters */
    uint32_t options;                     /* [const] bits, see below */
    uint32_t limit;                       /* [const] of members at a time, or 0 */
    uint32_t running;                     /* [lock] of a limited one: places taken */
    uint32_t stuck;    /* [lock] of these, by members that wait for a place themselves */
    uint32_t others;   /* [atomic] 1: there are members that are not noted */
    void *head, *tail; /* [lock] who waits for a place, in order of arrival */
    void *noted[6];    /* [atomic] the first members */
    void *rooms[2];    /* [atomic] for more of them */
    void *reserved[2];
} pica_group;

/** So many failures of a group are kept at most, the first ones: 512 KiB, for a group that lives
 *  as long as a server. */
#define PICA_GROUP_ERRORS_MAX 65536

/** Bits of pica_group_options.flags. */
enum {
    /** No failure cancels members or body. The end still returns the first one, and
     *  pica_group_errors() gives all, up to PICA_GROUP_ERRORS_MAX. */
    PICA_GROUP_COLLECT = 1u << 0,
    /** The first member that succeeds (returns no negative code) cancels the others and the
     *  body, and the end returns its value. A failure cancels nobody. Where a value owns
     *  something, keep the handles: that of a second one, too late, is dropped. */
    PICA_GROUP_FIRST_SUCCESS = 1u << 1
};

/** How a group is begun; zero means the default. */
typedef struct pica_group_options {
    size_t size;         /**< sizeof(pica_group_options) */
    int64_t deadline_ns; /**< for members and body, absolute; 0 or PICA_NEVER: none */
    uint32_t flags;      /**< PICA_GROUP_COLLECT or PICA_GROUP_FIRST_SUCCESS */
    uint32_t limit;      /**< at most so many members at a time; 0: any number */
} pica_group_options;

#ifdef __cplusplus
#define PICA_GROUP_OPTIONS_INIT                                                                    \
    {                                                                                              \
        sizeof(pica_group_options), 0, 0, 0                                                        \
    }
#else
#define PICA_GROUP_OPTIONS_INIT                                                                    \
    {                                                                                              \
        .size = sizeof(pica_group_options)                                                         \
    }
#endif

/**
 * Begin a group.
 *
 * @param group  must stay until pica_group_end(), and pica_group_deinit() after it
 * Where: a task (a plain thread: abort()). Never suspends, is no cancellation point.
 */
PICA_API void pica_group_begin(pica_group *group);

/** pica_group_begin() with a deadline for members and body; the end then returns
 *  -ETIMEDOUT, under the rules of pica_scope_end(). */
PICA_API void pica_group_begin_until(pica_group *group, int64_t deadline_ns);

/** pica_group_begin() with options, which are only read. @return 0; -EINVAL: unknown flags,
 *  both of them, or a size that is none (the group has not begun) */
PICA_API PICA_NODISCARD int pica_group_begin_with(pica_group *group,
                                                  const pica_group_options *options);

/**
 * Spawn a member. Its result is the group's business: it needs no handle.
 *
 * In a group with a limit that is reached, the caller sleeps until a member ends and its turn
 * has come (first come, first served): the call suspends, and is a cancellation point.
 *
 * @return 0; -ESHUTDOWN: the group is cancelled (by pica_group_cancel(), a failure, a race's
 *         first success) or has ended (arg is not consumed); -ENOMEM; -EINVAL; -EPERM on a
 *         plain thread. After the group's deadline, or a cancel of its owner, it still gives 0
 *         until the owner has come to the end: that cancels all members, this one too.
 *         With a limit also -ECANCELED: the caller is cancelled, or a deadline has passed;
 *         -EDEADLK: all members that run wait for a place, this one would be the last. (It
 *         cannot be known where a member waits otherwise for one that waits for a place:
 *         members of a limited group better spawn by pica_group_try_spawn(), or into a
 *         group of their own.) All without effect.
 * Where: the group's owner, one of its members, or a task that one of these awaits, while the
 *        group lives. (A task of another executor: abort().) Without a limit it never suspends.
 */
#define pica_group_spawn(group, fn, arg)                                                           \
    pica_group_spawn_at((group), NULL, (fn), (arg), NULL, PICA_SITE)

/** pica_group_spawn() with a handle and attributes. (An eager member suspends its spawner.)
 *  @param out   as pica_spawn(), but NULL loses no error: the group keeps it
 *  @param attr  as pica_spawn_with(); may be NULL */
#define pica_group_spawn_with(group, out, fn, arg, attr)                                           \
    pica_group_spawn_at((group), (out), (fn), (arg), (attr), PICA_SITE)

/** What the two expand to. */
PICA_API PICA_NODISCARD int pica_group_spawn_at(pica_group *group, pica_task **out, pica_fn fn,
                                                void *arg, const pica_attr *attr, const char *site);

/** pica_group_spawn() that never suspends and is no cancellation point: -EAGAIN where the limit
 *  is reached or somebody waits for a place. */
#define pica_group_try_spawn(group, fn, arg)                                                       \
    pica_group_try_spawn_at((group), NULL, (fn), (arg), NULL, PICA_SITE)

/** pica_group_try_spawn() with a handle and attributes, as pica_group_spawn_with(). */
#define pica_group_try_spawn_with(group, out, fn, arg, attr)                                       \
    pica_group_try_spawn_at((group), (out), (fn), (arg), (attr), PICA_SITE)

/** What the two expand to. */
PICA_API PICA_NODISCARD int pica_group_try_spawn_at(pica_group *group, pica_task **out, pica_fn fn,
                                                    void *arg, const pica_attr *attr,
                                                    const char *site);

/** Cancel members and body; who waits for a place is refused. Again, or after the end: nothing more
 *  happens. Where: as pica_group_spawn(); and anywhere else, also on a plain thread, if something
 *  (a member that does not end before) keeps the group there until the call has returned. Never
 *  suspends; but of a group that has had more than 1024 members, or found no memory to note them,
 *  it (and a failure) looks at all tasks that the executor has, some 30 ns for each. */
PICA_API void pica_group_cancel(pica_group *group);

/**
 * Wait for every member and end the group.
 *
 * @param group  the innermost group or scope of the caller
 * @param rc     what the body came to; a failure counts as a member's, but for -ECANCELED
 *               (which always cancels the group), and for -ESHUTDOWN (a refused spawn) once
 *               the group is cancelled. A body's success wins no race
 * @return a race: the value of the first success, if there was one. The first failure; else,
 *         if the group was cancelled, or an outer scope while there were members to wait for,
 *         -ECANCELED; -ETIMEDOUT if the group's own deadline passed so; -ECANCELED, if all that
 *         ran a race were cancelled; else rc. Successes of a race and failures beat an outer
 *         cancel, which stays pending.
 *
 * Where: the owner. Suspends. A cancel from outside cancels the members; they are awaited. So does
 *        a deadline; one that passes while the owner runs members on its own stack, after 61 of
 *        these at the latest, or (but for one worker with PICA_NO_SPARE) 2 to 4 ms and the member
 *        that runs then. The members that run there see it at once, if they wait or look.
 * Order: everything the members did happens before the return.
 */
PICA_API PICA_NODISCARD intptr_t pica_group_end(pica_group *group, intptr_t rc);

/**
 * Read the failures of an ended group, in the order of their occurrence. (Who needs to know
 * whose they are keeps handles.)
 *
 * @param group   after pica_group_end() (while it is open: abort())
 * @param errors  set to an array that pica_group_deinit() frees
 * @return how many, at most PICA_GROUP_ERRORS_MAX; where memory ran out while they were collected,
 *         fewer than happened
 * Where: the owner. Never suspends.
 */
PICA_API size_t pica_group_errors(const pica_group *group, const intptr_t **errors);

/** Free what the errors took. Needed only if the group may have failed. NULL is fine; while
 *  it is open: abort(). */
PICA_API void pica_group_deinit(pica_group *group);

PICA_END_DECLS

#endif
