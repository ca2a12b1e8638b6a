#!/bin/sh
# SPDX-License-Identifier: MIT
#
# calls.sh LIBPICA_A CALLS_LIST: no call that may fail escapes the tests.
#
#   1. Each function outside of the library that it calls stands in tests/faults/calls.list,
#      as one that fails (then pairs_test makes it fail) or as one that is safe, with a reason.
#   2. Nothing stands there that the library does not call.
set -u
library=$1 list=$2
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
failures=0

bad() {
    echo "$*"
    failures=$((failures + 1))
}

grep -v -e '^#' -e '^$' "$list" >"$work/lines"
cut -d' ' -f1 "$work/lines" | sort >"$work/listed"
nm -u --format=posix "$library" | awk '$2 == "U" && $1 !~ /^(pi_|pica_|_GLOBAL_OFFSET_TABLE_)/ { print $1 }' |
    sort -u >"$work/called"
[ -s "$work/called" ] || bad "no call was found: the check itself is broken"

for name in $(comm -13 "$work/listed" "$work/called"); do
    bad "$name: not in calls.list, so no test makes it fail; called by $(nm -Au --format=posix "$library" |
        awk -v name="$name" '$2 == name { print $1 }' | sed 's/.*\[\(.*\)\]:/\1/' | tr '\n' ' ')"
done
for name in $(comm -23 "$work/listed" "$work/called"); do
    # Compilers make these out of loops and assignments, or do without.
    case $name in memcpy | memmove | memset | memcmp | bcmp | strcmp | strlen | strnlen | strchr) continue ;; esac
    # Only builds with sanitizers go by these: io/sys.c.
    case $name in recv | send) continue ;; esac
    bad "$name: in calls.list, but never called"
done
for name in $(uniq -d "$work/listed"); do
    bad "$name: twice in calls.list"
done
awk '!($2 == "fails" && NF == 2 || $2 == "safe" && NF > 2) { print "calls.list: " $0; bad = 1 } END { exit bad }' \
    "$work/lines" || failures=$((failures + 1))

[ "$failures" -eq 0 ] && echo "ok $(wc -l <"$work/called") functions"
