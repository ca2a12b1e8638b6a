# SPDX-License-Identifier: MIT
#
# Runs an example and holds it to its word: it succeeds, is silent on stderr, prints exactly
# what EXPECTED holds, and takes between MIN_MS and MAX_MS.
#
#     cmake -DPROGRAM=... -DEXPECTED=... -DMIN_MS=... -DMAX_MS=... [-DEMULATOR=...] -P run.cmake

cmake_minimum_required(VERSION 3.25)

# What took too long may have waited for a CPU, and counts only if it does so each time, also if it
# has been killed for that. So it is for what was late and printed something else: the programs say
# how many seconds they took, and whom they wait for a tenth of a second more. And so it is for the
# order of the lines of those that sleep: one thread may have waited while the others went on, and
# were in time.
function(sorted lines into)
    string(REPLACE ";" "," lines "${lines}")
    string(REPLACE "\n" ";" lines "${lines}")
    list(SORT lines)
    set(${into} "${lines}" PARENT_SCOPE)
endfunction()

math(EXPR time_out_s "${MAX_MS} / 1000 + 10")
math(EXPR late_ms "${MIN_MS} + 100")
file(READ "${EXPECTED}" expected)
sorted("${expected}" expected_lines)
foreach(try RANGE 1 5)
    string(TIMESTAMP begin_us "%s%f" UTC)
    execute_process(
        COMMAND ${EMULATOR} "${PROGRAM}"
        TIMEOUT ${time_out_s}
        RESULT_VARIABLE result
        OUTPUT_VARIABLE output
        ERROR_VARIABLE errors)
    string(TIMESTAMP end_us "%s%f" UTC)
    math(EXPR took_ms "(${end_us} - ${begin_us}) / 1000")
    sorted("${output}" lines)
    if(result MATCHES "timeout")
        continue()
    elseif(NOT result STREQUAL "0")
        break()
    elseif(output STREQUAL expected)
        if(NOT took_ms GREATER MAX_MS)
            break()
        endif()
    elseif(NOT took_ms GREATER late_ms AND
           NOT (MIN_MS GREATER 0 AND lines STREQUAL expected_lines))
        break()
    endif()
endforeach()

set(story "It ended with ${result} after ${took_ms} ms.
---- expected
${expected}---- printed
${output}---- on stderr
${errors}----")
if(NOT result STREQUAL "0")
    message(FATAL_ERROR "The program failed. ${story}")
endif()
if(NOT output STREQUAL expected)
    message(FATAL_ERROR "The output differs. ${story}")
endif()
if(NOT errors STREQUAL "")
    message(FATAL_ERROR "There is something on stderr. ${story}")
endif()
if(took_ms LESS MIN_MS OR took_ms GREATER MAX_MS)
    message(FATAL_ERROR "It should take ${MIN_MS} to ${MAX_MS} ms. ${story}")
endif()
message(STATUS "as expected, in ${took_ms} ms")
