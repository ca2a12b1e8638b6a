/* SPDX-License-Identifier: MIT */
/* cases.h: the cases of pica-bench. Each asks the questions of one row or two of the table
 * of targets and has a file of its own. @return 0 or a negative code, after a line on stderr */
#ifndef PB_CASES_H
#define PB_CASES_H

#include "perf/bench/harness.h"

int pb_case_switch(const pb_settings *s);
int pb_case_yield(const pb_settings *s);
int pb_case_spawn(const pb_settings *s);
int pb_case_fib(const pb_settings *s);
int pb_case_skynet(const pb_settings *s);
int pb_case_sem(const pb_settings *s);
int pb_case_timers(const pb_settings *s);
int pb_case_parked(const pb_settings *s);
int pb_case_wake(const pb_settings *s);
int pb_case_echo(const pb_settings *s);
int pb_case_http(const pb_settings *s);
int pb_case_hog(const pb_settings *s);

#endif
