/* SPDX-License-Identifier: MIT */
/* model_socket.h: a descriptor for the models of its word (direction_model.c) and of its life
 * (descriptor_model.c), and what both stand on. The kernel is a count of bytes and an edge; its
 * locks are there with the half of their order that is needed. Waits are the simplest that do.
 */
#ifndef PICA_TESTS_MODEL_SOCKET_H
#define PICA_TESTS_MODEL_SOCKET_H

#include "executor/sched/driver.h"
#include "io/epoll.h"
#include "io/slots.h"
#include "io/sys.h"
#include "tests/model/model.h"

extern pi_slots slots;
extern pi_descriptor d; /* the only slot of the only slab */

/* The kernel's. */
extern uint32_t bytes; /* [atomic] in the socket */
extern uint32_t edge;  /* [atomic] 1: in the ready list */
extern model_event epoll;
extern char number;    /* announced: read by calls, written by its close */
void arrive(void);
unsigned receive(void);

/* The caller's. */
extern char streak;        /* announced: the user's own */
extern model_event parked; /* somebody waits */
extern unsigned got;       /* bytes */
extern int first_rc, second_rc;

/* Its life's. */
extern unsigned times_closed, times_given_back, times_told;
extern model_event given_back;

/** It is open, and nothing has come. */
void setup(void);

/** As pica_read() with room for more than comes, so that each read stands for EAGAIN. */
int read_some(void);
void reads_one(void);

/** A worker polls; after a byte has come. */
void rescues(void);
void arrives_and_polls(void);

/** Cancels the reader, thread 0, once, if it waits. */
void cancels(void);

/* A token of a later arming must come with the word that precedes it. The checker lets no
 * store overtake an earlier one, so here it always does; other machines may differ. */
#define MODEL_OLD_TOKEN "the checker executes stores in program order"

/** What either model leaves alive, among its reasons. */
/* clang-format off */
#define MODEL_SOCKET_REASONS                                                                       \
    {"pi_direction_wait", "release store -> relaxed", "dir->token.wait", 1, MODEL_OLD_TOKEN},      \
    {"pi_direction_wait", "release store -> relaxed", "dir->token.word", 1, MODEL_OLD_TOKEN},      \
    {"read_token", "acquire load -> relaxed", "dir->token.wait", 1, MODEL_OLD_TOKEN},              \
    {"read_token", "acquire load -> relaxed", "dir->token.word", 1, MODEL_OLD_TOKEN}
/* clang-format on */

#endif
