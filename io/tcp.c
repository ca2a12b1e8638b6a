/* SPDX-License-Identifier: MIT */
/* tcp.c: making streams and listeners: listen, connect, adopt. Each either gives its
 * descriptor to a slot or closes it (adopt: leaves it to the caller), and then returns why. */
#include "executor/base/sized.h"
#include "io/slots.h"
#include "io/stream.h"
#include "io/sys.h"

#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#define KIND_TCP_STREAM (PI_KIND_TCP | PI_KIND_SOCKET)
#define KIND_TCP_LISTENER (PI_KIND_TCP | PI_KIND_SOCKET | PI_KIND_LISTENER)

static int check_address(const pica_addr *addr)
{
    if (!addr)
        return -EINVAL;
    switch (addr->storage.ss_family) {
    case AF_INET:
        return addr->length == sizeof(struct sockaddr_in) ? 0 : -EINVAL;
    case AF_INET6:
        return addr->length == sizeof(struct sockaddr_in6) ? 0 : -EINVAL;
    default:
        return -EAFNOSUPPORT;
    }
}

static int copy_options(pica_listen_options *own, const pica_listen_options *options)
{
    const unsigned known = PICA_LISTEN_REUSEPORT | PICA_LISTEN_NO_REUSEADDR | PICA_LISTEN_V6ONLY;
    if (pi_sized_copy(own, sizeof(*own), options) < 0)
        return -EINVAL;
    return own->backlog < 0 || own->flags & ~known ? -EINVAL : 0;
}

/* Set up and bound, not yet listening. @return the descriptor */
static int bound_socket(const pica_addr *addr, const pica_listen_options *options)
{
    int family = addr->storage.ss_family;
    int fd = pi_sys_socket(family, SOCK_STREAM, IPPROTO_TCP);
    if (fd < 0)
        return fd;
    /* Connections inherit it from the listener, which saves a system call for each. */
    int rc = pi_sys_set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (rc == 0 && !(options->flags & PICA_LISTEN_NO_REUSEADDR))
        rc = pi_sys_set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (rc == 0 && options->flags & PICA_LISTEN_REUSEPORT)
        rc = pi_sys_set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (rc == 0 && family == AF_INET6)
        rc = pi_sys_set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY,
                               (options->flags & PICA_LISTEN_V6ONLY) != 0);
    if (rc == 0)
        rc = pi_sys_bind(fd, (const struct sockaddr *)&addr->storage, addr->length);
    if (rc == 0)
        return fd;
    pi_sys_close(fd);
    return rc;
}

/* "Every address" where the system has no IPv6. @return whether there is another to try */
static bool fall_back_to_v4(int rc, const pica_listen_options *options, pica_addr *addr)
{
    struct sockaddr_in6 six;
    if (addr->storage.ss_family != AF_INET6 || options->flags & PICA_LISTEN_V6ONLY ||
        (rc != -EAFNOSUPPORT && rc != -EADDRNOTAVAIL))
        return false;
    memcpy(&six, &addr->storage, sizeof(six));
    if (memcmp(&six.sin6_addr, &in6addr_any, sizeof(in6addr_any)) != 0)
        return false;
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = six.sin6_port};
    memset(addr, 0, sizeof(*addr));
    memcpy(&addr->storage, &four, sizeof(four));
    addr->length = sizeof(four);
    return true;
}

int pica_tcp_listen(pica_listener **out, const pica_addr *addr, const pica_listen_options *options)
{
    pi_slots *slots;
    pica_listen_options own;
    if (!out)
        return -EINVAL;
    int rc = check_address(addr);
    if (rc == 0)
        rc = copy_options(&own, options);
    if (rc == 0)
        rc = pi_slots_self(&slots);
    if (rc < 0)
        return rc;
    pi_descriptor *d = pi_slots_reserve(slots);
    if (!d)
        return -ENOMEM;

    pica_addr where = *addr;
    int fd = bound_socket(&where, &own);
    if (fd < 0 && fall_back_to_v4(fd, &own, &where))
        fd = bound_socket(&where, &own);
    rc = fd;
    if (fd >= 0) {
        /* The kernel cuts a backlog down to what the system allows. */
        rc = pi_sys_listen(fd, own.backlog ? own.backlog : INT_MAX);
        if (rc < 0)
            pi_sys_close(fd);
    }
    if (rc < 0) {
        pi_slots_give_back(d);
        return rc;
    }
    pi_descriptor_open(d, fd, KIND_TCP_LISTENER);
    *out = pi_as_listener(d);
    return 0;
}

