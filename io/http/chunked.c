/* SPDX-License-Identifier: MIT */
/* chunked.c: see chunked.h.
 *
 *     SIZE0 -digit-> SIZE -CR-> SIZE_LF -LF-> DATA -all read-> DATA_CR -CR-> DATA_LF -LF-> SIZE0
 *     SIZE -;-> EXTENSION -CR-> SIZE_LF -LF, size 0-> TRAILER0
 *     SIZE -blank-> SIZE_END -;-> EXTENSION
 *     TRAILER0 -CR-> END_LF -LF-> END
 *     TRAILER0 -token-> NAME -:-> FIELD -CR-> FIELD_LF -LF-> TRAILER0
 *
 * Always true
 *   1. left is the size as far as it is known up to SIZE_LF, what the caller has not taken of
 *      the chunk in DATA, and 0 from DATA_CR on.
 *   2. Any byte that no arrow names is malformed; END and a refusal are final.
 */
#include "io/http/chunked.h"

#include "io/http/parser.h"

enum {
    SIZE0,
    SIZE,
    SIZE_END,
    EXTENSION,
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER0,
    NAME,
    FIELD,
    FIELD_LF,
    END_LF,
    END
};

void pi_http_chunked_init(pi_http_chunked *d, uint64_t limit)
{
    *d = (pi_http_chunked){.budget = limit, .state = SIZE0};
}

static int hex(unsigned char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Another digit of the size. @return 0 or a negated status */
static int size_digit(pi_http_chunked *d, int digit)
{
    /* Zeros in front count too, or they would be a way to send for ever. */
    if (++d->digits > 16)
        return d->left ? -413 : -400;
    d->left = d->left << 4 | (unsigned)digit;
    return 0;
}

/* The size's line is over. @return 0 or -413 */
static int size_done(pi_http_chunked *d)
{
    if (d->left > d->budget)
        return -413;
    d->budget -= d->left;
    d->state = d->left ? DATA : TRAILER0;
    d->line = 0;
    return 0;
}

/* A byte of extension or trailer. @return 0 or -431 */
static int count(pi_http_chunked *d, unsigned most)
{
    return ++d->line > most ? -431 : 0;
}

/* One byte of framing. @return 0 or a negated status */
static int step(pi_http_chunked *d, unsigned char c)
{
    int digit;
    switch (d->state) {
    case SIZE0:
    case SIZE:
        digit = hex(c);
        if (digit >= 0) {
            d->state = SIZE;
            return size_digit(d, digit);
        }
        if (d->state == SIZE0)
            return -400;
        if (c == ' ' || c == '\t')
            d->state = SIZE_END;
        else if (c == ';' || c == '\r')
            d->state = c == ';' ? EXTENSION : SIZE_LF;
        else
            return -400;
        return 0;
    case SIZE_END:
        if (c == ';')
            d->state = EXTENSION;
        else if (c != ' ' && c != '\t')
            return -400;
        return count(d, PI_HTTP_EXTENSION_MAX);
    case EXTENSION:
        if (c == '\r')
            d->state = SIZE_LF;
        else if (!pi_http_is_value(c))
            return -400;
        return count(d, PI_HTTP_EXTENSION_MAX);
    case SIZE_LF:
        return c == '\n' ? size_done(d) : -400;
    case DATA_CR:
        d->state = DATA_LF;
        return c == '\r' ? 0 : -400;
    case DATA_LF:
        d->state = SIZE0;
        d->digits = 0;
        return c == '\n' ? 0 : -400;
    case TRAILER0:
        if (c == '\r') {
            d->state = END_LF;
            return 0;
        }
        d->state = NAME;
        return pi_http_is_token(c) ? count(d, PI_HTTP_TRAILERS_MAX) : -400;
    case NAME:
        if (c == ':')
            d->state = FIELD;
        else if (!pi_http_is_token(c))
            return -400;
        return count(d, PI_HTTP_TRAILERS_MAX);
    case FIELD:
        if (c == '\r')
            d->state = FIELD_LF;
        else if (!pi_http_is_value(c))
            return -400;
        return count(d, PI_HTTP_TRAILERS_MAX);
    case FIELD_LF:
        d->state = TRAILER0;
        return c == '\n' ? count(d, PI_HTTP_TRAILERS_MAX) : -400;
    case END_LF:
        d->state = END;
        return c == '\n' ? 0 : -400;
    default:
        return -400;
    }
}

int pi_http_chunked_next(pi_http_chunked *d, const char *bytes, size_t n, size_t *used)
{
    if (d->state == DATA && d->left == 0)
        d->state = DATA_CR;
    for (size_t i = 0;; i++) {
        *used = i;
        if (d->state == END)
            return PI_CHUNK_END;
        if (i == n)
            return PI_CHUNK_MORE;
        if (d->state == DATA)
            return PI_CHUNK_DATA;
        int rc = step(d, (unsigned char)bytes[i]);
        if (rc)
            return rc;
    }
}
