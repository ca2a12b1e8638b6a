/* SPDX-License-Identifier: MIT */
/* instructions.c: `instructions CASE N` does N operations of a case with one worker, and nothing
 * else, to be run under callgrind by instructions.sh: the difference between two runs is what
 * the operations cost, in instructions of the program and its libraries. The kernel's are not
 * counted, nor is time; so the machine's mood does not matter. To that end there is no spare,
 * nor a monitor to send for it, which goes by the clock.
 *
 *   switch   from a context to another and back
 *   yield    of one of two tasks that yield in turn
 *   spawn    a task that does nothing, and its await
 *   group    a member that does nothing, of a group of 16, with its share of begin and end
 *   timed    the same, of a group with a deadline
 *   sem      acquire and release, of a semaphore that nobody else wants
 *   echo     a byte to another task and back, over TCP
 *   http     a request to a server, and its answer
 */
#include "executor/coro/switch.h"

#include <pica/executor.h>
#include <pica/group.h>
#include <pica/http.h>
#include <pica/net.h>
#include <pica/sem.h>
#include <pica/task.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static long count;

static void must(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "instructions: %s\n", what);
    exit(1);
}

/* --- switch ---------------------------------------------------------------------------------- */

static pi_context here, there;
static char stack[64 << 10] __attribute__((aligned(64)));

static void partner(pi_context *from, pi_context *self)
{
    pi_switch_arrived(self, from);
    for (;;)
        pi_switch(&there, &here);
}

static void switches(void)
{
    pi_context_init(&there, stack, sizeof(stack), partner);
    for (long i = 0; i < count; i++)
        pi_switch(&here, &there);
    pi_context_deinit(&there);
}

/* --- yield ----------------------------------------------------------------------------------- */

static intptr_t yields(void *arg)
{
    (void)arg;
    for (long i = 0; i < count / 2; i++)
        must(pica_yield() == 0, "a yield failed");
    return 0;
}

static intptr_t two_yield(void *arg)
{
    pica_task *other = NULL;
    must(pica_spawn(&other, yields, arg) == 0, "a spawn failed");
    (void)yields(arg);
    must(pica_join(other, NULL) == 0, "a join failed");
    pica_unref(other);
    return 0;
}

/* --- spawn and await --------------------------------------------------------------------------- */

static intptr_t nothing(void *arg)
{
    (void)arg;
    return 0;
}

static intptr_t spawns(void *arg)
{
    for (long i = 0; i < count; i++) {
        pica_task *task = NULL;
        must(pica_spawn(&task, nothing, arg) == 0, "a spawn failed");
        must(pica_await(task, NULL) == 0, "an await failed");
        pica_unref(task);
    }
    return 0;
}

/* --- group ------------------------------------------------------------------------------------- */

#define MEMBERS 16

static intptr_t groups_until(void *arg, int64_t deadline_ns)
{
    pica_group group;
    for (long i = 0; i < count / MEMBERS; i++) {
        pica_group_begin_until(&group, deadline_ns);
        for (unsigned k = 0; k < MEMBERS; k++)
            must(pica_group_spawn(&group, nothing, arg) == 0, "a spawn failed");
        must(pica_group_end(&group, 0) == 0, "a member failed");
        pica_group_deinit(&group);
    }
    return 0;
}

static intptr_t groups(void *arg)
{
    return groups_until(arg, PICA_NEVER);
}

static intptr_t timed_groups(void *arg)
{
    return groups_until(arg, pica_after(PICA_SEC(3600)));
}

/* --- semaphore ----------------------------------------------------------------------------------- */

static intptr_t acquires(void *arg)
{
    (void)arg;
    pica_sem sem;
    must(pica_sem_init(&sem, 1) == 0, "no semaphore");
    for (long i = 0; i < count; i++) {
        must(pica_sem_acquire(&sem) == 0, "an acquire failed");
        pica_sem_release(&sem);
    }
    return pica_sem_destroy(&sem);
}

