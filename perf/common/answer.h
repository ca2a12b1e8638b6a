/* SPDX-License-Identifier: MIT */
/* answer.h: what the HTTP servers in perf/ answer, byte for byte the same.
 *
 * pica's server makes its own head (io/http/); this is the hand-written one's, with the
 * same fields in the same order. pica-bench compares the two in every run.
 */
#ifndef PB_ANSWER_H
#define PB_ANSWER_H

#include <stdio.h>
#include <string.h>
#include <time.h>

#define PB_BODY "Hello, World!"
#define PB_ANSWER_MAX 256

/** How long a request for /hog computes. */
#define PB_HOG_NS 50000000

/** Write the answer with the Date of a second. @return its length */
static inline size_t pb_answer(char *out, time_t second)
{
    char date[40];
    struct tm parts;
    gmtime_r(&second, &parts);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    int n = snprintf(out, PB_ANSWER_MAX,
                     "HTTP/1.1 200 OK\r\n"
                     "Server: pica\r\n"
                     "Date: %s\r\n"
                     "Content-Type: text/plain\r\n"
                     "Content-Length: %zu\r\n"
                     "\r\n" PB_BODY,
                     date, sizeof PB_BODY - 1);
    return (size_t)n;
}

#endif
