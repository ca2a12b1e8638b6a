#!/bin/sh
# SPDX-License-Identifier: MIT
#
# sites.sh PROGRAM: where the library calls what may fail. A line for each call instruction to a
# stand-in (fault_...) or to a door of the library (see sites.h): its return address, the function
# that it stands in, the function that it calls. In ascending order.
set -u
# A static function of the library's that is called like one of libc's has been renamed as well.
namesakes=$(nm "$1" | awk '$2 == "t" && $3 ~ /^fault_/ { sub(/^0+/, "", $1); print $1 }' | tr '\n' ' ')
objdump -d --no-show-raw-insn "$1" | awk -v namesakes=" $namesakes" '
/^[0-9a-f]+ <.*>:$/ {
    fn = $2
    gsub(/[<>:]/, "", fn)
    sub(/[.].*/, "", fn) # .part.0, .cold, .isra.0
    callee = ""
    next
}
/^ *[0-9a-f]+:/ {
    if (callee != "") {
        at = $1
        sub(/:/, "", at)
        print at, fn, callee
        callee = ""
    }
    if (/[ \t](call|callq|bl)[ \t].*<[^+>]*>/) {
        target = $NF
        gsub(/[<>]/, "", target)
        sub(/@plt$/, "", target)
        sub(/[.].*/, "", target)
        if (target ~ /^(fault_[a-z0-9_]+|pi_sys_[a-z0-9_]+|pi_malloc|pi_zalloc|pi_aligned_zalloc|pi_futex_wait|pi_futex_wake|pi_thread_start)$/ && target != "fault_free" && index(namesakes, " " $(NF - 1) " ") == 0)
            callee = target
    }
}'
