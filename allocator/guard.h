// Guards: blocks that carry data of a layer above, and what malloc's family does with them.
//
// OpenMP's records lie inside the usable bytes of a block and are linked with each other. A program
// may pass such a block to free() or realloc() all the same: it mixes up two interfaces, but must
// not damage the heap. So windows of placements of the guarded family have no cache that the short
// way of free() could push to (Region::free_to), and the long ways ask the guard.
#pragma once

#include <cstddef>

#include "allocator/allocator.h"
#include "allocator/region.h"

namespace hms::alloc {

inline constexpr unsigned kGuardedFamily = 1;  // Placement::family

struct Guard {
  void (*release)(void* block);
  void* (*reallocate)(void* block, size_t size);
  size_t (*usable_size)(const void* block);
};

// Before a placement of the family is registered. `guard` stays for good.
void set_guard(const Guard* guard);

// The guard of an owned address; null for ordinary blocks.
const Guard* guard_of(const void* block);

// deallocate() and usable_size() of any owned address.
void free_guarded(void* block);
size_t usable_guarded(const void* block);

}  // namespace hms::alloc
