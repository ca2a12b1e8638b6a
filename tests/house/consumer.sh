#!/bin/sh
# SPDX-License-Identifier: MIT
#
# consumer.sh WAY ROOT BUILD WORK: a stranger builds a program on pica, and runs it.
#
#   find_package    the installed library, by CMake: shared, static, inside a shared object, with
#                   jemalloc, from C++ and from C++ alone
#   pkg-config      the installed library, by pkg-config: shared and static, from C++
#   subdirectory    the sources, by add_subdirectory(), in a project with flags of its own, in one
#                   with link-time optimisation, and in one of C++ alone
#   plain           the sources, by cmake -B, --build and --install without any option, on a
#                   system that has what a user needs and no more; then without libpica.so
#
# BUILD is a build of pica, to be installed from; WORK is emptied and used. The compiler is CC.
set -eu
way=$1 root=$2 build=$3 work=$4
cc=${CC:-cc}
rm -rf "$work"
mkdir -p "$work/src"
cd "$work"

here=$(cd "$(dirname "$0")" && pwd)
cp "$here"/consumer/* src/
cp src/main.c src/main.cpp
strict="-Wall -Wextra -Werror -pedantic"

case $way in
find_package | pkg-config) cmake --install "$build" --prefix "$work/prefix" >install.log ;;
esac
libdir=$(find "$work" -name libpica.a | head -n 1 | sed 's,/libpica.a,,')

# runs PROGRAM ALLOCATOR
runs() {
    "$@" || { echo "$way: $* gave $?"; exit 1; }
}

# compiles COMPILER [ARGUMENT..] -- PKG_CONFIG_ARGUMENT..: with what pkg-config says, which quotes
# what a shell would take apart.
compiles() {
    line=
    while [ "$1" != -- ]; do
        line="$line '$1'"
        shift
    done
    shift
    eval "$line $(pkg-config "$@" pica)"
}

needs_pica() {
    readelf -d "$1" | grep -q 'NEEDED.*libpica\.so\.[0-9.]*\]'
}

# cxx_only GIVES_PICA OPTION..: configures a project without the language C.
cxx_only() {
    mkdir -p cxx
    cp src/host.cpp cxx
    cat >cxx/CMakeLists.txt <<END
cmake_minimum_required(VERSION 3.25)
project(consumer CXX)
find_package(Threads REQUIRED)
$1
add_executable(host host.cpp)
target_link_libraries(host pica::pica Threads::Threads)
END
    shift
    cmake -G Ninja -S cxx -B cxx_only "$@" >out.log 2>&1 || { cat out.log; exit 1; }
}

case $way in
find_package)
    cat >src/CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.25)
project(consumer C CXX)
find_package(pica 0.1 CONFIG REQUIRED COMPONENTS jemalloc)
set(CMAKE_C_FLAGS "-Wall -Wextra -Werror -pedantic -std=c11")
add_executable(shared main.c)
target_link_libraries(shared pica::pica)
add_executable(static main.c)
target_link_libraries(static pica::pica_static)
add_executable(jemalloc main.c)
target_link_libraries(jemalloc pica::pica pica::jemalloc)
set(CMAKE_CXX_FLAGS "-Wall -Wextra -Werror -pedantic -std=c++11")
find_package(Threads REQUIRED)
add_executable(cxx main.cpp)
target_link_libraries(cxx pica::pica)
add_executable(cxx_host host.cpp)
target_link_libraries(cxx_host pica::pica Threads::Threads)
add_executable(cxx_static host.cpp)
target_link_libraries(cxx_static pica::pica_static Threads::Threads)
add_executable(cxx_jemalloc host.cpp)
target_link_libraries(cxx_jemalloc pica::pica_static pica::jemalloc Threads::Threads)
# A shared object that keeps its pica to itself, and a program that knows nothing of it.
add_library(inside SHARED main.c)
target_compile_definitions(inside PRIVATE main=inside_main)
target_link_libraries(inside PRIVATE pica::pica_static)
target_link_options(inside PRIVATE LINKER:--exclude-libs,libpica.a)
file(WRITE "${CMAKE_BINARY_DIR}/outside.c" "int inside_main(int argc, char **argv);
int main(int argc, char **argv) { return inside_main(argc, argv); }
")
add_executable(outside "${CMAKE_BINARY_DIR}/outside.c")
target_link_libraries(outside inside)
# Versions: before 1.0 a minor number may change the interface.
foreach(version 0.0 0.99 1.0)
    find_package(pica ${version} CONFIG QUIET)
    if(pica_FOUND)
        message(FATAL_ERROR "pica ${pica_VERSION} passes for ${version}")
    endif()
endforeach()
END
    cmake -G Ninja -S src -B out -DCMAKE_PREFIX_PATH="$work/prefix" -DCMAKE_C_COMPILER="$cc" \
        >out.log 2>&1 || { cat out.log; exit 1; }
    cmake --build out -j 2 >out.log 2>&1 || { cat out.log; exit 1; }
    runs out/shared system
    runs out/static system
    runs out/jemalloc jemalloc
    runs out/cxx system
    runs out/cxx_host system
    runs out/cxx_static system
    runs out/cxx_jemalloc jemalloc
    runs out/outside system
    nm -D --defined-only out/libinside.so | grep ' pica_' && { echo "libinside.so shows pica"; exit 1; }
    needs_pica out/shared || { echo "out/shared does not use libpica.so"; exit 1; }
    needs_pica out/static && { echo "out/static uses libpica.so"; exit 1; }
    cxx_only 'find_package(pica CONFIG REQUIRED)' -DCMAKE_PREFIX_PATH="$work/prefix"
    cmake --build cxx_only >out.log 2>&1 || { cat out.log; exit 1; }
    runs cxx_only/host system
    ;;
pkg-config)
    export PKG_CONFIG_PATH="$libdir/pkgconfig"
    [ "$(pkg-config --modversion pica)" = "$(sed -n 's/.*VERSION_STRING "\(.*\)"/\1/p' \
        "$root/include/pica/version.h")" ] || { echo "pica.pc has another version"; exit 1; }
    # shellcheck disable=SC2086
    compiles $cc -std=c11 $strict src/main.c -o shared -- --cflags --libs
    runs env LD_LIBRARY_PATH="$libdir" ./shared system
    needs_pica shared || { echo "shared does not use libpica.so"; exit 1; }
    # As a static program, so that -lpica finds libpica.a.
    # shellcheck disable=SC2086
    compiles $cc -std=c11 $strict -static src/main.c -o static -- --static --cflags --libs \
        2>static.log || { cat static.log; exit 1; }
    runs ./static system
    # shellcheck disable=SC2086
    compiles c++ -std=c++11 $strict -pthread src/host.cpp -o cxx -- --cflags --libs
    runs env LD_LIBRARY_PATH="$libdir" ./cxx system
    # libpica.a by its name, the rest shared.
    # shellcheck disable=SC2086
    compiles $cc src/main.c -o mixed "$libdir/libpica.a" -pthread -- --cflags
    runs ./mixed system
    needs_pica mixed && { echo "mixed uses libpica.so"; exit 1; }
    # The prefix can be moved.
    mv prefix moved
    PKG_CONFIG_PATH=$(echo "$PKG_CONFIG_PATH" | sed "s,^$work/prefix,$work/moved,")
    # shellcheck disable=SC2086
    compiles $cc src/main.c -o shared -- --cflags --libs
    ;;
subdirectory)
    cat >src/CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.25)
project(consumer C)
set(CMAKE_C_STANDARD 11)
set(CMAKE_UNITY_BUILD ON)
if(CONSUMER_LTO)
    include(CheckIPOSupported)
    check_ipo_supported(RESULT CMAKE_INTERPROCEDURAL_OPTIMIZATION)
endif()
set(before "${CMAKE_C_FLAGS}|${CMAKE_BUILD_TYPE}|${CMAKE_MODULE_PATH}|${BUILD_TESTING}")
add_subdirectory("${PICA_ROOT}" pica EXCLUDE_FROM_ALL)
if(NOT before STREQUAL "${CMAKE_C_FLAGS}|${CMAKE_BUILD_TYPE}|${CMAKE_MODULE_PATH}|${BUILD_TESTING}")
    message(FATAL_ERROR "a variable of the parent has changed")
endif()
foreach(property COMPILE_OPTIONS COMPILE_DEFINITIONS LINK_OPTIONS INCLUDE_DIRECTORIES TESTS)
    get_property(value DIRECTORY PROPERTY ${property})
    if(value)
        message(FATAL_ERROR "the parent's ${property} has become ${value}")
    endif()
endforeach()
get_property(names DIRECTORY "${PICA_ROOT}" PROPERTY BUILDSYSTEM_TARGETS)
list(FILTER names EXCLUDE REGEX "^pica(_|$)")
if(names)
    message(FATAL_ERROR "targets without a prefix: ${names}")
endif()
get_property(variables DIRECTORY PROPERTY CACHE_VARIABLES)
list(FILTER variables EXCLUDE REGEX "^(_|CMAKE_|CONSUMER_|PICA_|pica_|consumer_|Threads_|FIND_PACKAGE_)")
if(variables)
    message(FATAL_ERROR "cache variables without a prefix: ${variables}")
endif()
add_executable(shared main.c)
target_link_libraries(shared pica::pica)
add_executable(static main.c)
target_link_libraries(static pica::pica_static)
target_compile_options(static PRIVATE -Wall -Wextra -Wpedantic -Werror)
if(TARGET pica::jemalloc)
    add_executable(jemalloc main.c)
    target_link_libraries(jemalloc pica::pica_static pica::jemalloc)
endif()
END
    cmake -G Ninja -S src -B out -DPICA_ROOT="$root" -DCMAKE_C_COMPILER="$cc" \
        -DCMAKE_BUILD_TYPE=Release >out.log 2>&1 || { cat out.log; exit 1; }
    cmake --build out -j 2 >out.log 2>&1 || { cat out.log; exit 1; }
    runs out/shared system
    runs out/static system
    [ ! -e out/jemalloc ] || runs out/jemalloc jemalloc
    # With link-time optimisation, which takes out of an archive what it sees named.
    cmake -G Ninja -S src -B lto -DPICA_ROOT="$root" -DCMAKE_C_COMPILER="$cc" \
        -DCMAKE_BUILD_TYPE=Release -DCONSUMER_LTO=ON >out.log 2>&1 || { cat out.log; exit 1; }
    cmake --build lto -j 2 --target static >out.log 2>&1 || { cat out.log; exit 1; }
    runs lto/static system
    # shellcheck disable=SC2016
    cxx_only 'add_subdirectory("${PICA_ROOT}" pica)
        get_target_property(library pica::pica ALIASED_TARGET)
        if(NOT library STREQUAL "pica_static")
            message(FATAL_ERROR "pica::pica is ${library}, against BUILD_SHARED_LIBS")
        endif()' -DPICA_ROOT="$root" -DBUILD_SHARED_LIBS=OFF
    ;;
plain)
    # What a user has: a compiler, cmake and make. No ninja, clang, gdb, wrk, curl, objdump, git.
    # Not in $work: make does not run from a path with a blank.
    tools=$(mktemp -d)
    trap 'rm -rf "$tools"' EXIT
    for tool in sh cmake make gcc cc ld as ar ranlib nm strip uname; do
        ln -s "$(command -v $tool)" "$tools/$tool"
    done
    user() {
        env -u CC -u CXX -u CMAKE_C_COMPILER_LAUNCHER -u CMAKE_CXX_COMPILER_LAUNCHER \
            -u CMAKE_GENERATOR PATH="$tools" "$@" >out.log 2>&1 || { cat out.log; exit 1; }
    }
    build_and_install() {
        kind=$1
        shift
        user cmake -S "$root" -B "$kind" "$@"
        user cmake --build "$kind" -j 2
        user cmake --install "$kind" --prefix "$work/$kind-prefix"
        made=$(find "$kind" -type f -perm -u+x ! -path '*/CMakeFiles/*' ! -name '*.so.*')
        [ -z "$made" ] || { echo "it builds more than the library: $made"; exit 1; }
        installed=$(find "$work/$kind-prefix" -name '*.a' | sed 's,/libpica.a,,')
        eval "libdir=$(PKG_CONFIG_PATH="$installed/pkgconfig" pkg-config --variable=libdir pica)"
        [ "$(cd "$libdir" && pwd)" = "$installed" ] ||
            { echo "pica.pc says $libdir instead of $installed"; exit 1; }
    }
    build_and_install default
    grep -q 'CMAKE_BUILD_TYPE:STRING=RelWithDebInfo' default/CMakeCache.txt ||
        { echo "it is not optimised"; exit 1; }
    export PKG_CONFIG_PATH="$installed/pkgconfig"
    # shellcheck disable=SC2086
    compiles $cc src/main.c -o shared -- --cflags --libs
    runs env LD_LIBRARY_PATH="$installed" ./shared system
    needs_pica shared || { echo "shared does not use libpica.so"; exit 1; }
    build_and_install lean -DPICA_SHARED=OFF -DCMAKE_BUILD_TYPE=Debug \
        -DCMAKE_INSTALL_PREFIX="$work/lean-prefix" -DCMAKE_INSTALL_LIBDIR="$work/lean-prefix/lib"
    [ -z "$(find "$work/lean-prefix" -name '*.so*')" ] || { echo "a shared library is there"; exit 1; }
    cat >src/CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.25)
project(consumer C)
find_package(pica CONFIG REQUIRED)
add_executable(whatever main.c)
target_link_libraries(whatever pica::pica)
END
    user cmake -S src -B out -DCMAKE_PREFIX_PATH="$work/lean-prefix"
    user cmake --build out
    runs out/whatever system
    needs_pica out/whatever && { echo "out/whatever uses libpica.so"; exit 1; }
    ;;
*)
    exit 2
    ;;
esac
echo "ok $way"
