/* SPDX-License-Identifier: MIT */
/* deque.h: a worker's queue of tasks. The owner pushes at the tail and takes from either
 * end, or one very entry wherever it lies; any thread steals from the head.
 *
 * Possession means having exchanged the pointer out of its slot (or taken it, see PRIVATE
 * below). The indices only say where to look: whoever reads them stale looks in vain, but
 * never gets what another got.
 *
 * Always true
 *   1. Only the owner writes head, tail and ring; only the owner stores a pointer into a
 *      slot. Anybody may exchange it for NULL.
 *   2. A slot outside [head, tail) is NULL: the owner moves head and tail only over slots
 *      that it has seen NULL, and NULL stays until the owner stores there again.
 *   3. A node lies in at most one slot of all deques, because it is pushed by who has it.
 *   4. In a ring that has been replaced every slot is NULL, for ever.
 */
#ifndef PI_DEQUE_H
#define PI_DEQUE_H

#include "executor/base/atomics.h"

#include <stddef.h>
#include <stdint.h>

/** What a deque holds: the first member of a task. */
typedef struct pi_node {
    int64_t slot; /* [atomic, pushing owner] the index of its last push; for others a hint */
} pi_node;

typedef struct pi_ring {
    int64_t mask;          /* [const] slots - 1, a power of two less one */
    struct pi_ring *older; /* [owner] what it replaced; freed with the deque */
    pi_node *slots[];      /* [atomic] */
} pi_ring;

/* Protocol: an entry's way from its owner to somebody else.
 *
 *   (A) slot = node        push, release: publishes the node's fields.      Pairs with (C).
 *   (B) slot: node -> NULL owner's exchange, seq_cst: it is also the locked operation
 *                          after which the owner may write pi_fence_after_rmw().
 *   (C) slot: node -> NULL thief's compare-and-swap, acquire: who succeeds got this node,
 *                          and as its only holder: a pointer is exchanged out once for each
 *                          time that it was stored. That it may have left and come back in
 *                          between (the same slot, another, an old ring) changes nothing,
 *                          because the swap compares what the slot holds then, and the node
 *                          it finds is there by its latest push.
 *   (D) ring = new         growth, release: publishes the new ring's slots. Pairs with (E).
 *   (E) ring               thief's load, acquire. With an old one the thief finds NULL.
 *   head, tail and node->slot are relaxed. A push is not fenced: a thief may see "empty"
 *   shortly after it, which costs nothing but time, because the owner is awake. It makes
 *   up for it once per turn: exchange (B), fence, look at who sleeps (idle.h).
 *   Proof  tests/executor/sched/deque_model.c.
 */
typedef struct pi_deque {
    int64_t head;    /* [atomic, owner] where the oldest entry may be */
    int64_t tail;    /* [atomic, owner] where the next push goes */
    pi_ring *ring;   /* [atomic, owner] */
    pi_node **slots; /* [owner] ring->slots */
    int64_t mask;    /* [owner] ring->mask */
    uint32_t state;  /* [atomic] PRIVATE, REVOKING, SHARED */
    uint32_t taking; /* [atomic, owner] 1: between the look at state and the end of a plain take */
    bool biased;     /* [const] may be PRIVATE */

    /* [atomic, thieves] Below it a thief saw nothing. A guess: the owner may have taken back
     * its tail and pushed there again; so who finds nothing above it looks below it, too. */
    int64_t hint __attribute__((aligned(PI_CACHE_LINE)));
    uint64_t thieves; /* [atomic, thieves] how many are inside; above them, how many have left */
} __attribute__((aligned(PI_CACHE_LINE))) pi_deque;

