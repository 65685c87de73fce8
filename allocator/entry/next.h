// Other allocators in the process: the one that serves it instead of us, and the owners of blocks
// that are not ours.
#pragma once

#include <cstddef>

namespace hms::entry {

// The few functions that everything else can be made of.
struct NextAllocator {
  void* (*malloc)(size_t);
  void* (*calloc)(size_t, size_t);
  void* (*realloc)(void*, size_t);
  void* (*memalign)(size_t, size_t);
  void (*free)(void*);
  size_t (*usable_size)(void*);
};

// Our own, whoever answers to these names in the process.
const NextAllocator& entry_functions();

// Name of the sanitizer that this process is built with, or null. Needs no start-up.
const char* sanitizer_name();

// Looks, once, whether another allocator must serve this process: a sanitizer's, or one that comes
// before us in the link order. Says so on stderr. True: next_allocator() is complete.
bool find_next_allocator();
const NextAllocator& next_allocator();

// For blocks outside our region. Never null.
void release_foreign(void* block);
size_t foreign_usable_size(const void* block);

}  // namespace hms::entry
