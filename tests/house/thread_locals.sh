#!/bin/sh
# SPDX-License-Identifier: MIT
#
# thread_locals.sh LIBPICA_A ALLOWED..: no address of a thread-local is within reach of code that
# may suspend.
#
# Compilers keep such addresses in registers, errno's among them, while a task moves to another
# thread. So in the disassembly only the functions that ALLOWED names may touch them, and those
# call nothing of the library, only libc, so that they can't suspend in between. pi_fatal() does
# not return and is fine. The stack protector's %fs:0x28 is fine, too: every thread of a process
# has the same value there.
#
# One access is fine everywhere: pi_worker_self()'s, which reads the worker pointer by two
# instructions of a volatile asm, the variable's offset into a register and at once the value
# into the same one, so that no address is ever formed.
#
# ALLOWED has lines "function reason"; the function may be a shell-like pattern with *. A line
# that nothing matches is an error as well: the list stays as short as it can be.
set -u
library=$1
shift
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
cat "$@" >"$work/allowed" || exit 2
"${OBJDUMP:-objdump}" -dr --no-show-raw-insn "$library" >"$work/code" || exit 2

awk -v allowed="$work/allowed" -v lists="$*" '
function judge() {
    if (within != "")
        callee = within
    within = ""
    if (!touches)
        return
    ok = 0
    for (i = 1; i <= patterns; i++)
        if (fn ~ regex[i]) {
            used[i] = ok = 1
        }
    if (!ok) {
        printf "%s: %s() touches a thread-local: %s\n", object, fn, evidence
        failures++
    } else if (callee != "") {
        printf "%s: %s() touches a thread-local and calls %s()\n", object, fn, callee
        failures++
    }
}
BEGIN {
    while ((getline line < allowed) > 0) {
        if (line ~ /^[ \t]*(#|$)/)
            continue
        split(line, word, /[ \t]+/)
        text[++patterns] = word[1]
        pattern = word[1]
        gsub(/\*/, ".*", pattern)
        regex[patterns] = "^" pattern "([.].*)?$" # .part.0, .constprop.1, .cold
        if (word[2] == "") {
            printf "%s: no reason is given for %s\n", lists, word[1]
            failures++
        }
    }
}
/^[^ ].*:[ \t]+file format/ {
    judge()
    touches = 0
    object = $1
    sub(/:$/, "", object)
}
/^[0-9a-f]+ <.*>:$/ {
    judge()
    functions++
    fn = $2
    gsub(/[<>:]/, "", fn)
    touches = 0
    callee = evidence = half = ""
    next
}
# The first half of pi_worker_self(): the next instruction has to be the other.
/R_X86_64_GOTTPOFF[ \t]+pi_worker_current-0x4$/ && previous ~ /[ \t]mov[ \t]/ {
    reg = previous
    sub(/[ \t]*#.*/, "", reg)
    sub(/.*,/, "", reg)
    half = "[ \t]mov[ \t]+%fs:(0x0)?[(]" reg "[)]," reg "$"
    next
}
half != "" {
    whole = $0 ~ half
    half = ""
    if (whole) {
        workers++
        next
    }
    touches = 1
    evidence = previous
}
/%fs:/ && !/%fs:0x28/ { touches = 1; evidence = $0 }
/tpidr_el0/ { touches = 1; evidence = $0 }
/R_[A-Z0-9_]*_(TLS|TPOFF|GOTTPOFF|DTPOFF|DTPMOD|GOTPC32_TLSDESC)/ { touches = 1; evidence = $0 }
/__tls_get_addr|__errno_location/ { touches = 1; evidence = $0 }
/R_X86_64_(PLT32|PC32|GOTPCRELX?|REX_GOTPCRELX)[ \t]+(pi_|pica_)|R_AARCH64_(CALL|JUMP)26[ \t]+(pi_|pica_)/ {
    if (previous ~ /[ \t](call|jmp|bl|b)[ \t]/ && $NF !~ /^pi_fatal([-+].*)?$/)
        callee = $NF
}
# A call within the object: to a symbol itself; a place inside a function shows as <name+0x..>.
# Where a relocation follows (aarch64 shows a symbol there all the same), that one tells whom.
within != "" {
    if ($0 !~ /R_[A-Z0-9_]+/)
        callee = within
    within = ""
}
/[ \t](call|jmp|bl|b)[ \t].*<[^+>]*>$/ {
    target = $NF
    gsub(/[<>]/, "", target)
    if (target != "pi_fatal" && index(target, fn) != 1 && index(fn, target) != 1)
        within = target
}
{ previous = $0 }
END {
    judge()
    for (i = 1; i <= patterns; i++)
        if (!used[i]) {
            printf "%s: nothing needs %s any more\n", lists, text[i]
            failures++
        }
    if (!functions) {
        print "no function was found: the check itself is broken"
        failures++
    }
    if (failures)
        exit 1
    print "ok " functions " functions, " workers + 0 " inline reads of the worker pointer"
}' "$work/code"