pica_listener *pica_listener_close(pica_listener *listener)
{
    if (listener)
        pi_descriptor_close(pi_of_listener(listener));
    return NULL;
}

/* Until the handshake is over. Asking connect(2) again tells its outcome, and tells it
 * from a wake that meant something else. */
static int finish_connect(pi_descriptor *d, const pica_addr *addr)
{
    bool try_first = true;
    int rc = pi_direction_enter(&d->out, &try_first);
    if (rc < 0)
        return rc;
    for (;;) {
        rc = pi_sys_connect(d->fd, (const struct sockaddr *)&addr->storage, addr->length);
        if (rc != -EINPROGRESS && rc != -EALREADY)
            break;
        rc = pi_direction_await(d, &d->out);
        if (rc < 0)
            return rc;
    }
    pi_direction_leave(d, &d->out, true);
    return rc == -EISCONN ? 0 : rc;
}

int pica_tcp_connect(pica_stream **out, const pica_addr *addr)
{
    pi_slots *slots;
    if (!out)
        return -EINVAL;
    int rc = check_address(addr);
    if (rc == 0)
        rc = pi_slots_self(&slots);
    if (rc == 0)
        rc = pi_wait_check();
    if (rc < 0)
        return rc;
    pi_descriptor *d = pi_slots_reserve(slots);
    if (!d)
        return -ENOMEM;
    int fd = pi_sys_socket(addr->storage.ss_family, SOCK_STREAM, IPPROTO_TCP);
    if (fd < 0) {
        pi_slots_give_back(d);
        return fd;
    }
    pi_descriptor_open(d, fd, KIND_TCP_STREAM);
    rc = pi_sys_set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (rc == 0)
        rc = finish_connect(d, addr);
    if (rc < 0) {
        pi_descriptor_close(d);
        return rc;
    }
    *out = pi_as_stream(d);
    return 0;
}

/* What a foreign descriptor is. @return 0; -EBADF, -EPERM (a plain file) */
static int classify(int fd, unsigned *kind)
{
    int listening = 0, protocol = 0;
    int rc = pi_sys_get_option(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening);
    *kind = PI_KIND_SHARED;
    if (rc == -ENOTSOCK) {
        rc = pi_sys_is_plain_file(fd);
        return rc > 0 ? -EPERM : rc;
    }
    if (rc < 0)
        return rc;
    *kind |= PI_KIND_SOCKET;
    if (listening)
        *kind |= PI_KIND_LISTENER;
    /* A UNIX socket says 0, a multipath one its own number: both may read short. */
    if (pi_sys_get_option(fd, SOL_SOCKET, SO_PROTOCOL, &protocol) == 0 && protocol == IPPROTO_TCP)
        *kind |= PI_KIND_TCP | (listening ? PI_KIND_NODELAY : 0);
    return 0;
}

/* @param listener  what is wanted: PI_KIND_LISTENER or 0 */
static int adopt(pi_descriptor **out, int fd, unsigned listener)
{
    pi_slots *slots;
    unsigned kind;
    int rc = pi_slots_self(&slots);
    if (rc == 0)
        rc = classify(fd, &kind);
    if (rc == 0 && (kind & PI_KIND_LISTENER) != listener)
        rc = -EINVAL;
    if (rc < 0)
        return rc;
    /* A second stream of it would take over the first one's registration, and close it again. */
    if (!pi_slots_claim(slots, (uint32_t)fd))
        return -EBUSY;
    pi_descriptor *d = pi_slots_reserve(slots);
    rc = d ? pi_sys_get_flags(fd) : -ENOMEM;
    if (rc >= 0 && !(rc & O_NONBLOCK))
        rc = pi_sys_set_flags(fd, rc | O_NONBLOCK);
    if (rc >= 0)
        rc = pi_sys_set_cloexec(fd);
    if (rc < 0) {
        pi_slots_give_back(d);
        pi_slots_disclaim(slots, (uint32_t)fd);
        return rc;
    }
    pi_descriptor_open(d, fd, kind);
    *out = d;
    return 0;
}

int pica_stream_adopt(pica_stream **out, int fd)
{
    pi_descriptor *d;
    int rc = out ? adopt(&d, fd, 0) : -EINVAL;
    if (rc == 0)
        *out = pi_as_stream(d);
    return rc;
}

int pica_listener_adopt(pica_listener **out, int fd)
{
    pi_descriptor *d;
    int rc = out ? adopt(&d, fd, PI_KIND_LISTENER) : -EINVAL;
    if (rc == 0)
        *out = pi_as_listener(d);
    return rc;
}
