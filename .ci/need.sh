# SPDX-License-Identifier: MIT
#
# need.sh, to be sourced: what a script needs, and where Debian has it.
#
#   need gcc gcc                             a program in PATH
#   need /usr/include/ck_stack.h libck-dev   a file (a pattern will do)
#   need_that 'test command' package         whatever the command says
#   need_cmake                               CMake, as new as the presets want it
#   need_to_build                            that, and what else a preset of gcc's builds with
#   need_done                                names what is missing, installs it
#
# Nothing missing: silent. PICA_NO_INSTALL=1, or no apt-get, or not allowed to: prints what to
# install and exits 3.

need_missing=
need_new_cmake=

need_that() {
    sh -c "$1" >/dev/null 2>&1 || need_missing="$need_missing $2"
}

need() {
    case $1 in
    /*)
        for need_file in $1; do
            [ -e "$need_file" ] && return 0
        done
        need_missing="$need_missing $2"
        ;;
    *) command -v "$1" >/dev/null 2>&1 || need_missing="$need_missing $2" ;;
    esac
}

need_cmake_is_new() {
    cmake --version 2>/dev/null |
        awk 'NR == 1 { split($3, v, "."); new = v[1] * 1000 + v[2] >= 3025 } END { exit !new }'
}

need_cmake() {
    need_new_cmake=yes
    need_cmake_is_new || need_missing="$need_missing cmake"
}

need_give_up() {
    echo "$1 To install:" >&2
    echo "    apt-get install -y --no-install-recommends$need_missing" >&2
    exit 3
}

need_to_build() {
    need_cmake
    need ninja ninja-build
    need gcc gcc
    need /usr/include/stdio.h libc6-dev
    need /usr/include/ck_stack.h libck-dev
    need /usr/include/jemalloc/jemalloc.h libjemalloc-dev
}

need_done() {
    [ -n "$need_missing" ] || return 0
    echo "missing:$need_missing" >&2
    [ "${PICA_NO_INSTALL:-0}" != 1 ] || need_give_up "PICA_NO_INSTALL is set, nothing is installed."
    command -v apt-get >/dev/null 2>&1 || need_give_up "There is no apt-get here."
    need_root=
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null ||
            need_give_up "Neither root nor sudo without a password."
        need_root="sudo -n"
    fi
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086
    { $need_root apt-get update -q && $need_root apt-get install -q -y --no-install-recommends \
        $need_missing; } >&2 || need_give_up "The installation failed."
    [ -z "$need_new_cmake" ] || need_cmake_is_new ||
        need_give_up "CMake 3.25 or newer is needed, and apt-get has none."
    need_missing=
}
