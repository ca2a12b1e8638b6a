/* SPDX-License-Identifier: MIT */
/* socket.h: plain sockets on the loopback, for the raw servers and the load generator. */
#ifndef PB_SOCKET_H
#define PB_SOCKET_H

/** Listen, non-blocking. @param port 0: any, and *port says which
 *  @return the descriptor or a negative code */
int pb_listen(int *port);

/** Connect (blocking), then TCP_NODELAY and O_NONBLOCK. @return the descriptor or a negative
 *  code */
int pb_connect(int port);

/** What an accepted connection needs: TCP_NODELAY. */
void pb_nodelay(int fd);

#endif
