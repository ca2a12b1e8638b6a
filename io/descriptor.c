/* SPDX-License-Identifier: MIT */
/* descriptor.c: the slow halves of the protocol in descriptor.h: waiting, events, closing. */
#include "io/descriptor.h"

#include "executor/base/assert.h"
#include "executor/sched/driver.h"
#include "io/epoll.h"
#include "io/slots.h"
#include "io/sys.h"

/* The facts of descriptor.h, in its words. */
static inline void check_word(uint64_t w)
{
    pi_assert(!(w & PI_ARMED) || w & PI_USED);
    pi_assert(!(w & PI_ARMED) || !(w & (PI_READY | PI_SHUT)));
    (void)w;
}

/* The number stays as it is while others may still hold a stale event's address of it. */
static void open_direction(pi_direction *dir)
{
    uint64_t w = pi_load_relaxed(&dir->word);
    pi_assert(w & PI_SHUT && !(w & (PI_USED | PI_ARMED)));
    /* A store suffices: events leave a CLOSED word alone, and nobody else has the slot.
     * Release: an event that sees it sees the generation too. */
    pi_store_release(&dir->word, ((w + PI_SEQUENCE) & ~(PI_SEQUENCE - 1)) | PI_READY);
}

/* The number is ours, not to be polled or adopted. Relaxed: between its end here and its next
 * beginning lie the kernel's close and open of the number. */
static void take_number(const pi_descriptor *d)
{
    uint32_t number = (uint32_t)d->fd;
    if (number < PI_NUMBERS)
        (void)pi_or_relaxed(&d->slots->taken[number / 64], UINT64_C(1) << number % 64);
}

static void give_number(const pi_descriptor *d)
{
    uint32_t number = (uint32_t)d->fd;
    if (number < PI_NUMBERS)
        (void)pi_and_relaxed(&d->slots->taken[number / 64], ~(UINT64_C(1) << number % 64));
}

void pi_descriptor_open(pi_descriptor *d, int fd, unsigned kind)
{
    d->fd = fd;
    d->kind = (uint8_t)kind;
    d->in_streak = d->out_streak = 0;
    pi_store_relaxed(&d->watched, (uint8_t)0);
    pi_store_relaxed(&d->generation, d->generation + 1);
    pi_store_relaxed(&d->life, PI_LIFE_OPEN); /* whoever is given the handle sees it all */
    open_direction(&d->in);
    open_direction(&d->out);
    if (kind & PI_KIND_FOREIGN)
        return;
    take_number(d);
    pi_add_relaxed(&d->slots->open, (uint64_t)1);
}

/* The last share is gone: nobody is inside a call, and nobody will be. */
static void finish(pi_descriptor *d)
{
    if (d->kind & (PI_KIND_SHARED | PI_KIND_FOREIGN))
        pi_descriptor_unwatch(d);
    if (!(d->kind & PI_KIND_FOREIGN)) {
        give_number(d);
        pi_sys_close(d->fd);
        pi_sub_relaxed(&d->slots->open, (uint64_t)1);
    }
    pi_slots_give_back(d);
}

void pi_descriptor_drop(pi_descriptor *d, uint32_t shares)
{
    /* Release: my calls are over. Acquire: so are those of all the others. */
    uint32_t before = pi_sub_acq_rel(&d->life, shares);
    pi_assert((before & ~PI_LIFE_CLOSED) >= shares);
    if (before == (PI_LIFE_CLOSED | shares))
        finish(d);
}

int pi_descriptor_hold(pi_descriptor *d)
{
    uint32_t life = pi_load_relaxed(&d->life);
    do {
        if (life & PI_LIFE_CLOSED)
            return -EBADF;
    } while (!pi_cas_relaxed(&d->life, &life, life + 1));
    return 0;
}

/* Acquire: a token of a later arming would come with the word that precedes it, so that a
 * CAS from the older word fails. */
static inline pi_token read_token(pi_direction *dir)
{
    return (pi_token){.wait = pi_load_acquire(&dir->token.wait),
                      .word = pi_load_acquire(&dir->token.word)};
}

/* (G). @return the shares that fall to the closer */
static uint32_t close_direction(pi_direction *dir)
{
    uint64_t w = pi_load_acquire(&dir->word);
    uint64_t next;
    pi_token token;
    do {
        check_word(w);
        token = (pi_token){0};
        next = w | PI_SHUT;
        if (w & PI_ARMED) {
            token = read_token(dir);
            next = ((w + PI_SEQUENCE) | PI_SHUT) & ~(PI_USED | PI_ARMED);
        }
        /* Acquire: what users did in calls that are over, before the number is closed. */
    } while (!pi_cas_acquire(&dir->word, &w, next));
    if (w & PI_ARMED)
        pi_wait_end(token, PI_CLOSED);
    return next & PI_USED ? 0 : 1;
}

void pi_descriptor_close(pi_descriptor *d)
{
    uint32_t life = pi_or_relaxed(&d->life, PI_LIFE_CLOSED);
    pi_require(!(life & PI_LIFE_CLOSED), "a stream or listener was closed twice");
    uint32_t shares = 1;
    shares += close_direction(&d->in);
    shares += close_direction(&d->out);
    pi_descriptor_drop(d, shares);
}

int pi_descriptor_check(const pi_descriptor *d)
{
    if (PI_UNLIKELY(!d))
        return -EINVAL;
    return pi_wait_check_worker();
}

