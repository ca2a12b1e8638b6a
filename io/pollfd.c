/* SPDX-License-Identifier: MIT */
/* pollfd.c: waiting for a descriptor that belongs to somebody else.
 *
 * It gets a slot and a registration for the time of the wait alone, so nothing of ours is
 * left when its owner closes it. The event only ends the wait; what holds is asked of
 * poll(2), before and after. The slot's `in` direction serves for whatever is waited for.
 *
 *   1. A number has at most one waiter in an executor: who has set its bit in slots->taken. The
 *      bit is set before the number is registered, and taken off when that has been undone:
 *      acquire and release, so that two registrations with one reactor never meet.
 *   2. It has none while it belongs to a stream or a listener, whose bit it is then: a
 *      registration of ours would take the place of theirs, or theirs of ours.
 *   3. Numbers beyond the table have no bit: there a second waiter is noticed only by epoll, where
 *      it has the same reactor.
 */
#include "executor/sched/worker.h"
#include "io/epoll.h"
#include "io/slots.h"
#include "io/stream.h"
#include "io/sys.h"

#include <pica/task.h>
#include <poll.h>

/* A hang-up of the peer's half concerns those who want to read. */
static short with_hang_up(short events)
{
    return (short)(events & (POLLIN | POLLPRI) ? events | POLLRDHUP : events);
}

static pi_for awaited(short events)
{
    if (!(events & POLLOUT))
        return PI_FOR_INPUT;
    return events & (POLLIN | POLLPRI) ? PI_FOR_EITHER : PI_FOR_OUTPUT;
}

/* @param events  of poll(2); epoll's have the same values */
static int wait_registered(pi_descriptor *d, short events, int64_t deadline_ns)
{
    bool try_first = true;
    int rc = pi_direction_enter(&d->in, &try_first);
    if (rc < 0)
        return rc;
    rc = pi_descriptor_watch(d, (uint32_t)(unsigned short)events | (uint32_t)EPOLLET);
    if (rc < 0) {
        pi_direction_leave(d, &d->in, true);
        return rc == -EEXIST ? -EBUSY : rc;
    }
    do {
        rc = pi_direction_wait(d, &d->in, awaited(events), deadline_ns);
        if (rc == -ECANCELED || rc == -EBADF)
            return rc;
        int holds = pi_sys_poll_now(d->fd, events);
        if (holds != 0)
            rc = holds;
    } while (rc == 0);
    pi_direction_leave(d, &d->in, true);
    return rc;
}

/* The check on entry. Each call is a turn, and yields where the budget is used up: who always finds
 * its descriptor ready must not keep its task running for ever. */
static int check(void)
{
    int rc = pi_wait_check();
    pi_worker *worker = pi_worker_self();
    return rc == 0 && worker->fiber && pi_worker_spend(worker) ? pica_yield() : rc;
}

int pica_poll_fd(int fd, short events, int64_t deadline_ns)
{
    pi_slots *slots;
    if (events == 0 || events & ~(POLLIN | POLLOUT | POLLPRI))
        return -EINVAL;
    int rc = pi_slots_self(&slots);
    if (rc == 0)
        rc = check();
    if (rc < 0)
        return rc;
    events = with_hang_up(events);
    rc = pi_sys_poll_now(fd, events);
    if (rc < 0)
        return rc;
    if (rc > 0) {
        /* A plain file is always ready for poll(2), which says nothing about it. */
        int plain = pi_sys_is_plain_file(fd);
        return plain < 0 ? plain : plain ? -EPERM : rc;
    }
    if (!pi_slots_claim(slots, (uint32_t)fd))
        return -EBUSY;
    pi_descriptor *d = pi_slots_reserve(slots);
    if (d) {
        pi_descriptor_open(d, fd, PI_KIND_FOREIGN);
        rc = wait_registered(d, events, deadline_ns);
        pi_descriptor_close(d);
    }
    pi_slots_disclaim(slots, (uint32_t)fd);
    return d ? rc : -ENOMEM;
}
