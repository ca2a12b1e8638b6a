/* SPDX-License-Identifier: MIT */
/* response.c: see response.h. No printf: its locale is the host's, and it takes longer than
 * all the rest of a response. */
#include "io/http/response.h"

#include "executor/base/atomics.h"

#include <string.h>

static char *put(char *to, const char *text, size_t n)
{
    memcpy(to, text, n);
    return to + n;
}
#define PUT(to, literal) put((to), (literal), sizeof(literal) - 1)

static const char plain_status[] = "HTTP/1.1 200 OK\r\n";
#define PLAIN_STATUS (sizeof(plain_status) - 1)

static char *put_digits(char *to, unsigned v, int digits)
{
    for (int i = digits; i-- > 0; v /= 10)
        to[i] = (char)('0' + v % 10);
    return to + digits;
}

void pi_http_put_date(char *to, int64_t second)
{
    int64_t days = second / 86400, left = second % 86400;
    if (left < 0) {
        left += 86400;
        days--;
    }
    /* The calendar in years that begin in March, so that the leap day comes last, and eras
     * of 400 years, counted from 0000-03-01. */
    int64_t since = days + 719468;
    int64_t era = (since >= 0 ? since : since - 146096) / 146097;
    unsigned doe = (unsigned)(since - era * 146097);
    unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    unsigned mp = (5 * doy + 2) / 153;
    unsigned day = doy - (153 * mp + 2) / 5 + 1;
    unsigned month = mp < 10 ? mp + 2 : mp - 10; /* 0: January */
    unsigned year = (unsigned)(era * 400 + yoe + (month < 2));
    unsigned weekday = (unsigned)(((days + 4) % 7 + 7) % 7); /* 1970 began on a Thursday */
    unsigned clock = (unsigned)left;

    to = put(to, &"SunMonTueWedThuFriSat"[weekday * 3], 3);
    to = PUT(to, ", ");
    to = put_digits(to, day, 2);
    *to++ = ' ';
    to = put(to, &"JanFebMarAprMayJunJulAugSepOctNovDec"[month * 3], 3);
    *to++ = ' ';
    to = put_digits(to, year, 4);
    *to++ = ' ';
    to = put_digits(to, clock / 3600, 2);
    *to++ = ':';
    to = put_digits(to, clock / 60 % 60, 2);
    *to++ = ':';
    to = put_digits(to, clock % 60, 2);
    PUT(to, " GMT");
}

void pi_http_stamp_init(pi_http_stamp *stamp, const char *server)
{
    _Static_assert(PLAIN_STATUS + sizeof("Server: \r\nDate: \r\n") - 1 + PI_HTTP_SERVER_MAX +
                           PI_HTTP_DATE <=
                       PI_HTTP_STAMP_MAX,
                   "the longest fits");
    *stamp = (pi_http_stamp){.second = 0};
    char *to = PUT(stamp->text, plain_status);
    if (server && *server) {
        to = PUT(to, "Server: ");
        to = put(to, server, strnlen(server, PI_HTTP_SERVER_MAX));
        to = PUT(to, "\r\n");
    }
    to = PUT(to, "Date: ");
    pi_http_put_date(to, stamp->second);
    stamp->date = (uint32_t)(to - stamp->text);
    to = PUT(to + PI_HTTP_DATE, "\r\n");
    stamp->length = (uint32_t)(to - stamp->text);
}

static __attribute__((noinline)) void renew_slow(pi_http_stamp *stamp, int64_t second)
{
    stamp->second = second;
    pi_http_put_date(stamp->text + stamp->date, second);
}