/* Protocol: taking without an exchange.
 *
 *   While nobody steals, the owner's exchange (B), a fifth of a spawn and await, serves nobody.
 *   So the deque is PRIVATE at first, and (B) a load and a store; the first thief revokes that.
 *   A membarrier interrupts who else runs, which on a virtual machine takes 20 us: so the owner
 *   makes it PRIVATE again only when no thief has come for a while (loop.c).
 *
 *   owner   (F) taking = 1; (G) state PRIVATE? load, store NULL; (H) taking = 0, release.
 *           Otherwise the exchange. Between (F) and (G) stands no fence:
 *   thief   (I) thieves + 1, fence; state not SHARED: (J) REVOKING, membarrier(2), wait for
 *           taking 0, acquire; SHARED. Steal by (C). (K) thieves - 1, release.
 *           After the membarrier the owner either has seen REVOKING at (G), or its (F) is seen.
 *           A thief that finds REVOKING does (J) too: another's membarrier may not be over.
 *   owner   (L) when nobody looks for work: state = PRIVATE, fence, thieves 0? if not, SHARED
 *           again. Partner: (I).
 *   What relies on the exchange as a fence has to do without: cancels (scope.c) fence for both;
 *   a wake-up of a thief that is missed so is made up for by the monitor's tick.
 *   After Dice, Moir and Scherer, "Quickly reacquirable locks" (2003), whose lock this is.
 */
enum {
    PI_DEQUE_SHARED = 0,
    PI_DEQUE_REVOKING = 1,
    PI_DEQUE_PRIVATE = 2
};

/** (B) @return what the slot held, which is the caller's if it is not NULL */
static inline pi_node *pi_deque_exchange(pi_deque *deque, pi_node **slot)
{
    pi_store_relaxed(&deque->taking, 1u); /* (F) */
    pi_fence_compiler();
    if (PI_LIKELY(pi_load_relaxed(&deque->state) == PI_DEQUE_PRIVATE)) { /* (G) */
        pi_node *node = pi_load_relaxed(slot); /* the own push, or NULL by (K) */
        pi_store_relaxed(slot, (pi_node *)NULL);
        pi_store_release(&deque->taking, 0u); /* (H) */
        return node;
    }
    pi_store_relaxed(&deque->taking, 0u);
    return pi_xchg_seq_cst(slot, (pi_node *)NULL);
}

/** (L) Nobody looks for work: take without exchanges again. Owner. */
void pi_deque_privatize(pi_deque *deque);

/** Does the owner take by exchange, though it need not? */
static inline bool pi_deque_could_be_private(const pi_deque *deque)
{
    return deque->biased && pi_load_relaxed(&deque->state) == PI_DEQUE_SHARED;
}

/** How often thieves have been here: another number than before, if one has been in between. */
static inline uint32_t pi_deque_visits(const pi_deque *deque)
{
    return (uint32_t)(pi_load_relaxed(&deque->thieves) >> 32);
}

/** Set up an empty deque. @param capacity  slots of the first ring, rounded up to a power
 *  of two, at least 2. @param biased  the process can membarrier: it may be PRIVATE, and is
 *  at first. @return 0, -ENOMEM */
int pi_deque_init(pi_deque *deque, size_t capacity, bool biased);

/** Free the rings. Entries left are forgotten. Nobody may use the deque any more. */
void pi_deque_deinit(pi_deque *deque);

/** The rare part of a push: the ring is full (perhaps of NULLs). */
int pi_deque_push_slow(pi_deque *deque, pi_node *node);

/** How far the ring reaches from tail down to head. Exact for nobody: entries that others
 *  took are counted until the owner passes them. Never 0 for the owner while an entry is in. */
static inline int64_t pi_deque_size(const pi_deque *deque)
{
    int64_t size = pi_load_relaxed(&deque->tail) - pi_load_relaxed(&deque->head);
    return size > 0 ? size : 0;
}

/** Does the next push fit without growing? Owner. */
static inline bool pi_deque_has_room(const pi_deque *deque)
{
    return pi_load_relaxed(&deque->tail) - pi_load_relaxed(&deque->head) <= deque->mask;
}

/** Put an entry at the tail, for which there is room. Owner. */
static inline void pi_deque_push_room(pi_deque *deque, pi_node *node)
{
    int64_t tail = pi_load_relaxed(&deque->tail);
    /* The index first: who claims by it checks that the slot holds the node. */
    pi_store_relaxed(&node->slot, tail);
    pi_store_release(&deque->slots[tail & deque->mask], node);
    pi_store_relaxed(&deque->tail, tail + 1);
}

/** Put an entry at the tail. Owner. @return 0; -ENOMEM: full and can't grow, node not put */
static inline int pi_deque_push(pi_deque *deque, pi_node *node)
{
    if (PI_UNLIKELY(!pi_deque_has_room(deque)))
        return pi_deque_push_slow(deque, node);
    pi_deque_push_room(deque, node);
    return 0;
}

