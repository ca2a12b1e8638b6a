# SPDX-License-Identifier: MIT
#
# Toolchain file: aarch64 with Debian's cross compiler, its programs run by qemu-user.
# Of ConcurrencyKit only headers are used, and those of any architecture's package hold all of
# them; they are linked from a folder of their own, because beside them in /usr/include lie this
# machine's libc headers.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)

set(pica_aarch64_root /usr/aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH "${pica_aarch64_root}")
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -L "${pica_aarch64_root}")

get_property(pica_in_try_compile GLOBAL PROPERTY IN_TRY_COMPILE)
if(NOT pica_in_try_compile AND NOT DEFINED CACHE{PICA_CK_INCLUDE_DIR})
    file(GLOB pica_ck_headers /usr/include/ck_*.h)
    file(MAKE_DIRECTORY "${CMAKE_BINARY_DIR}/ck")
    foreach(header IN LISTS pica_ck_headers ITEMS /usr/include/gcc)
        get_filename_component(name "${header}" NAME)
        file(CREATE_LINK "${header}" "${CMAKE_BINARY_DIR}/ck/${name}" SYMBOLIC)
    endforeach()
    set(PICA_CK_INCLUDE_DIR "${CMAKE_BINARY_DIR}/ck" CACHE PATH "The headers of ConcurrencyKit")
endif()
