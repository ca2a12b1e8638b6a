#!/bin/sh
# SPDX-License-Identifier: MIT
#
# self_test.sh CC: each check of this folder notices what it is there for. Makes small trees
# and libraries with one fault each, and wants the check to fail with the right words.
set -u
here=$(cd "$(dirname "$0")" && pwd)
cc=$1
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
failures=0
n=0

# notices WORDS COMMAND...: the command fails, and says WORDS.
notices() {
    words=$1
    shift
    n=$((n + 1))
    if "$@" >"$work/said" 2>&1; then
        echo "not noticed: $words"
        failures=$((failures + 1))
    elif ! grep -q -e "$words" "$work/said"; then
        echo "noticed, but not as '$words':"
        cat "$work/said"
        failures=$((failures + 1))
    fi
}

passes() {
    n=$((n + 1))
    if ! "$@" >"$work/said" 2>&1; then
        echo "a clean one fails: $*"
        cat "$work/said"
        failures=$((failures + 1))
    fi
}

# --- layers.sh ---------------------------------------------------------------------------

# tree FILE: a clean tree, with the text of stdin behind the licence in FILE.
tree() {
    rm -rf "$work/tree"
    mkdir -p "$work/tree/executor/base" "$work/tree/io/http" "$work/tree/include/pica"
    echo '/* SPDX-License-Identifier: MIT */' >"$work/tree/executor/base/clean.c"
    printf 'executor/base/clean.c\n%s\n' "$1" >"$work/tree/CMakeLists.txt"
    mkdir -p "$(dirname "$work/tree/$1")"
    { echo '/* SPDX-License-Identifier: MIT */' && cat; } >"$work/tree/$1"
}

layers() {
    words=$1
    tree "$2"
    notices "$words" sh "$here/layers.sh" "$work/tree"
}

echo '#include "executor/base/lock.h"' | tree executor/task/a.c
passes sh "$here/layers.sh" "$work/tree"
echo '#include "executor/sched/wait.h"' | layers 'may not include' executor/base/a.c
echo '#include "executor/sync/sem.h"' | layers 'may not include' executor/task/a.c
echo '#include "io/http/parser.h"' | layers 'may not include' io/a.c
echo '#include "lock.h"' | layers 'not written from the root' executor/base/a.c
echo '#include "executor/base/lock.h"' | layers 'a public header includes' include/pica/a.h
echo '#include <ck_stack.h>' | layers 'belongs to executor/base/ck.h' executor/sched/a.c
echo '#include <sys/epoll.h>' | layers 'knows no epoll' executor/sched/a.c
echo '#include <pica/net.h>' | layers 'may not know' executor/sched/a.c
echo '#include <errno.h>' | layers 'errno is a thread-local' include/pica/a.h
echo '#include <stdatomic.h>' | layers 'atomics go through' io/a.c
echo 'int f(int *p) { return __atomic_load_n(p, 0); }' | layers 'atomics go through' io/a.c
echo 'static __thread int t;' | layers 'a thread-local outside' io/a.c
printf 'int\ta;\n' | layers 'a tab' io/a.c
echo 'int a; ' | layers 'a trailing blank' io/a.c
printf '/* %100s */\n' x | layers 'more than 100 columns' io/a.c
awk 'BEGIN { for (i = 0; i < 600; i++) print "" }' </dev/null | layers 'more than 600 lines' io/a.c
tree io/a.c </dev/null
echo 'int a;' >"$work/tree/io/a.c"
notices 'no SPDX line' sh "$here/layers.sh" "$work/tree"
tree io/a.c </dev/null
: >"$work/tree/CMakeLists.txt"
notices 'io/a.c: CMakeLists.txt does not name it' sh "$here/layers.sh" "$work/tree"
mkdir -p "$work/tree/tests/io"
touch "$work/tree/tests/io/a_test.c" "$work/tree/tests/CMakeLists.txt"
notices 'tests/io/a_test.c: tests/CMakeLists.txt' sh "$here/layers.sh" "$work/tree"
echo 'static void a(void) { usleep(1000); }' >"$work/tree/tests/io/a_test.c"
notices 'tests/io/a_test.c: sleeps' sh "$here/layers.sh" "$work/tree"

# --- headers.sh --------------------------------------------------------------------------

