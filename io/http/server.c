/* SPDX-License-Identifier: MIT */
/* server.c: which connections there are: accept, tend, drain.
 *
 * pica_http_serve() is a group of tasks: one that accepts, and one per connection. The
 * caller's own task sweeps through the connections now and then (sweep.h).
 * The failure of one is nobody else's: a connection for which there is no memory or no stack is
 * closed, and the server goes on.
 *
 * Always true
 *   1. A connection is in its serving's ring from its making until its task closes it.
 *   2. permits + connections (made, or about to be accepted) = max_connections.
 *   3. Once draining is 1, the acceptor ends, if there is one already; then the caller's task
 *      alone touches the listener, and closes it when its queue is empty.
 *   4. A serving is known to drains before its acceptor can take the first connection.
 *
 * Callers: tasks; pica_http_drain() from others than the serving one.
 * Locks:   server->lock guards the list of servings, serving->lock a ring; neither is taken
 *          inside the other, neither is held over a system call or a suspension.
 */
#include "io/http/server.h"

#include "executor/base/alloc.h"
#include "executor/base/assert.h"
#include "executor/base/clock.h"
#include "executor/base/sized.h"
#include "executor/coro/stack.h"
#include "executor/sched/executor.h"
#include "io/http/sweep.h"
#include "io/stream.h"
#include "io/sys.h"

#include <pica/scope.h>
#include <pica/task.h>

#include <string.h>

/* How often a draining server looks whether it is done. */
#define DRAIN_TICK_NS 5000000

/* Connections accepted in a row before others get their turn; while draining, in each tick. */
#define ACCEPTS 32
#define DRAIN_ACCEPTS 512

/* --- Making and freeing --------------------------------------------------------------------- */

