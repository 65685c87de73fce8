// Blocks for a process under a sanitizer, before that is set up: it intercepts the very libc
// functions that an allocator needs to start, and calls them through pointers that are still null.
// A few kilobytes of static memory serve until then; freeing such a block does nothing.
#pragma once

#include <cstddef>

namespace hms::entry {

// Zeroed; null when the memory is used up.
void* early_allocate(size_t alignment, size_t size);
bool is_early(const void* block);
size_t early_size(const void* block);

}  // namespace hms::entry
