/* SPDX-License-Identifier: MIT */
/* downloads.c: three pages are downloaded at once, over TCP.
 *
 * One task per page, created first and awaited afterwards. The server is a task of the
 * same program; it listens on a port of the kernel's choice, takes a second for each page,
 * and serves every connection in a task of its own. So three pages take one second.
 */
#include <pica/pica.h>

#include <stdio.h>
#include <string.h>

#define PAGES 3

/* The server: reads a page's name up to the end of the line, sends the page, closes. */
static int send_page(pica_stream *stream)
{
    char name[64];
    size_t have = 0;
    while (have == 0 || name[have - 1] != '\n') {
        if (have == sizeof name)
            return -EMSGSIZE;
        ssize_t n = pica_read(stream, name + have, sizeof name - have);
        if (n <= 0)
            return n < 0 ? (int)n : -EPIPE;
        have += (size_t)n;
    }
    int rc = pica_sleep(PICA_SEC(1)); /* the page is hard to make */
    if (rc < 0)
        return rc;
    char page[128];
    int length = snprintf(page, sizeof page, "this is page %.*s", (int)have, name);
    return pica_write_all(stream, page, (size_t)length, NULL);
}

static intptr_t serve_one(void *arg)
{
    int rc = send_page(arg);
    pica_close(arg);
    return rc;
}

static intptr_t serve(void *arg)
{
    pica_listener *listener = arg;
    pica_stream *stream;
    int rc;
    while ((rc = pica_accept(listener, &stream, NULL)) == 0) {
        rc = pica_spawn(NULL, serve_one, stream);
        if (rc < 0) {
            pica_close(stream);
            break;
        }
    }
    pica_listener_close(listener);
    return rc; /* -ECANCELED, from the end of pica_run() */
}

/* The client: one task per page. The caller keeps the structure until the task has ended. */
struct download {
    pica_addr from;
    char name[16];
    char page[128];
};

static intptr_t download(void *arg)
{
    struct download *d = arg;
    pica_stream *stream;
    ssize_t n = pica_tcp_connect(&stream, &d->from);
    if (n < 0)
        return n;
    n = pica_write_all(stream, d->name, strlen(d->name), NULL);
    size_t have = 0;
    while (n >= 0 && (n = pica_read(stream, d->page + have, sizeof d->page - 1 - have)) > 0)
        have += (size_t)n;
    d->page[have] = 0;
    pica_close(stream);
    return n < 0 ? n : (intptr_t)have;
}

static int download_all(const pica_addr *server)
{
    struct download downloads[PAGES];
    pica_task *tasks[PAGES] = {NULL};
    int rc = 0;

    for (int i = 0; i < PAGES && rc == 0; i++) {
        downloads[i].from = *server;
        snprintf(downloads[i].name, sizeof downloads[i].name, "%d\n", i + 1);
        rc = pica_spawn(&tasks[i], download, &downloads[i]);
    }
    for (int i = 0; i < PAGES && tasks[i]; i++) { /* also after a failure: they use our array */
        intptr_t length = 0;
        int awaited = pica_await(tasks[i], &length);
        if (rc == 0)
            rc = awaited < 0 ? awaited : length < 0 ? (int)length : 0;
        if (rc == 0)
            printf("%d bytes: %s", (int)length, downloads[i].page);
        pica_unref(tasks[i]);
    }
    return rc;
}

static intptr_t main_task(void *arg)
{
    (void)arg;
    pica_addr address;
    pica_listener *listener;
    int rc = pica_addr_parse(&address, "127.0.0.1:0", 0);
    if (rc == 0)
        rc = pica_tcp_listen(&listener, &address, NULL);
    if (rc < 0)
        return rc;
    rc = pica_listener_addr(listener, &address);
    if (rc == 0)
        rc = pica_spawn(NULL, serve, listener);
    if (rc < 0) {
        pica_listener_close(listener);
        return rc;
    }

    int64_t begin_ns = pica_now();
    rc = download_all(&address);
    printf("took %d s\n", (int)((pica_now() - begin_ns) / PICA_SEC(1)));
    return rc;
}

int main(void)
{
    return pica_run(main_task, NULL, NULL) < 0;
}
