/* SPDX-License-Identifier: MIT */
/** @file
 * TCP over IPv4 and IPv6, and waiting for any descriptor.
 *
 *     pica_addr at;
 *     pica_listener *l;
 *     int rc = pica_addr_parse(&at, "[::]:8080", 0);
 *     if (rc == 0)
 *         rc = pica_tcp_listen(&l, &at, NULL);
 *     pica_stream *s;
 *     while (rc == 0 && (rc = pica_accept(l, &s, NULL)) == 0)
 *         rc = pica_spawn(NULL, serve, s);
 *
 * Addresses are numeric: no call here asks a resolver.
 *
 * Waiting.   Every call that waits is a cancellation point, obeys the scopes of its task,
 *            and has no deadline of its own (but pica_poll_fd()): put it into a scope.
 *            They are for tasks; on a plain thread they return -EPERM, and in an executor
 *            with the futex driver -ENOSYS. One that need not wait lets others run now and
 *            then all the same.
 * Sharing.   One task may read while another writes. Two that wait for the same direction
 *            at once: the second gets -EBUSY.
 * Owning.    A stream or listener belongs to the executor whose task made it. Only tasks of
 *            that one wait for it; in others -EINVAL where it is noticed, which is at its first
 *            wait alone. Calls that need not wait are not looked at.
 * Closing.   Close from any task, or any thread: whoever waits on the descriptor gets -EBADF,
 *            later calls too. The descriptor itself is closed when its last user has left,
 *            and the handle must not be used after its close has been seen by all. What
 *            nobody closes the executor does, when it ends.
 * Threads.   What does not wait (close, shutdown, addresses, options, the descriptor) may be
 *            called from anywhere, as long as the executor lives.
 * Errors.    The kernel's codes, negated, beside those named. A peer that stopped
 *            answering is -PICA_EPEERTIMEDOUT; -ETIMEDOUT is a deadline's alone. Writing
 *            to a closed peer is -EPIPE, never a signal.
 */
#ifndef PICA_NET_H
#define PICA_NET_H

#include <pica/base.h>

#include <sys/socket.h>
#include <sys/uio.h>

PICA_BEGIN_DECLS

typedef struct pica_listener pica_listener;
typedef struct pica_stream pica_stream;

/** A socket address, IPv4 or IPv6. */
typedef struct pica_addr {
    struct sockaddr_storage storage;
    socklen_t length;
} pica_addr;

/** Room for pica_addr_format(), the final 0 included. */
#define PICA_ADDR_TEXT 72

/**
 * Read an address: "1.2.3.4", "1.2.3.4:80", "::1", "[::1]:80", "fe80::1%2" (a zone by
 * number), "*:80" (every address, both families where the system allows).
 *
 * @param out   the address
 * @param text  terminated by 0
 * @param port  used where text names none
 * @return 0; -EINVAL (not a numeric address, a port beyond 65535, NULL)
 * Where: anywhere. Never suspends.
 */
PICA_API PICA_NODISCARD int pica_addr_parse(pica_addr *out, const char *text, uint16_t port);

/** Write an address as "1.2.3.4:80" or "[::1]:80".
 *  @return the length; -ENOSPC (PICA_ADDR_TEXT bytes suffice); -EAFNOSUPPORT */
PICA_API PICA_NODISCARD int pica_addr_format(const pica_addr *addr, char *text, size_t size);

/** The port of an address, in host order; 0 for an unknown family. */
PICA_API uint16_t pica_addr_port(const pica_addr *addr);

/** How to listen. Start from PICA_LISTEN_OPTIONS_INIT; zero means the default. */
typedef struct pica_listen_options {
    size_t size;    /**< sizeof(pica_listen_options) */
    int backlog;    /**< 0: the system's most */
    unsigned flags; /**< PICA_LISTEN_... */
} pica_listen_options;

#ifdef __cplusplus
#define PICA_LISTEN_OPTIONS_INIT {sizeof(pica_listen_options), 0, 0}
#else
#define PICA_LISTEN_OPTIONS_INIT {.size = sizeof(pica_listen_options)}
#endif

enum {
    PICA_LISTEN_REUSEPORT = 1u << 0,    /**< SO_REUSEPORT */
    PICA_LISTEN_NO_REUSEADDR = 1u << 1, /**< leave out SO_REUSEADDR */
    PICA_LISTEN_V6ONLY = 1u << 2        /**< an IPv6 listener refuses IPv4 peers */
};

/** Listen. @param options NULL for the defaults. @return 0; -EINVAL; -EPERM; -ENOSYS (the
 *  futex driver); -ENOMEM; the kernel's codes.
 *  Where: a task. Never suspends. */
PICA_API PICA_NODISCARD int pica_tcp_listen(pica_listener **out, const pica_addr *addr,
                                            const pica_listen_options *options);

/**
 * Take the next connection.
 *
 * Short of descriptors or memory it waits (5 ms, doubling up to 1 s) and goes on;
 * connections that broke in the queue are skipped.
 *
 * @param out   the connection, TCP_NODELAY set; release it with pica_close()
 * @param peer  NULL, or the peer's address
 * @return 0; -ECANCELED (no connection was taken); -EBUSY; -EBADF (closed meanwhile)
 * Where: a task. Suspends; a cancellation point.
 */
PICA_API PICA_NODISCARD int pica_accept(pica_listener *listener, pica_stream **out,
                                        pica_addr *peer);

/** Take a connection if one waits in the queue. As pica_accept(), but -EAGAIN instead of
 *  waiting, and -EMFILE and the like at once. Never suspends, no cancellation point. */
