#!/bin/sh
# SPDX-License-Identifier: MIT
#
# check_test.sh CHECK_FAULTS [EMULATOR..]: the harness notices each fault, says so, and exits with 1.
# All at once, for most of the time goes by in waiting for what hangs.
set -u
program=$1
shift
emulator=$*
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
n=0
export PICA_TEST_SEED=77
unset PICA_TEST_TIMEOUT PICA_TEST_STOP # what hangs has one of its own

# notices CASE MODE WORDS [WORDS]: leaves in a file what is wrong, if anything is.
notices() {
    n=$((n + 1))
    {
        # shellcheck disable=SC2086
        said=$($emulator "$program" --case "$1" --mode "$2" 2>&1)
        status=$?
        case $status:$said in
        1:*"$3"*"${4-}"*) ;;
        *)
            echo "case '$1', mode $2: exit $status, without '$3' or '${4-}':"
            echo "$said"
            ;;
        esac
    } >"$work/$n" &
}

notices 'a check fails' plain \
    'check_faults.c:13: failed: 1 + 1 == 3 [a check fails, plain, PICA_TEST_SEED=77]' \
    'mode plain: 1 failed'
notices 'numbers differ' plain '1 + 1 == 3: 2 and 3'
notices 'an error code' plain '-12 (Cannot allocate memory)'
notices 'strings differ' plain '"left" and "right"'
notices 'never comes' plain 'not within 10 s: never'
notices 'never in time' plain 'is_late: never in time [never' ': 1 of 3 checks failed'
notices 'fails in a scene' plain '2 < pace: 2 and 1 [fails in' ': 1 of 1 checks failed'
notices 'dies' plain "can't go on"
notices 'leaks a descriptor' plain 'descriptors:'
notices 'leaks a thread' plain 'threads:'
notices 'checks nothing' plain 'nothing was checked'
notices 'fails and skips' plain 'skipped too late: no time'
PICA_TEST_STOP=1 notices 'fails and leaves' plain '1 + 1 == 3'
notices 'late' plain 'skipped too late: no time'
notices 'does without' two 'nothing was checked [does without'
notices 'no such case' plain 'nothing was checked'
export PICA_TEST_TIMEOUT=10 # the task may begin late, among so many
notices 'hangs on a thread' plain 'timed out: hangs on a thread'
notices 'hangs in a task' two 'timed out: hangs in a task' 'main'
unset PICA_TEST_TIMEOUT
notices 'checks for ever' plain 'timed out: checks for ever'
notices 'takes long' plain '1 + 1 == 3 [takes long'
for mode in one two four migrate noinline; do
    notices 'fails in a task' $mode "[fails in a task, $mode, PICA_TEST_SEED=77]"
done
notices 'leaks a handle' two '1 handles'
notices 'loses an error' two '1 errors that nobody looked at'
notices 'leaks a task' two 'left over: 1 tasks'

wait
cat "$work"/*
[ -z "$(cat "$work"/*)" ] && echo "ok $n faults"
