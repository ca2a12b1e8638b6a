/* SPDX-License-Identifier: MIT */
/* timer.c: see timer.h. */
#include "executor/sched/timer.h"

#include "executor/base/alloc.h"
#include "executor/base/assert.h"

#include <pica/base.h>
#include <stdlib.h>
#include <string.h>

#define ARITY 4u
#define CAPACITY_MIN 64u

void pi_timers_init(pi_timers *set)
{
    memset(set, 0, sizeof(*set));
    set->next_ns = PICA_NEVER;
}

void pi_timers_deinit(pi_timers *set)
{
    pi_free(set->heap);
}

static inline void place(pi_timers *set, uint32_t at, pi_timer_entry entry)
{
    set->heap[at] = entry;
    entry.timer->index = at;
}

static inline void sift_up(pi_timers *set, uint32_t at, pi_timer_entry entry)
{
    while (at > 0) {
        uint32_t parent = (at - 1) / ARITY;
        if (set->heap[parent].deadline_ns <= entry.deadline_ns)
            break;
        place(set, at, set->heap[parent]);
        at = parent;
    }
    place(set, at, entry);
}

static inline void sift_down(pi_timers *set, uint32_t at, pi_timer_entry entry)
{
    for (;;) {
        uint32_t first = at * ARITY + 1;
        if (first >= set->count)
            break;
        uint32_t last = first + ARITY < set->count ? first + ARITY : set->count;
        uint32_t least = first;
        for (uint32_t i = first + 1; i < last; i++)
            if (set->heap[i].deadline_ns < set->heap[least].deadline_ns)
                least = i;
        if (entry.deadline_ns <= set->heap[least].deadline_ns)
            break;
        place(set, at, set->heap[least]);
        at = least;
    }
    place(set, at, entry);
}

static void publish_next(pi_timers *set)
{
    int64_t next = set->count ? set->heap[0].deadline_ns : PICA_NEVER;
    for (pi_timer *t = set->list; PI_UNLIKELY(t != NULL); t = t->next)
        next = t->deadline_ns < next ? t->deadline_ns : next;
    if (next != set->next_ns)
        pi_store_relaxed(&set->next_ns, next);
}

static __attribute__((noinline, cold)) bool grow(pi_timers *set)
{
    uint32_t capacity = set->capacity ? set->capacity * 2 : CAPACITY_MIN;
    pi_timer_entry *heap = NULL;
    if (capacity < PI_TIMER_LISTED / 2)
        heap = pi_malloc(capacity * sizeof(*heap));
    if (!heap)
        return false;
    if (set->heap)
        memcpy(heap, set->heap, set->count * sizeof(*heap));
    pi_free(set->heap);
    set->heap = heap;
    set->capacity = capacity;
    return true;
}

static __attribute__((noinline, cold)) void list_slow(pi_timers *set, pi_timer *timer)
{
    timer->index = PI_TIMER_LISTED;
    timer->prev = NULL;
    timer->next = set->list;
    if (set->list)
        set->list->prev = timer;
    set->list = timer;
    pi_store_relaxed(&set->listed, set->listed + 1);
}

static __attribute__((noinline, cold)) void unlist_slow(pi_timers *set, pi_timer *timer)
{
    if (timer->next)
        timer->next->prev = timer->prev;
    if (timer->prev)
        timer->prev->next = timer->next;
    else
        set->list = timer->next;
    pi_store_relaxed(&set->listed, set->listed - 1);
}

static inline void insert(pi_timers *set, pi_timer *timer, int64_t deadline_ns)
{
    uint32_t at = set->count;
    pi_store_relaxed(&set->count, at + 1);
    sift_up(set, at, (pi_timer_entry){deadline_ns, timer});
    if (deadline_ns < set->next_ns)
        pi_store_relaxed(&set->next_ns, deadline_ns);
}

/* [lock, which it releases] The heap is full. */
static __attribute__((noinline, cold)) void arm_slow(pi_timers *set, pi_timer *timer)
{
    if (grow(set)) {
        insert(set, timer, timer->deadline_ns);
    } else {
        list_slow(set, timer);
        if (timer->deadline_ns < set->next_ns)
            pi_store_relaxed(&set->next_ns, timer->deadline_ns);
    }
    pi_lock_release(&set->lock);
}

void pi_timer_arm(pi_timers *set, pi_timer *timer, pi_token token, int64_t deadline_ns)
{
    pi_lock_acquire(&set->lock); /* first: a locked operation waits for the stores before it */
    timer->set = set;
    timer->token = token;
    timer->deadline_ns = deadline_ns;
    if (PI_UNLIKELY(set->count == set->capacity)) {
        arm_slow(set, timer);
        return;
    }
    insert(set, timer, deadline_ns);
    pi_lock_release(&set->lock);
}

/* Remove a timer that is in the heap. */
static inline __attribute__((always_inline)) void unheap(pi_timers *set, pi_timer *timer)
{
    uint32_t at = timer->index;
    uint32_t last = set->count - 1;
    pi_store_relaxed(&set->count, last);
    if (at != last) {
        pi_timer_entry moved = set->heap[last];
        if (at > 0 && moved.deadline_ns < set->heap[(at - 1) / ARITY].deadline_ns)
            sift_up(set, at, moved);
        else
            sift_down(set, at, moved);
    }
}

void pi_timer_disarm(pi_timer *timer)
{
    pi_timers *set = timer->set;
    pi_lock_acquire(&set->lock);
    if (timer->index != PI_TIMER_EXPIRED) {
        if (PI_UNLIKELY(timer->index == PI_TIMER_LISTED))
            unlist_slow(set, timer);
        else
            unheap(set, timer);
        if (timer->deadline_ns == set->next_ns)
            publish_next(set);
    }
    pi_lock_release(&set->lock);
}

/* The next expired timer, removed from the set; NULL: none. */
static pi_timer *take_expired(pi_timers *set, int64_t now_ns)
{
    for (pi_timer *t = set->list; PI_UNLIKELY(t != NULL); t = t->next) {
        if (t->deadline_ns <= now_ns) {
            unlist_slow(set, t);
            return t;
        }
    }
    if (!set->count || set->heap[0].deadline_ns > now_ns)
        return NULL;
    pi_timer *timer = set->heap[0].timer;
    unheap(set, timer);
    return timer;
}

unsigned pi_timers_expire(pi_timers *set, int64_t now_ns)
{
    unsigned ended = 0;
    if (pi_timers_next(set) > now_ns)
        return 0;
    pi_lock_acquire(&set->lock);
    pi_timer *timer;
    while ((timer = take_expired(set, now_ns))) {
        pi_token token = timer->token;
        timer->index = PI_TIMER_EXPIRED;
        ended += pi_wait_end(token, PI_TIMEOUT);
    }
    publish_next(set);
    pi_lock_release(&set->lock);
    return ended;
}
