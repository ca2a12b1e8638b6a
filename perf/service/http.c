/* SPDX-License-Identifier: MIT */
/* http.c: the demo's HTTP service. See service.h.
 *
 *     GET /        "Hello, World!", as plain text
 *     GET /hog     the same, after computing for 50 ms without a break
 *     GET /stats   the executor's counters, as JSON
 */
#include "executor/base/atomics.h"
#include "perf/common/answer.h"
#include "perf/common/clock.h"
#include "perf/service/service.h"

#include <inttypes.h>
#include <pica/executor.h>
#include <pica/http.h>
#include <pica/task.h>
#include <stdio.h>
#include <string.h>

#define DRAIN_NS PICA_SEC(8) /* what is promised is ten seconds in all */

typedef struct http {
    pb_service *service;
    pica_http_server *server;
} http;

static int stats(pica_http_request *req, const http *h)
{
    pica_stats now = {.size = sizeof now};
    int rc = pica_executor_stats(pica_executor_self(), &now);
    if (rc < 0)
        return rc;
    char text[640];
    int n = snprintf(
        text, sizeof text,
        "{\"workers\": %u, \"allocator\": \"%s\", \"connections\": %zu,\n"
        " \"tasks_live\": %" PRIu64 ", \"stacks_live\": %" PRIu64 ", \"stacks_unguarded\": %" PRIu64
        ",\n \"timers_armed\": %" PRIu64 ", \"descriptors_open\": %" PRIu64
        ",\n \"steals\": %" PRIu64 ", \"sleeps\": %" PRIu64 ", \"wakes\": %" PRIu64
        ", \"rescues\": %" PRIu64 "}\n",
        pica_executor_workers(pica_executor_self()), pica_allocator(),
        pica_http_connections(h->server), now.tasks_live, now.stacks_live, now.stacks_unguarded,
        now.timers_armed, now.descriptors_open, now.steals, now.sleeps, now.wakes, now.rescues);
    return pica_http_reply(req, 200, "application/json", text, (size_t)n);
}

static int answer(pica_http_request *req, void *arg)
{
    const char *path = pica_http_path(req);
    if (strcmp(path, "/") == 0)
        return pica_http_reply(req, 200, "text/plain", PB_BODY, sizeof PB_BODY - 1);
    if (strcmp(path, "/hog") == 0) {
        pb_burn(PB_HOG_NS);
        return pica_http_reply(req, 200, "text/plain", PB_BODY, sizeof PB_BODY - 1);
    }
    if (strcmp(path, "/stats") == 0)
        return stats(req, arg);
    return pica_http_reply(req, 404, "text/plain", "There is no such page.\n", 23);
}

static intptr_t compute(void *arg)
{
    pb_service *s = arg;
    while (!pi_load_relaxed(&s->ending))
        pb_burn(PB_HOG_NS);
    return 0;
}

static intptr_t drain_on_signal(void *arg)
{
    http *h = arg;
    int rc = pb_service_wait_for_signal();
    pi_store_relaxed(&h->service->ending, 1u);
    return rc < 0 ? rc : pica_http_drain(h->server, pica_after(DRAIN_NS));
}

int pb_service_http(pb_service *s, pica_listener *listener)
{
    http h = {.service = s};
    pica_task *watch;
    int rc = pica_http_server_create(&h.server, answer, &h, NULL);
    if (rc == 0)
        rc = pica_spawn(&watch, drain_on_signal, &h);
    if (rc < 0) {
        pica_listener_close(listener);
        pica_http_server_destroy(h.server);
        return rc;
    }
    if (s->hog)
        rc = pica_spawn(NULL, compute, s);
    if (rc == 0)
        rc = pica_http_serve(h.server, listener);
    else
        pica_listener_close(listener);
    if (rc < 0) {
        pi_store_relaxed(&s->ending, 1u);
        pica_cancel(watch);
    }
    int ended = pica_await(watch, NULL);
    pica_unref(watch);
    pica_http_server_destroy(h.server);
    return rc < 0 ? rc : ended;
}
