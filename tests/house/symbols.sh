#!/bin/sh
# SPDX-License-Identifier: MIT
#
# symbols.sh ROOT LIBPICA_SO LIBPICA_A: what the libraries show and need.
#
#   1. libpica.so exports pica_ symbols alone; all that the headers declare, and no others.
#   2. It needs nothing but libc, and its soname carries the major version; before 1.0 the minor one, too.
#   3. Any program can dlopen() it: its thread-local storage is one word of the static kind at
#      most, and nothing runs when it is loaded or unloaded.
#   4. It calls nothing that would change its host's process, or tie itself to it for good.
#   5. The global symbols of libpica.a begin with pica_ or pi_.
set -u
root=$1 shared=$2 static=$3
failures=0

bad() {
    echo "$*"
    failures=$((failures + 1))
}

exported=$("${NM:-nm}" -D --defined-only --format=posix "$shared" | cut -d' ' -f1 | sort)
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
minor=$(sed -n 's/^#define PICA_VERSION_MINOR //p' "$root/include/pica/version.h")
[ "$major" = 0 ] && soname=libpica.so.0.$minor || soname=libpica.so.$major
echo "$dynamic" | grep -qF "[$soname]" || bad "the soname is not $soname"
echo "$dynamic" | grep -q TEXTREL && bad "$shared has text relocations"
readelf -lW "$shared" | grep 'GNU_STACK' | grep -q 'RWE' && bad "$shared wants an executable stack"

# The loader has room for a few words in programs that are running already.
word=$(($(getconf LONG_BIT) / 8))
tls=$(readelf -lW "$shared" | awk '$1 == "TLS" { print $6 }')
[ $((${tls:-0})) -le "$word" ] || bad "$shared has $((tls)) bytes of thread-locals"
# One entry each: the compiler's own, which does nothing where there is no C++ or profiling.
# gcc's atomics on aarch64 bring one more, which looks whether the CPU has LSE.
lse=$("${NM:-nm}" --format=posix "$shared" | grep -c '^init_have_lse_atomics ')
for array in INIT_ARRAYSZ FINI_ARRAYSZ; do
    bytes=$(echo "$dynamic" | sed -n "s/.*($array) *\([0-9]*\) .*/\1/p")
    [ "${bytes:-0}" -le $((word + word * lse)) ] ||
        bad "$shared has code that runs by itself: $array $bytes"
    lse=0
done

# What is the whole process's, and what has to be undone before it is unloaded but can't be.
touchy="atexit on_exit __cxa_atexit __cxa_thread_atexit_impl __register_atfork pthread_atfork
    pthread_key_create tss_create setlocale uselocale fesetround fesetenv mallopt mallctl
    setrlimit prlimit prctl sigprocmask setitimer timer_create alarm chdir fchdir umask nice
    setpriority setenv putenv unsetenv clearenv tcsetattr srand srandom exit _exit _Exit system
    fork vfork popen dlopen openlog syslog freopen setvbuf pthread_setname_np"
imported=$("${NM:-nm}" -D --undefined-only --format=posix "$shared" | sed 's/[@ ].*//' | sort -u)
for name in $touchy; do
    echo "$imported" | grep -qx "$name" && bad "$shared calls $name()"
done

for name in $("${NM:-nm}" -g --defined-only --format=posix "$static" | sed -n 's/^\([^ ]*\) [A-Z] .*/\1/p'); do
    case $name in
    pica_* | pi_*) ;;
    *) bad "$static has a global $name" ;;
    esac
done

[ "$failures" -eq 0 ] && echo "ok $(echo "$exported" | wc -l) symbols"
