/* SPDX-License-Identifier: MIT */
/* steal.c: see steal.h. */
#include "executor/sched/steal.h"

#include "executor/base/clock.h"
#include "executor/sched/executor.h"

bool pi_steal_allowed(const pi_worker *victim)
{
    int64_t own_until = pi_load_relaxed(&victim->own_until);
    return !own_until || pi_now() >= own_until;
}

static uint32_t random_below(pi_worker *worker, uint32_t n)
{
    worker->random ^= worker->random << 13; /* Marsaglia, "Xorshift RNGs" (JSS 8(14), 2003) */
    worker->random ^= worker->random >> 7;
    worker->random ^= worker->random << 17;
    return (uint32_t)((worker->random >> 32) * n >> 32);
}

static pica_task *steal_from(pi_worker *worker, pi_worker *victim)
{
    pi_node *node = pi_steal_allowed(victim) ? pi_deque_steal(&victim->deque) : NULL;
    if (!node)
        return NULL;
    worker->victim = victim->index;
    pi_store_relaxed(&worker->steals, worker->steals + 1);
    return pi_task_of(node);
}

/* By node: only from those on the own node of memory, or only from the others. */
static pica_task *steal_from_any(pi_worker *worker, uint32_t n, bool by_node, bool near)
{
    pi_worker *workers = worker->ex->workers;
    uint32_t start = random_below(worker, n);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t victim = (start + i) % n;
        uint32_t node = pi_load_relaxed(&workers[victim].node);
        if (victim == worker->index || (by_node && (node == worker->node) != near))
            continue;
        pica_task *task = steal_from(worker, &workers[victim]);
        if (task)
            return task;
    }
    return NULL;
}

pica_task *pi_steal(pi_worker *worker)
{
    uint32_t n = pi_executor_seats(worker->ex), last = worker->victim;
    pica_task *task = NULL;
    if (n < 2)
        return NULL;
    if (last != worker->index && last < n &&
        (task = steal_from(worker, &worker->ex->workers[last])))
        return task;
    bool pinned = worker->flags & PICA_PIN_WORKERS;
    if ((task = steal_from_any(worker, n, pinned, true)) || !pinned)
        return task;
    return steal_from_any(worker, n, true, false);
}

/* Who finds nothing has looked at all slots, which may be many. There is nothing more until the
 * stuck one pushes, or turns. But what a thief sees may be old, and one turn can take back an entry
 * and push another in its place: so it is believed for a while only. */
#define EMPTY_MS 10
static bool is_known_empty(const pi_worker *worker, const pi_worker *stuck, uint32_t turns,
                           int64_t tail)
{
    return pi_load_relaxed(&stuck->empty_turns) == turns &&
           pi_load_relaxed(&stuck->empty_tail) == tail &&
           worker->now_ms - pi_load_relaxed(&stuck->empty_ms) < EMPTY_MS;
}

/* Behind the one that paid last time: one whose queue never gets empty must not hide the others. */
pica_task *pi_steal_from_stuck(pi_worker *worker)
{
    for (uint32_t i = 1, n = pi_executor_seats(worker->ex), last = worker->victim; i <= n; i++) {
        pi_worker *stuck = &worker->ex->workers[(last + i) % n];
        uint32_t turns = pi_load_relaxed(&stuck->turns);
        int64_t tail = pi_load_relaxed(&stuck->deque.tail);
        if (pi_load_relaxed(&stuck->rescuer) != worker->index + 1 || !pi_steal_allowed(stuck) ||
            is_known_empty(worker, stuck, turns, tail))
            continue;
        pica_task *task = steal_from(worker, stuck);
        if (task)
            return task;
        pi_store_relaxed(&stuck->empty_turns, turns);
        pi_store_relaxed(&stuck->empty_tail, tail);
        pi_store_relaxed(&stuck->empty_ms, worker->now_ms);
    }
    return NULL;
}
