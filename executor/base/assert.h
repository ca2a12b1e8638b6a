/* SPDX-License-Identifier: MIT */
/* assert.h: misuse that would corrupt something ends the process with a sentence. */
#ifndef PI_ASSERT_H
#define PI_ASSERT_H

#include "executor/base/atomics.h"

/** Write "pica: <sentence>" to stderr and abort(). Needs little stack, takes no lock. */
void pi_fatal(const char *format, ...) __attribute__((noreturn, cold, format(printf, 1, 2)));

/** Misuse by the caller of the library; always checked. */
#define pi_require(condition, ...)                                                                 \
    do {                                                                                           \
        if (PI_UNLIKELY(!(condition)))                                                             \
            pi_fatal(__VA_ARGS__);                                                                 \
    } while (0)

/** A fact that the library itself guarantees; checked in debug builds. */
#ifdef PICA_DEBUG
#define pi_assert(condition)                                                                       \
    pi_require(condition, "internal error: %s (%s:%d)", #condition, __FILE__, __LINE__)
#else
#define pi_assert(condition) ((void)sizeof(condition))
#endif

#endif