/* clang-format off: a table */
const char *pi_http_reason(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 201:
        return "Created";
    case 202:
        return "Accepted";
    case 203:
        return "Non-Authoritative Information";
    case 204:
        return "No Content";
    case 205:
        return "Reset Content";
    case 206:
        return "Partial Content";
    case 300:
        return "Multiple Choices";
    case 301:
        return "Moved Permanently";
    case 302:
        return "Found";
    case 303:
        return "See Other";
    case 304:
        return "Not Modified";
    case 307:
        return "Temporary Redirect";
    case 308:
        return "Permanent Redirect";
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 402:
        return "Payment Required";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 406:
        return "Not Acceptable";
    case 408:
        return "Request Timeout";
    case 409:
        return "Conflict";
    case 410:
        return "Gone";
    case 411:
        return "Length Required";
    case 412:
        return "Precondition Failed";
    case 413:
        return "Content Too Large";
    case 414:
        return "URI Too Long";
    case 415:
        return "Unsupported Media Type";
    case 416:
        return "Range Not Satisfiable";
    case 417:
        return "Expectation Failed";
    case 421:
        return "Misdirected Request";
    case 422:
        return "Unprocessable Content";
    case 425:
        return "Too Early";
    case 426:
        return "Upgrade Required";
    case 428:
        return "Precondition Required";
    case 429:
        return "Too Many Requests";
    case 431:
        return "Request Header Fields Too Large";
    case 451:
        return "Unavailable For Legal Reasons";
    case 500:
        return "Internal Server Error";
    case 501:
        return "Not Implemented";
    case 502:
        return "Bad Gateway";
    case 503:
        return "Service Unavailable";
    case 504:
        return "Gateway Timeout";
    case 505:
        return "HTTP Version Not Supported";
    case 507:
        return "Insufficient Storage";
    case 511:
        return "Network Authentication Required";
    default:
        return "";
    }
}
/* clang-format on */

char *pi_http_put_decimal(char *to, uint64_t v)
{
    int digits = 1;
    for (uint64_t least = 10; digits < 20 && v >= least; least *= 10)
        digits++;
    for (int i = digits; i-- > 0; v /= 10)
        to[i] = (char)('0' + v % 10);
    return to + digits;
}

char *pi_http_put_chunk(char *to, size_t n)
{
    int shift = 60;
    while (shift > 0 && !(n >> shift & 15))
        shift -= 4;
    for (; shift >= 0; shift -= 4)
        *to++ = "0123456789abcdef"[n >> shift & 15];
    return PUT(to, "\r\n");
}

char *pi_http_put_head(char *to, const pi_http_answer *answer, pi_http_stamp *stamp, int64_t second)
{
    if (PI_UNLIKELY(stamp->second != second))
        renew_slow(stamp, second);
    if (PI_LIKELY(answer->status == 200)) {
        memcpy(to, stamp->text, sizeof(stamp->text)); /* too much: a fixed size needs no call */
        to += stamp->length;
    } else {
        const char *reason = pi_http_reason(answer->status);
        to = PUT(to, "HTTP/1.1 ");
        to = put_digits(to, (unsigned)answer->status, 3);
        *to++ = ' ';
        to = put(to, reason, strlen(reason));
        to = PUT(to, "\r\n");
        to = put(to, stamp->text + PLAIN_STATUS, stamp->length - PLAIN_STATUS);
    }
    if (answer->type) {
        to = PUT(to, "Content-Type: ");
        to = put(to, answer->type, answer->type_len);
        to = PUT(to, "\r\n");
    }
    if (answer->framing == PI_HTTP_LENGTH) {
        to = PUT(to, "Content-Length: ");
        to = pi_http_put_decimal(to, answer->length);
        to = PUT(to, "\r\n");
    } else if (answer->framing == PI_HTTP_IN_CHUNKS) {
        to = PUT(to, "Transfer-Encoding: chunked\r\n");
    }
    if (answer->connection == PI_HTTP_CONN_CLOSE)
        to = PUT(to, "Connection: close\r\n");
    else if (answer->connection == PI_HTTP_CONN_KEEP)
        to = PUT(to, "Connection: keep-alive\r\n");
    if (answer->fields_len)
        to = put(to, answer->fields, answer->fields_len);
    return PUT(to, "\r\n");
}
