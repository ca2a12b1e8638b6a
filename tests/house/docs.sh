#!/bin/sh
# SPDX-License-Identifier: MIT
#
# docs.sh ROOT: what README.md, docs/*.md and docs/decisions/*.md name is there. (That their links
# lead somewhere: tests/examples/check_docs.cmake.)
#
#   1. A name with pica_, PICA_ or pica:: stands in a public header or is a file there, or a target,
#      an option or a variable of the build or of the scripts. One with pi_ stands in the sources.
#   2. A path that begins with a folder of the tree's exists; so does, somewhere, a file that is
#      named in `...` without its folder.
#   3. A word that ends in _test, _model, _stress or _faults is a test.
#   4. The map of executor/sched/ in docs/architecture.md has each file there, once, and no other.
set -u
cd "$1" || exit 2
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT

documents=$(find README.md docs -name '*.md' -not -path '*/examples/*' | sort)
build=$(find . -name build -prune -o -type f \( -name CMakeLists.txt -o -name '*.cmake' \
    -o -name '*.in' -o -path ./.ci/need.sh \) -print)

# words PATTERN FILE..: each word that matches it, once.
words() {
    pattern=$1
    shift
    grep -ohE "$pattern" "$@" | sort -u
}

# missing PATTERN WHAT: those words of the documents that are not in $work/known.
missing() {
    # shellcheck disable=SC2086
    words "$1" $documents >"$work/named"
    sort -u "$work/known" -o "$work/known"
    [ -s "$work/named" ] || echo "no name like $1 was found: the check itself is broken"
    comm -23 "$work/named" "$work/known" | while read -r name; do
        # shellcheck disable=SC2086
        echo "$(grep -lwF -e "$name" $documents | tr '\n' ' ')names $name, which is no $2"
    done
}

name='\b(pica_[a-z0-9_]*[a-z0-9]|PICA_[A-Z0-9_]*[A-Z0-9]|pica::[a-z_]+)\b'
{
    # shellcheck disable=SC2086
    words "$name" $build include/pica/*.h
    echo pica_ # the prefix itself
} >"$work/known"
missing "$name" "name of the public headers or the build" >"$work/bad"

words '\bpi_[a-z0-9_]*[a-z0-9]\b' $(find executor io -name '*.[ch]') >"$work/known"
missing '\bpi_[a-z0-9_]*[a-z0-9]\b' "name of the sources" >>"$work/bad"

test='\b[a-z0-9_]+_(test|model|stress|faults)\b'
words "$test" $(find tests -name CMakeLists.txt) >"$work/known"
missing "$test" test >>"$work/bad"

# The folders that the tree has, dotted ones as well, but not what a build leaves.
folders=$(find . -maxdepth 1 -mindepth 1 -type d -not -name .git -not -name build | sed 's,^\./,,' |
    tr '\n' '|' | sed 's/[.]/[.]/g; s/|$//')
# shellcheck disable=SC2086
grep -HoE "(^|[^A-Za-z0-9_./<-])(\./)?($folders)/[A-Za-z0-9_./-]*[A-Za-z0-9_/]" $documents |
    sed -E 's,^([^:]*):[^A-Za-z.]*,\1 ,' | sort -u | while read -r document path; do
    [ -e "$path" ] || echo "$document names $path, which does not exist"
done >>"$work/bad"

# shellcheck disable=SC2016,SC2086
grep -HoE '`[A-Za-z0-9_-]+\.(c|h|sh|md|txt|cmake|json|list)`' $documents | tr -d '`' |
    sort -u | while IFS=: read -r document file; do
    [ -n "$(find . -name build -prune -o -name "$file" -print)" ] ||
        echo "$document names $file, which is nowhere"
done >>"$work/bad"

map=docs/architecture.md
find executor/sched -name '*.[ch]' | sed 's,.*/,,; s,[.].*,,' | sort -u >"$work/known"
# shellcheck disable=SC2016
sed -n '/^| part | file/,/^$/p' $map | grep -oE '`[a-z_]+`' | tr -d '`' | sort >"$work/named"
uniq -d "$work/named" | sed "s,^,$map has twice: executor/sched/," >>"$work/bad"
comm -23 "$work/known" "$work/named" | sed "s,^,$map leaves out executor/sched/," >>"$work/bad"
comm -13 "$work/known" "$work/named" | sort -u |
    sed "s,^,$map maps what does not exist: executor/sched/," >>"$work/bad"

cat "$work/bad"
[ ! -s "$work/bad" ] && echo "ok $(echo "$documents" | wc -l) documents"