echo 'size_t f(void);' | tree include/pica/a.h
mkdir -p "$work/tree/tests"
notices 'does not compile alone' sh "$here/headers.sh" "$work/tree" /usr/include
echo 'int class;' | tree include/pica/a.h
mkdir -p "$work/tree/tests"
notices 'does not compile alone: g++' sh "$here/headers.sh" "$work/tree" /usr/include
printf '#ifndef A\n#define A\nint f(void);\n#endif\n' | tree include/pica/a.h
mkdir -p "$work/tree/tests"
passes sh "$here/headers.sh" "$work/tree" /usr/include
echo 'size_t f(void);' >"$work/tree/io/b.h"
notices 'io/b.h" does not compile alone' sh "$here/headers.sh" "$work/tree" /usr/include
rm "$work/tree/io/b.h"
printf '#include <stddef.h>\ntypedef struct a {\n    size_t size;\n    int n;\n} a;\n' |
    sed '1i#ifndef A\n#define A' | sed '$a#endif' | tree include/pica/a.h
mkdir -p "$work/tree/tests"
notices 'ends in padding: } a;' sh "$here/headers.sh" "$work/tree" /usr/include

# --- docs.sh -----------------------------------------------------------------------------

document() {
    printf 'Call `pica_a()`, see [io/a.c](io/a.c), `pi_a` and a_test. %s\n' "$1" >"$work/tree/README.md"
}

docs() {
    document "$2"
    notices "$1" sh "$here/docs.sh" "$work/tree"
}

echo 'int pica_a(void); enum { PICA_A };' | tree include/pica/a.h
echo 'int pi_a;' >"$work/tree/io/a.c"
mapped() {
    # shellcheck disable=SC2016
    printf '| part | file, in executor/sched/ |\n|---|---|\n' >"$work/tree/docs/architecture.md"
    # shellcheck disable=SC2016
    printf '| all | `%s` what it does |\n' "$@" >>"$work/tree/docs/architecture.md"
}
mkdir -p "$work/tree/tests/io" "$work/tree/docs" "$work/tree/executor/sched"
touch "$work/tree/executor/sched/idle.c" "$work/tree/executor/sched/idle.h"
mapped idle
echo 'pica_test(a_test io/a_test.c)' >"$work/tree/tests/CMakeLists.txt"
document 'PICA_A, `a.h`, pica_'
passes sh "$here/docs.sh" "$work/tree"
docs 'pica_b, which is no name' '`pica_b()`'
docs 'PICA_B, which is no name' PICA_B
docs 'pica::b, which is no name' pica::b
docs 'pi_b, which is no name of the sources' 'x->pi_b'
docs 'b_model, which is no test' b_model
docs 'io/b.c, which does not exist' io/b.c
docs 'b.h, which is nowhere' '`b.h`'
document fine
mapped idle pool
notices 'maps what does not exist: executor/sched/pool' sh "$here/docs.sh" "$work/tree"
mapped idle idle
notices 'has twice: executor/sched/idle' sh "$here/docs.sh" "$work/tree"
touch "$work/tree/executor/sched/pool.c"
mapped idle
notices 'leaves out executor/sched/pool' sh "$here/docs.sh" "$work/tree"
rm "$work/tree/executor/sched/pool.c"
echo nothing >"$work/tree/README.md"
notices 'no name like' sh "$here/docs.sh" "$work/tree"

# --- thread_locals.sh ----------------------------------------------------------------------

cat >"$work/a.c" <<'END'
#include <errno.h>
#include <unistd.h>
int pi_yield_like(void);
void pi_fatal(void);
__thread int tls;
int plain(int a);
int plain(int a) { return a + 1; }
int accessor(void);
int accessor(void) { if (tls < 0) pi_fatal(); return tls; }
long wrapper(int fd);
long wrapper(int fd) { char c; return read(fd, &c, 1) < 0 ? -errno : 0; }
int crosses(void);
int crosses(void) { int *p = &tls; *p = 1; pi_yield_like(); return *p; }
END
for flags in "-O2 -fPIC" "-O2 -fno-pic" "-O0 -fPIE" "-O2 -fPIC -ftls-model=initial-exec"; do
    # shellcheck disable=SC2086
    (cd "$work" && rm -f a.a && $cc $flags -c a.c -o a.o && ar rc a.a a.o) || exit 2
    printf 'accessor r\nwrapper r\ncrosses r\n' >"$work/allow"
    notices 'crosses() touches a thread-local and calls pi_yield_like' \
        sh "$here/thread_locals.sh" "$work/a.a" "$work/allow"
    printf 'wrapper r\ncrosses r\n' >"$work/allow"
    notices 'accessor() touches a thread-local:' \
        sh "$here/thread_locals.sh" "$work/a.a" "$work/allow"
    printf 'accessor r\ncrosses r\n' >"$work/allow"
    notices 'wrapper() touches a thread-local:' \
        sh "$here/thread_locals.sh" "$work/a.a" "$work/allow"
    sed '/^int crosses/d' "$work/a.c" >"$work/b.c"
    # shellcheck disable=SC2086
    (cd "$work" && rm -f a.a && $cc $flags -c b.c -o a.o && ar rc a.a a.o) || exit 2
    printf 'acc* r\nwrapper r\n' >"$work/allow"
    passes sh "$here/thread_locals.sh" "$work/a.a" "$work/allow"
    printf 'acc* r\nwrapper r\nplain r\n' >"$work/allow"
    notices 'nothing needs plain' sh "$here/thread_locals.sh" "$work/a.a" "$work/allow"
