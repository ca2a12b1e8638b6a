/* SPDX-License-Identifier: MIT */
/* epoll.c: the reactor, one per worker: what it sleeps in, and where its descriptors'
 * events come out.
 *
 * Its set holds an eventfd (edge-triggered and never read: each write is a new edge, so a
 * wake is one system call and taking it none), descriptors (descriptor.h), and the sets of
 * stuck workers while it is attached to them.
 *
 * Protocol: sleeping and waking. word reactor->sleep: ASLEEP, TOLD; read-modify-writes.
 *   (A) 0 -> ASLEEP       the owner, before it sleeps. If TOLD stood: -> 0, does not sleep;
 *                         acquire, as (C).
 *   (B) + TOLD            any waker. Release: what it did before. If it was ASLEEP alone:
 *                         writes the eventfd.
 *   (C) -> 0              the owner, after its sleep. Acquire: pairs with (B).
 *   (D) a rescuer that takes the eventfd's edge out of another's set: if the word is
 *       ASLEEP TOLD then, it has taken it from the sleeper, and writes again. Otherwise the
 *       owner is awake and needs no edge (a wake that is due stands in TOLD), or sleeps anew
 *       and was not woken since. Relaxed: the kernel passes on what stood at the write.
 *   So  a wake ends the sleep it finds or the next; no edge is missed; and the edge of a
 *       worker that is awake is dropped, so that a rescuer does not spin on it.
 *   Proof  tests/io/epoll_model.c; with the real kernel, tests/io/epoll_test.c.
 */
#include "io/epoll.h"

#include "executor/base/alloc.h"
#include "executor/base/clock.h"
#include "executor/sched/fiber.h"
#include "io/slots.h"
#include "io/sys.h"

/* One batch, on the worker's own stack. A worker takes one at a time of its own set, so that
 * a socket is read soon after its event, while what the kernel touched for it is warm, and what
 * was prefetched for its task. (1,000 connections, processor time per echo against a raw loop: 8
 * events 1.1, 16 0.94, 32 0.93, 64 1.06; with 64 connections all are alike.) */
#define BATCH 32

#define ASLEEP 1u
#define TOLD 2u

typedef struct pi_reactor {
    pi_slots *slots; /* [const] */
    uint32_t number; /* [const] in slots->reactors */
    int epfd;        /* [const] */
    int wakefd;      /* [const] */
    bool coarse;     /* [owner] there is no epoll_pwait2 for us */

    uint32_t sleep __attribute__((aligned(PI_CACHE_LINE))); /* [atomic] see the protocol */
} pi_reactor;

static inline pi_reactor *of(pi_driver *driver)
{
    return (pi_reactor *)driver;
}

int pi_reactor_epfd(const pi_driver *driver)
{
    return ((const pi_reactor *)driver)->epfd;
}

static int shared_open(void **shared)
{
    pi_slots *slots = pi_slots_new();
    if (!slots)
        return -ENOMEM;
    *shared = slots;
    return 0;
}

static void shared_close(void *shared)
{
    pi_slots_free(shared);
}

static uint64_t open_descriptors(void *shared)
{
    return pi_load_relaxed(&((pi_slots *)shared)->open);
}

/* A reactor's number, so that an event can name it. @return false: there are too many */
static bool enroll(pi_reactor *r)
{
    for (uint32_t i = 0; i < PI_REACTORS; i++) {
        pi_reactor *nobody = NULL;
        if (pi_cas_acq_rel(&r->slots->reactors[i], &nobody, r)) {
            r->number = i;
            return true;
        }
    }
    return false;
}

static int open_reactor(pi_driver **out, void *shared)
{
    pi_reactor *r = pi_aligned_zalloc(PI_CACHE_LINE, sizeof(*r));
    if (!r)
        return -ENOMEM;
    r->slots = shared;
    r->wakefd = -1;
    int rc = r->epfd = pi_sys_epoll_create();
    if (rc >= 0)
        rc = r->wakefd = pi_sys_eventfd();
    if (rc >= 0)
        rc = pi_sys_epoll_add(r->epfd, r->wakefd, (uint32_t)EPOLLIN | (uint32_t)EPOLLET,
                              pi_event_data(PI_EVENT_WAKE, 0));
    if (rc >= 0 && !enroll(r))
        rc = -ENOMEM;
    if (rc < 0) {
        if (r->wakefd >= 0)
            pi_sys_close(r->wakefd);
        if (r->epfd >= 0)
            pi_sys_close(r->epfd);
        pi_free(r);
        return rc;
    }
    *out = (pi_driver *)r;
    return 0;
}

static void close_reactor(pi_driver *driver)
{
    pi_reactor *r = of(driver);
    pi_store_release(&r->slots->reactors[r->number], (pi_reactor *)NULL);
    pi_sys_close(r->wakefd);
    pi_sys_close(r->epfd);
    pi_free(r);
}

static void wake(pi_driver *driver)
{
    pi_reactor *r = of(driver);
    if (pi_or_release(&r->sleep, TOLD) == ASLEEP) /* (B) */
        pi_sys_eventfd_write(r->wakefd);
}

/* (A). @return false: told already */
static bool fall_asleep(pi_reactor *r)
{
    uint32_t awake = 0;
    if (pi_cas_relaxed(&r->sleep, &awake, ASLEEP))
        return true;
    (void)pi_xchg_acquire(&r->sleep, 0u);
    return false;
}

