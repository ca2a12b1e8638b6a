/* SPDX-License-Identifier: MIT */
/** @file
 * What every other header builds on: error codes, time, the type of a task's function.
 *
 * Errors.   A call that can fail returns a value >= 0, or a negative code: `-E...` of
 *           <errno.h>, or one of the PICA_E... below. Results go through out-parameters,
 *           which stay untouched on failure. errno itself is never part of a contract. Who
 *           means to ignore a code writes `(void)!call()`: gcc warns of a mere (void).
 * NULL.     A call that returns a code gives -EINVAL where it gets NULL for what it needs (for the
 *           buffer of a read or write -EFAULT, as the kernel says), and calls that release
 *           something take NULL. Elsewhere NULL is a mistake that aborts or faults, as in libc:
 *           in the calls of a semaphore, a scope or an HTTP request, and in those that just tell
 *           something.
 * Mistakes. What could corrupt something (one unref too many, ending another scope than the
 *           innermost) writes "pica: " and a sentence to stderr and calls abort(). A mistake that
 *           corrupts nothing is an error code.
 * Structs.  Options begin with their size, which the library goes by: what a program of an older
 *           version does not know is 0, the default. What one of a newer version knows and the
 *           library does not has to be 0, else -EINVAL. Structs that the library fills tell theirs.
 * Time.     A deadline is an absolute time of the monotonic clock in nanoseconds, a
 *           duration is a number of nanoseconds. PICA_NEVER is later than every deadline.
 *           Sums that would overflow become PICA_NEVER; none wraps into the past.
 */
#ifndef PICA_BASE_H
#define PICA_BASE_H

#include <linux/errno.h> /* the codes of <errno.h>, without errno, which is a thread-local */
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define PICA_BEGIN_DECLS extern "C" {
#define PICA_END_DECLS }
#else
#define PICA_BEGIN_DECLS
#define PICA_END_DECLS
#endif

#if defined(__GNUC__)
#define PICA_API __attribute__((visibility("default")))
#define PICA_NODISCARD __attribute__((warn_unused_result))
#define PICA_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define PICA_API
#define PICA_NODISCARD
#define PICA_PRINTF(fmt, args)
#endif

#define PICA_STRINGIFY_(x) #x
#define PICA_STRINGIFY(x) PICA_STRINGIFY_(x)

/** The place of a call as a literal, "file.c:42". */
#define PICA_SITE __FILE__ ":" PICA_STRINGIFY(__LINE__)

PICA_BEGIN_DECLS

/** Codes of pica's own. Returned negated, like errno's, and outside its range. */
enum {
    PICA_EPEERTIMEDOUT = 5001, /**< the peer stopped answering (the kernel's ETIMEDOUT) */
    PICA_EPROTO_HTTP = 5002    /**< the peer does not speak proper HTTP */
};

/** What a task runs. Returns a value >= 0 (or a pointer), or a negative error code: one of those
 *  above, or one of the program's own from -1 to -8192. */
typedef intptr_t (*pica_fn)(void *arg);

/** A deadline that never comes; a duration that never ends. */
#define PICA_NEVER INT64_MAX

/** Durations in nanoseconds, of an int64_t. Negative ones count as 0, too long ones as PICA_NEVER.
 *  A fraction does not compile, as it would be cut off: half a second is PICA_MS(500). */
static inline int64_t pica_duration_(int64_t n, int64_t unit)
{
    return n <= 0 ? 0 : n > PICA_NEVER / unit ? PICA_NEVER : n * unit;
}
#define PICA_NS(n) pica_duration_((n) | 0, 1)
#define PICA_US(n) pica_duration_((n) | 0, 1000)
#define PICA_MS(n) pica_duration_((n) | 0, 1000000)
#define PICA_SEC(n) pica_duration_((n) | 0, 1000000000)

/**
 * Read the monotonic clock.
 *
 * @return nanoseconds since some point in the past, >= 0
 * Where: anywhere. Never suspends.
 */
PICA_API int64_t pica_now(void);

/**
 * Turn a duration into a deadline.
 *
 * @param duration_ns  nanoseconds from now; negative counts as 0
 * @return pica_now() + duration_ns, or PICA_NEVER where that overflows
 * Where: anywhere. Never suspends.
 */
PICA_API int64_t pica_after(int64_t duration_ns);

/**
 * Name an error.
 *
 * @param code  an error code with either sign; others than errors are fine
 * @return a sentence in English, static storage; "unknown error" for what nobody defined
 * Where: anywhere. Never suspends.
 */
PICA_API const char *pica_strerror(intptr_t code);

/** The version of the library that was linked, as PICA_VERSION. Where: anywhere. */
PICA_API uint32_t pica_version(void);

PICA_END_DECLS

#endif
