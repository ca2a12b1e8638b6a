/* SPDX-License-Identifier: MIT */
/* sized.h: structs of a caller's that begin with their size in bytes.
 *
 * A program may have been compiled against another version's headers. What an older one does not
 * know is 0, the default. What a newer one knows has to be 0, as it would not be done. So such a
 * struct grows at its end alone, and never ends in padding: a compiler may leave anything there,
 * and the next member would lie in it (tests/house/headers.sh looks). */
#ifndef PI_SIZED_H
#define PI_SIZED_H

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define PI_SIZED_MAX 4096 /* beyond, it is no size but what was never set */

/* Copy what was given, or nothing but zeros for NULL, into own, n bytes. @return 0; -EINVAL */
static inline int pi_sized_copy(void *own, size_t n, const void *given)
{
    size_t size;
    memset(own, 0, n);
    if (!given)
        return 0;
    memcpy(&size, given, sizeof(size));
    if (size < sizeof(size) || size > PI_SIZED_MAX)
        return -EINVAL;
    for (size_t i = n; i < size; i++)
        if (((const char *)given)[i])
            return -EINVAL;
    memcpy(own, given, size < n ? size : n);
    return 0;
}

#endif
