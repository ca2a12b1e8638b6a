/* SPDX-License-Identifier: MIT */
/* thread.c: one thread of the load generator. See load.h. */
#include "executor/base/atomics.h"
#include "perf/common/clock.h"
#include "perf/common/socket.h"
#include "perf/load/load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH 256
#define DRAIN_NS 2000000000

static void count_error(pb_thread *t)
{
    pi_store_relaxed(&t->errors, t->errors + 1);
}

static void give_up(pb_thread *t, pb_conn *conn)
{
    count_error(t);
    close(conn->fd);
    conn->fd = -1;
    t->busy -= conn->outstanding;
    t->alive--;
    conn->outstanding = false;
}

int pb_thread_open(pb_thread *t, const pb_plan *plan, unsigned index)
{
    t->plan = plan;
    t->index = index;
    t->protocol = plan->http ? &pb_http : &pb_echo;
    t->connections =
        plan->connections / plan->threads + (index < plan->connections % plan->threads);
    t->conns = calloc(t->connections, sizeof *t->conns);
    t->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (t->epoll < 0 || t->conns == NULL)
        return -ENOMEM;
    for (unsigned i = 0; i < t->connections; i++) {
        pb_conn *conn = &t->conns[i];
        conn->id = index + i * plan->threads;
        conn->turn = i;
        conn->in = malloc(PB_LOAD_BUFFER);
        conn->fd = pb_connect(plan->port);
        if (conn->fd < 0 || conn->in == NULL)
            return conn->fd < 0 ? conn->fd : -ENOMEM;
        struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.ptr = conn};
        if (epoll_ctl(t->epoll, EPOLL_CTL_ADD, conn->fd, &event) != 0)
            return -errno;
        t->alive++;
    }
    return 0;
}

/* When a request of this thread is planned. */
static int64_t planned(const pb_thread *t, uint64_t turn)
{
    double nth = (double)turn * t->plan->threads + t->index;
    return t->plan->start + (int64_t)(nth * 1e9 / t->plan->rate);
}

static void ask(pb_thread *t, pb_conn *conn, int64_t since)
{
    char text[PB_LOAD_BUFFER];
    size_t n = t->protocol->request(t->plan, conn, text);
    conn->outstanding = true;
    conn->since = since;
    t->busy++;
    /* A request is small and the socket empty, so it always fits. */
    if (send(conn->fd, text, n, MSG_NOSIGNAL) != (ssize_t)n)
        give_up(t, conn);
}

/* An answer is complete: count it, and send what comes next on this connection. */
static void next(pb_thread *t, pb_conn *conn, int64_t now)
{
    const pb_plan *plan = t->plan;
    conn->outstanding = false;
    conn->have = 0;
    t->busy--;
    int64_t counts = plan->rate > 0 ? conn->since : now;
    if (counts >= plan->begin && counts < plan->end)
        pb_hist_add(&t->hist, now - conn->since);
    conn->turn += t->connections;
    if (plan->rate <= 0) {
        if (now < plan->end)
            ask(t, conn, now);
    } else if (conn->turn < t->turns) {
        ask(t, conn, planned(t, conn->turn)); /* it has fallen due meanwhile */
    }
}

static void receive(pb_thread *t, pb_conn *conn, uint32_t events)
{
    if (conn->fd < 0)
        return;
    for (;;) {
        size_t room = PB_LOAD_BUFFER - conn->have;
        ssize_t n = recv(conn->fd, conn->in + conn->have, room, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0 || !conn->outstanding) {
            give_up(t, conn);
            return;
        }
        conn->have += (uint32_t)n;
        pb_verdict verdict = t->protocol->judge(t->plan, conn, conn->in, conn->have);
        if (verdict == PB_WRONG) {
            give_up(t, conn);
            return;
        }
        if (verdict == PB_RIGHT) {
            t->answer_bytes = conn->have;
            next(t, conn, pb_now());
        }
        if (conn->fd < 0 || ((size_t)n < room && !(events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))))
            return;
    }
}

/* Send what has fallen due. @return when the next one does, or the time is over, or the patience */
static int64_t send_due(pb_thread *t, int64_t now)
{
    for (;;) {
        int64_t at = planned(t, t->turns);
        if (at > now || at >= t->plan->end)
            return at < t->plan->end ? at : t->plan->end + (now < t->plan->end ? 0 : DRAIN_NS);
        pb_conn *conn = &t->conns[t->turns++ % t->connections];
        if (conn->fd >= 0 && !conn->outstanding)
            ask(t, conn, at);
    }
}

static void wait_and_receive(pb_thread *t, int64_t until)
{
    struct epoll_event events[BATCH];
    int64_t left = until - pb_now();
    if (left < 0)
        left = 0;
    struct timespec timeout = {.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};
    int n = epoll_pwait2(t->epoll, events, BATCH, &timeout, NULL);
    for (int i = 0; i < n; i++)
        receive(t, events[i].data.ptr, events[i].events);
}

static void fixed_rate(pb_thread *t)
{
    for (;;) {
        int64_t now = pb_now();
        int64_t due = send_due(t, now);
        if (t->alive == 0 || now >= t->plan->end + DRAIN_NS ||
            (now >= t->plan->end && t->busy == 0))
            break;
        wait_and_receive(t, due);
    }
    /* What was planned and never answered is as late as we know it to be. */
    int64_t now = pb_now();
    for (unsigned i = 0; i < t->connections; i++) {
        for (uint64_t turn = t->conns[i].turn; turn < t->turns; turn += t->connections) {
            int64_t at = planned(t, turn);
            if (at < t->plan->begin)
                continue;
            pb_hist_add(&t->hist, now - at);
            t->unanswered++;
        }
    }
}

static void closed_loop(pb_thread *t)
{
    int64_t now = pb_now();
    for (unsigned i = 0; i < t->connections; i++)
        ask(t, &t->conns[i], now);
    while (t->alive > 0 && now < t->plan->end + DRAIN_NS && (now < t->plan->end || t->busy > 0)) {
        wait_and_receive(t, t->plan->end + DRAIN_NS);
        now = pb_now();
    }
    t->unanswered = t->busy;
}

void pb_thread_run(pb_thread *t)
{
    prctl(PR_SET_TIMERSLACK, 1UL);
    pb_sleep_until(t->plan->start);
    if (t->plan->rate > 0)
        fixed_rate(t);
    else
        closed_loop(t);
}
