#!/bin/sh
# SPDX-License-Identifier: MIT
#
# headers.sh ROOT CK_INCLUDE_DIR: every public header compiles alone, as C11 and as C++, by gcc
# and clang; every private header compiles alone as gnu11.
set -u
cd "$1" || exit 2
strict="-fsyntax-only -pedantic -Wall -Wextra -Wconversion -Werror -Iinclude"
private="-fsyntax-only -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Werror -Iinclude -I. -isystem $2"
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

[ "$failures" -eq 0 ] && echo "ok $n compilations"
