// What all entry points share: a request goes to the thread cache if the gate is open, else through
// choose(). Failure is null with errno ENOMEM, success leaves errno alone.
#pragma once

#include <string.h>

#include <cstddef>
#include <cstdint>

#include "allocator/entry/gate.h"
#include "allocator/fast_path.h"

// Default visibility in the base symbol version: what interposes libc's and libjemalloc's names.
#define HMS_ENTRY extern "C" __attribute__((visibility("default")))

namespace hms::entry {

// C17 7.22.3 and PTRDIFF_MAX: differences of pointers into one object must be representable.
inline constexpr size_t kMaxRequest = PTRDIFF_MAX;
inline constexpr size_t kMinAlignment = alignof(std::max_align_t);

inline bool is_power_of_two(size_t value) { return value != 0 && (value & (value - 1)) == 0; }

// Slow paths, each complete in itself (limits, start-up, routing, errno).
void* allocate_slow(size_t size, const void* caller);
void* allocate_zeroed_slow(size_t size, const void* caller);
void* allocate_aligned_slow(size_t alignment, size_t size, const void* caller);
void* reallocate(void* block, size_t size, const void* caller);
void release_slow(void* block);
size_t usable(const void* block);

// The hit paths: the gate, then fast_path.h. Misses go to the slow paths, which look after errno.
inline bool gate_open() {
  return __builtin_expect(!gate_closed.load(std::memory_order_relaxed), 1);
}

inline void* allocate(size_t size, const void* caller) {
  const auto miss = [size, caller] { return allocate_slow(size, caller); };
  return gate_open() ? alloc::allocate_default_or(size, miss) : miss();
}

inline void* allocate_zeroed(size_t size, const void* caller) {
  if (!gate_open() || size > alloc::kMaxCachedSize) return allocate_zeroed_slow(size, caller);
  void* block = allocate(size, caller);
  return block != nullptr ? memset(block, 0, size) : nullptr;
}

inline void release(void* block) {
  const auto miss = [block] { release_slow(block); };
  if (__builtin_expect(alloc::in_region(reinterpret_cast<uintptr_t>(block)), 1)) {
    alloc::deallocate_owned_or(block, miss);
  } else {
    miss();
  }
}

}  // namespace hms::entry
