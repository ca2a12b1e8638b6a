/* SPDX-License-Identifier: MIT */
/* errnos.h: with which codes each call may fail, after the manual pages of Linux, and which of
 * the documented ones cannot occur. */
#ifndef PICA_TESTS_FAULTS_ERRNOS_H
#define PICA_TESTS_FAULTS_ERRNOS_H

#include <stdbool.h>

typedef struct errnos {
    const char *where;  /**< the door, else the function; NULL: anywhere */
    const char *call;   /**< the function of libc */
    int made[22];       /**< made to happen, ended by 0 */
    int natural[3];     /**< can't be made up: have to happen by themselves, ended by 0 */
    const char *cannot; /**< what else is documented, and why it cannot occur */
} errnos;

/** An exception: a call for which something else holds. */
typedef struct errnos_exception {
    const char *where; /**< the function or the door */
    const char *call;  /**< NULL: any */
    const char *why;
    int codes[18]; /**< these alone, ended by 0; none: all */
} errnos_exception;

/** The row of a site; NULL: there is none, which is a fault of the table. */
const errnos *errnos_of(const char *function, const char *door, const char *call);

/** Why a site cannot be reached by any program of the tests; NULL: it can. */
const errnos_exception *errnos_unreachable(const char *function, const char *door,
                                           const char *call);

/** Why this very code need not come out of the library where the call fails with it; NULL: it has
 *  to. */
const errnos_exception *errnos_absorbed(const char *function, const char *door, const char *call,
                                        int error);

/** All that the two above may say, so that each can be shown to be needed. */
extern const errnos_exception errnos_all_unreachable[], errnos_all_absorbed[];
extern const unsigned errnos_unreachable_count, errnos_absorbed_count;
/** Does it name this site? */
bool errnos_is_at(const errnos_exception *x, const char *function, const char *door,
                  const char *call);

/** "EINTR" */
const char *errnos_name(int error);

#endif
