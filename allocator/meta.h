// Memory for what is kept about blocks: bitmaps, transfer caches, the arrays of thread caches.
// Plain memory outside the region, in whole cache lines, never given back but used again. It costs
// a thread nothing of jemalloc's own per-thread state.
#pragma once

#include <cstddef>

namespace hms::alloc {

// Zeroed; null when the system has none.
void* meta_allocate(size_t bytes);

// Pieces of one size that come and go. Constant-initialized.
class MetaPool {
 public:
  explicit constexpr MetaPool(size_t bytes) : bytes_(bytes) {}
  MetaPool(const MetaPool&) = delete;
  MetaPool& operator=(const MetaPool&) = delete;
  void* take();  // with any content; null when the system has no memory
  void give(void* piece);

 private:
  size_t bytes_;
  void* unused_ = nullptr;  // linked through their first words
};

void lock_meta();
void unlock_meta();

}  // namespace hms::alloc
