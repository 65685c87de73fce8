// Which page each piece of a trace's objects lies on: as recorded, or as another allocator would
// have it.
#pragma once

#include <cstdint>
#include <vector>

#include "bench/tiering/trace.h"

namespace hms::bench::tiering {

struct Layout {
  uint64_t page_bytes = kPage;
  std::vector<uint32_t>
      page_of;  // by piece; pages are numbered in the order of their first object's birth
  uint32_t pages = 0;
};

// The addresses of the run. page_bytes: a power of two from 4096 on.
Layout recorded_layout(const Trace& trace, uint64_t page_bytes);
// Objects of one context (allocating place and depth of stack) and size class side by side, a freed
// slot used again first: the best that grouping by context could do without knowing what is hot.
Layout context_layout(const Trace& trace, uint64_t page_bytes);

// What an allocator rounds a request up to: four sizes to a doubling.
uint64_t size_class(uint64_t bytes);

// A number per object: equal for objects allocated at the same place; with_depth also tells depths
// of stack apart.
std::vector<uint32_t> contexts_of(const Trace& trace, bool with_depth);

}  // namespace hms::bench::tiering
