#!/bin/sh
# SPDX-License-Identifier: MIT
#
# instructions.sh PROGRAM BUILD EXPECTED           compares what operations cost
# instructions.sh PROGRAM BUILD EXPECTED --update  writes what they cost into EXPECTED
#
# Counts instructions with callgrind, for N operations and for twice as many; the difference is
# what N of them cost, whatever starting and ending does. More than SLACK per cent above the
# expected count, and more than one instruction, is a failure. Counts hold for one compiler and
# one kind of build: for others, and without valgrind, the test is skipped.
set -u
program=$1 build=$2 expected=$3 update=${4-}
SLACK=3
CASES="switch:200000 yield:50000 spawn:50000 group:48000 timed:48000 sem:100000 echo:3000 http:3000"

skip() {
    echo "skipped: $1"
    exit 77
}

command -v valgrind >/dev/null 2>&1 || skip "there is no valgrind (apt-get install valgrind)"
if [ -z "$update" ]; then
    counted_for=$(sed -n 's/^# build: //p' "$expected")
    [ "$counted_for" = "$build" ] || skip "the counts are those of $counted_for; this is $build"
fi

# count CASE N: all the instructions of a run
count() {
    log=$(valgrind --tool=callgrind --callgrind-out-file=/dev/null --separate-threads=no \
        "$program" "$1" "$2" 2>&1) || {
        echo "$log" >&2
        return 1
    }
    echo "$log" | sed -n 's/.*Collected : *\([0-9]*\).*/\1/p'
}

# cost CASE N: of one operation
cost() {
    once=$(count "$1" "$2") && twice=$(count "$1" $(($2 * 2))) || return 1
    echo "$once $twice $2" | awk '{ printf("%.1f", ($2 - $1) / $3) }'
}

result=0
new="# Instructions per operation, by callgrind; see instructions.sh. To write them anew:
#     sh tests/perf/instructions.sh build/release/tests/perf/instructions \\
#         '$build' tests/perf/instructions.expected --update
# build: $build"
for entry in $CASES; do
    name=${entry%:*}
    found=$(cost "$name" "${entry#*:}") && [ -n "$found" ] || {
        echo "$name: no count"
        exit 1
    }
    new="$new
$name $found"
    [ -z "$update" ] || continue
    wanted=$(awk -v name="$name" '$1 == name { print $2 }' "$expected")
    verdict=$(echo "$found ${wanted:-none} $SLACK" | awk '
        $2 == "none" { print "no count is expected"; next }
        $1 > $2 * (1 + $3 / 100) && $1 > $2 + 1 { print "too many"; next }
        $1 < $2 * (1 - $3 / 100) && $1 < $2 - 1 { print "ok, fewer: write it down"; next }
        { print "ok" }')
    echo "$name: $found instructions, expected $wanted: $verdict"
    case $verdict in ok*) ;; *) result=1 ;; esac
done
if [ -n "$update" ]; then
    echo "$new" >"$expected"
    cat "$expected"
fi
exit $result
