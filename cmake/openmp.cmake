# OpenMP memory management: libhms_omp.so (spaces, traits and the ABI of both runtimes, with the malloc door, so that
# one library serves the whole process) and libhms_memkind.so (for runtimes that look for memkind).
option(HMS_BUILD_OPENMP "Build the OpenMP door, its tests and its examples" ON)
if(NOT HMS_BUILD_OPENMP)
  return()
endif()
file(GLOB HMS_OPENMP_SOURCES CONFIGURE_DEPENDS openmp/*.cc)
file(GLOB HMS_OPENMP_ENTRY_SOURCES CONFIGURE_DEPENDS openmp/entry/*.cc)

add_library(hms_openmp OBJECT ${HMS_OPENMP_SOURCES})
target_link_libraries(hms_openmp PUBLIC hms_options)

if(NOT HMS_SANITIZE)
  hms_shared_library(hms_omp cmake/hms_omp.map $<TARGET_OBJECTS:hms_openmp> ${HMS_ENTRY_SOURCES}
                     ${HMS_OPENMP_ENTRY_SOURCES})
  target_link_options(hms_omp PRIVATE -Wl,-Bsymbolic-functions)
  set_target_properties(hms_omp PROPERTIES OUTPUT_NAME hms_omp)

  # Looked up by name: libomp asks for libmemkind.so, libgomp for libmemkind.so.0. In a folder of its own, which a
  # person puts into LD_LIBRARY_PATH: nobody should get it by accident.
  set(HMS_MEMKIND_DIR ${PROJECT_BINARY_DIR}/memkind)
  hms_shared_library(hms_memkind cmake/hms_malloc.map $<TARGET_OBJECTS:hms_openmp> openmp/memkind/memkind.cc)
  set_target_properties(hms_memkind PROPERTIES OUTPUT_NAME hms_memkind LIBRARY_OUTPUT_DIRECTORY ${HMS_MEMKIND_DIR})
  add_custom_command(TARGET hms_memkind POST_BUILD
                     COMMAND ${CMAKE_COMMAND} -E create_symlink libhms_memkind.so ${HMS_MEMKIND_DIR}/libmemkind.so
                     COMMAND ${CMAKE_COMMAND} -E create_symlink libhms_memkind.so ${HMS_MEMKIND_DIR}/libmemkind.so.0)
  if(HMS_BUILD_TESTS AND EXISTS ${PROJECT_SOURCE_DIR}/tests/openmp/CMakeLists.txt)
    enable_testing()
    add_subdirectory(tests/openmp)
  endif()
  if(HMS_BUILD_BENCH)
    add_subdirectory(bench/openmp)
  endif()
  if(EXISTS ${PROJECT_SOURCE_DIR}/examples/CMakeLists.txt)
    add_subdirectory(examples)
  endif()

  install(FILES include/hms/hms_omp.f90 DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/hms)
  install(TARGETS hms_omp LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(TARGETS hms_memkind LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/hms)
  install(CODE "
    foreach(name libmemkind.so libmemkind.so.0)
      file(CREATE_LINK libhms_memkind.so
           \$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_LIBDIR}/hms/\${name} SYMBOLIC)
    endforeach()")
endif()
