#!/bin/sh
# SPDX-License-Identifier: MIT
#
# migration_matrix.sh ROOT CK_INCLUDE_DIR: migration_test with forced migration, on a library that
# is compiled anew in each of the ways below, outside of the build: by which compiler, how much
# optimised, position-independent or not, and with link-time optimisation, which looks through all
# functions that are never inlined. In each at least 100,000 migrations, none of them with another
# thread's errno or thread-local.
#
# A compiler that is not there is left out, and named.
set -u
root=$1 ck=$2
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT

ways='-O0 -fPIC
-O1 -fno-pic -no-pie
-O2 -fPIC
-O2 -fno-pic -no-pie
-O3 -fPIC
-O2 -flto -fPIC
-O3 -flto -fno-pic -no-pie'

# one NUMBER COMPILER FLAGS..: leaves "ok" or the reason in NUMBER.said.
cat >"$work/one" <<'END'
number=$1
shift
{
    "$@" -pthread -std=gnu11 -w -D_GNU_SOURCE -I"$root/include" -I"$root" -isystem "$ck" \
        "$root"/executor/*/*.c "$root"/io/*.c "$root"/tests/check.c "$root"/tests/check_executor.c \
        "$root"/tests/executor/sched/migration_test.c -o "$work/$number" -ldl &&
        PICA_TEST_SCALE=200 "$work/$number" --mode migrate &&
        echo "$*" >"$work/$number.ok"
} >"$work/$number.said" 2>&1
rm -f "$work/$number"
END

export root ck work
n=0
for compiler in gcc clang; do
    if ! command -v $compiler >/dev/null; then
        echo "$compiler is not here"
        continue
    fi
    while read -r flags; do
        n=$((n + 1))
        echo "$n $compiler $flags"
    done <<END
$ways
END
done >"$work/list"
grep 'is not here' "$work/list"
grep -v 'is not here' "$work/list" >"$work/jobs"
xargs -P "$(nproc)" -L 1 sh "$work/one" <"$work/jobs"

failures=0 n=0
while read -r number way; do
    n=$((n + 1))
    [ -f "$work/$number.ok" ] && continue
    failures=$((failures + 1))
    echo "== $way"
    tail -n 20 "$work/$number.said"
done <"$work/jobs"
[ "$n" -gt 0 ] || { echo "skipped: there is no compiler here"; exit 77; }
[ "$failures" -eq 0 ] && echo "ok $n ways"
