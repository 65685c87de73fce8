// Blocks between the arenas and whoever asks: takes them from the leg that the placement's order
// says, and gives them back, with the counters and the page map kept true. Slow path.
#pragma once

#include <cstddef>

#include "allocator/placements.h"

namespace hms::alloc {

struct Request {
  size_t size;          // of the class, or as asked when aligned
  unsigned size_class;  // of the blocks that will come
  int flags;            // MALLOCX_ALIGN, MALLOCX_ZERO
};

// Up to `count` blocks into out[]; fewer when memory runs out. All from one leg.
unsigned take_blocks(const PlacementState& placement, const Request& request, unsigned count,
                     void** out);
void give_blocks(void* const* blocks, unsigned count, unsigned size_class);

// Purges what is freed but still charged to the leg's targets, in the arenas of all placements, and
// this thread's caches. True if that made room.
bool reclaim(const Leg& leg);

// After a block was resized in place.
void note_resize(void* block, size_t old_size, size_t new_size);

}  // namespace hms::alloc
