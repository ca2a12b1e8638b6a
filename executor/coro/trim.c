/* SPDX-License-Identifier: MIT */
/* trim.c: see trim.h. */
#include "executor/coro/trim.h"

#include "executor/base/atomics.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* The own process, by a name that takes no descriptor; headers lack it. */
#define SELF (-10001) /* PIDFD_SELF_THREAD_GROUP */

#define WINDOW 512u /* pages that are counted at a time */

static size_t window_resident(char *at, size_t length, size_t page)
{
    unsigned char pages[WINDOW];
    size_t n = 0;
    if (mincore(at, length, pages) != 0)
        return 0;
    for (size_t i = 0; i < length / page; i++)
        n += pages[i] & 1u;
    return n * page;
}

/* How much of a range is in memory. It is asked for the count alone: to leave out those that have
 * nothing would cost 310 ns for each, and to advise them costs 77. */
static size_t resident(const struct iovec *range, size_t page)
{
    size_t bytes = 0;
    for (size_t at = 0; at < range->iov_len; at += WINDOW * page) {
        size_t rest = range->iov_len - at;
        bytes += window_resident((char *)range->iov_base + at,
                                 rest < WINDOW * page ? rest : WINDOW * page, page);
    }
    return bytes;
}

/* @return of how many ranges, from the first on, the kernel took the advice in one call */
static size_t advise_many(const struct iovec *ranges, size_t n)
{
    ssize_t rc = process_madvise(SELF, ranges, n, MADV_DONTNEED, 0);
    size_t taken = 0;
    for (size_t bytes = rc > 0 ? (size_t)rc : 0; taken < n && ranges[taken].iov_len <= bytes;)
        bytes -= ranges[taken++].iov_len;
    return taken;
}

size_t pi_stack_trim(struct iovec *ranges, size_t n)
{
    size_t before[PI_TRIM_BATCH], bytes = 0;
    long said = sysconf(_SC_PAGESIZE);
    if (said <= 0)
        return 0;
    size_t page = (size_t)said;
    for (size_t i = 0; i < n; i++) {
        ranges[i].iov_len &= ~(page - 1);
        before[i] = resident(&ranges[i], page);
    }
    size_t taken = advise_many(ranges, n);
    for (size_t i = 0; i < n; i++)
        if (i < taken || madvise(ranges[i].iov_base, ranges[i].iov_len, MADV_DONTNEED) == 0)
            bytes += before[i];
    return bytes;
}
