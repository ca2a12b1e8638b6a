/* SPDX-License-Identifier: MIT */
/* reader.h: numbers out of bytes that compilers and linkers have written, never beyond their end.
 *
 * A reader that meets the end, or what it does not know, is bad from then on: it stays where it
 * is, and all that it reads is zero. So a whole entry is read first, and looked at once whether
 * that went well. Callers: anywhere. */
#ifndef PI_READER_H
#define PI_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct pi_reader {
    const uint8_t *at, *end;
    bool bad;
} pi_reader;

/** A number of 1 to 8 bytes, little-endian, as both architectures are. */
uint64_t pi_read_fixed(pi_reader *r, size_t size);

/** DWARF's LEB128: seven bits a byte, the lowest first; of more than 64 the rest is lost. */
uint64_t pi_read_uleb(pi_reader *r);
int64_t pi_read_sleb(pi_reader *r);

void pi_read_skip(pi_reader *r, uint64_t bytes);

/** A string with its zero. @return where it begins; "" if it has no end */
const char *pi_read_string(pi_reader *r);

/** An address in one of the encodings of .eh_frame: four bits of format, then what it is relative
 *  to, of which only nothing and its own place are known. */
#define PI_READ_FORMAT 0x0fu
uintptr_t pi_read_pointer(pi_reader *r, uint8_t encoding);

#endif
