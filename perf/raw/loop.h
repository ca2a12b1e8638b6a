/* SPDX-License-Identifier: MIT */
/* loop.h: a hand-written epoll loop, what pica's servers are measured against.
 *
 * One loop per thread, each with its own epoll set. The first one also accepts, and deals
 * the connections out in turn. Edge-triggered, which saves a look at every socket in each
 * epoll_wait(); a short read means that a TCP socket is empty. So there is one read and one
 * write per event, and no allocation per message.
 *
 *   1. A connection belongs to the one loop it was dealt to, and is freed by it alone.
 *   2. unsent > 0: the socket was full; nothing more is read until it is flushed.
 */
#ifndef PB_RAW_LOOP_H
#define PB_RAW_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PB_RAW_BUFFER 16384

typedef struct pb_raw_conn {
    int fd;
    bool closing;               /* close once all is sent */
    uint32_t have;              /* bytes in `in` */
    size_t unsent, unsent_from; /* what `out` still holds */
    char *out;                  /* allocated when a socket is full for the first time */
    char in[PB_RAW_BUFFER];     /* a request that is not complete yet */
} pb_raw_conn;

typedef struct pb_raw_loop pb_raw_loop;

/** A protocol: react to n bytes that came in. They stand in loop->buffer (echo) or behind
 *  conn->in (HTTP), as `shared` says. @return false: close the connection */
typedef struct pb_raw_protocol {
    bool shared_buffer;
    bool (*received)(pb_raw_loop *loop, pb_raw_conn *conn, size_t n);
} pb_raw_protocol;

struct pb_raw_loop {
    int epoll;
    int listener;     /* -1 but in the first loop */
    pb_raw_loop *all; /* every loop */
    unsigned loops;   /* how many */
    unsigned next;    /* whose turn it is to get a connection */
    const pb_raw_protocol *protocol;
    char *buffer;  /* PB_RAW_BUFFER bytes, warm because all connections share it */
    void *answers; /* the HTTP protocol's */
};

extern const pb_raw_protocol pb_raw_echo;
extern const pb_raw_protocol pb_raw_http;

/** Send, or keep what the socket does not take. @return false: the connection is broken */
bool pb_raw_send(pb_raw_conn *conn, const char *data, size_t n);

/** Make the loops. @return 0 or a negative code */
int pb_raw_loops_open(pb_raw_loop *loops, unsigned n, int listener,
                      const pb_raw_protocol *protocol);

/** Serve for ever. */
void pb_raw_loop_run(pb_raw_loop *loop);

#endif