PICA_API PICA_NODISCARD int pica_try_accept(pica_listener *listener, pica_stream **out,
                                            pica_addr *peer);

/** The address a listener is bound to (the port that the kernel chose). */
PICA_API PICA_NODISCARD int pica_listener_addr(const pica_listener *listener, pica_addr *out);

/** The descriptor, borrowed; -EBADF after close. Do not close it. */
PICA_API int pica_listener_fd(const pica_listener *listener);

/** Stop listening and release. Whoever waits in accept gets -EBADF. NULL is fine.
 *  @return NULL. Where: anywhere. Never suspends. */
PICA_API pica_listener *pica_listener_close(pica_listener *listener);

/** Connect. A cancelled connect has sent a SYN; the socket is closed.
 *  @return 0; -ECANCELED; the kernel's codes. Where: a task. Suspends; a cancellation point. */
PICA_API PICA_NODISCARD int pica_tcp_connect(pica_stream **out, const pica_addr *addr);

/**
 * Read what is there; wait for the first byte.
 *
 * @return bytes read, at most n; 0: the peer has finished (or n is 0); -ECANCELED (nothing
 *         was read); -EBUSY; -EBADF; -ECONNRESET and other codes of the kernel
 * Where: a task. Suspends if nothing is there; a cancellation point.
 */
PICA_API PICA_NODISCARD ssize_t pica_read(pica_stream *stream, void *buffer, size_t n);

/** Write once, like write(2): at least one byte, perhaps fewer than n.
 *  @return bytes written; -ECANCELED (nothing was written); -EPIPE; -EBUSY; -EBADF.
 *  Where: a task. Suspends if there is no room; a cancellation point. */
PICA_API PICA_NODISCARD ssize_t pica_write(pica_stream *stream, const void *buffer, size_t n);

/** Write all of it.
 *  @param written  NULL, or how much was written, also on failure
 *  @return 0; as pica_write(), where a part may have been written */
PICA_API PICA_NODISCARD int pica_write_all(pica_stream *stream, const void *buffer, size_t n,
                                           size_t *written);

/** pica_read() into several buffers. -EINVAL: n < 0 or n > IOV_MAX. */
PICA_API PICA_NODISCARD ssize_t pica_readv(pica_stream *stream, const struct iovec *iov, int n);

/** pica_write() from several buffers. -EINVAL: n < 0 or n > IOV_MAX. */
PICA_API PICA_NODISCARD ssize_t pica_writev(pica_stream *stream, const struct iovec *iov, int n);

/** Shut one direction (SHUT_RD, SHUT_WR) or both down. @return 0; the kernel's codes.
 *  Where: anywhere. Never suspends. */
PICA_API PICA_NODISCARD int pica_shutdown(pica_stream *stream, int how);

/** Close and release. Whoever waits on it gets -EBADF. NULL is fine. @return NULL.
 *  Where: anywhere. Never suspends. */
PICA_API pica_stream *pica_close(pica_stream *stream);

/** The two ends' addresses. @return 0; the kernel's codes. Never suspends. */
PICA_API PICA_NODISCARD int pica_local_addr(const pica_stream *stream, pica_addr *out);
PICA_API PICA_NODISCARD int pica_peer_addr(const pica_stream *stream, pica_addr *out);

/** TCP_NODELAY, on by default. @return 0; the kernel's codes. */
PICA_API PICA_NODISCARD int pica_set_nodelay(pica_stream *stream, int on);

/** Keep-alive probes after idle_s seconds, every interval_s seconds, count times; an
 *  idle_s of 0 turns them off. @return 0; the kernel's codes. */
PICA_API PICA_NODISCARD int pica_set_keepalive(pica_stream *stream, int idle_s, int interval_s,
                                               int count);

/** The descriptor, borrowed, for options not named here; -EBADF after close. */
PICA_API int pica_stream_fd(const pica_stream *stream);

/** Make a stream of a descriptor (a connected socket, a pipe, a terminal) and own it; it is
 *  set to O_NONBLOCK and FD_CLOEXEC. @return 0; -EINVAL, -EBADF, -EPERM (a plain file, or a
 *  plain thread), -EBUSY (it is a stream or listener of this executor, or in pica_poll_fd();
 *  another's, which is not noticed, would be closed twice), -ENOMEM; on failure fd remains the
 *  caller's. Where: a task. */
PICA_API PICA_NODISCARD int pica_stream_adopt(pica_stream **out, int fd);

/** Make a listener of a listening socket and own it. As pica_stream_adopt(). */
PICA_API PICA_NODISCARD int pica_listener_adopt(pica_listener **out, int fd);

/**
 * Wait until a foreign descriptor is ready, for libraries that own theirs.
 *
 * @param fd           stays the caller's, must stay open; one task at a time per descriptor, and
 *                     none that belongs to a stream or listener
 * @param events       POLLIN, POLLOUT, POLLPRI of <poll.h>
 * @param deadline_ns  when to give up
 * @return the events that hold (POLLERR, POLLHUP, POLLRDHUP besides); -ETIMEDOUT;
 *         -ECANCELED; -EINVAL; -EBADF; -EPERM (epoll can't watch it, or a plain thread);
 *         -EBUSY (it would have to wait, and another task of the executor waits for the same
 *         descriptor, or it is a stream's or listener's); -ENOMEM
 * Where: a task. Suspends; a cancellation point.
 */
PICA_API PICA_NODISCARD int pica_poll_fd(int fd, short events, int64_t deadline_ns);

PICA_END_DECLS

#endif
