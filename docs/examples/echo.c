/* SPDX-License-Identifier: MIT */
/* echo.c: a TCP server that sends back what it gets, one task per connection.
 *
 *     echo [ADDRESS]      numeric; 127.0.0.1:7000 if none is given
 */
#include <pica/pica.h>

#include <stdio.h>

static intptr_t serve(void *arg)
{
    pica_stream *stream = arg;
    char bytes[4096];
    ssize_t n;

    while ((n = pica_read(stream, bytes, sizeof bytes)) > 0)
        if ((n = pica_write_all(stream, bytes, (size_t)n, NULL)) < 0)
            break;
    pica_close(stream);
    return 0; /* how one connection ended is nobody's concern */
}

static intptr_t echo(void *arg)
{
    pica_addr address;
    pica_listener *listener = NULL;
    pica_stream *stream;

    int rc = pica_addr_parse(&address, arg, 7000);
    if (rc == 0)
        rc = pica_tcp_listen(&listener, &address, NULL);
    while (rc == 0 && (rc = pica_accept(listener, &stream, NULL)) == 0)
        if ((rc = pica_spawn(NULL, serve, stream)) < 0)
            pica_close(stream);
    pica_listener_close(listener);
    return rc;
}

int main(int argc, char **argv)
{
    static char here[] = "127.0.0.1";
    intptr_t rc = pica_run(echo, argc > 1 ? argv[1] : here, NULL);
    fprintf(stderr, "echo: %s\n", pica_strerror(rc));
    return 1;
}
