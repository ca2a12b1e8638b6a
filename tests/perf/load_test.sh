#!/bin/sh
# SPDX-License-Identifier: MIT
#
# load_test.sh FOLDER: the load generator counts right, notices what is wrong, and charges a
# server that stalls for every request it kept waiting.
set -u
. "$(dirname "$0")/serve.sh"
cd "$1" || exit 2
out=$(mktemp) || exit 2
finish() {
    serve_end
    rm -f "$out"
}
trap finish EXIT
failed=0

fail() {
    echo "FAIL: $*"
    cat "$out"
    failed=1
}

stop() {
    kill "$server"
    wait "$server" || fail "the server's exit code: $?"
    server=
}

number() {
    sed -n "s/.*\"$1\":\([0-9.]*\).*/\1/p" "$out"
}

# expect CODE WHAT OPTIONS...: run the generator. Where no answer came and nothing was wrong, the
# server has waited for a CPU all the time: then once more.
expect() {
    code=$1 what=$2
    shift 2
    for _ in 1 2 3 4 5; do
        ./pica-load --port "$port" --warmup 0.1 "$@" >"$out" 2>&1
        got=$?
        [ "$got" -eq "$code" ] && return
        grep -q '"answers":0,.*"errors":0,' "$out" || break
    done
    fail "$what: exit code $got instead of $code"
}

for program in ./raw-server ./pica-service; do
    serve $program echo
    expect 0 "$program echo" --mode echo --seconds 0.3
    expect 0 "$program echo, large" --mode echo --size 16384 --connections 8 --seconds 0.3
    stop
    serve $program http
    expect 0 "$program http" --seconds 0.3 --body 'Hello, World!'
    expect 0 "$program http, several threads" --seconds 0.3 --threads 3 --connections 10
    expect 1 "$program, another body" --seconds 0.3 --body 'Hello, World?'
    expect 1 "$program, no such page" --seconds 0.3 --path /none
    # Two seconds more are the patience with a server that owes answers; this one owes none. Where
    # others want the CPU it may take as long, but not each time.
    for _ in 1 2 3 4 5; do
        began=$(date +%s%N)
        expect 0 "$program at a rate" --rate 500 --seconds 1
        took_ms=$((($(date +%s%N) - began) / 1000000))
        [ "$took_ms" -lt 2700 ] && break
    done
    [ "$took_ms" -lt 2700 ] || fail "$program: a second's load at a rate took $took_ms ms"
    [ "$(number answers)" = 500 ] || fail "$program: $(number answers) answers of 500 planned"
    stop
done

# A server that stands still for 300 ms: a fifth of what was planned came in that time, and
# at p90 it waited at least 100 ms. A closed loop would have sent nothing meanwhile. Where others
# want the CPU it may stand still before the load has begun, but not each time.
stall_shows() {
    awk "BEGIN { exit !($(number p90_us) > 100000 && $(number p99_us) > 250000) }"
}
serve ./raw-server http
for _ in 1 2 3 4 5; do
    (sleep 0.6 && kill -STOP "$server" && sleep 0.3 && kill -CONT "$server") &
    expect 0 "a stall" --rate 1000 --seconds 1.5
    wait $!
    stall_shows && break
done
stall_shows || fail "the stall of 300 ms is not in the percentiles"
stop

# A server that dies is an error, be it late.
serve ./raw-server http
(sleep 0.4 && kill -9 "$server") &
expect 1 "a server that dies" --seconds 3
wait "$server" 2>/dev/null
server=
expect 1 "nobody there" --seconds 0.3

[ "$failed" -eq 0 ] && echo ok
exit "$failed"
