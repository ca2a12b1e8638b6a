/* SPDX-License-Identifier: MIT */
/* http_hello.c: a web server, and a client that asks it for two pages.
 *
 * The server calls its handler once for each request; each connection is a task, so the
 * handler may wait, and others are answered meanwhile. The client speaks HTTP by hand: one
 * connection, two requests at once. When it has its answers the server is drained, which
 * lets what it has accepted be answered, and ends.
 */
#include <pica/pica.h>

#include <stdio.h>
#include <string.h>

static int handler(pica_http_request *request, void *arg)
{
    (void)arg;
    char page[128];
    if (strcmp(pica_http_path(request), "/hello") != 0)
        return pica_http_reply(request, 404, "text/plain", "nothing here\n", 13);
    const char *name = pica_http_query(request);
    int length = snprintf(page, sizeof page, "hello, %.64s\n", name ? name : "stranger");
    return pica_http_reply(request, 200, "text/plain", page, (size_t)length);
}

struct site {
    pica_http_server *server;
    pica_listener *listener;
};

static intptr_t serve(void *arg)
{
    const struct site *site = arg;
    return pica_http_serve(site->server, site->listener); /* closes the listener */
}

/* Prints what stands between the status line and the end of each answer: "200: hello, ...". */
static void show(char *answer)
{
    char *head;
    while ((head = strstr(answer, "HTTP/1.1 ")) != NULL) {
        char *body = strstr(head, "\r\n\r\n");
        if (!body)
            return;
        answer = strchr(body + 4, '\n');
        answer = answer ? answer + 1 : body + 4;
        printf("%.3s: %.*s", head + 9, (int)(answer - body - 4), body + 4);
    }
}

static int ask(const pica_addr *server)
{
    static const char requests[] = "GET /hello?magpie HTTP/1.1\r\nHost: here\r\n\r\n"
                                   "GET /bye HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n";
    pica_stream *stream;
    int rc = pica_tcp_connect(&stream, server);
    if (rc < 0)
        return rc;

    char answer[2048];
    size_t have = 0;
    ssize_t n = pica_write_all(stream, requests, sizeof requests - 1, NULL);
    while (n >= 0 && (n = pica_read(stream, answer + have, sizeof answer - 1 - have)) > 0)
        have += (size_t)n;
    answer[have] = 0;
    pica_close(stream);
    if (n == 0)
        show(answer);
    return (int)n;
}

static intptr_t main_task(void *arg)
{
    (void)arg;
    struct site site = {NULL, NULL};
    pica_addr address;
    pica_task *task = NULL;

    int rc = pica_addr_parse(&address, "127.0.0.1:0", 0); /* a port of the kernel's choice */
    if (rc == 0)
        rc = pica_tcp_listen(&site.listener, &address, NULL);
    if (rc == 0)
        rc = pica_listener_addr(site.listener, &address);
    if (rc == 0)
        rc = pica_http_server_create(&site.server, handler, NULL, NULL);
    if (rc == 0)
        rc = pica_spawn(&task, serve, &site);
    if (rc < 0) {
        pica_http_server_destroy(site.server);
        pica_listener_close(site.listener);
        return rc;
    }

    rc = ask(&address);
    int drained = pica_http_drain(site.server, pica_after(PICA_SEC(5)));
    int awaited = pica_await(task, NULL);
    pica_unref(task);
    pica_http_server_destroy(site.server);
    printf("server: %s\n", drained == 0 ? "drained" : pica_strerror(drained));
    return rc < 0 ? rc : awaited;
}

int main(void)
{
    return pica_run(main_task, NULL, NULL) < 0;
}
