/* SPDX-License-Identifier: MIT */
/* plain_parser.h: a second parser of request heads, as simple as can be, to compare the real one
 * with: it wants the whole head at once, and looks at everything as often as it likes. */
#ifndef PLAIN_PARSER_H
#define PLAIN_PARSER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct plain {
    int hosts, lengths, codings;
    bool chunked, expects, minor;
    uint64_t length;
} plain;

/* @param text   NUL-terminated behind its n bytes
 * @param limit  the longest head, in bytes
 * @return the length of the head if it is fine, else 0 */
int plain_parse(plain *f, const char *text, size_t n, size_t limit);

#endif
