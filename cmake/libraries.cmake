# The shared libraries. Each is complete in itself: under LD_PRELOAD the preloaded one's hms_* symbols win
# (same HMS_1.0 versions), so a program linked with libhms.so and run under libhms_malloc.so has one allocator.
# None is ever unloaded: handlers of fork and of thread exit, and whoever frees a block, call into its code.
# libstdc++ is private to each, so a preloaded library does not load it into C programs.
function(hms_shared_library name map)
  # In this order: what every process runs lies together, because the kernel maps 64 KiB around each page of code
  # that is touched, and all of them count as resident.
  set(start "support/(counters|os|os_files)[.]cc")
  add_library(${name} SHARED ${ARGN} $<TARGET_OBJECTS:hms_allocator>
                             $<FILTER:$<TARGET_OBJECTS:hms_runtime>,INCLUDE,${start}> ${HMS_JEMALLOC_OBJECT}
                             $<FILTER:$<TARGET_OBJECTS:hms_runtime>,EXCLUDE,${start}>)
  add_dependencies(${name} hms_jemalloc_build)
  target_link_libraries(${name} PRIVATE hms_options pthread dl m)
  target_link_options(${name} PRIVATE -static-libstdc++ -static-libgcc -Wl,-z,relro,-z,now,-z,nodelete
                      -Wl,--no-undefined -Wl,--gc-sections -Wl,-z,pack-relative-relocs
                      -Wl,--version-script=${PROJECT_SOURCE_DIR}/${map} -Wl,--exclude-libs,ALL)
  set_target_properties(${name} PROPERTIES LINK_DEPENDS ${PROJECT_SOURCE_DIR}/${map})
endfunction()

if(NOT HMS_SANITIZE)
  hms_shared_library(hms_shared cmake/hms.map)
  set_target_properties(hms_shared PROPERTIES OUTPUT_NAME hms VERSION ${PROJECT_VERSION}
                                              SOVERSION ${PROJECT_VERSION_MAJOR})

  # The interposer; not built with sanitizers, which bring an allocator of their own.
  hms_shared_library(hms_malloc cmake/hms_malloc.map ${HMS_ENTRY_SOURCES})
  # Our own calls of malloc and operator new stay inside, whoever interposes them.
  target_link_options(hms_malloc PRIVATE -Wl,-Bsymbolic-functions)
  set_target_properties(hms_malloc PROPERTIES OUTPUT_NAME hms_malloc)
endif()
