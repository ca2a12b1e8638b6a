# SPDX-License-Identifier: MIT
#
# How the project's own targets are compiled.
#   pica_flags          warnings and sanitizers, for every target
#   pica_library_flags  what the library's objects need on top
#   pica_library()      what the static and the shared library have in common
#   pica_program()      an executable of the project: static libpica, jemalloc, these flags

add_library(pica_flags INTERFACE)
target_compile_options(
    pica_flags
    INTERFACE -Wall
              -Wextra
              -Wpedantic
              -Wshadow
              -Wconversion
              -Wvla
              -Wcast-qual
              -Wnull-dereference
              $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes>
              $<$<COMPILE_LANGUAGE:C>:-Wmissing-prototypes>
              $<$<BOOL:${PICA_WERROR}>:-Werror>)

if(PICA_DEBUG)
    target_compile_definitions(pica_flags INTERFACE PICA_DEBUG=1)
endif()

if(PICA_PERTURB)
    target_compile_definitions(pica_flags INTERFACE PI_PERTURB=1 PICA_CALLS_ONLY=1)
    target_include_directories(pica_flags INTERFACE "${PROJECT_SOURCE_DIR}/tests/perturb")
endif()

if(PICA_SANITIZE STREQUAL "address")
    set(sanitize -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
elseif(PICA_SANITIZE STREQUAL "thread")
    if(NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
        message(FATAL_ERROR "PICA_SANITIZE=thread needs clang: gcc's has no room for many stacks.")
    endif()
    set(sanitize -fsanitize=thread -fno-omit-frame-pointer)
elseif(PICA_SANITIZE)
    message(FATAL_ERROR "PICA_SANITIZE is address, thread or empty, not ${PICA_SANITIZE}")
else()
    set(sanitize)
endif()
target_compile_options(pica_flags INTERFACE ${sanitize})
target_link_options(pica_flags INTERFACE ${sanitize})

# A frame larger than a page would jump a guard, so the compiler has to touch each page of
# it. Semantic interposition would forbid inlining what is public, in PIC objects.
add_library(pica_library_flags INTERFACE)
target_compile_options(pica_library_flags INTERFACE -fstack-clash-protection
                                                    -fno-semantic-interposition)
if(NOT PICA_SANITIZE)
    target_compile_options(pica_library_flags INTERFACE -Wframe-larger-than=4096)
endif()
if(CMAKE_C_COMPILER_ID STREQUAL "GNU" AND CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
    target_compile_options(pica_library_flags
                           INTERFACE "SHELL:--param stack-clash-protection-guard-size=12")
endif()

function(pica_library target)
    target_include_directories(
        ${target} PUBLIC "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>"
                         "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
    target_link_libraries(${target} PRIVATE Threads::Threads ${CMAKE_DL_LIBS})
    target_link_options(${target} PRIVATE $<TARGET_PROPERTY:pica_flags,INTERFACE_LINK_OPTIONS>)
    set_target_properties(${target} PROPERTIES OUTPUT_NAME pica LINKER_LANGUAGE C)
endfunction()

function(pica_program target)
    add_executable(${target} ${ARGN})
    target_compile_definitions(${target} PRIVATE _GNU_SOURCE)
    set_target_properties(${target} PROPERTIES C_STANDARD 11 C_EXTENSIONS ON)
    target_link_libraries(${target} PRIVATE pica_static pica_flags)
    if(TARGET pica::jemalloc)
        target_link_libraries(${target} PRIVATE pica::jemalloc)
    endif()
endfunction()
