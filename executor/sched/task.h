/* SPDX-License-Identifier: MIT */
/* task.h: the task object, and the word that says whether it has ended and who holds it.
 *
 * A task is 128 bytes (192 with a copied argument) in a slab that lives as long as its
 * executor: memory is type-stable, so one that holds no reference may still look (dump,
 * group cancel), and must re-check what it saw.
 *
 * Protocol: the word {refs:29, LOCK, WAITERS, DONE}.
 *
 *   refs     the handle's holders, and one more while the task has not ended (the run's).
 *   LOCK     guards task->waiters; held for a few instructions, never while suspended.
 *   WAITERS  the list is not empty; changed under LOCK.
 *   DONE     result is final. Set once, together with dropping the run's reference.
 *   (A) end, nobody waits:   refs -> refs - 1 | DONE by compare-and-swap, release.
 *   (B) end, run inline by its awaiter, two references (the run's and the awaiter's), no
 *       waiter, no lock: the same as a plain store, because nobody else may touch the word:
 *       who uses a handle in another task holds a reference of its own.
 *   (C) end, somebody waits: LOCK, wake each, then DONE, refs - 1 and unlock in one
 *       read-modify-write, release: the last touch (law 6).
 *   (D) to wait: LOCK, acquire; not if DONE; link; WAITERS and unlock, release.
 *   (F) to look again: LOCK, wake each, unlock, release: who comes after it by (D) sees what was
 *       written before it.
 *   Reading DONE is an acquire; it pairs with (A), (B), (C).
 *   Proof    tests/executor/sched/task_state_model.c.
 */
#ifndef PI_TASK_H
#define PI_TASK_H

#include "executor/base/atomics.h"
#include "executor/sched/deque.h"
#include "executor/sched/wait.h"

#include <pica/scope.h>
#include <pica/task.h>

#define PI_TASK_DONE 1u
#define PI_TASK_WAITERS 2u
#define PI_TASK_LOCK 4u
#define PI_TASK_REF 8u
#define PI_TASK_REFS_MAX (UINT32_MAX - 1024 * PI_TASK_REF)

/** Bits of pica_task.flags. The four upper ones are the class of its stack. */
enum {
    PI_TASK_COPIES = 1u << 0,    /* the object has room for a copied argument */
    PI_TASK_MEMBER = 1u << 1,    /* of a group: its failure is the group's business */
    PI_TASK_MAIN = 1u << 2,      /* its end ends the executor */
    PI_TASK_DELIVERED = 1u << 3, /* [runner] a cancel below has become one of this task */
    PI_TASK_CLASS_SHIFT = 4
};

struct pica_task {
    /* All that an await needs, in one cache line. */
    pi_node node;    /* [pusher] where it was queued last; starved.h has a use of its own for it */
    uint32_t word;   /* [atomic] see above; 0: a free object */
    uint16_t home;   /* [pusher, atomic] worker in whose deque it was queued, or one of below */
    uint16_t pin;    /* [const] 0, or 1 + the only worker that runs it */
    pica_fn fn;      /* [const] */
    void *arg;       /* [const, atomic] others may take it for a hint */
    union {
        intptr_t result;              /* [runner] final once DONE */
        pica_fn starts;               /* [const until it starts] if it has on_drop: its function */
        struct pi_deferred *deferred; /* [runner] while it runs: see defer.h */
    };
    pi_fiber *fiber; /* [runner, atomic] what it runs on; NULL: not started */
    union {
        struct pica_task *next;  /* [queue] inject list, mailbox, free list */
        struct pica_task *outer; /* [runner] whose await runs this one inline, or NULL */
    };
    uint32_t cancels; /* [atomic] pica_cancel() minus pica_uncancel(); the root scope's flag */
    uint16_t level;   /* [runner, atomic] of the root scope, on its fiber */
    uint8_t flags;    /* [const] but for PI_TASK_DELIVERED */
    uint8_t observed; /* [atomic] somebody looked at the result, or never will want to */

