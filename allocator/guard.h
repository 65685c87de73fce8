// Guards: blocks that carry data of a layer above, and what malloc's family does with them.
//
// OpenMP's records lie inside the usable bytes of a block and are linked with each other. A program
// may pass such a block to free() or realloc() all the same: it mixes up two interfaces, but must
// not damage the heap. So windows of placements of the guarded family have no cache that the short
// way of free() could push to (Region::free_to), and the long ways ask the guard. It may also have
// blocks that are mappings of their own, outside the region.
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
  bool (*has_outside)(const void* block);  // a live block of its own, not in the region
};

// Before a placement of the family is registered. `guard` stays for good.
void set_guard(const Guard* guard);

// The guard of an address; null for ordinary blocks, and for those that are not ours.
const Guard* guard_of(const void* block);

// owns(), and what a guard has outside the region.
bool is_ours(const void* block);
// deallocate() and usable_size() of any address that is ours.
void free_guarded(void* block);
size_t usable_guarded(const void* block);

}  // namespace hms::alloc
