#!/bin/sh
# SPDX-License-Identifier: MIT
#
# layers.sh ROOT: what a file may include, and where the few doors are.
#
#   1. A file includes its own layer and those below, from the root, never a sibling's private
#      header, never upwards.
#   2. <ck_*.h> only in executor/base/ck.h; compiler atomics only in executor/base/atomics.h;
#      <sys/epoll.h> nowhere in executor/; thread-locals only in executor/sched/.
#   3. Public headers include public and standard headers alone, and hold no thread-local, nor
#      <errno.h>, whose errno is one.
#   4. Sources begin with the licence, are at most 600 lines long and 100 columns wide, and have
#      no tab and no trailing blank.
#   5. Every source is built (CMakeLists.txt names it), and so is every test.
#   6. Tests wait for what happens, not for time: what they may call instead of a sleep is in
#      tests/check.h. The programs without the harness, and delays as such, are named below.
set -u
cd "$1" || exit 2

files=$(find executor io include -name '*.[ch]' | sort)
[ -n "$files" ] || exit 2

failures=0
unbuilt() {
    echo "$1: $2 does not name it"
    failures=1
}
for file in $files; do
    case $file in
    *.c) grep -q "^ *$file" CMakeLists.txt || unbuilt "$file" CMakeLists.txt ;;
    esac
done
for file in $(find tests/executor tests/io -name '*.c' 2>/dev/null | sed 's,^tests/,,'); do
    grep -q "[ (]$file" tests/CMakeLists.txt || unbuilt "tests/$file" tests/CMakeLists.txt
done

may_sleep='check\.c|proc\.h|perturb/perturb\.c|examples/echo_test\.c'
for file in $(grep -rlE '(^|[^a-z_.])(u|nano|clock_nano)?sleep *\(' tests --include='*.[ch]' \
    2>/dev/null | grep -vxE "tests/($may_sleep)"); do
    echo "$file: sleeps"
    failures=1
done

# shellcheck disable=SC2086
awk '
BEGIN {
    below["executor/base"] = " "
    below["executor/coro"] = " executor/base "
    below["executor/sched"] = " executor/base executor/coro "
    upper = " executor/base executor/coro executor/sched "
    below["executor/task"] = upper
    below["executor/sync"] = upper
    below["executor/observe"] = upper
    below["executor/sim"] = upper
    below["io"] = upper
    below["io/tls"] = upper "io "
    below["io/http"] = upper "io io/tls "
    # Public headers that a low layer may know; what is not listed may know all.
    public["executor/base"] = " base version "
    public["executor/coro"] = " base co "
    not_in_executor = " net http "
}
function bad(what) {
    printf "%s:%d: %s\n", FILENAME, FNR, what
    failures++
}
function folder(path) {
    sub(/\/[^\/]*$/, "", path)
    return path
}
FNR == 1 {
    layer = folder(FILENAME)
    is_public = layer ~ /^include/
    if (!is_public && !(layer in below))
        bad("no layer is called " layer)
    if (index($0, "SPDX-License-Identifier: MIT") == 0)
        bad("the first line is no SPDX line")
}
FNR == 601 { bad("more than 600 lines") }
length($0) > 100 { bad("more than 100 columns") }
/\t/ { bad("a tab") }
/[ \t]$/ { bad("a trailing blank") }

/^[ \t]*#[ \t]*include[ \t]*"/ {
    split($0, part, "\"")
    other = folder(part[2])
    if (is_public)
        bad("a public header includes \"" part[2] "\"")
    else if ((part[2] == "model_atomics.h" || part[2] == "perturb.h") && FILENAME == "executor/base/atomics.h")
        ; # doors of tests: the model checker, and delays
    else if (!(other in below))
        bad("\"" part[2] "\" is not written from the root")
    else if (other != layer && index(below[layer], " " other " ") == 0)
        bad(layer " may not include " other ": " part[2])
}
/^[ \t]*#[ \t]*include[ \t]*</ {
    header = $0
    sub(/^[^<]*</, "", header)
    sub(/>.*/, "", header)
    if (header ~ /^ck_/ && FILENAME != "executor/base/ck.h")
        bad("<" header "> belongs to executor/base/ck.h")
    if (header == "sys/epoll.h" && layer ~ /^executor/)
        bad("executor/ knows no epoll")
    if (is_public && header == "errno.h")
        bad("errno is a thread-local; the codes alone are in <linux/errno.h>")
    if (header == "stdatomic.h")
        bad("atomics go through executor/base/atomics.h")
    if (header ~ /^jemalloc/)
        bad("jemalloc is looked up, never included")
    if (header ~ /^pica\//) {
        name = header
        sub(/^pica\//, "", name)
        sub(/\.h$/, "", name)
        if ((layer in public) && index(public[layer], " " name " ") == 0)
            bad(layer " may not know <" header ">")
        if (layer ~ /^executor/ && index(not_in_executor, " " name " "))
            bad("executor/ may not know <" header ">")
        if (!is_public && name == "pica")
            bad("sources name the public headers that they use, not <pica/pica.h>")
    }
}
# In pica/sem.h: what stands in sem.c, too, where the model sees it.
/__atomic_|__sync_/ && FILENAME != "executor/base/atomics.h" && FILENAME != "executor/base/ck.h" &&
    FILENAME != "include/pica/sem.h" {
    bad("atomics go through executor/base/atomics.h")
}
/^[^*]*(__thread|_Thread_local|thread_local)[^a-z_]/ && layer != "executor/sched" {
    bad("a thread-local outside executor/sched")
}
END {
    if (failures) {
        print failures " violations"
        exit 1
    }
}' $files || failures=1
[ "$failures" -eq 0 ] && echo "ok $(echo "$files" | wc -l) files"