static int64_t duration(int64_t given, int64_t usual)
{
    return given ? given : usual;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int set_options(pica_http_server *s, const pica_http_options *given)
{
    pica_http_options o;
    if (pi_sized_copy(&o, sizeof(o), given) < 0)
        return -EINVAL;
    const char *name = o.server_name ? o.server_name : "pica";
    size_t n = strnlen(name, PI_HTTP_SERVER_MAX + 1);
    for (size_t i = 0; i < n; i++)
        if (name[i] < 0x20 || name[i] == 0x7f)
            return -EINVAL;
    if (n > PI_HTTP_SERVER_MAX || o.stack_size > PI_STACK_MAX ||
        pi_stack_class(o.stack_size) >= PI_STACK_CLASSES || o.head_timeout_ns < 0 ||
        o.body_timeout_ns < 0 || o.write_timeout_ns < 0 || o.idle_timeout_ns < 0 ||
        o.max_body_bytes > INT64_MAX || o.max_connections > PICA_SEM_MAX ||
        (o.max_head_bytes && (o.max_head_bytes < 1024 || o.max_head_bytes > PI_HTTP_HEAD_MAX)))
        return -EINVAL;
    pi_http_stamp_init(&s->stamp, name);
    s->max_head = o.max_head_bytes ? o.max_head_bytes : 16384;
    s->max_body = o.max_body_bytes ? o.max_body_bytes : 1048576;
    s->head_timeout = duration(o.head_timeout_ns, PICA_SEC(10));
    s->body_timeout = duration(o.body_timeout_ns, PICA_SEC(30));
    s->write_timeout = duration(o.write_timeout_ns, PICA_SEC(30));
    s->idle_timeout = duration(o.idle_timeout_ns, PICA_SEC(60));
    s->stack_size = o.stack_size;
    int64_t shortest =
        least(least(s->head_timeout, s->body_timeout), least(s->write_timeout, s->idle_timeout));
    s->tick = least(shortest / 8, PICA_MS(500));
    if (s->tick < PICA_MS(1))
        s->tick = PICA_MS(1);
    return pica_sem_init(&s->permits, o.max_connections ? o.max_connections : 65536);
}

int pica_http_server_create(pica_http_server **out, pica_http_handler handler, void *arg,
                            const pica_http_options *options)
{
    if (!out || !handler)
        return -EINVAL;
    pica_http_server *s = pi_aligned_zalloc(PI_CACHE_LINE, sizeof(*s));
    if (!s)
        return -ENOMEM;
    int rc = set_options(s, options);
    if (rc) {
        pi_free(s);
        return rc;
    }
    s->handler = handler;
    s->arg = arg;
    s->deadline = PICA_NEVER;
    *out = s;
    return 0;
}

pica_http_server *pica_http_server_destroy(pica_http_server *server)
{
    if (server) {
        pi_require(!server->servings, "pica_http_server_destroy: the server still serves");
        pi_free(server);
    }
    return NULL;
}

size_t pica_http_connections(const pica_http_server *server)
{
    pica_http_server *s = (pica_http_server *)(uintptr_t)server; /* for its lock */
    size_t n = 0;
    pi_lock_acquire(&s->lock);
    for (pi_http_serving *v = s->servings; v; v = v->next)
        n += (size_t)pi_load_relaxed(&v->open);
    pi_lock_release(&s->lock);
    return n;
}

/* --- Accepting ------------------------------------------------------------------------------ */

/* Give a connection its task. Consumes stream and a permit.
 * @return 0, also where it had to be dropped; -ESHUTDOWN: the group is cancelled */
static int admit(pi_http_serving *v, pica_stream *stream)
{
    pi_http_conn *c;
    if (pi_http_conn_new(&c, v, stream) < 0) {
        pica_close(stream);
        pica_sem_release(&v->server->permits);
        return 0;
    }
    pica_attr attr = PICA_ATTR_INIT;
    attr.name = "http connection";
    attr.stack_size = v->server->stack_size;
    attr.on_drop = pi_http_conn_drop; /* no stack, or cancelled before it has begun */
    int rc = pica_group_spawn_at(&v->group, NULL, pi_http_conn_run, c, &attr, PICA_SITE);
    if (rc)
        pi_http_conn_drop(c);
    return rc == -ESHUTDOWN ? rc : 0;
}

/* The acceptor: a task that is cancelled when the server drains. */
static intptr_t accept_all(void *serving)
{
    pi_http_serving *v = serving;
    int rc = 0;
    for (unsigned n = 1; rc == 0; n++) {
        rc = pica_sem_acquire(&v->server->permits);
        if (rc)
            break;
        pica_stream *stream;
        rc = pica_accept(v->listener, &stream, NULL);
        if (rc) {
            pica_sem_release(&v->server->permits);
            break;
        }
        rc = admit(v, stream);
        if (rc == 0 && n % ACCEPTS == 0)
            rc = pica_yield();
    }
    return rc;
}

/* Take what stands in the listen queue, as far as there are permits and descriptors for it, and
 * not so much at a time that a flood of clients hides the deadline.
 * @return whether the queue is empty, or those that stood in it when accepting ended are all taken:
 * clients that go on coming faster than others end must not keep the server */
static bool empty_queue(pi_http_serving *v)
{
    for (int n = 0; n < DRAIN_ACCEPTS && pica_sem_try_acquire(&v->server->permits) == 0; n++) {
        pica_stream *stream;
        int rc = pica_try_accept(v->listener, &stream, NULL);
        if (rc) {
            pica_sem_release(&v->server->permits);
            /* Short of something, connections that end will give it back; or the next ones in
             * the queue are broken. */
            return v->queued == 0 || !pi_accept_may_go_on(rc);
        }
        v->queued -= v->queued > 0;
        if (admit(v, stream))
            return true;
    }
    return v->queued == 0;
}

/* --- Serving -------------------------------------------------------------------------------- */

static void enter(pi_http_serving *v)
{
    pica_http_server *s = v->server;
    pi_lock_acquire(&s->lock);
    pi_store_relaxed(&v->closing, pi_load_relaxed(&s->draining));
    v->next = s->servings;
    s->servings = v;
    pi_lock_release(&s->lock);
}

/* Spawn the acceptor, unless the server is drained already. A drain that has not found it in the
 * list has left it to us. @return 0 or -ENOMEM */
static int begin_accepting(pi_http_serving *v)
{
    pica_http_server *s = v->server;
    pica_task *acceptor;
    pica_attr attr = PICA_ATTR_INIT;
    attr.name = "http acceptor";
    if (pi_load_acquire(&s->draining))
        return 0;
    int rc = pica_group_spawn_at(&v->group, &acceptor, accept_all, v, &attr, PICA_SITE);
    if (rc)
        return rc;
    pi_lock_acquire(&s->lock);
    v->acceptor = acceptor;
    bool late = pi_load_relaxed(&s->draining);
    v->told = late;
    pi_lock_release(&s->lock);
    if (late)
        (void)pica_cancel(acceptor); /* -EALREADY: it has ended */
    return 0;
}

/* The last touch of the server: a drain returns now, and its caller may destroy it. */
static void leave(pi_http_serving *v)
{
    pica_http_server *s = v->server;
    pi_lock_acquire(&s->lock);
    for (pi_http_serving **at = &s->servings; *at; at = &(*at)->next) {
        if (*at == v) {
            *at = v->next;
            break;
        }
    }
    pi_lock_release(&s->lock);
}

/* The acceptor has ended, or there is none: each answer is its connection's last. */
static void begin_to_end(pi_http_serving *v)
{
    v->ending = true;
    pi_store_relaxed(&v->closing, 1u);
    v->queued = pi_sys_queued(pica_listener_fd(v->listener));
}

/* Wait for the next look, or for the acceptor's end. @return 0 or -ECANCELED */
static int await_look(pi_http_serving *v)
{
    const pica_http_server *s = v->server;
    if (v->ending)
        return pica_sleep(DRAIN_TICK_NS);
    bool hurry = v->cut || pi_load_acquire(&s->draining);
    intptr_t result = 0;
    int rc = pica_join_until(v->acceptor, &result, pica_after(hurry ? DRAIN_TICK_NS : s->tick));
    if (rc == 0) {
        begin_to_end(v);
        v->accept_rc = (int)result;
    }
    return rc == -ETIMEDOUT ? 0 : rc;
}

/* End what does not end by itself. From now on the caller waits in a shield. */
static void cut_off(pi_http_serving *v, pica_scope *shield)
{
    v->cut = true;
    pica_group_cancel(&v->group);
    pica_shield_begin(shield, PICA_NEVER);
}

/* Sweep until the acceptor and all connections have ended; those that were cut as well, because
 * a handler may wait in a shield, and its waits have their limits there, too.
 * @return 0; -ECANCELED: the caller was cancelled, and that cut them */
static int tend(pi_http_serving *v)
{
    pica_http_server *s = v->server;
    pica_scope shield;
    int rc = 0;
    if (!v->acceptor)
        begin_to_end(v);
    for (;;) {
        int waited = await_look(v);
        bool graceful = pi_load_acquire(&s->draining) && !v->cut;
        if (v->ending && v->listener && (!graceful || empty_queue(v)))
            v->listener = pica_listener_close(v->listener);
        pi_http_sweep(v);
        if (!v->listener && pi_load_relaxed(&v->open) == 0)
            break;
        if (!v->cut && (waited < 0 || pi_now() >= pi_load_relaxed(&s->deadline))) {
            rc = waited;
            cut_off(v, &shield);
        }
    }
    if (v->cut && pi_load_acquire(&s->draining))
        pi_store_relaxed(&s->cut, 1u);
    return v->cut ? (int)pica_scope_end(&shield, rc) : 0;
}

int pica_http_serve(pica_http_server *server, pica_listener *listener)
{
    if (!pica_self()) {
        pica_listener_close(listener);
        return -EPERM;
    }
    if (!server || !listener) {
        pica_listener_close(listener);
        return -EINVAL;
    }
    pi_http_serving v = {.server = server,
                         .listener = listener,
                         .spares = pi_http_spares_new(),
                         .fences = !pi_worker_self()->ex->asymmetric};
    v.conns.next = v.conns.prev = &v.conns;

    pica_group_options options = PICA_GROUP_OPTIONS_INIT;
    options.flags = PICA_GROUP_COLLECT; /* a member's failure cancels nobody */
    int rc = pica_group_begin_with(&v.group, &options);
    pi_assert(rc == 0);
    enter(&v);
    rc = begin_accepting(&v);
    if (rc == 0)
        rc = tend(&v);
    intptr_t failed = pica_group_end(&v.group, 0);
    (void)failed; /* a connection had no stack: its own concern; the acceptor's is known */
    pica_group_deinit(&v.group);
    pi_http_spares_free(v.spares);
    pica_listener_close(v.listener);
    if (rc == 0 && !pi_load_acquire(&server->draining))
        rc = v.accept_rc;
    leave(&v);
    pica_unref(v.acceptor);
    return rc;
}

/* --- Draining ------------------------------------------------------------------------------- */

/* Cancel the acceptors that have not been told yet. A handle is taken under the lock and used
 * outside, because cancelling wakes. */
static void stop_accepting(pica_http_server *s)
{
    for (;;) {
        pica_task *acceptor = NULL;
        pi_lock_acquire(&s->lock);
        for (pi_http_serving *v = s->servings; v && !acceptor; v = v->next) {
            if (v->acceptor && !v->told) {
                v->told = true;
                acceptor = pica_ref(v->acceptor);
            }
        }
        pi_lock_release(&s->lock);
        if (!acceptor)
            return;
        (void)pica_cancel(acceptor); /* -EALREADY: it has ended */
        pica_unref(acceptor);
    }
}

static bool is_serving(pica_http_server *s)
{
    pi_lock_acquire(&s->lock);
    bool serving = s->servings;
    pi_lock_release(&s->lock);
    return serving;
}

/* Is the caller one of the server's handlers, or a task that one runs on its own stack? Such a
 * connection would wait for its own end. */
static bool is_handling(const pica_http_server *s)
{
    for (const pica_task *task = pica_self(); task; task = task->outer)
        for (const pi_http_serving *v = s->servings; v && task->flags & PI_TASK_MEMBER; v = v->next)
            if (task->group == &v->group.scope)
                return true;
    return false;
}

int pica_http_drain(pica_http_server *server, int64_t deadline_ns)
{
    if (!pica_self())
        return -EPERM;
    if (!server)
        return -EINVAL;
    pi_lock_acquire(&server->lock);
    if (is_handling(server)) {
        pi_lock_release(&server->lock);
        return -EDEADLK;
    }
    if (deadline_ns < pi_load_relaxed(&server->deadline))
        pi_store_relaxed(&server->deadline, deadline_ns);
    if (!pi_load_relaxed(&server->draining)) {
        server->grace = pica_after(PI_HTTP_GRACE_NS);
        pi_store_release(&server->draining, 1u);
        for (pi_http_serving *v = server->servings; v; v = v->next)
            pi_store_relaxed(&v->closing, 1u);
    }
    pi_lock_release(&server->lock);
    stop_accepting(server);

    while (is_serving(server)) {
        int rc = pica_sleep(DRAIN_TICK_NS);
        if (rc)
            return rc;
    }
    return (int)pi_load_relaxed(&server->cut);
}
