/* SPDX-License-Identifier: MIT */
/* base.c: the slow halves of base/, and the public base.h. */
#include "executor/base/assert.h"
#include "executor/base/clock.h"
#define PI_LOCK_DEFINE
#include "executor/base/lock.h"

#include <pica/base.h>
#include <pica/version.h>

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int64_t pica_now(void)
{
    return pi_now();
}

int64_t pica_after(int64_t duration_ns)
{
    int64_t deadline;
    if (__builtin_add_overflow(pi_now(), duration_ns > 0 ? duration_ns : 0, &deadline))
        return PICA_NEVER;
    return deadline;
}

const char *pica_strerror(intptr_t code)
{
    if (code < 0)
        code = code == INTPTR_MIN ? INTPTR_MAX : -code;
    switch (code) {
    case PICA_EPEERTIMEDOUT:
        return "the peer stopped answering";
    case ETIMEDOUT:
        return "the deadline has passed";
    case ESHUTDOWN:
        return "what this would belong to is cancelled, closed or has ended";
    case PICA_EPROTO_HTTP:
        return "the peer does not speak proper HTTP";
    default:
        break;
    }
    const char *text = code >= 0 && code < 4096 ? strerrordesc_np((int)code) : NULL;
    return text ? text : "unknown error";
}

uint32_t pica_version(void)
{
    return PICA_VERSION;
}

void pi_spin_wait_slow(void)
{
    sched_yield();
}

void pi_fatal(const char *format, ...)
{
    char line[512] = "pica: ";
    size_t n = strlen(line);
    va_list args;
    va_start(args, format);
    int more = vsnprintf(line + n, sizeof(line) - n - 1, format, args);
    va_end(args);
    n += more < 0 ? 0 : (size_t)more;
    if (n > sizeof(line) - 2)
        n = sizeof(line) - 2;
    line[n] = '\n';
    if (write(STDERR_FILENO, line, n + 1) < 0) {
        /* nobody listens; the abort below says enough */
    }
    abort();
}
