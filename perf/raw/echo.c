/* SPDX-License-Identifier: MIT */
/* echo.c: what comes in goes back. See loop.h. */
#include "perf/raw/loop.h"

static bool received(pb_raw_loop *loop, pb_raw_conn *conn, size_t n)
{
    return pb_raw_send(conn, loop->buffer, n);
}

const pb_raw_protocol pb_raw_echo = {.shared_buffer = true, .received = received};
