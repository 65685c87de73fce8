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
  target_link_options(hms_omp PRIVATE -Wl,-Bsymbolic-functions -Wl,-z,nodelete)
  set_target_properties(hms_omp PROPERTIES OUTPUT_NAME hms_omp)
endif()