    /* The rest. */
    union {
        pica_scope *scope;       /* [runner] innermost open scope, NULL: none but the root */
        void (*on_drop)(void *); /* [const until it starts] see drop.h */
    };
    pica_scope *group;  /* [runner, atomic] the group's scope, or NULL; then not MEMBER */
    pi_waiter *waiters; /* [LOCK] who waits for the end */
    uint64_t id;        /* [const, atomic] so long as it is the same task */
    uint64_t parent;    /* [const] id of the spawner; 0: a plain thread */
    const char *site;   /* [const] */
    const char *name;   /* [const] or NULL */
    union {
        uint32_t starved; /* [runner] while it is in a queue of starved.h: since when */
        uint32_t ignored; /* [runner] then: see ignored.h */
    };
    uint32_t cancelling; /* [atomic] calls of pica_cancel() under way; never reset */
};

_Static_assert(sizeof(struct pica_task) == 128, "two cache lines");
_Static_assert(offsetof(struct pica_task, scope) == 64, "what an await needs is in the first");

static inline unsigned pi_task_stack_class(const pica_task *task)
{
    return task->flags >> PI_TASK_CLASS_SHIFT;
}

/** Of pica_task.home: in no deque; in a queue of starved.h, whose mutex guards that. */
#define PI_NO_HOME UINT16_MAX
#define PI_HOME_STARVED (UINT16_MAX - 1)

static inline pica_task *pi_task_of(pi_node *node)
{
    return (pica_task *)(void *)node;
}

static inline bool pi_task_done(const pica_task *task)
{
    return pi_load_acquire(&task->word) & PI_TASK_DONE;
}

static inline const char *pi_task_name(const pica_task *task)
{
    return task->name ? task->name : "task";
}

/** (A) or (C): the task has ended; drops the run's reference. The task may be gone after. */
void pi_task_end(pica_task *task, intptr_t result);

/** (B): the same, by the awaiter that ran it inline and holds a reference itself.
 *  @return false: somebody else has to do with the word, too: pi_task_end() */
static inline bool pi_task_end_inline(pica_task *task, intptr_t result)
{
    /* Acquire: of who dropped the other references; the store below ends their release. */
    if (PI_UNLIKELY(pi_load_acquire(&task->word) != 2 * PI_TASK_REF))
        return false;
    task->result = result;
    pi_store_release(&task->word, PI_TASK_REF | PI_TASK_DONE);
    return true;
}

/** (D): be told of the task's end. The caller holds a reference.
 *  @return false: it has ended already, the waiter is not linked */
bool pi_task_wait_link(pica_task *task, pi_waiter *waiter);

/** Take a waiter back that may or may not have been told. After it, nobody touches it. */
void pi_task_wait_unlink(pica_task *task, pi_waiter *waiter);

/** (F) No stack was found for the task, but one who waits for it may have room: end the waits of
 *  those without data, PI_CLOSED; they look again. The caller holds a reference. */
void pi_task_look_again(pica_task *task);

/** A waiter was told: the end is a few instructions away. Spin until DONE. */
void pi_task_await_done(const pica_task *task);

/** A waiter with data is told of the end through it, under LOCK; others by ending their wait. */
typedef struct pi_task_watch {
    /* Never suspends. May end waits, by pi_winners_win(). */
    void (*ended)(struct pi_task_watch *watch, pica_task *task, pi_winners *winners);
} pi_task_watch;

void pi_task_ref(pica_task *task);
void pi_task_unref_slow(pica_task *task);

/** The executor is at its end, and the handles that are still held go with it: if this one's task
 *  has failed and nobody has looked, it is reported, as with the last unref. */
void pi_task_forget(pica_task *task, void *ex);

/** Has it failed with nobody to know? Values that are pointers are no errors: no object lies
 *  in the last pages of the address space. */
static inline bool pi_task_is_lost(const pica_task *task)
{
    return PI_UNLIKELY(task->result < 0) && task->result >= -8192 &&
           task->result != -ECANCELED && !(task->flags & PI_TASK_MEMBER) &&
           !pi_load_relaxed(&task->observed);
}

/** Where a copied argument lies. */
static inline void *pi_task_copy(pica_task *task)
{
    return task + 1;
}

#endif
