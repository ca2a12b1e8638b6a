#!/bin/sh
# SPDX-License-Identifier: MIT
#
# valgrind_test.sh TOLD UNTOLD: under memcheck a program of tasks and coroutines has no error and no
# leak, and Valgrind takes no switch for a frame. TOLD and UNTOLD are valgrind_test.c; in the latter
# pica tells Valgrind of no stack, and then it has to complain, or this test would show nothing.
set -u
told=$1 untold=$2

command -v valgrind >/dev/null 2>&1 || {
    echo "skipped: there is no valgrind (apt-get install valgrind)"
    exit 77
}

# memcheck PROGRAM ARGUMENT..: leaves what both say in $said. Nobody is served while another thread
# computes, hence the scheduling; the harness wants the time that all of it takes.
memcheck() {
    said=$(PICA_TEST_TIMEOUT=120 valgrind --fair-sched=try --error-exitcode=9 --leak-check=full \
        --errors-for-leak-kinds=definite --show-leak-kinds=definite "$@" 2>&1)
}

# Valgrind 3.19 gives up at the debug information that clang 14 writes unasked; without, it reads.
memcheck "$told"
rc=$?
if echo "$said" | grep -q 'debuginfo reader: Possibly corrupted'; then
    work=$(mktemp -d) || exit 1
    trap 'rm -rf "$work"' EXIT
    strip -g -o "$work/told" "$told" && strip -g -o "$work/untold" "$untold" || exit 1
    told=$work/told untold=$work/untold
    memcheck "$told"
    rc=$?
fi
if [ "$rc" -ne 0 ] || echo "$said" | grep -q 'switching stacks'; then
    echo "$said"
    exit 1
fi
echo "$said" | grep 'ERROR SUMMARY: 0 errors' || exit 1

memcheck "$untold" --mode two --case 'stacks side by side'
if ! echo "$said" | grep -q 'client switching stacks'; then
    echo "$said"
    echo "untold of the stacks, Valgrind has nothing to say against them"
    exit 1
fi
