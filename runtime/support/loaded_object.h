// Which loaded object (program, shared library) holds a piece of code, and what names that object
// in other runs: found without the dynamic linker's lock.
//
// dladdr() and dl_iterate_phdr() take the lock that dlopen() holds while it runs constructors. A
// program that allocates under a lock of its own, which a constructor also wants, would deadlock in
// a preloaded library that calls them. _dl_find_object() (glibc 2.35) takes no lock, and an object
// whose code is on the call stack cannot go away.
#pragma once

#include <link.h>

#include <cstddef>
#include <cstdint>

namespace hms {

// True where objects are found without a lock: what is optional should be left out elsewhere.
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 35)
inline constexpr bool kFindsObjectsUnlocked = true;
#else
inline constexpr bool kFindsObjectsUnlocked = false;
#endif

struct LoadedObject {
  const link_map* map = nullptr;
  const void* start = nullptr;  // of its first segment, where its ELF header is

  // Offset of an address as the object's file counts it (its virtual address there).
  uint64_t offset_of(const void* code) const {
    return reinterpret_cast<uintptr_t>(code) - map->l_addr;
  }
};

// The object that is mapped at an address; false for generated code.
bool find_loaded_object(const void* code, LoadedObject* out);

struct BuildId {
  const uint8_t* bytes = nullptr;  // in the object
  size_t count = 0;                // 0: the object carries none
};
// The note that the link editor leaves (NT_GNU_BUILD_ID): a digest of the object's content.
BuildId build_id_of(const LoadedObject& object);

}  // namespace hms
