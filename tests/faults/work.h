/* SPDX-License-Identifier: MIT */
/* work.h: programs that use everything that the library has, and that bear any of its calls to
 * fail. Each runs in a child process, once; what has to hold whatever fails they check by CHECK:
 * bytes arrive in order, permits come back, and an error is one that the fault may lead to. */
#ifndef PICA_TESTS_FAULTS_WORK_H
#define PICA_TESTS_FAULTS_WORK_H

#include "tests/check.h"

#include <pica/gather.h>
#include <pica/group.h>
#include <pica/net.h>
#include <pica/scope.h>
#include <pica/sem.h>
#include <pica/task.h>

typedef struct work {
    const char *name;
    void (*run)(void);
    /** What always fails in it, beside the fault that is tried: at the sites of this function or
     *  door and call. NULL: nothing. */
    const char *standing_where, *standing_call;
    int standing_error;
    int ends_by; /**< 0: exits; else the signal that ends it */
} work;

extern const work works[];
extern const unsigned works_count;

/** The errno that is made to happen, and the standing one; 0: none. */
extern int work_error, work_standing_error;
/** It happens time after time, so that an end without an answer is fine. Otherwise a deadline that
 *  passes means that somebody was not woken. */
extern bool work_again;
/** How long to wait for somebody who may never answer. */
int64_t work_patience(void);

/** A result is fine if it is >= 0 or an error that the fault explains. @return rc >= 0 */
bool work_fine(intptr_t rc, const char *what, int line);
#define WORK_FINE(rc) work_fine((rc), #rc, __LINE__)

/** Make an executor, run main_task in it as a plain thread does it, with a leak check. */
void work_in_executor(const pica_options *options, pica_fn main_task);
pica_options work_options(unsigned workers);

void work_compute(void);
void work_futex(void);
void work_one(void);
void work_run(void);
void work_pinned(void);
void work_coroutines(void);
void work_net(void);
void work_left_open(void);
void work_http(void);
void work_rescue(void);
void work_misuse(void);
void work_overflow(void);
void work_loses(void);
void work_trim(void);
void work_resize(void);
void work_crowd(void);
void work_shutdown(void);
void work_idle(void);
void work_alone(void);

#endif
