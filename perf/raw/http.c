/* SPDX-License-Identifier: MIT */
/* http.c: HTTP/1.1 by hand: GET / and GET /hog, keep-alive and pipelining. See loop.h.
 *
 * The end of each request is looked for line by line, the first line is compared, and so is
 * each other one with "Connection: close"; nothing else is parsed. The answer is made
 * ready beforehand, as often in a row as requests may come at once, and renewed when the
 * second changes, so the requests of one read are answered by one write.
 */
#include "perf/common/answer.h"
#include "perf/common/clock.h"
#include "perf/raw/loop.h"

#include <stdlib.h>
#include <string.h>

#define IN_A_ROW 64

typedef struct answers {
    time_t second;
    size_t length;
    char text[IN_A_ROW * PB_ANSWER_MAX];
} answers;

static const char bad_request[] = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n"
                                  "Content-Length: 0\r\n\r\n";
static const char not_found[] = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";

static answers *fresh(pb_raw_loop *loop)
{
    answers *a = loop->answers;
    if (a == NULL) {
        a = loop->answers = calloc(1, sizeof *a);
        if (a == NULL)
            return NULL;
    }
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (now.tv_sec != a->second) {
        a->second = now.tv_sec;
        a->length = pb_answer(a->text, now.tv_sec);
        for (int i = 1; i < IN_A_ROW; i++)
            memcpy(a->text + (size_t)i * a->length, a->text, a->length);
    }
    return a;
}

/* @return the end of the request that begins at `at`, or NULL; *close set: it asks for that */
static char *end_of_request(char *at, const char *end, bool *close)
{
    static const char text[] = "Connection: close\r\n";
    *close = false;
    for (char *line = at; (line = memchr(line, '\n', (size_t)(end - line))) != NULL;) {
        size_t left = (size_t)(end - ++line);
        if (left >= 2 && line[0] == '\r' && line[1] == '\n')
            return line + 2;
        if (left >= sizeof text - 1 && memcmp(line, text, sizeof text - 1) == 0)
            *close = true;
    }
    return NULL;
}

/* Send what has been collected. */
static bool answer(pb_raw_loop *loop, pb_raw_conn *conn, unsigned count)
{
    answers *a = fresh(loop);
    return a != NULL && (count == 0 || pb_raw_send(conn, a->text, count * a->length));
}

static bool is(const char *request, size_t n, const char *start)
{
    size_t length = strlen(start);
    return n >= length && memcmp(request, start, length) == 0;
}

/* Answers `before` plain requests and the one that is not plain.
 * @return false: close, or the connection is broken */
static bool special(pb_raw_loop *loop, pb_raw_conn *conn, const char *request, size_t n,
                    unsigned before)
{
    if (!answer(loop, conn, before))
        return false;
    if (is(request, n, "GET /hog HTTP/1.1\r\n")) {
        pb_burn(PB_HOG_NS);
        return answer(loop, conn, 1);
    }
    if (is(request, n, "GET ") && memmem(request, n, " HTTP/1.1\r\n", 11) != NULL)
        return pb_raw_send(conn, not_found, sizeof not_found - 1);
    return pb_raw_send(conn, bad_request, sizeof bad_request - 1) && false;
}

static bool received(pb_raw_loop *loop, pb_raw_conn *conn, size_t n)
{
    char *at = conn->in;
    char *end = conn->in + conn->have + n;
    unsigned ready = 0;
    while (at < end && !conn->closing) {
        bool last;
        char *stop = end_of_request(at, end, &last);
        if (stop == NULL)
            break;
        size_t length = (size_t)(stop - at);
        conn->closing = last;
        if (is(at, length, "GET / HTTP/1.1\r\n")) {
            if (++ready == IN_A_ROW) {
                if (!answer(loop, conn, ready))
                    return false;
                ready = 0;
            }
        } else {
            if (!special(loop, conn, at, length, ready))
                return false;
            ready = 0;
        }
        at += length;
    }
    conn->have = (uint32_t)(end - at);
    if (conn->have == PB_RAW_BUFFER)
        return special(loop, conn, at, conn->have, ready) && false;
    if (conn->have > 0)
        memmove(conn->in, at, conn->have);
    return ready == 0 || answer(loop, conn, ready);
}

const pb_raw_protocol pb_raw_http = {.shared_buffer = false, .received = received};
