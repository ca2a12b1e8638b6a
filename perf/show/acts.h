/* SPDX-License-Identifier: MIT */
/* acts.h: the three acts of the demo. Each starts its servers, loads them, shows the numbers
 * as they come, and fills in its part of the result. @return 0 or a negative code, after a
 * line on stderr */
#ifndef PB_ACTS_H
#define PB_ACTS_H

#include "perf/show/result.h"

/** Requests per second and processor time per request: pica with one worker and with as many
 *  as there are CPUs, each beside the hand-written epoll loop. */
int pb_act_throughput(pb_act *act);

/** Latency at a fixed rate, from the planned send time. */
int pb_act_latency(pb_act *act);

/** What a handler that computes for 50 ms, again and again, does to everybody else. */
int pb_act_hog(pb_act *act);

#endif