done

if [ "$($cc -dumpmachine | cut -d- -f1)" = x86_64 ]; then
    # inline asm: as pi_worker_self() does it, and then with something in between.
    asm() {
        printf 'extern __thread void *pi_worker_current; void *f(void); void *f(void) { void *w; __asm__ volatile("movq pi_worker_current@gottpoff(%%%%rip), %%0\\n\\t%smovq %%%%fs:(%%0), %%0" : "=r"(w)); return w; }\n' \
            "$1" >"$work/c.c"
        (cd "$work" && rm -f a.a && $cc -O2 -fPIC -c c.c -o a.o && ar rc a.a a.o) || exit 2
    }
    : >"$work/allow"
    asm ''
    passes sh "$here/thread_locals.sh" "$work/a.a" "$work/allow"
    asm 'nop\n\t'
    notices 'f() touches a thread-local' sh "$here/thread_locals.sh" "$work/a.a" "$work/allow"
    echo 'extern __thread void *pi_worker_current; void *f(void); void *f(void) { return &pi_worker_current; }' \
        >"$work/c.c"
    (cd "$work" && rm -f a.a && $cc -O2 -fPIC -ftls-model=initial-exec -c c.c -o a.o &&
        ar rc a.a a.o) || exit 2
    notices 'f() touches a thread-local' sh "$here/thread_locals.sh" "$work/a.a" "$work/allow"
fi

# --- symbols.sh ------------------------------------------------------------------------------

# library FLAGS: libpica.so and libpica.a from $work/s.c.
library() {
    # shellcheck disable=SC2086
    (cd "$work" && rm -f s.a && $cc -fPIC -c s.c -o s.o && ar rc s.a s.o &&
        $cc -shared -Wl,-soname,libpica.so.0.1 s.o -o s.so $1) || exit 2
}

echo '{ global: pica_*; local: *; };' >"$work/map"
symbols() {
    notices "$1" sh "$here/symbols.sh" "$work/tree" "$work/s.so" "$work/s.a"
}

printf '#define PICA_VERSION_MAJOR 0\n#define PICA_VERSION_MINOR 1\nPICA_API __attribute__((w(1, 2))) int pica_a(void (*f)(int));\nPICA_API\nconst char *\npica_b(void);\n' |
    tree include/pica/a.h
mv "$work/tree/include/pica/a.h" "$work/tree/include/pica/version.h"
echo 'int pica_a(void) { return 1; } int pica_b(void) { return 1; }' >"$work/s.c"
library ""
passes sh "$here/symbols.sh" "$work/tree" "$work/s.so" "$work/s.a"
library "-Wl,--no-as-needed -lm"
symbols 'needs libm'
library "-Wl,-z,execstack"
symbols 'executable stack'
library "-Wl,-soname,libpica.so.9"
symbols 'soname'
echo '__thread long pi_a; long pica_a(void) { return pi_a; } int pica_b(void) { return 1; }' >"$work/s.c"
library "-Wl,--version-script=$work/map"
passes sh "$here/symbols.sh" "$work/tree" "$work/s.so" "$work/s.a"
echo '__thread long pi_a[2]; long pica_a(void) { return pi_a[1]; } int pica_b(void) { return 1; }' >"$work/s.c"
library "-Wl,--version-script=$work/map"
symbols '16 bytes of thread-locals'
echo '__attribute__((constructor)) int pica_a(void) { return 1; } int pica_b(void) { return 1; }' >"$work/s.c"
library ""
symbols 'runs by itself: INIT_ARRAYSZ'
echo '__attribute__((destructor)) int pica_a(void) { return 1; } int pica_b(void) { return 1; }' >"$work/s.c"
library ""
symbols 'runs by itself: FINI_ARRAYSZ'
echo 'int umask(int); int pica_a(void) { return umask(0); } int pica_b(void) { return 1; }' >"$work/s.c"
library ""
symbols 'calls umask()'
echo 'int pica_a(void) { return 1; }' >"$work/s.c"
library ""
symbols 'not exported: pica_b'
echo 'int pica_a(void) { return 1; } int pica_b; int pica_c; int d;' >"$work/s.c"
library ""
symbols 'not declared: pica_c'
symbols 's.so exports d'
symbols 's.a has a global d'

[ "$failures" -eq 0 ] && echo "ok $n faults and clean ones"
