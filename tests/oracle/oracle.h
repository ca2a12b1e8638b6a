/* SPDX-License-Identifier: MIT */
/* oracle.h: what random programs note of themselves, so that somebody who never asks the library
 * knows which outcomes each of its calls may have.
 *
 *   span   a scope, shield or group, or the root of a task, with all that may cancel what runs in
 *          it: a deadline, and calls that cancel it. Each is counted twice: before it is made
 *          (from then on a wait may be cancelled) and after it has returned (from then on it
 *          must).
 *   node   one task: what it was spawned with, how often it has run, what it came to, who waits
 *          for it and so may pass a cancel on, who has looked at its error.
 *
 * Both last until the end of the round, so whoever comes late still finds them. Nodes wait for
 * their own children and for shared ones, which wait for nobody: so nothing waits for itself. */
#ifndef PICA_TESTS_ORACLE_H
#define PICA_TESTS_ORACLE_H

#include "executor/base/atomics.h"
#include "tests/check.h"

#include <pica/gather.h>
#include <pica/group.h>
#include <pica/scope.h>
#include <pica/sem.h>
#include <pica/task.h>

#define NODES_MAX 600
#define LINKS 12
#define EXECUTORS 2
#define SHARED 10
#define GATHER_MAX 5
#define LATER_MAX 3
#define FAILURE (-6000) /* less the number of the node */
#define UNTOUCHED INTPTR_MIN
#define UNORDERED UINT64_MAX

typedef struct span {
    struct span *outer;          /* [const] NULL: a root */
    struct node *node;           /* [const] the task that has it open, or whose root it is */
    bool shield;                 /* [const] */
    bool sticky;                 /* [owner] a wait in it was cancelled, and must be from then on */
    bool alone;                  /* [owner] ... when nothing but its own deadline could be why */
    int64_t deadline_ns;         /* [atomic] */
    uint32_t begun, done, taken; /* [atomic] cancels: before and after the call; taken back */
    /* Of a group: */
    pica_group *group;    /* [const] NULL: none */
    uint32_t mode, limit; /* [const] as in pica_group_options */
    uint32_t gives_up;    /* [atomic] its body has come to -ECANCELED, which cancels it */
    uint32_t ending;      /* [atomic] its owner waits in pica_group_end() */
    uint32_t running;     /* [atomic] members inside of their functions */
    struct node *members; /* [atomic] all that were ever to be spawned into it */
} span;

typedef enum kind { ACTOR, LEAF, SLEEPER, TELLER, CANCELLER } kind;

typedef struct given { /* a task's argument, perhaps a copy */
    struct node *node;
    uint64_t marks[3];
} given;

typedef struct later { /* a handler's argument */
    struct node *node;
    uint32_t number; /* from 1 */
} later;

typedef struct node {
    char name[8]; /* [const] its address is the task's name: so the hook finds the node */
    span root;
    given arg;       /* [const] */
    pica_task *task; /* [spawner; atomic where shared] */
    span *member_of; /* [const] a group, or NULL */
    struct node *next_member;
    uint64_t seed;
    kind kind;
    uint32_t number, depth, ex, pin;
    int fd;              /* [const] of a TELLER */
    bool told;           /* [owner] it has written to it */
    struct node *target; /* [const] of a CANCELLER that is in no group */
    pica_task *target_task;
    bool eager, may_drop, orphan;       /* [spawner] */
    uint32_t refused;                   /* [spawner, atomic] */
    uint32_t runs, drops, lost, looked; /* [atomic] */
    uint32_t deferred;                  /* [owner] handlers that have not run */
    later later[LATER_MAX];             /* [owner] */
    uint64_t
        stamp; /* [owner, atomic] when its function returned; UNORDERED: handlers ran after that */
    intptr_t result;      /* [owner, published by the task's end] */
    span *links[LINKS];   /* [atomic] of those that wait for it */
    uint32_t links_count; /* [atomic] */
} node;

typedef struct tested_sem {
    pica_sem sem;
    int64_t permits;      /* [const] */
    bool closes;          /* [const] somebody will close it */
    int64_t held;         /* [atomic] by those that were let in */
    uint32_t begun, done; /* [atomic] a close */
} tested_sem;

