# Embeds Debian's libjemalloc_pic.a under private names, so that our libraries can export their own
# malloc and jemalloc API. Every public jemalloc name becomes hmsje_NAME; the C++ operators are
# dropped (ours live in allocator/entry); everything else is made local to the one object.
find_library(HMS_JEMALLOC_PIC jemalloc_pic REQUIRED)
set(HMS_JEMALLOC_DIR ${PROJECT_BINARY_DIR}/jemalloc)
set(HMS_JEMALLOC_OBJECT ${HMS_JEMALLOC_DIR}/hms_jemalloc.o)
add_custom_command(
  OUTPUT ${HMS_JEMALLOC_OBJECT}
  COMMAND ${CMAKE_COMMAND} -E make_directory ${HMS_JEMALLOC_DIR}
  COMMAND ${PROJECT_SOURCE_DIR}/cmake/embed_jemalloc.sh ${HMS_JEMALLOC_PIC} ${HMS_JEMALLOC_OBJECT}
  DEPENDS ${PROJECT_SOURCE_DIR}/cmake/embed_jemalloc.sh ${HMS_JEMALLOC_PIC}
  COMMENT "Embedding jemalloc under private names")
add_custom_target(hms_jemalloc_build DEPENDS ${HMS_JEMALLOC_OBJECT})
set_source_files_properties(${HMS_JEMALLOC_OBJECT} PROPERTIES EXTERNAL_OBJECT TRUE GENERATED TRUE)
