/* SPDX-License-Identifier: MIT */
/* load.h: the load generator's parts, shared between its files.
 *
 * A thread owns its connections, its epoll set and its histogram. Two ways to load:
 *
 *   closed loop   every connection has one request on its way; the next one leaves when the
 *                 answer is complete. Latency counts from the sending.
 *   fixed rate    requests are planned in advance, evenly spaced and dealt out to the
 *                 connections in turn. Latency counts from the planned time, whether or not
 *                 the request could leave then: a server that stalls is charged for every
 *                 request that it kept waiting (no coordinated omission).
 *
 *   1. An answer counts if it came (closed loop), or its request was planned (fixed rate),
 *      within [begin, end) of the plan.
 *   2. Each answer is compared with what was expected, byte by byte where it does not vary.
 */
#ifndef PB_LOAD_H
#define PB_LOAD_H

#include "perf/common/hist.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PB_LOAD_BUFFER 16384

/** What is to be done; the same for all threads. */
typedef struct pb_plan {
    bool http;
    const char *path, *body; /* HTTP: what to ask for, what to expect; NULL: any body */
    size_t size;             /* echo: bytes of a message */
    int port;
    unsigned connections, threads;
    double rate;               /* requests a second over all connections; 0: closed loop */
    int64_t start, begin, end; /* when to start sending, when to count */
} pb_plan;

typedef struct pb_conn {
    int fd; /* -1: broken */
    uint32_t id;
    uint32_t have;    /* bytes of the answer that is coming in */
    bool outstanding; /* a request is on its way */
    int64_t since;    /* what its latency counts from */
    uint64_t turn;    /* fixed rate: number of that request; or of the next one */
    char *in;         /* PB_LOAD_BUFFER bytes, for an answer in several pieces */
} pb_conn;

typedef struct pb_thread {
    const pb_plan *plan;
    unsigned index, connections;
    int epoll;
    pb_conn *conns;
    const struct pb_protocol *protocol;
    uint64_t turns;        /* fixed rate: requests that fell due so far */
    uint64_t busy;         /* connections with a request on its way */
    uint64_t alive;        /* connections that work */
    uint64_t errors;       /* [atomic] broken connections and wrong answers */
    uint64_t unanswered;   /* fixed rate: planned, never answered */
    uint64_t answer_bytes; /* length of the last right answer */
    pb_hist hist;
} pb_thread;

/** What one answer came to. */
typedef enum pb_verdict { PB_INCOMPLETE, PB_RIGHT, PB_WRONG } pb_verdict;

typedef struct pb_protocol {
    /** Write the request for (connection, turn) to out. @return its length */
    size_t (*request)(const pb_plan *plan, const pb_conn *conn, char *out);
    /** Judge the n bytes that came as answer so far. */
    pb_verdict (*judge)(const pb_plan *plan, const pb_conn *conn, const char *in, size_t n);
} pb_protocol;

extern const pb_protocol pb_echo;
extern const pb_protocol pb_http;

/** Connect this thread's share of the connections. @return 0 or a negative code */
int pb_thread_open(pb_thread *t, const pb_plan *plan, unsigned index);

/** Send and receive until the plan ends. */
void pb_thread_run(pb_thread *t);

#endif
