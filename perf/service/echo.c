/* SPDX-License-Identifier: MIT */
/* echo.c: what comes in goes back, a task for each connection. See service.h. */
#include "perf/service/service.h"

#include <pica/group.h>

static intptr_t connection(void *arg)
{
    pica_stream *stream = arg;
    char buffer[1024]; /* so that buffer and frames of a parked connection share a page */
    ssize_t n;
    while ((n = pica_read(stream, buffer, sizeof buffer)) > 0)
        if (pica_write_all(stream, buffer, (size_t)n, NULL) < 0)
            break;
    pica_close(stream);
    return 0;
}

static intptr_t end_on_signal(void *arg)
{
    int rc = pb_service_wait_for_signal();
    pica_group_cancel(arg);
    return rc;
}

int pb_service_echo(pb_service *s, pica_listener *listener)
{
    (void)s;
    pica_group group;
    pica_group_begin(&group);
    int rc = pica_group_spawn(&group, end_on_signal, &group);
    while (rc == 0) {
        pica_stream *stream;
        rc = pica_accept(listener, &stream, NULL);
        if (rc == 0 && (rc = pica_group_spawn(&group, connection, stream)) < 0)
            pica_close(stream);
    }
    rc = (int)pica_group_end(&group, rc);
    pica_group_deinit(&group);
    pica_listener_close(listener);
    return rc == -ECANCELED ? 0 : rc;
}
