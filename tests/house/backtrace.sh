#!/bin/sh
# SPDX-License-Identifier: MIT
#
# backtrace.sh CHECK_FAULTS: gdb shows the frames of a task down to its entry, and ends there by
# itself, neither in the void nor with a complaint. Skipped where gdb can't run a program.
set -u
program=$1
gdb --version >/dev/null 2>&1 || { echo "skipped: no gdb"; exit 77; }
gdb -q -nx -batch -ex run /bin/true 2>&1 | grep -q 'exited normally' ||
    { echo "skipped: gdb may not trace here"; exit 77; }

said=$(gdb -q -nx -batch -ex 'set breakpoint pending off' -ex 'break pica_sleep' -ex run -ex bt \
    -ex kill --args "$program" --case 'hangs in a task' --mode two 2>&1)
frames=$(echo "$said" | grep '^#')
failures=0
wants() {
    echo "$frames" | grep -q "$1" || {
        echo "no frame of $1"
        failures=1
    }
}
wants pica_sleep
wants hangs_in_a_task
wants pi_fiber_main
echo "$frames" | tail -n 1 | grep -q 'pi_context_entry ()' || {
    echo "the last frame is not the entry"
    failures=1
}
if echo "$said" | grep -E 'Backtrace stopped|\?\?'; then
    failures=1
fi
[ "$failures" -eq 0 ] || echo "$said"
[ "$failures" -eq 0 ] && echo "ok $(echo "$frames" | wc -l) frames"
