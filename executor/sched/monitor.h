/* SPDX-License-Identifier: MIT */
/* monitor.h: nothing is held hostage. A thread that looks, now and then, whether some worker is
 * stuck in one task, and asks another that idles to serve what it holds up (rescue.h).
 *
 * A worker counts its turns; a count that stands still over a tick means stuck. So nothing is added
 * to the path of a task or an event.
 *
 *   1. Who is stuck, while somebody idles or turns, has a rescuer, after two ticks; where fewer can
 *      help than are stuck, each is asked for one of them in a tick. A rescuer that is itself stuck
 *      is replaced.
 *   2. A batch of events whose time as its worker's own has run out finds a thief (steal.h).
 *   3. The monitor sleeps while all workers do, and is slow while none does; the first worker
 *      that gets up, or lies down, hurries it (pace.h). Both only after many ticks of the same, so
 *      that a busy service pays nothing for it.
 *
 * Where all are stuck, nobody can be asked: then the monitor puts the spare to work (reserve.h).
 * One worker alone has a monitor for that, unless the spare is forbidden.
 */
#ifndef PI_MONITOR_H
#define PI_MONITOR_H

#include "executor/sched/executor.h"

/** Start and stop the monitor. @return 0; -ENOMEM, -EAGAIN */
int pi_monitor_start(pica_executor *ex);
void pi_monitor_stop(pica_executor *ex);

#endif
