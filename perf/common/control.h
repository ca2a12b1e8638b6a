/* SPDX-License-Identifier: MIT */
/* control.h: the line between a server that is measured and whoever measures it.
 *
 * A server that was started with `--control FD` says "ready PORT" once it listens, and then
 * answers single letters:
 *
 *     c   "cpu NS": the processor time of its whole process so far, by its own account
 *     q   nothing: it gets a SIGTERM, as it does when the other end is closed
 *
 * One plain thread of the server does that; it sleeps in read(2) otherwise. Only one of
 * those who share the asking end may ask at a time.
 */
#ifndef PB_CONTROL_H
#define PB_CONTROL_H

#include <stdint.h>

/** Server: say that it listens, and answer from now on. fd < 0: do nothing.
 *  @return 0 or a negative code */
int pb_control_serve(int fd, int port);

/** Wait for the server's port. @return the port; -EPIPE: it ended before it listened */
int pb_control_port(int fd);

/** Ask for the server's processor time. @return nanoseconds; -EPIPE: it is gone */
int64_t pb_control_cpu(int fd);

#endif
