// Blocks for requests that arrive while the allocator starts: a few hundred bytes in practice. They
// lie in the default placement's window, so they are ours like any other; freeing one does nothing.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hms::alloc {

void* bootstrap_allocate(size_t size, size_t alignment);
size_t bootstrap_size(const void* block);

}  // namespace hms::alloc
