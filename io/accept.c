/* SPDX-License-Identifier: MIT */
/* accept.c: taking connections.
 *
 *   1. A connection is taken out of the queue only when its slot is there: one that the
 *      kernel handed over is never dropped for want of memory.
 *   2. Short of descriptors or memory, accept waits and tries again by itself: the kernel
 *      gives no new edge for a connection that stays in the queue. It sheds nothing: what
 *      stands in the queue is served when descriptors come back. While it waits it can be
 *      cancelled and closed; new connections do not shorten the pause.
 *   3. Errors of a connection that broke in the queue are skipped; a run of them, which
 *      only a packet filter can make, pauses too.
 */
#include "io/slots.h"
#include "io/stream.h"
#include "io/sys.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#define PAUSE_MIN PICA_MS(5)
#define PAUSE_MAX PICA_SEC(1)
#define BROKEN_MAX 64

static bool is_shortage(int rc)
{
    return rc == -EMFILE || rc == -ENFILE || rc == -ENOBUFS || rc == -ENOMEM;
}

/* Errors that accept(2) passes on from the connection it was about to give. */
static bool is_broken(int rc)
{
    switch (rc) {
    case -ECONNABORTED:
    case -EPROTO:
    case -ENETDOWN:
    case -ENOPROTOOPT:
    case -EHOSTDOWN:
    case -ENONET:
    case -EHOSTUNREACH:
    case -ENETUNREACH:
    case -EPERM:
    case -PICA_EPEERTIMEDOUT:
        return true;
    default:
        return false;
    }
}

bool pi_accept_may_go_on(int rc)
{
    return is_shortage(rc) || is_broken(rc);
}

/* One try; the caller uses l->in. *slot is reserved on the way and used up by success. */
static int take(pi_descriptor *l, pi_descriptor **slot, pica_stream **out, pica_addr *peer)
{
    if (!*slot)
        *slot = pi_slots_reserve(l->slots);
    if (!*slot)
        return -ENOMEM;

    pica_addr from = {.length = sizeof(from.storage)};
    int fd = peer ? pi_sys_accept(l->fd, (struct sockaddr *)&from.storage, &from.length)
                  : pi_sys_accept(l->fd, NULL, NULL);
    if (fd < 0)
        return fd;
    if (l->kind & PI_KIND_NODELAY)
        (void)pi_sys_set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    pi_descriptor_open(*slot, fd, l->kind & (PI_KIND_TCP | PI_KIND_SOCKET));
    if (peer)
        *peer = from;
    *out = pi_as_stream(*slot);
    *slot = NULL;
    return 0;
}

/* Wait for the time alone. @return 0: the caller uses l->in as before; else it has left */
static int pause_for(pi_descriptor *l, int64_t *pause_ns)
{
    int64_t end = pica_after(*pause_ns);
    int rc;
    do
        rc = pi_direction_wait(l, &l->in, PI_FOR_INPUT, end);
    while (rc == 0);
    *pause_ns = *pause_ns * 2 < PAUSE_MAX ? *pause_ns * 2 : PAUSE_MAX;
    return rc == -ETIMEDOUT ? 0 : rc;
}

/* pica_accept() without the frame. The caller uses l->in; on return it has been left. */
static int accept_or_wait(pi_descriptor *l, pi_descriptor **slot, pica_stream **out,
                          pica_addr *peer)
{
    int64_t pause_ns = PAUSE_MIN;
    unsigned broken = 0;
    for (;;) {
        int rc = take(l, slot, out, peer);
        if (rc == -EAGAIN) {
            l->in_streak = 0;
            pause_ns = PAUSE_MIN;
            rc = pi_direction_await(l, &l->in);
            if (rc < 0)
                return rc;
        } else if (is_shortage(rc) || (is_broken(rc) && ++broken % BROKEN_MAX == 0)) {
            rc = pause_for(l, &pause_ns);
            if (rc < 0)
                return rc;
        } else if (!is_broken(rc)) {
            pi_direction_leave(l, &l->in, true);
            return rc;
        }
    }
}

int pica_accept(pica_listener *listener, pica_stream **out, pica_addr *peer)
{
    pi_descriptor *l = pi_of_listener(listener);
    pi_descriptor *slot = NULL;
    bool try_first = true;
    if (!out)
        return -EINVAL;
    int rc = pi_descriptor_check(l);
    if (rc == 0)
        rc = pi_direction_enter(&l->in, &try_first);
    if (rc == 0)
        rc = pi_streak(l, &l->in, &l->in_streak, true);
    if (rc < 0)
        return rc;
    rc = accept_or_wait(l, &slot, out, peer);
    pi_slots_give_back(slot);
    return rc;
}

int pica_try_accept(pica_listener *listener, pica_stream **out, pica_addr *peer)
{
    pi_descriptor *l = pi_of_listener(listener);
    pi_descriptor *slot = NULL;
    pi_slots *here;
    bool try_first = true;
    if (!l || !out)
        return -EINVAL;
    int rc = pi_slots_self(&here);
    if (rc == 0)
        rc = pi_direction_enter(&l->in, &try_first);
    if (rc < 0)
        return rc;
    unsigned broken = 0;
    do
        rc = take(l, &slot, out, peer);
    while (is_broken(rc) && ++broken < BROKEN_MAX);
    pi_direction_leave(l, &l->in, true);
    pi_slots_give_back(slot);
    return rc;
}
