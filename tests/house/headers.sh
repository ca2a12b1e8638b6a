#!/bin/sh
# SPDX-License-Identifier: MIT
#
# headers.sh ROOT CK_INCLUDE_DIR: every public header compiles alone, as C11 and as C++, by gcc
# and clang; every private header compiles alone as gnu11. No public struct that begins with its
# size ends in padding (why: executor/base/sized.h).
set -u
cd "$1" || exit 2
strict="-fsyntax-only -pedantic -Wall -Wextra -Wconversion -Werror -Iinclude"
private="-fsyntax-only -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Werror -Iinclude -I. -isystem $2"
work=$(mktemp) || exit 2
trap 'rm -f "$work"' EXIT
failures=0
n=0

# try HEADER COMPILER FLAGS...: compiles a file that includes nothing else, and that twice.
try() {
    header=$1
    shift
    n=$((n + 1))
    printf '#include %s\n#include %s\nextern int pi_nothing;\n' "$header" "$header" | "$@" - ||
        {
            echo "$header does not compile alone: $*"
            failures=$((failures + 1))
        }
}

for path in include/pica/*.h; do
    name="<${path#include/}>"
    for cc in gcc clang; do
        # shellcheck disable=SC2086
        try "$name" $cc -std=c11 $strict -x c
    done
    for cxx in g++ clang++; do
        # shellcheck disable=SC2086
        try "$name" $cxx -std=c++11 $strict -x c++
    done
    # shellcheck disable=SC2086
    try "$name" g++ -std=c++20 $strict -x c++
done
for path in $(find executor io tests -name '*.h' ! -path 'tests/model/*'); do
    # shellcheck disable=SC2086
    try "\"$path\"" gcc $private -x c
done

# Where gcc says that a struct ends in padding, on the line of its last brace.
for path in include/pica/*.h; do
    gcc -fsyntax-only -std=c11 -Iinclude -Wpadded -x c "$path" 2>&1 |
        sed -n "s,^$path:\([0-9]*\):.*padding struct size.*,\1,p" >"$work"
    padded=$(awk 'NR == FNR { ends[$1] = 1; next }
        /struct .*\{$/ { sized = 0; begun = FNR }
        FNR == begun + 1 && /size_t size;/ { sized = 1 }
        ends[FNR] && sized { print }' "$work" "$path")
    if [ -n "$padded" ]; then
        echo "$path: ends in padding: $padded"
        failures=$((failures + 1))
    fi
done

[ "$failures" -eq 0 ] && echo "ok $n compilations"
