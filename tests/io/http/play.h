/* SPDX-License-Identifier: MIT */
/* play.h: a handler that does what the path says, for the tests of how connections end. */
#ifndef PICA_TESTS_HTTP_PLAY_H
#define PICA_TESTS_HTTP_PLAY_H

#include "executor/base/atomics.h"
#include "tests/io/http/site.h"

#define GET "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define WAIT "GET /wait HTTP/1.1\r\nHost: a\r\n\r\n"

/* What the handler meets, and what it waits for. */
typedef struct scene {
    check_latch entered; /* handlers that have begun */
    check_latch leave;   /* hit: they may end */
    check_latch left;    /* handlers that have ended */
    intptr_t failed;     /* [atomic] the last failure that one of them met */
} scene;

static inline int wait_for_leave(scene *sc)
{
    while (check_hits(&sc->leave) == 0) {
        int rc = pica_sleep(PICA_MS(1));
        if (rc)
            return rc;
    }
    return 0;
}

/* "/": at once. "/wait": when told. "/read": reads the body. "/pour": writes for ever. What follows
 * "/shield" happens in one, without a deadline. */
static inline int play(pica_http_request *req, void *arg)
{
    scene *sc = arg;
    char piece[4096] = "";
    const char *path = pica_http_path(req);
    bool shielded = !strncmp(path, "/shield/", 8);
    pica_scope shield;
    ssize_t rc = 0;
    check_hit(&sc->entered);
    if (shielded) {
        pica_shield_begin(&shield, PICA_NEVER);
        path += 7;
    }
    if (!strcmp(path, "/wait")) {
        rc = wait_for_leave(sc);
    } else if (!strcmp(path, "/read")) {
        while ((rc = pica_http_read_body(req, piece, sizeof(piece))) > 0) {
        }
    } else if (!strcmp(path, "/pour")) {
        rc = pica_http_begin(req, 200, NULL, -1);
        while (rc == 0)
            rc = pica_http_write(req, piece, sizeof(piece));
    }
    if (shielded)
        rc = pica_scope_end(&shield, rc);
    if (rc < 0)
        pi_store_relaxed(&sc->failed, (intptr_t)rc); /* the latches order it */
    check_hit(&sc->left);
    return rc < 0 ? (int)rc : pica_http_reply(req, 200, NULL, "ok", 2);
}

/* What no test waits for: each makes short what it is about. */
static inline pica_http_options short_timeouts(void)
{
    pica_http_options o = PICA_HTTP_OPTIONS_INIT;
    o.head_timeout_ns = o.body_timeout_ns = o.write_timeout_ns = o.idle_timeout_ns = PICA_SEC(60);
    return o;
}

#endif