static int wait_for_events(pi_reactor *r, struct epoll_event *events, int64_t deadline_ns)
{
    if (deadline_ns == PICA_NEVER)
        return pi_sys_epoll_wait(r->epfd, events, BATCH, -1);
    struct timespec left = pi_timespec_until(deadline_ns);
    if (!r->coarse) {
        int n = pi_sys_epoll_wait_ns(r->epfd, events, BATCH, &left);
        if (n >= 0)
            return n;
        r->coarse = true; /* an older kernel; or a sandbox, which denies by what code it likes */
    }
    /* Rounded up, or the last part of a millisecond would be spent spinning. */
    int64_t ms = (int64_t)left.tv_sec * 1000 + (left.tv_nsec + 999999) / 1000000;
    return pi_sys_epoll_wait(r->epfd, events, BATCH, ms > INT32_MAX ? INT32_MAX : (int)ms);
}

static int drain_other(pi_reactor *other);

/* Events come from many places in memory, each of which tells of the next: the descriptor, the
 * wait word, the task. Asking for all of a kind before any of the next lets the misses overlap. */
static inline void prefetch(pi_reactor *r, const struct epoll_event *events, int n)
{
    pi_descriptor *found[BATCH];
    int known = 0;
    for (int i = 0; i < n; i++) {
        uint32_t index = (uint32_t)events[i].data.u64;
        if (PI_UNLIKELY(index >= PI_EVENT_ANY))
            continue;
        found[known] = pi_slots_at(r->slots, index);
        __builtin_prefetch(found[known++], 1);
    }
    for (int i = 0; i < known; i++)
        __builtin_prefetch(pi_load_relaxed(&found[i]->in.token.wait), 1);
    for (int i = 0; i < known; i++) /* of one who waits: a token that is left over may be wild */
        if (pi_load_acquire(&found[i]->in.word) & PI_ARMED)
            pi_fiber_prefetch_task(pi_load_acquire(&found[i]->in.token.wait));
}

/* Pass on what a batch holds. @return how many waits it ended */
static int pass_on(pi_reactor *r, const struct epoll_event *events, int n)
{
    int ended = 0;
    prefetch(r, events, n);
    for (int i = 0; i < n; i++) {
        uint32_t index = (uint32_t)events[i].data.u64;
        uint32_t generation = (uint32_t)(events[i].data.u64 >> 32);
        uint32_t what = events[i].events;
        if (PI_LIKELY(index < PI_EVENT_ANY)) {
            ended += pi_descriptor_event(pi_slots_at(r->slots, index), generation, what);
        } else if (index < PI_EVENT_NESTED) {
            pi_descriptor *d = pi_slots_at(r->slots, index & ~PI_EVENT_ANY);
            ended += pi_descriptor_event(d, generation, what | (uint32_t)EPOLLIN);
        } else if (index == PI_EVENT_NESTED) {
            ended += drain_other(pi_load_acquire(&r->slots->reactors[generation]));
        } else if (pi_load_relaxed(&r->sleep) == (ASLEEP | TOLD)) {
            pi_sys_eventfd_write(r->wakefd); /* (D); the owner itself is never ASLEEP here */
        }
    }
    return ended;
}

/* Another's set, until a batch comes back short: its entry in ours, which is edge-triggered,
 * is not announced a second time. While its owner sleeps, the owner is closer to it. */
static int drain_other(pi_reactor *other)
{
    struct epoll_event events[BATCH];
    int ended = 0, n = BATCH;
    if (!other || pi_load_relaxed(&other->sleep) & ASLEEP)
        return 0;
    while (n == BATCH) {
        n = pi_sys_epoll_wait(other->epfd, events, BATCH, 0);
        ended += pass_on(other, events, n);
    }
    return ended;
}

static int poll_reactor(pi_driver *driver, int64_t deadline_ns)
{
    pi_reactor *r = of(driver);
    bool sleeps = deadline_ns > 0;
    if (!sleeps && pi_driver_self() != driver)
        return drain_other(r);
    struct epoll_event events[BATCH];
    int n;
    if (sleeps && fall_asleep(r)) {
        n = wait_for_events(r, events, deadline_ns);
        (void)pi_xchg_acquire(&r->sleep, 0u); /* (C) */
    } else {
        n = pi_sys_epoll_wait(r->epfd, events, BATCH, 0);
    }
    return pass_on(r, events, n);
}

/* Edge-triggered, or every poll of ours would look into the other's set. */
static int attach(pi_driver *self, pi_driver *stuck)
{
    uint64_t data = pi_event_data(PI_EVENT_NESTED, of(stuck)->number);
    uint32_t edges = (uint32_t)EPOLLIN | (uint32_t)EPOLLET;
    int rc = pi_sys_epoll_add(of(self)->epfd, of(stuck)->epfd, edges, data);
    if (rc == -ELOOP) {
        /* It watched us while it was idle, and has not come round to detach. */
        (void)pi_sys_epoll_delete(of(stuck)->epfd, of(self)->epfd);
        rc = pi_sys_epoll_add(of(self)->epfd, of(stuck)->epfd, edges, data);
    }
    return rc == -EEXIST ? 0 : rc;
}

static void detach(pi_driver *self, pi_driver *stuck)
{
    (void)pi_sys_epoll_delete(of(self)->epfd, of(stuck)->epfd);
}

static void each_descriptor(void *shared, void (*visit)(int fd, const char *what, void *arg),
                            void *arg)
{
    pi_slots_each_open(shared, visit, arg);
}

const pi_driver_ops pi_driver_default = {
    .name = "epoll",
    .shared_open = shared_open,
    .shared_close = shared_close,
    .open = open_reactor,
    .close = close_reactor,
    .poll = poll_reactor,
    .wake = wake,
    .attach = attach,
    .detach = detach,
    .open_descriptors = open_descriptors,
    .each_descriptor = each_descriptor,
};
