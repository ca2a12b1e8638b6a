/* SPDX-License-Identifier: MIT */
/* service.h: the programs on pica that are measured and shown: an echo and an HTTP service.
 *
 * SIGTERM and SIGINT are blocked in all threads and taken from a signalfd by a task, so they
 * end the service as any other event would. */
#ifndef PB_SERVICE_H
#define PB_SERVICE_H

#include <pica/net.h>

#include <stdbool.h>
#include <stdint.h>

typedef struct pb_service {
    int port, control;
    unsigned workers;
    bool http, hog;
    uint32_t ending; /* [atomic] the hog goes on until it is set */
} pb_service;

/** Wait for SIGTERM or SIGINT. @return 0 or a negative code. Where: a task. */
int pb_service_wait_for_signal(void);

/** Serve until a signal comes. The listener is theirs. Where: a task. */
int pb_service_echo(pb_service *s, pica_listener *listener);
int pb_service_http(pb_service *s, pica_listener *listener);

#endif
