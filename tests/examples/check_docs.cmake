# SPDX-License-Identifier: MIT
#
# What the documents claim about the tree is true: the README's first C program is
# docs/examples/echo.c from its first #include on, and every relative link in a document
# leads to something that exists.
#
#     cmake -DROOT=... -P check_docs.cmake

file(READ "${ROOT}/docs/examples/echo.c" program)
string(FIND "${program}" "#include" start)
string(SUBSTRING "${program}" ${start} -1 program)
file(READ "${ROOT}/README.md" readme)
string(FIND "${readme}" "```c\n${program}```\n" same)
string(FIND "${readme}" "```c\n" first)
if(first LESS 0 OR NOT same EQUAL first)
    message(SEND_ERROR "README.md: the first C program is not docs/examples/echo.c")
endif()

file(GLOB_RECURSE documents "${ROOT}/docs/*.md")
list(APPEND documents "${ROOT}/README.md")
set(links 0)
foreach(document IN LISTS documents)
    get_filename_component(folder "${document}" DIRECTORY)
    file(READ "${document}" text)
    # Brackets and semicolons mean something in CMake's lists, so they go first.
    string(REPLACE "](" "<<LINK:" text "${text}")
    string(REGEX REPLACE "[][;]" " " text "${text}")
    string(REGEX MATCHALL "<<LINK:[^) ]*" targets "${text}")
    foreach(target IN LISTS targets)
        string(REGEX REPLACE "^<<LINK:" "" target "${target}")
        string(REGEX REPLACE "#.*$" "" target "${target}")
        if(target STREQUAL "" OR target MATCHES "^[a-z]+:")
            continue()
        endif()
        math(EXPR links "${links} + 1")
        if(NOT EXISTS "${folder}/${target}")
            message(SEND_ERROR "${document}: nothing is at ${target}")
        endif()
    endforeach()
endforeach()
if(links EQUAL 0)
    message(SEND_ERROR "no link was found: the check itself is broken")
endif()
message(STATUS "${links} links checked")
