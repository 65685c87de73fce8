// How much memory a leg keeps beyond what is in use: freed extents that wait in jemalloc for the
// next request, resident and charged. Time takes them back (decay), but a program of large blocks
// would reach its peak long before: with sizes that vary, few freed extents fit the next request,
// and the heap grows although a good part of it is idle.
#pragma once

#include <cstdint>

#include "allocator/keeper.h"
#include "allocator/leg.h"

namespace hms::alloc {

// Blocks and spans that jemalloc gave (or, with less than zero, got back).
inline void note_held(Leg* leg, int64_t bytes) {
  leg->held.fetch_add(bytes, std::memory_order_relaxed);
  if (bytes < 0) remind_keeper();
}

inline int64_t committed_bytes(const Leg& leg) {
  return leg.committed.load(std::memory_order_relaxed);
}

inline int64_t idle_bytes(const Leg& leg) {
  return committed_bytes(leg) - leg.held.load(std::memory_order_relaxed);
}

// After a large block: if the leg had to grow for it while more than a share of what is in use lay
// idle, the idle memory goes.
void bound_idle(Leg* leg, int64_t committed_before);

}  // namespace hms::alloc
