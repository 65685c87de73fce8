// The table behind handles: from a handle to its allocator without a lock.
#pragma once

#include <atomic>
#include <cstddef>

#include "openmp/standard.h"

namespace hms::omp {

struct Allocator;

// Bit 30, generation, place: 1, 10 and 20 bits. Clang 14 passes the handles in clauses of C
// programs through an int, so they must not be wider.
inline constexpr Handle kTag = Handle{1} << 30;
inline constexpr Handle kTagMask = ~(kTag - 1);
inline constexpr unsigned kPlaceBits = 20;
inline constexpr Handle kPlaceMask = (Handle{1} << kPlaceBits) - 1;
inline constexpr Handle kGenerationStep = Handle{1} << kPlaceBits;
inline constexpr size_t kChunk = 4096;
inline constexpr size_t kChunks = (size_t{1} << kPlaceBits) / kChunk;

struct Slot {
  std::atomic<Handle> handle{0};  // 0: free
  Allocator* allocator = nullptr;
  Handle next_handle = 0;
};

// Slots never move and are never unmapped, so that any word can be looked up.
extern std::atomic<Slot*> slot_chunks[kChunks];

// Null if the handle is that of no allocator of the program.
inline Slot* slot_of(Handle h) {
  if ((h & kTagMask) != kTag) return nullptr;
  const size_t place = h & kPlaceMask;
  Slot* slots = slot_chunks[place / kChunk].load(std::memory_order_acquire);
  if (slots == nullptr) return nullptr;
  Slot* slot = &slots[place % kChunk];
  return slot->handle.load(std::memory_order_acquire) == h ? slot : nullptr;
}

}  // namespace hms::omp
