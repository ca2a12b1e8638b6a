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
    pica_scope scope;   /* cancelled = the group is */
    uint32_t lock;      /* [atomic] guards what is tagged [lock] */
    uint32_t members;   /* [atomic] 2 for each that has not ended, 1 if the owner waits */
    intptr_t *errors;   /* [lock] what failed, in order */
    size_t errors_count, errors_capacity; /* [lock] */
    intptr_t first;     /* [lock] the first failure, or 0 */
    void *waiter;       /* [lock] the owner's wait, in the end */
    int64_t first_slot; /* [owner] where in a worker's queue members may lie */
    uint32_t home;      /* [owner] 1 + that worker */
    uint32_t reserved0;
    void *reserved[2];
} pica_group;

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

/**
 * Spawn a member. Its result is the group's business: it needs no handle.
 *
 * @return 0; -ESHUTDOWN: pica_group_cancel() was called, a member has failed, or the group
 *         has ended (arg is not consumed); -ENOMEM; -EINVAL; -EPERM on a plain thread. After
 *         the group's deadline, or a cancel from outside, it still gives 0: the member
 *         starts, cancelled
 * Where: the group's owner or one of its members, while it lives. Never suspends.
 */
#define pica_group_spawn(group, fn, arg)                                                           \
    pica_group_spawn_at((group), NULL, (fn), (arg), NULL, PICA_SITE)

/** What pica_group_spawn() expands to, with all options. @param out as pica_spawn(), but
 *  NULL loses no error: the group keeps it. */
PICA_API PICA_NODISCARD int pica_group_spawn_at(pica_group *group, pica_task **out, pica_fn fn,
                                                void *arg, const pica_attr *attr,
                                                const char *site);

/** Cancel members and body. Again: nothing more happens. Where: as pica_group_spawn(). */
PICA_API void pica_group_cancel(pica_group *group);

/**
 * Wait for every member and end the group.
 *
 * @param group  the innermost group or scope of the caller
 * @param rc     what the body came to; a failure counts as a member's, but for -ECANCELED,
 *               and for -ESHUTDOWN (a refused spawn) once the group is cancelled
 * @return the first failure; else, if an outer scope is cancelled or the group was,
 *         -ECANCELED; -ETIMEDOUT if the group's own deadline passed; else rc. Failures
 *         beat an outer cancel, which stays pending.
 *
 * Where: the owner. Suspends. A cancel from outside cancels the members; they are awaited.
 * Order: everything the members did happens before the return.
 */
PICA_API PICA_NODISCARD intptr_t pica_group_end(pica_group *group, intptr_t rc);

/**
 * Read the failures of an ended group, in the order of their occurrence.
 *
 * @param group   after pica_group_end()
 * @param errors  set to an array that pica_group_deinit() frees
 * @return how many; where memory ran out while they were collected, fewer than happened
 * Where: the owner. Never suspends.
 */
PICA_API size_t pica_group_errors(const pica_group *group, const intptr_t **errors);

/** Free what the errors took. Needed only if the group may have failed. */
PICA_API void pica_group_deinit(pica_group *group);

PICA_END_DECLS

#endif
