#!/bin/sh
# SPDX-License-Identifier: MIT
#
# symbols.sh ROOT LIBPICA_SO LIBPICA_A: what the libraries show and need.
#
#   1. libpica.so exports pica_ symbols alone; all that the headers declare, and no others.
#   2. It needs nothing but libc, and its soname carries the major version.
#   3. The global symbols of libpica.a begin with pica_ or pi_.
set -u
root=$1 shared=$2 static=$3
failures=0

bad() {
    echo "$*"
    failures=$((failures + 1))
}

exported=$(nm -D --defined-only --format=posix "$shared" | cut -d' ' -f1 | sort)
declared=$(cat "$root"/include/pica/*.h | tr '\n' ' ' | sed 's/PICA_API/\n&/g' |
    sed 's/PICA_[A-Z]*([^()]*)//g; s/__attribute__(([^()]*\(([^()]*)[^()]*\)*))//g' |
    sed -n 's/^PICA_API [^(;]*[ *]\(pica_[a-z0-9_]*\)(.*/\1/p' | sort -u)
[ -n "$exported" ] || bad "$shared exports nothing"
[ -n "$declared" ] || bad "no declaration was found: the check itself is broken"

for name in $exported; do
    case $name in
    pica_*) ;;
    *) bad "$shared exports $name" ;;
    esac
done
for name in $declared; do
    echo "$exported" | grep -qx "$name" || bad "declared, but not exported: $name"
done
for name in $exported; do
    echo "$declared" | grep -qx "$name" || bad "exported, but not declared: $name"
done

dynamic=$(readelf -d "$shared")
for needed in $(echo "$dynamic" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
    case $needed in
    libc.so.* | ld-linux*) ;;
    *) bad "$shared needs $needed" ;;
    esac
done
major=$(sed -n 's/^#define PICA_VERSION_MAJOR //p' "$root/include/pica/version.h")
echo "$dynamic" | grep -q "(SONAME).*\[libpica\.so\.$major\]" || bad "the soname is not libpica.so.$major"
echo "$dynamic" | grep -q TEXTREL && bad "$shared has text relocations"
readelf -lW "$shared" | grep 'GNU_STACK' | grep -q 'RWE' && bad "$shared wants an executable stack"

for name in $(nm -g --defined-only --format=posix "$static" | sed -n 's/^\([^ ]*\) [A-Z] .*/\1/p'); do
    case $name in
    pica_* | pi_*) ;;
    *) bad "$static has a global $name" ;;
    esac
done

[ "$failures" -eq 0 ] && echo "ok $(echo "$exported" | wc -l) symbols"
