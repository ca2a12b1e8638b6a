/* SPDX-License-Identifier: MIT */
/* deque.c: what of a worker's queue is not inline: growth, stealing, the newest entry.
 * Invariants and protocol are in deque.h; the letters refer to it. */
#include "executor/sched/deque.h"

#include "executor/base/alloc.h"
#include "executor/base/membarrier.h"

#include <errno.h>
#include <pica/base.h>

/* What thieves counts. */
#define INSIDE UINT64_C(1)
#define LEFT (UINT64_C(1) << 32)

static pi_ring *ring_new(int64_t slots)
{
    pi_ring *ring =
        pi_aligned_zalloc(PI_CACHE_LINE, sizeof(pi_ring) + (size_t)slots * sizeof(pi_node *));
    if (!ring)
        return NULL;
#ifdef PI_TSAN
    /* The owner's loop and its tasks are threads to it, and the zeroes are no atomics. */
    for (int64_t i = 0; i < slots; i++)
        pi_store_relaxed(&ring->slots[i], (pi_node *)NULL);
#endif
    ring->mask = slots - 1;
    return ring;
}

int pi_deque_init(pi_deque *deque, size_t capacity, bool biased)
{
    int64_t slots = 2;
    while ((size_t)slots < capacity)
        slots *= 2;
    pi_ring *ring = ring_new(slots);
    if (!ring)
        return -ENOMEM;
    *deque = (pi_deque){.ring = ring,
                        .slots = ring->slots,
                        .mask = ring->mask,
                        .biased = biased,
                        .state = biased ? PI_DEQUE_PRIVATE : PI_DEQUE_SHARED};
    return 0;
}

void pi_deque_deinit(pi_deque *deque)
{
    pi_ring *ring = deque->ring;
    while (ring) {
        pi_ring *older = ring->older;
        pi_free(ring);
        ring = older;
    }
    *deque = (pi_deque){0};
}

/* Twice the slots, the same indices. Entries move by exchange, for a thief may be at them; in
 * between they are in neither ring, and a thief that misses them is one that came early. */
static int grow(pi_deque *deque, int64_t head, int64_t tail)
{
    pi_ring *old = deque->ring;
    pi_ring *ring = ring_new((old->mask + 1) * 2);
    if (!ring)
        return -ENOMEM;
    ring->older = old;
    for (int64_t i = head; i < tail; i++) {
        pi_node *node = pi_xchg_relaxed(&old->slots[i & old->mask], (pi_node *)NULL);
        if (node)
            pi_store_relaxed(&ring->slots[i & ring->mask], node);
    }
    pi_store_release(&deque->ring, ring); /* (D) */
    deque->slots = ring->slots;
    deque->mask = ring->mask;
    return 0;
}

__attribute__((noinline, cold)) int pi_deque_push_slow(pi_deque *deque, pi_node *node)
{
    int64_t head = pi_load_relaxed(&deque->head);
    int64_t tail = pi_load_relaxed(&deque->tail);
    while (head < tail && pi_load_relaxed(&deque->slots[head & deque->mask]) == NULL)
        head++;
    pi_store_relaxed(&deque->head, head);
    if (tail - head > deque->mask) {
        int rc = grow(deque, head, tail);
        if (rc < 0)
            return rc;
    }
    return pi_deque_push(deque, node);
}

pi_node *pi_deque_take_newest(pi_deque *deque)
{
    int64_t head = pi_load_relaxed(&deque->head);
    int64_t tail = pi_load_relaxed(&deque->tail);
    pi_node *node = NULL;
    if (head == tail)
        return NULL;
    while (!node && tail != head) {
        pi_node **slot = &deque->slots[--tail & deque->mask];
        if (pi_load_relaxed(slot) != NULL)
            node = pi_deque_exchange(deque, slot);
    }
    pi_store_relaxed(&deque->tail, tail);
    return node;
}

/* The first entry in [from, to), by a thief. */
static pi_node *steal_between(pi_deque *deque, pi_ring *ring, int64_t from, int64_t to)
{
    for (int64_t i = from; i < to; i++) {
        pi_node **slot = &ring->slots[i & ring->mask];
        pi_node *node = pi_load_relaxed(slot);
        if (node && pi_cas_acquire(slot, &node, (pi_node *)NULL)) { /* (C) */
            pi_store_relaxed(&deque->hint, i + 1);
            return node;
        }
    }
    return NULL;
}

/* (J) */
static __attribute__((noinline, cold)) void revoke_slow(pi_deque *deque)
{
    uint32_t expected = PI_DEQUE_PRIVATE;
    (void)pi_cas_relaxed(&deque->state, &expected, (uint32_t)PI_DEQUE_REVOKING);
    pi_membarrier();
    for (unsigned rounds = 0; pi_load_acquire(&deque->taking); rounds++)
        pi_spin_wait(rounds);
    expected = PI_DEQUE_REVOKING;
    (void)pi_cas_relaxed(&deque->state, &expected, (uint32_t)PI_DEQUE_SHARED);
}

/* (I) */
static void enter(pi_deque *deque)
{
    pi_add_relaxed(&deque->thieves, INSIDE);
    pi_fence_after_rmw();
    if (pi_load_relaxed(&deque->state) != PI_DEQUE_SHARED)
        revoke_slow(deque);
}

/* (K) */
static void leave(pi_deque *deque)
{
    pi_add_release(&deque->thieves, LEFT - INSIDE);
}

void pi_deque_privatize(pi_deque *deque)
{
    if (!pi_deque_could_be_private(deque) || pi_load_relaxed(&deque->thieves) % LEFT)
        return;
    pi_store_relaxed(&deque->state, (uint32_t)PI_DEQUE_PRIVATE); /* (L) */
    pi_fence_seq_cst();
    if (pi_load_acquire(&deque->thieves) % LEFT)
        pi_store_relaxed(&deque->state, (uint32_t)PI_DEQUE_SHARED);
}

static pi_node *steal_inside(pi_deque *deque)
{
    int64_t head = pi_load_relaxed(&deque->head);
    int64_t tail = pi_load_relaxed(&deque->tail);
    if (head >= tail)
        return NULL;
    pi_ring *ring = pi_load_acquire(&deque->ring); /* (E) */
    /* Read at different times, the indices may lie apart by more than the ring: then all of
     * its slots are looked at. */
    if (tail - head > ring->mask + 1)
        tail = head + ring->mask + 1;
    int64_t hint = pi_load_relaxed(&deque->hint);
    if (hint <= head || hint > tail)
        return steal_between(deque, ring, head, tail);
    pi_node *node = steal_between(deque, ring, hint, tail);
    return node ? node : steal_between(deque, ring, head, hint);
}

pi_node *pi_deque_steal(pi_deque *deque)
{
    if (pi_deque_size(deque) == 0)
        return NULL;
    enter(deque);
    pi_node *node = steal_inside(deque);
    leave(deque);
    return node;
}

bool pi_deque_claim_foreign(pi_deque *deque, pi_node *node)
{
    enter(deque);
    pi_ring *ring = pi_load_acquire(&deque->ring); /* (E) */
    pi_node **slot = &ring->slots[pi_load_relaxed(&node->slot) & ring->mask];
    pi_node *found = pi_load_relaxed(slot);
    bool got = found == node && pi_cas_acquire(slot, &found, (pi_node *)NULL); /* (C) */
    leave(deque);
    return got;
}