/* --- echo ---------------------------------------------------------------------------------------- */

static intptr_t answers(void *arg)
{
    pica_stream *stream = arg;
    char byte[16];
    ssize_t n;
    while ((n = pica_read(stream, byte, sizeof(byte))) > 0)
        must(pica_write(stream, byte, (size_t)n) == n, "the echo's write failed");
    pica_close(stream);
    return n;
}

static intptr_t echoes(void *arg)
{
    (void)arg;
    pica_listener *listener = NULL;
    pica_stream *client = NULL, *server = NULL;
    pica_addr at;
    must(pica_addr_parse(&at, "127.0.0.1:0", 0) == 0, "no address");
    must(pica_tcp_listen(&listener, &at, NULL) == 0, "no listener");
    must(pica_listener_addr(listener, &at) == 0, "no port");
    must(pica_tcp_connect(&client, &at) == 0, "no connection");
    must(pica_accept(listener, &server, NULL) == 0, "no other end");
    pica_task *echo = NULL;
    must(pica_spawn(&echo, answers, server) == 0, "a spawn failed");
    char byte[16] = "x";
    for (long i = 0; i < count; i++) {
        must(pica_write(client, byte, 1) == 1, "a write failed");
        must(pica_read(client, byte, sizeof(byte)) == 1, "a read failed");
    }
    pica_close(client);
    must(pica_join(echo, NULL) == 0, "the echo failed");
    pica_unref(echo);
    pica_listener_close(listener);
    return 0;
}

/* --- http ---------------------------------------------------------------------------------------- */

typedef struct site {
    pica_http_server *server;
    pica_listener *listener;
    pica_addr at;
} site;

static int hello(pica_http_request *req, void *arg)
{
    (void)arg;
    return pica_http_reply(req, 200, "text/plain", "Hello, World!", 13);
}

static intptr_t serves(void *arg)
{
    site *s = arg;
    return pica_http_serve(s->server, s->listener);
}

static intptr_t requests(void *arg)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    site s;
    pica_task *serving = NULL;
    pica_stream *client = NULL;
    (void)arg;
    must(pica_http_server_create(&s.server, hello, NULL, NULL) == 0, "no server");
    must(pica_addr_parse(&s.at, "127.0.0.1:0", 0) == 0, "no address");
    must(pica_tcp_listen(&s.listener, &s.at, NULL) == 0, "no listener");
    must(pica_listener_addr(s.listener, &s.at) == 0, "no port");
    must(pica_spawn(&serving, serves, &s) == 0, "a spawn failed");
    must(pica_tcp_connect(&client, &s.at) == 0, "no connection");
    char answer[512];
    for (long i = 0; i < count; i++) {
        must(pica_write_all(client, request, sizeof(request) - 1, NULL) == 0, "a write failed");
        must(pica_read(client, answer, sizeof(answer)) > 0, "a read failed");
    }
    pica_close(client);
    must(pica_http_drain(s.server, PICA_NEVER) == 0, "the drain failed");
    must(pica_join(serving, NULL) == 0, "the serving failed");
    pica_unref(serving);
    pica_http_server_destroy(s.server);
    return 0;
}

static const struct {
    const char *name;
    pica_fn task;
} cases[] = {{"switch", NULL},  {"yield", two_yield},    {"spawn", spawns},
             {"group", groups}, {"timed", timed_groups}, {"sem", acquires},
             {"echo", echoes},  {"http", requests}};

int main(int argc, char **argv)
{
    must(argc == 3 && (count = strtol(argv[2], NULL, 10)) > 0, "usage: instructions CASE N");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (strcmp(cases[i].name, argv[1]) != 0)
            continue;
        if (!cases[i].task) {
            switches();
            return 0;
        }
        pica_options options = PICA_OPTIONS_INIT;
        options.workers = 1;
        options.flags = PICA_NO_SPARE;
        return pica_run(cases[i].task, NULL, &options) != 0;
    }
    must(false, "no such case");
    return 1;
}
