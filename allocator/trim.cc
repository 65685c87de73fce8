// Giving memory back to the system on request.
#include "allocator/account.h"
#include "allocator/allocator.h"
#include "allocator/jemalloc.h"
#include "allocator/placements.h"
#include "allocator/region.h"
#include "allocator/setup.h"
#include "allocator/thread_cache.h"

namespace hms::alloc {
namespace {

uint64_t charged_in_all() {
  uint64_t sum = 0;
  for (size_t i = 0; Account* account = account_at(i); ++i) {
    sum += account->charged.load(std::memory_order_relaxed);
  }
  return sum;
}

void purge_arena(unsigned index) {
  size_t mib[3];
  size_t depth = 3;
  if (hmsje_mallctlnametomib("arena.0.purge", mib, &depth) != 0) return;
  mib[1] = index;
  hmsje_mallctlbymib(mib, depth, nullptr, nullptr, nullptr, 0);
}

void purge_leg(Leg* leg) {
  for (std::atomic<Arena*>& cell : leg->arenas) {
    Arena* arena = cell.load(std::memory_order_acquire);
    if (arena != nullptr) purge_arena(arena->index);
  }
}

}  // namespace

bool trim() {
  if (ensure_started() != Entry::kReady) return false;
  uint64_t before = charged_in_all();
  flush_thread();
  for (unsigned id = 0; id < kMaxPlacements; ++id) {
    const PlacementState* state = placement_state(static_cast<PlacementId>(id));
    if (state == nullptr) break;
    for (unsigned i = 0; i < state->leg_count; ++i) purge_leg(state->legs[i]);
  }
  return charged_in_all() < before;
}

}  // namespace hms::alloc
