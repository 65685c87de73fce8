// See guard.h.
#include "allocator/guard.h"

#include <atomic>

namespace hms::alloc {
namespace {

std::atomic<const Guard*> the_guard{nullptr};

}  // namespace

void set_guard(const Guard* guard) { the_guard.store(guard, std::memory_order_release); }

const Guard* guard_of(const void* block) {
  const Guard* guard = the_guard.load(std::memory_order_acquire);
  if (guard == nullptr) return nullptr;
  const bool its = owns(block) ? region.guarded[placement_of(block)] : guard->has_outside(block);
  return its ? guard : nullptr;
}

bool is_ours(const void* block) { return owns(block) || guard_of(block) != nullptr; }

void free_guarded(void* block) {
  const Guard* guard = guard_of(block);
  if (guard != nullptr) return guard->release(block);
  deallocate(block);
}

size_t usable_guarded(const void* block) {
  const Guard* guard = guard_of(block);
  return guard != nullptr ? guard->usable_size(block) : usable_size(block);
}

}  // namespace hms::alloc
