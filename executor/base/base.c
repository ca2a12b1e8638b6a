/* SPDX-License-Identifier: MIT */
/* base.c: the slow halves of base/, and the public base.h. */
#include "executor/base/assert.h"
#include "executor/base/clock.h"
#include "executor/base/line.h"
#define PI_LOCK_DEFINE
#include "executor/base/lock.h"

#include <pica/base.h>
#include <pica/version.h>

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
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
    case EALREADY: /* an end, an expiry, an answer: nothing is still in progress, as libc has it */
        return "that has already happened";
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
    pi_line line;
    va_list args;
    pi_line_begin(&line);
    pi_line_add(&line, "pica: ");
    va_start(args, format);
    pi_line_vadd(&line, format, args);
    va_end(args);
    (void)pi_line_write(&line, STDERR_FILENO); /* if nobody listens, the abort says enough */
    abort();
}
