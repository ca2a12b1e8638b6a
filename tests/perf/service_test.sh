#!/bin/sh
# SPDX-License-Identifier: MIT
#
# service_test.sh FOLDER CUTTER [SECONDS]: wrk loads pica-service with 256 connections while
# another client cuts connections and checks bodies. Afterwards nothing may be left over:
# connections, tasks, stacks, descriptors are as many as before. Then SIGTERM: exit code 0.
set -u
. "$(dirname "$0")/serve.sh"
cutter=$2 seconds=${3:-10}
cd "$1" || exit 2
command -v wrk >/dev/null || { echo "skipped: there is no wrk here" && exit 77; }
out=$(mktemp) && stats=$(mktemp) || exit 2
finish() {
    serve_end
    rm -f "$out" "$stats"
}
trap finish EXIT
failed=0

fail() {
    echo "FAIL: $*"
    failed=1
}

stat_of() {
    curl -s "http://127.0.0.1:$port/stats" >"$stats" || fail "no answer to /stats"
    sed -n "s/.*\"$1\": \([0-9]*\).*/\1/p" "$stats"
}

serve ./pica-service http --workers 2

left() {
    echo "$(stat_of connections) connections, $(stat_of tasks_live) tasks," \
        "$(stat_of stacks_live) stacks, $(stat_of descriptors_open) descriptors"
}
before=$(left)

# An answer that does not come within 5 s is lost; within 2, as is usual, it may wait for a CPU. And
# who loses some does so each time, not only when the whole machine stands still.
for _ in 1 2 3 4 5; do
    "$cutter" "$port" "$seconds" >"$stats.cutter" 2>&1 &
    cutting=$!
    wrk -t1 -c256 "-d$seconds" --timeout 5s "http://127.0.0.1:$port/" >"$stats.wrk" 2>&1 ||
        fail "wrk: exit code $?"
    wait "$cutting" || fail "the cutter: exit code $?"
    cat "$stats.wrk" "$stats.cutter"
    grep -q 'Socket errors: connect 0, read 0, write 0, timeout' "$stats.wrk" || break
done
grep -q 'Socket errors\|Non-2xx' "$stats.wrk" && fail "wrk saw errors"
grep -q 'requests in' "$stats.wrk" || fail "wrk did not finish"
rm -f "$stats.cutter" "$stats.wrk"

for _ in $(seq 50); do
    after=$(left)
    [ "$after" = "$before" ] && break
    sleep 0.3
done
[ "$after" = "$before" ] || fail "before: $before; after: $after"

kill "$server"
wait "$server"
code=$?
server=
[ "$code" -eq 0 ] || fail "the service's exit code: $code"
[ "$failed" -eq 0 ] && echo ok
exit "$failed"
