# SPDX-License-Identifier: MIT
#
# cmake --install: the headers, the libraries, find_package(pica) and pkg-config pica.
include(CMakePackageConfigHelpers)

set(pica_config_dir "${CMAKE_INSTALL_LIBDIR}/cmake/pica")

install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DATADIR}/doc/pica")
install(TARGETS pica_static EXPORT pica-targets ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
if(PICA_SHARED)
    install(TARGETS pica EXPORT pica-targets LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}")
endif()
install(EXPORT pica-targets NAMESPACE pica:: DESTINATION "${pica_config_dir}")

configure_package_config_file(
    "${CMAKE_CURRENT_LIST_DIR}/pica-config.cmake.in" "${PROJECT_BINARY_DIR}/pica-config.cmake"
    INSTALL_DESTINATION "${pica_config_dir}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/pica-config-version.cmake"
                                 COMPATIBILITY SameMinorVersion)
install(
    FILES "${PROJECT_BINARY_DIR}/pica-config.cmake"
          "${PROJECT_BINARY_DIR}/pica-config-version.cmake"
          "${CMAKE_CURRENT_LIST_DIR}/pica-jemalloc.cmake"
    DESTINATION "${pica_config_dir}")

# Relative to the .pc file, so that the installed tree can be moved; what is absolute stays so.
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
    set(pica_pc_prefix "${CMAKE_INSTALL_PREFIX}")
else()
    file(RELATIVE_PATH pica_pc_prefix "/prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/prefix")
    string(PREPEND pica_pc_prefix "\${pcfiledir}/")
endif()
foreach(dir LIBDIR INCLUDEDIR)
    set(pica_pc_${dir} "\${prefix}")
    cmake_path(APPEND pica_pc_${dir} "${CMAKE_INSTALL_${dir}}")
    string(REPLACE " " "\\ " pica_pc_${dir} "${pica_pc_${dir}}")
endforeach()
string(REPLACE " " "\\ " pica_pc_prefix "${pica_pc_prefix}")
configure_file("${CMAKE_CURRENT_LIST_DIR}/pica.pc.in" "${PROJECT_BINARY_DIR}/pica.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/pica.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
