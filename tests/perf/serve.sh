# SPDX-License-Identifier: MIT
#
# serve.sh, to be sourced: a server for the length of a test.
#
#   serve PROGRAM ARGUMENT..   starts it; sets $server and $port, once it has said into $out where
#                              it listens. One that ends instead, or does not say so within half a
#                              minute, ends the test.
#   serve_end                  kills it, if it still runs; for the test's trap

server=

serve() {
    "$@" >"$out" &
    server=$!
    port=
    tries=0
    while [ -z "$port" ]; do
        tries=$((tries + 1))
        if [ $tries -gt 300 ] || ! kill -0 "$server" 2>/dev/null; then
            echo "FAIL: $* does not listen"
            exit 1
        fi
        sleep 0.1
        port=$(sed -n 's/.*\(port \|127.0.0.1:\)\([0-9]*\).*/\2/p' "$out")
    done
}

serve_end() {
    [ -z "$server" ] || kill -9 "$server" 2>/dev/null
}
