# What `cmake --install` gives: public headers, both libraries, the `hms` command, hms.pc for
# pkg-config, hms::hms for find_package(hms), and the man pages. Sanitized builds have no libraries to
# install.
if(HMS_SANITIZE)
  return()
endif()
include(CMakePackageConfigHelpers)

target_include_directories(hms_shared INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
set_target_properties(hms_shared PROPERTIES EXPORT_NAME hms)
install(TARGETS hms_shared EXPORT hms LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
# Not in the export: it is for LD_PRELOAD and `hms run`, never to be linked with.
install(TARGETS hms_malloc LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS hms RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY include/hms DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN "*.h" PATTERN "*.hpp" PATTERN "hms.f90")

set(HMS_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/hms)
install(EXPORT hms NAMESPACE hms:: DESTINATION ${HMS_CMAKE_DIR} FILE hmsTargets.cmake)
configure_package_config_file(cmake/hmsConfig.cmake.in ${PROJECT_BINARY_DIR}/hmsConfig.cmake
                              INSTALL_DESTINATION ${HMS_CMAKE_DIR})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/hmsConfigVersion.cmake
                                 COMPATIBILITY SameMajorVersion)
install(FILES ${PROJECT_BINARY_DIR}/hmsConfig.cmake ${PROJECT_BINARY_DIR}/hmsConfigVersion.cmake
        DESTINATION ${HMS_CMAKE_DIR})

# From lib/pkgconfig (or lib/x86_64-linux-gnu/pkgconfig) back to the prefix.
file(RELATIVE_PATH HMS_PC_PREFIX /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
configure_file(cmake/hms.pc.in ${PROJECT_BINARY_DIR}/hms.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/hms.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

foreach(section 1 3 7)
  file(GLOB pages CONFIGURE_DEPENDS docs/man/*.${section})
  install(FILES ${pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
endforeach()

install(FILES ${PROJECT_BINARY_DIR}/completions/hms DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES ${PROJECT_BINARY_DIR}/completions/_hms DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
