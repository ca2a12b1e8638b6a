/* SPDX-License-Identifier: MIT */
/* reader.c: see reader.h. */
#include "executor/observe/reader.h"

#include <string.h>

uint64_t pi_read_fixed(pi_reader *r, size_t size)
{
    uint64_t value = 0;
    if (r->bad || (size_t)(r->end - r->at) < size) {
        r->bad = true;
        return 0;
    }
    memcpy(&value, r->at, size);
    r->at += size;
    return value;
}

static uint64_t leb(pi_reader *r, bool is_signed)
{
    uint64_t value = 0;
    unsigned shift = 0;
    uint8_t byte;
    do {
        byte = (uint8_t)pi_read_fixed(r, 1);
        if (shift < 64)
            value |= (uint64_t)(byte & 0x7f) << shift;
        shift += 7;
    } while (byte & 0x80);
    if (is_signed && byte & 0x40 && shift < 64)
        value |= ~(uint64_t)0 << shift;
    return r->bad ? 0 : value;
}

uint64_t pi_read_uleb(pi_reader *r)
{
    return leb(r, false);
}

int64_t pi_read_sleb(pi_reader *r)
{
    return (int64_t)leb(r, true);
}

void pi_read_skip(pi_reader *r, uint64_t bytes)
{
    if (r->bad || bytes > (uint64_t)(r->end - r->at))
        r->bad = true;
    else
        r->at += bytes;
}

const char *pi_read_string(pi_reader *r)
{
    const char *string = (const char *)r->at;
    while (pi_read_fixed(r, 1) != 0) {
    }
    return r->bad ? "" : string;
}

uintptr_t pi_read_pointer(pi_reader *r, uint8_t encoding)
{
    uintptr_t here = (uintptr_t)r->at;
    uint64_t value = 0;
    switch (encoding & PI_READ_FORMAT) {
    case 0x00: /* an address as it is */
    case 0x04:
    case 0x0c:
        value = pi_read_fixed(r, 8);
        break;
    case 0x02:
        value = pi_read_fixed(r, 2);
        break;
    case 0x03:
        value = pi_read_fixed(r, 4);
        break;
    case 0x0a:
        value = (uint64_t)(int16_t)pi_read_fixed(r, 2);
        break;
    case 0x0b:
        value = (uint64_t)(int32_t)pi_read_fixed(r, 4);
        break;
    default:
        r->bad = true;
        break;
    }
    switch (encoding & ~PI_READ_FORMAT) {
    case 0x00:
        break;
    case 0x10: /* relative to where it stands */
        value += here;
        break;
    default: /* relative to something else, or the address of an address */
        r->bad = true;
        break;
    }
    return r->bad ? 0 : (uintptr_t)value;
}
