/* SPDX-License-Identifier: MIT */
/* check_private.h: between check.c, which knows no executor, and check_executor.c, which a
 * test without executors does not link. */
#ifndef PICA_TESTS_CHECK_PRIVATE_H
#define PICA_TESTS_CHECK_PRIVATE_H

#include "tests/check.h"

/** How check.c reaches what needs an executor. Set by registering a case that needs one. */
typedef struct check_hooks {
    void (*run)(void (*fn)(void)); /**< run fn as the main task of an executor */
    void (*dump)(void);            /**< all tasks of all watched executors, to stderr */
    bool (*pause)(bool yield);     /**< let others run; false: the caller is no task */
    unsigned (*take_lost)(void);   /**< read and clear the count of lost errors */
} check_hooks;

/** Before the first case that needs them; may be called again. */
void check_hook(const check_hooks *h);

/** Run a case's function; it has to check something, in whatever task or thread. */
void check_call(void (*fn)(void));

/** Where a program has it, called when the function of a case begins: its executor is there. */
void check_begins(void) __attribute__((weak));

void check_add(unsigned modes, const char *name, void (*fn)(void), bool in_task);

#endif
