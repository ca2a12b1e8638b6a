# SPDX-License-Identifier: MIT
#
# pica::jemalloc, for executables: makes jemalloc the malloc of the process. libpica itself
# needs no jemalloc; it finds out which malloc is live. The target exists where jemalloc is
# found. Its use is --no-as-needed, since a program calls nothing but malloc of it.
if(NOT TARGET pica::jemalloc)
    find_library(PICA_JEMALLOC_LIBRARY jemalloc DOC "jemalloc (libjemalloc-dev)")
    mark_as_advanced(PICA_JEMALLOC_LIBRARY)
    if(PICA_JEMALLOC_LIBRARY)
        add_library(pica::jemalloc INTERFACE IMPORTED ${PICA_JEMALLOC_SCOPE})
        set_property(
            TARGET pica::jemalloc
            PROPERTY INTERFACE_LINK_LIBRARIES
                     "-Wl,--push-state,--no-as-needed,${PICA_JEMALLOC_LIBRARY},--pop-state")
    endif()
endif()