typedef struct world {
    pica_executor *ex[EXECUTORS];
    uint32_t closing[EXECUTORS]; /* [atomic] a shutdown may have cancelled all */
    node *shared[SHARED];        /* [atomic] roots and leaves; anybody may cancel and join them */
    uint32_t nodes, spans;       /* [atomic] how many were made */
    uint64_t stamps;             /* [atomic] */
    tested_sem sems[2];
} world;
extern world w;

/* --- oracle.c: what may and what must be ----------------------------------------------------- */

/** Something may have cancelled what runs here: what -ECANCELED has to be explained by. */
bool may_be_cancelled(const span *s, int64_t now);
/** The same of a group and its members. NULL: false. */
bool group_may_be_cancelled(const span *group, int64_t now);
/** Something surely has: no wait may begin. By the task that has the span open. */
bool must_be_cancelled(const span *s);
/** The earliest deadline that reaches a wait here. */
int64_t visible_deadline(const span *s);
/** A wait here has returned -ECANCELED. */
void saw_cancel(span *s);
/** A plain wait here has returned rc. @param must  as it was before. @return rc */
int waited(span *s, bool must, int rc);
/** Is it cancelled? @return 0 or -ECANCELED */
int look(span *s);
/** How many cancels of a task are not taken back: at least, at most. */
int64_t cancels_least(const node *n), cancels_most(const node *n);
/** No two tasks of the node's executor run at the same time. */
bool in_turns(const node *a, const node *b);

/** A span in another one, or a root's. NULL: there were enough of them. */
span *span_new(span *outer, int64_t deadline_ns, bool shield);
node *node_new(check_rng *rng, kind what, uint32_t depth, uint32_t ex);
/** n is going to be waited for by s in a way that passes cancels on. -1: no more room */
int link_to(node *n, span *s);
/** ... and none was passed on. */
void unlink_from(node *n, int link);
/** Somebody was told of a node's end: is all as it should be? */
void check_ended(node *n, intptr_t result);
/** Begin anew; what the nodes have come to, once the executors are gone. */
void oracle_begin(void);
void oracle_end(void);
void on_lost(void *unused, const pica_lost_error *error);

static inline bool one_in(check_rng *rng, uint64_t n)
{
    return check_rng_below(rng, n) == 0;
}

static inline int64_t soon(check_rng *rng)
{
    return one_in(rng, 6) ? pica_now() : pica_after((int64_t)check_rng_below(rng, 300000));
}

/* --- acts.c: what tasks do --------------------------------------------------------------------- */

intptr_t node_runs(void *arg);
/** How to spawn a node. @param copy  room for its argument, to be spoilt after the spawn
 *  @return its argument */
void *node_attr(check_rng *rng, node *n, pica_attr *attr, given *copy);
/** Spawn it. @param s  NULL: by a plain thread. @return false: refused */
bool node_spawn(check_rng *rng, span *s, node *n);
/** Something at random. @return 0, or -ECANCELED: seen */
int act(span *s, check_rng *rng, unsigned depth);
int pass_time(span *s, check_rng *rng);
int await_one(span *s, node *n);
/** Await who sleeps until it is cancelled, as the caller is to be. */
int rouse(span *s, check_rng *rng);
/** Some of it, that plain threads can do, too; then s is NULL. */
int join_one(span *s, check_rng *rng, node *n);
void cancel_one(node *n);
node *shared_one(check_rng *rng);

/* --- things.c: semaphores and sockets ------------------------------------------------------------ */

/** Acquire, hold, release; or close. @param s  NULL: a plain thread */
int sem_act(span *s, check_rng *rng);
int talk(span *s, check_rng *rng);
/** What a TELLER does. */
intptr_t tell(node *n, check_rng *rng);

/* --- crowds.c: groups ---------------------------------------------------------------------------- */

/** Begin a group, spawn, do something, end it. */
int crowd(span *s, check_rng *rng, unsigned depth);
/** Spawn a member from s: the group's own body, or inside of a member. */
int join_crowd(span *s, span *group, check_rng *rng, unsigned depth, kind what);
int cancel_crowd(span *group);
/** A member has started; is about to return. */
void crowd_comes(span *group);
void crowd_goes(span *group, intptr_t result);

#endif
