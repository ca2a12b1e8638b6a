#!/bin/sh
# SPDX-License-Identifier: MIT
# orders.sh ROOT SITES...: is each memory order of the sources tried by some model?
#
# The sources are searched for atomic operations that order something, by what they are called
# with. A model says which ones it met, and tried to weaken (mutants.c); of the others orders.list
# says why no model meets them, and how many there are of a kind. Neither may say too much.
set -u
root=$1
shift
list=$root/tests/model/orders.list
cd "$root" || exit 1

# file, operation, object: "executor/sched/task.c", "load_acquire", "task->word"
in_sources()
{
    find executor io \( -name '*.c' -o -name '*.h' \) ! -path executor/base/atomics.h | sort |
        xargs awk '
        {
            line = $0
            sub(/^ *\*( .*)?$|^ *\/\*.*/, "", line) # prose
            while (match(line, /pi_((load|store|xchg|cas|add|sub|or|and)_(acquire|release|acq_rel|seq_cst)|fence_(seq_cst|after_rmw|release))\(/)) {
                op = substr(line, RSTART + 3, RLENGTH - 4)
                rest = substr(line, RSTART + RLENGTH)
                depth = 0
                for (i = 1; i <= length(rest); i++) {
                    c = substr(rest, i, 1)
                    if (c ~ /[([]/)
                        depth++
                    else if (c ~ /[])]/ && depth-- == 0)
                        break
                    else if (c == "," && depth == 0)
                        break
                }
                object = substr(rest, 1, i - 1)
                sub(/^&/, "", object)
                printf "%s\t%s\t%s\n", FILENAME, op, object
                line = rest
            }
        }'
}

# The same of what the models have tried; a line of the sources counts once.
in_models()
{
    sort -u "$@" | awk -F '\t' '
        $1 !~ /(^|\/)tests\// {
            file = "" # from the last folder that may be the root of it
            rest = $1
            while (match(rest, /(^|\/)(executor|io)\//)) {
                file = substr(rest, RSTART + (substr(rest, RSTART, 1) == "/"))
                rest = substr(rest, RSTART + RLENGTH - 1)
            }
            if (file == "")
                next
            if ($3 == "fence_after_rmw_seq_cst")
                $3 = "fence_after_rmw"
            key = file "\t" $3 "\t" $4
            if (!seen[key "\t" $2]++)
                print key
        }'
}

in_sources | sort | uniq -c | sed 's/^ *\([0-9]*\) /\1\t/' >"${TMPDIR:-/tmp}/orders.$$.sources"
in_models "$@" | sort | uniq -c | sed 's/^ *\([0-9]*\) /\1\t/' >"${TMPDIR:-/tmp}/orders.$$.models"
trap 'rm -f "${TMPDIR:-/tmp}/orders.$$".*' EXIT

awk -F '\t' '
    function unexplained() {
        print "orders.list: no reason for " pending " lines before line " FNR
        bad++
        pending = 0
    }
    FILENAME ~ /sources$/ { sources[$2 "\t" $3 "\t" $4] = $1; next }
    FILENAME ~ /models$/ { models[$2 "\t" $3 "\t" $4] = $1; next }
    /^#/ { next }
    /^$/ { if (pending) unexplained(); next }
    /^ / { pending = 0; next }
    {
        split($0, word, / +/)
        object = $0
        sub(/^[^ ]+ +[0-9]+ +[^ ]+ */, "", object)
        excused[word[1] "\t" word[3] "\t" object] += word[2]
        pending++
    }
    END {
        if (pending)
            unexplained()
        for (key in sources) {
            unmet = sources[key] - models[key]
            total += sources[key]
            met += sources[key] - unmet
            if (unmet != excused[key] + 0) {
                printf "%s: %d of %d are met by no model, orders.list says %d\n", key, unmet,
                       sources[key], excused[key]
                bad++
            }
        }
        for (key in excused)
            if (!(key in sources)) {
                printf "%s: orders.list names what is not there\n", key
                bad++
            }
        for (key in models)
            if (!(key in sources)) {
                printf "%s: a model has met what is not found in the sources\n", key
                bad++
            }
        printf "%d orders in the sources, %d tried by models, %d not well accounted for\n", total,
               met, bad
        exit bad > 0
    }' "${TMPDIR:-/tmp}/orders.$$.sources" "${TMPDIR:-/tmp}/orders.$$.models" "$list"
