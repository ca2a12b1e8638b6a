/* SPDX-License-Identifier: MIT */
/* protocol.c: requests and what right answers look like. See load.h. */
#include "perf/load/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* An echo message names its connection and its turn; the rest is filled up. */
static size_t echo_request(const pb_plan *plan, const pb_conn *conn, char *out)
{
    struct {
        uint64_t turn;
        uint32_t id, mark;
    } head = {conn->turn, conn->id, 0x61636970};
    size_t n = plan->size < sizeof head ? plan->size : sizeof head;
    memcpy(out, &head, n);
    memset(out + n, 'a' + (int)(conn->turn % 26), plan->size - n);
    return plan->size;
}

static pb_verdict echo_judge(const pb_plan *plan, const pb_conn *conn, const char *in, size_t n)
{
    char expected[PB_LOAD_BUFFER];
    if (n < plan->size)
        return PB_INCOMPLETE;
    echo_request(plan, conn, expected);
    return n == plan->size && memcmp(in, expected, n) == 0 ? PB_RIGHT : PB_WRONG;
}

static size_t http_request(const pb_plan *plan, const pb_conn *conn, char *out)
{
    (void)conn;
    size_t n = strlen(plan->path);
    memcpy(out, "GET ", 4);
    memcpy(out + 4, plan->path, n);
    static const char rest[] = " HTTP/1.1\r\nHost: localhost\r\n\r\n";
    memcpy(out + 4 + n, rest, sizeof rest - 1);
    return 4 + n + sizeof rest - 1;
}

/* The value of Content-Length, or -1. */
static long content_length(const char *head, const char *end)
{
    static const char name[] = "\nContent-Length:";
    for (const char *s = head; s < end; s++) {
        s = memchr(s, '\n', (size_t)(end - s));
        if (s == NULL || end - s < (long)sizeof name)
            return -1;
        if (strncasecmp(s, name, sizeof name - 1) == 0)
            return strtol(s + sizeof name - 1, NULL, 10);
    }
    return -1;
}

static pb_verdict http_judge(const pb_plan *plan, const pb_conn *conn, const char *in, size_t n)
{
    (void)conn;
    static const char status[] = "HTTP/1.1 200 ";
    const char *end = memmem(in, n, "\r\n\r\n", 4);
    if (end == NULL)
        return n == PB_LOAD_BUFFER ? PB_WRONG : PB_INCOMPLETE;
    if (memcmp(in, status, sizeof status - 1) != 0)
        return PB_WRONG;
    const char *body = end + 4;
    long length = content_length(in, body);
    if (length < 0)
        return PB_WRONG;
    size_t have = n - (size_t)(body - in);
    if (have != (size_t)length)
        return have < (size_t)length ? PB_INCOMPLETE : PB_WRONG;
    if (plan->body == NULL)
        return PB_RIGHT;
    return have == strlen(plan->body) && memcmp(body, plan->body, have) == 0 ? PB_RIGHT : PB_WRONG;
}

const pb_protocol pb_echo = {echo_request, echo_judge};
const pb_protocol pb_http = {http_request, http_judge};
