#!/bin/sh
# SPDX-License-Identifier: MIT
#
# consumer.sh WAY ROOT BUILD WORK: a stranger builds a program on pica, and runs it.
#
#   find_package    the installed library, by CMake: shared, static, with jemalloc, as C++
#   pkg-config      the installed library, by pkg-config: shared and static
#   subdirectory    the sources, by add_subdirectory(), in a project with flags of its own
#
# BUILD is a build of pica, to be installed from; WORK is emptied and used. The compiler is CC.
set -eu
way=$1 root=$2 build=$3 work=$4
cc=${CC:-cc}
rm -rf "$work"
mkdir -p "$work/src"
cd "$work"

cat >src/main.c <<'END'
#include <pica/pica.h>
#include <stdio.h>
#include <string.h>
static intptr_t twice(void *arg) { return *(int *)arg * 2; }
static intptr_t main_task(void *arg)
{
    int n = 21;
    intptr_t value = 0;
    pica_task *task;
    if (pica_spawn(&task, twice, &n) < 0 || pica_await(task, &value) < 0)
        return 1;
    pica_unref(task);
    return value == 42 && !strcmp((const char *)arg, pica_allocator()) ? 0 : 2;
}
int main(int argc, char **argv)
{
    (void)argc;
    return (int)pica_run(main_task, argv[1], NULL);
}
END
cp src/main.c src/main.cpp

case $way in
find_package | pkg-config) cmake --install "$build" --prefix "$work/prefix" >install.log ;;
esac
libdir=$(find "$work" -name libpica.a | head -n 1 | sed 's,/libpica.a,,')

# runs PROGRAM ALLOCATOR
runs() {
    "$@" || { echo "$way: $* gave $?"; exit 1; }
}

needs_pica() {
    readelf -d "$1" | grep -q 'NEEDED.*libpica\.so\.0\]'
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
add_executable(cxx main.cpp)
target_link_libraries(cxx pica::pica)
END
    cmake -G Ninja -S src -B out -DCMAKE_PREFIX_PATH="$work/prefix" -DCMAKE_C_COMPILER="$cc" \
        >out.log 2>&1 || { cat out.log; exit 1; }
    cmake --build out -j 2 >out.log 2>&1 || { cat out.log; exit 1; }
    runs out/shared system
    runs out/static system
    runs out/jemalloc jemalloc
    runs out/cxx system
    needs_pica out/shared || { echo "out/shared does not use libpica.so"; exit 1; }
    needs_pica out/static && { echo "out/static uses libpica.so"; exit 1; }
    ;;
pkg-config)
    export PKG_CONFIG_PATH="$libdir/pkgconfig"
    [ "$(pkg-config --modversion pica)" = "$(sed -n 's/.*VERSION_STRING "\(.*\)"/\1/p' \
        "$root/include/pica/version.h")" ] || { echo "pica.pc has another version"; exit 1; }
    # shellcheck disable=SC2046
    $cc -std=c11 -Wall -Werror src/main.c -o shared $(pkg-config --cflags --libs pica)
    runs env LD_LIBRARY_PATH="$libdir" ./shared system
    needs_pica shared || { echo "shared does not use libpica.so"; exit 1; }
    # As a static program, so that -lpica finds libpica.a.
    # shellcheck disable=SC2046
    $cc -std=c11 -Wall -Werror -static src/main.c -o static \
        $(pkg-config --static --cflags --libs pica) 2>static.log || { cat static.log; exit 1; }
    runs ./static system
    # The prefix can be moved.
    mv prefix moved
    PKG_CONFIG_PATH=$(echo "$PKG_CONFIG_PATH" | sed "s,^$work/prefix,$work/moved,")
    # shellcheck disable=SC2046
    $cc src/main.c -o shared $(pkg-config --cflags --libs pica)
    ;;
subdirectory)
    cat >src/CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.25)
project(consumer C)
set(CMAKE_C_STANDARD 11)
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
list(FILTER variables EXCLUDE REGEX "^(_|CMAKE_|PICA_|pica_|consumer_|Threads_|FIND_PACKAGE_)")
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
    ;;
*)
    exit 2
    ;;
esac
echo "ok $way"