/* Take READY, or leave for CLOSED; one of them stands in w, and the caller is the user. */
static int consume(pi_descriptor *d, pi_direction *dir, uint64_t w)
{
    do {
        if (w & PI_SHUT) {
            pi_direction_leave(d, dir, true);
            return -EBADF;
        }
    } while (!pi_cas_relaxed(&dir->word, &w, w & ~PI_READY)); /* (C) */
    return 0;
}

/* (F). @return whether the caller still uses the direction */
static bool take_back(pi_direction *dir, uint64_t armed)
{
    uint64_t w = pi_load_relaxed(&dir->word);
    uint64_t next;
    do {
        check_word(w);
        if ((w ^ armed) & ~(PI_SEQUENCE - 1))
            return false;
        next = w & PI_ARMED ? w & ~PI_ARMED : w | PI_READY;
    } while (!pi_cas_relaxed(&dir->word, &w, next));
    return true;
}

int pi_direction_wait(pi_descriptor *d, pi_direction *dir, pi_for what, int64_t deadline_ns)
{
    uint64_t w = pi_load_relaxed(&dir->word);
    if (w & (PI_READY | PI_SHUT))
        return consume(d, dir, w);

    pi_waiter me;
    pi_wait_begin_for(&me, what, (uintptr_t)d->fd);
    pi_store_release(&dir->token.wait, me.token.wait);
    pi_store_release(&dir->token.word, me.token.word);
    uint64_t armed;
    do {
        if (w & (PI_READY | PI_SHUT)) {
            (void)pi_wait_abandon(&me); /* nobody had the token; a cancel is sticky */
            return consume(d, dir, w);
        }
        armed = (w + PI_SEQUENCE) | PI_ARMED;
    } while (!pi_cas_release(&dir->word, &w, armed)); /* (B) */

    switch (pi_wait_park(&me, deadline_ns)) {
    case PI_WOKEN:
        w = pi_load_relaxed(&dir->word);
        return PI_UNLIKELY(w & PI_SHUT) ? consume(d, dir, w) : 0;
    case PI_CLOSED:
        return -EBADF;
    case PI_TIMEOUT:
        return take_back(dir, armed) ? -ETIMEDOUT : -EBADF;
    default:
        if (take_back(dir, armed))
            pi_direction_leave(d, dir, false);
        return -ECANCELED;
    }
}

int pi_direction_register_slow(pi_descriptor *d, pi_direction *dir)
{
    int rc = pi_descriptor_watch(d, PI_EVENTS_ALL);
    if (rc < 0)
        pi_direction_leave(d, dir, true);
    return rc;
}

int pi_descriptor_watch(pi_descriptor *d, uint32_t events)
{
    pi_slots *slots;
    int rc = pi_slots_self(&slots);
    if (rc < 0)
        return rc;
    if (slots != d->slots)
        return -EINVAL;
    /* A reader and a writer may both be the first. The system call under the lock happens
     * once in a descriptor's life; the other one cannot go on without it. */
    pi_lock_acquire(&d->watching);
    if (!pi_load_relaxed(&d->watched)) {
        int epfd = pi_reactor_epfd(pi_driver_self());
        uint32_t index = d->kind & PI_KIND_FOREIGN ? d->index | PI_EVENT_ANY : d->index;
        uint64_t data = pi_event_data(index, pi_load_relaxed(&d->generation));
        rc = pi_sys_epoll_add(epfd, d->fd, events, data);
        /* Left over from an earlier life of the number, whose open file others hold. */
        if (rc == -EEXIST && !(d->kind & PI_KIND_FOREIGN))
            rc = pi_sys_epoll_modify(epfd, d->fd, events, data);
        if (rc == 0) {
            d->epfd = epfd;
            pi_store_release(&d->watched, (uint8_t)1);
        }
    }
    pi_lock_release(&d->watching);
    return rc;
}

void pi_descriptor_unwatch(pi_descriptor *d)
{
    pi_lock_acquire(&d->watching);
    if (pi_load_relaxed(&d->watched)) {
        (void)pi_sys_epoll_delete(d->epfd, d->fd); /* gone already: just as well */
        pi_store_release(&d->watched, (uint8_t)0);
    }
    pi_lock_release(&d->watching);
}

/* @param latch  PI_READY, with PI_FINAL where the event says so */
static inline __attribute__((always_inline)) int
direction_event(pi_descriptor *d, pi_direction *dir, uint32_t generation, uint64_t latch)
{
    uint64_t w = pi_load_acquire(&dir->word);
    for (;;) {
        check_word(w);
        /* The word was read first: if it is of a later life, so is the generation. */
        if (w & PI_SHUT || pi_load_relaxed(&d->generation) != generation)
            return 0;
        if (w & PI_ARMED) {
            pi_token token = read_token(dir);
            uint64_t next = (w & ~PI_ARMED) | (latch & PI_FINAL);
            if (pi_cas_acquire(&dir->word, &w, next)) /* (E) */
                return pi_wait_end(token, PI_WOKEN) ? 1 : 0;
        } else if ((w & latch) == latch || pi_cas_acquire(&dir->word, &w, w | latch)) { /* (D) */
            return 0;
        }
    }
}

int pi_descriptor_event(pi_descriptor *d, uint32_t generation, uint32_t events)
{
    const uint32_t both = EPOLLHUP | EPOLLERR;
    const uint32_t final = both | EPOLLRDHUP | EPOLLPRI;
    const uint64_t latch = events & final ? PI_READY | PI_FINAL : PI_READY;
    int ended = 0;
    if (events & (EPOLLIN | final))
        ended += direction_event(d, &d->in, generation, latch);
    if (events & (EPOLLOUT | both))
        ended += direction_event(d, &d->out, generation, latch);
    return ended;
}