/** Take the oldest entry. Owner. @return NULL: empty. One locked instruction (B) if not. */
static inline pi_node *pi_deque_take_oldest(pi_deque *deque)
{
    int64_t head = pi_load_relaxed(&deque->head);
    int64_t tail = pi_load_relaxed(&deque->tail);
    pi_node *node = NULL;
    if (head == tail)
        return NULL;
    do {
        pi_node **slot = &deque->slots[head & deque->mask];
        if (PI_LIKELY(pi_load_relaxed(slot) != NULL))
            node = pi_deque_exchange(deque, slot);
        head++;
    } while (PI_UNLIKELY(node == NULL) && head != tail);
    pi_store_relaxed(&deque->head, head);
    return node;
}

/** Take the newest entry. Owner. @return NULL: empty */
pi_node *pi_deque_take_newest(pi_deque *deque);

/**
 * Take back this very entry. Owner of the deque; the node may be anywhere.
 *
 * If it was the newest, the tail goes back to where it was pushed: a loop of spawn and
 * await stays in one slot.
 *
 * @return true: it lay in this deque and is the caller's now, after one locked instruction
 *         (B); false: it is not here (any more)
 */
static inline bool pi_deque_claim(pi_deque *deque, pi_node *node)
{
    int64_t head = pi_load_relaxed(&deque->head);
    int64_t tail = pi_load_relaxed(&deque->tail);
    int64_t index = pi_load_relaxed(&node->slot);
    if (index < head || index >= tail)
        return false;
    pi_node **slot = &deque->slots[index & deque->mask];
    if (pi_load_relaxed(slot) != node || pi_deque_exchange(deque, slot) == NULL)
        return false;
    if (PI_LIKELY(index == tail - 1)) {
        while (index > head && pi_load_relaxed(&deque->slots[(index - 1) & deque->mask]) == NULL)
            index--;
        pi_store_relaxed(&deque->tail, index);
    } else if (index == head) {
        pi_store_relaxed(&deque->head, head + 1);
    }
    return true;
}

/**
 * Let whoever takes this entry see what the caller has written before, without a fence for all:
 * (M) slot: node -> node, release. Owner of the deque; the node may be anywhere. Pairs with (C);
 * the owner itself takes in its own order, also across a growth (D).
 *
 * @return true: it lay in this deque, so nobody had it; false: it is not here (any more)
 */
static inline bool pi_deque_publish(pi_deque *deque, pi_node *node)
{
    int64_t index = pi_load_relaxed(&node->slot);
    if (index < pi_load_relaxed(&deque->head) || index >= pi_load_relaxed(&deque->tail))
        return false;
    pi_node **slot = &deque->slots[index & deque->mask], *there = node;
    return pi_load_relaxed(slot) == node && pi_cas_release(slot, &there, node);
}

/** What lies at *index or next after it. Owner. The node may be taken by others at any time;
 *  claim it. @param index  in: where to begin; out: where it lies. @return NULL: nothing */
static inline pi_node *pi_deque_peek(const pi_deque *deque, int64_t *index)
{
    int64_t head = pi_load_relaxed(&deque->head);
    int64_t tail = pi_load_relaxed(&deque->tail);
    for (int64_t i = *index > head ? *index : head; i < tail; i++) {
        pi_node *node = pi_load_relaxed(&deque->slots[i & deque->mask]);
        if (node) {
            *index = i;
            return node;
        }
    }
    return NULL;
}

/** Take the oldest entry of somebody else's deque. Any thread; the looking is bounded by the
 *  size of the ring. @return NULL: found nothing. While the owner pushes, and until it has
 *  made its fenced look at who sleeps, that may be wrong. */
pi_node *pi_deque_steal(pi_deque *deque);

/** Take this very entry out of somebody else's deque. Any thread that holds a reference to
 *  the node. @return true: it lay there and is the caller's now. A false may be wrong while
 *  the entry is being pushed or the ring is being replaced. */
bool pi_deque_claim_foreign(pi_deque *deque, pi_node *node);

#endif
