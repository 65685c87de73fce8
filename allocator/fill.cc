// See fill.h.
#include "allocator/fill.h"

#include <string.h>

#include "allocator/allocator.h"
#include "allocator/central.h"
#include "allocator/thread_cache.h"

namespace hms::alloc {

std::atomic<unsigned> detail::fill_byte{0};

void start_filling(uint8_t byte) {
  detail::fill_byte.store(byte, std::memory_order_relaxed);
  retire_thread_caches();
}

void* fill_fresh(void* block) {
  const unsigned byte = detail::fill_byte.load(std::memory_order_relaxed);
  if (byte == 0 || block == nullptr) return block;
  return memset(block, static_cast<int>(byte ^ 0xffU), usable_size(block));
}

void fill_freed(void* block, unsigned size_class) {
  const unsigned byte = detail::fill_byte.load(std::memory_order_relaxed);
  if (byte == 0 || !is_out(block, size_class)) return;
  memset(block, static_cast<int>(byte), class_size(size_class));
}

}  // namespace hms::alloc
