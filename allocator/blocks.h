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

// A stack of blocks. jemalloc may call our malloc, which may use the same bin: its ends are read
// again after each call.
struct Stack {
  void*** top;
  void** const* limit;
};

// Pushes up to `count` blocks, all from one leg; fewer when memory or the stack runs out. Their
// number.
unsigned take_blocks(const PlacementState& placement, const Request& request, unsigned count,
                     Stack out);
// Takes blocks of one class back; the array is used up.
void give_blocks(void** blocks, unsigned count, unsigned size_class);

// Purges what is freed but still charged to the leg's targets, in the arenas of all placements, and
// this thread's caches. True if that made room.
bool reclaim(const Leg& leg);

// Once in a while: lets idle memory go, little by little.
void tidy();

// After a block was resized in place.
void note_resize(void* block, size_t old_size, size_t new_size);

}  // namespace hms::alloc
