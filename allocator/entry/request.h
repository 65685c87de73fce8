// What all entry points share: a request goes to the thread cache if the gate is open, else through
// choose(). Failure is null with errno ENOMEM, success leaves errno alone.
#pragma once

#include <cstddef>
#include <cstdint>

#include "allocator/entry/gate.h"

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

// Our malloc itself, whoever answers to the name in this process.
void* entry_malloc_address();

inline void* allocate(size_t size, const void* caller) { return allocate_slow(size, caller); }
inline void* allocate_zeroed(size_t size, const void* caller) {
  return allocate_zeroed_slow(size, caller);
}
inline void release(void* block) { release_slow(block); }

}  // namespace hms::entry
