/* SPDX-License-Identifier: MIT */
/* overflow.h: naming the task whose stack overflowed (PICA_NAME_OVERFLOWS).
 *
 * The guard turns an overflow into SIGSEGV. A handler on an alternate stack looks whether the
 * address lies in the guard of what this thread runs; if so it says so on stderr, by task,
 * size, spawn site and the tasks inlined below. In every case the signal then goes to the
 * handler that was there before. This is the one place where the library touches signals, and
 * only if asked to. */
#ifndef PI_OVERFLOW_H
#define PI_OVERFLOW_H

/** Count one more executor that wants it; the first installs, the last restores
 *  what was there before, unless the host has put a handler of its own there meanwhile. */
void pi_overflow_install(void);
void pi_overflow_uninstall(void);

/** Give the calling thread an alternate stack, if it has none. @return what to give to
 *  pi_overflow_thread_end() on the same thread; NULL is fine */
void *pi_overflow_thread_begin(void);
void pi_overflow_thread_end(void *memory);

#endif
