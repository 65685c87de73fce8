// What the entry points do when the thread cache cannot answer: see request.h.
#include <errno.h>
#include <string.h>

#include "allocator/entry/early.h"
#include "allocator/entry/next.h"
#include "allocator/entry/request.h"
#include "allocator/guard.h"
#include "allocator/tiering/classes.h"

namespace hms::entry {
namespace {

void* out_of_memory() {
  errno = ENOMEM;
  return nullptr;
}

// jemalloc and the kernel may leave any errno behind, also when they succeed in the end.
template <typename Allocate>
void* guarded(size_t size, const void* caller, Allocate allocate) {
  if (size > kMaxRequest) return out_of_memory();
  void* block;
  {
    ErrnoKeeper keeper;
    block = allocate(choose(size, caller));
  }
  return block != nullptr ? block : out_of_memory();
}

// Ours to ours. Without rules a block stays on the placement that it has.
void* reallocate_ours(void* block, size_t size, Choice choice) {
  if (choice.by_site) {
    return alloc::reallocate(block, size, alloc::place_again(block, choice.placement));
  }
  const bool routed = gate_closed.load(std::memory_order_relaxed);
  return alloc::reallocate(block, size, routed ? choice.placement : alloc::placement_of(block));
}

void* take(size_t size, Choice choice) {
  switch (choice.door) {
    case Door::kEarly:
      return early_allocate(kMinAlignment, size);
    case Door::kForward:
      return next_allocator().malloc(size);
    case Door::kPlace:
      break;
  }
  return alloc::allocate(size, choice.placement);
}

void* take_zeroed(size_t size, Choice choice) {
  switch (choice.door) {
    case Door::kEarly:
      return early_allocate(kMinAlignment, size);
    case Door::kForward:
      return next_allocator().calloc(1, size);
    case Door::kPlace:
      break;
  }
  return alloc::allocate_zeroed(size, choice.placement);
}

void* take_aligned(size_t alignment, size_t size, Choice choice) {
  switch (choice.door) {
    case Door::kEarly:
      return early_allocate(alignment, size);
    case Door::kForward:
      return next_allocator().memalign(alignment, size);
    case Door::kPlace:
      break;
  }
  if (alignment > alloc::kMaxAlignment) return nullptr;
  return alloc::allocate_aligned(alignment, size, choice.placement);
}

void* take_for_site(size_t alignment, size_t size, const void* caller) {
  const uintptr_t stack = alloc::stack_pointer();
  alloc::thread_sites.stack = stack;
  alloc::SiteSlot* slot = alloc::find_site(alloc::thread_sites.first, caller, stack);
  const size_t rounded = alloc::rounded_to(alignment, size);
  if (slot == nullptr || rounded > alloc::kMaxCachedSize) return nullptr;
  void* block = alloc::pop_aligned_or(&slot->cache->bin(alloc::cached_class(rounded)), alignment,
                                      [] { return nullptr; });
  if (block == nullptr) return nullptr;
  alloc::thread_sites.stack = 0;
  slot->tally += size + alloc::kOneAllocation;
  return block;
}

// A hit where rules decide by the size asked for, as quick_route() says, or tiering by the place
// that it comes from; else null.
void* take_quickly(size_t alignment, size_t size, const void* caller) {
  if (alloc::thread_sites.first != nullptr) return take_for_site(alignment, size, caller);
  if (size > alloc::kMaxCachedSize) return nullptr;
  const alloc::PlacementId placement = routing::quick_route(size, alloc::cached_class(size));
  if (placement == routing::kAskRules) return nullptr;
  if (placement == alloc::kDefaultPlacement && alloc::classes_started()) return nullptr;
  return alloc::allocate_aligned_or(alignment, size, placement, [] { return nullptr; });
}

// A hit where tiering decides by the place: a block that a place has a class for stays in it.
void* reallocate_for_site(void* block, size_t size, const void* caller) {
  alloc::SiteSlot* table = alloc::thread_sites.first;
  const auto address = reinterpret_cast<uintptr_t>(block);
  if (table == nullptr || !alloc::in_region(address) || size - 1 >= alloc::kMaxCachedSize) {
    return nullptr;
  }
  const unsigned old_class = alloc::page_mark(address) - 1;
  const unsigned new_class = alloc::cached_class(size);
  if (old_class >= alloc::kCachedClasses || old_class == new_class) return nullptr;
  // None for blocks that are guarded.
  alloc::Cache* cache = alloc::existing_cache(alloc::region.free_to[alloc::window_of(address)]);
  const bool placed =
      alloc::place_again(block, alloc::kDefaultPlacement) != alloc::kDefaultPlacement;
  if (cache == nullptr || !placed) return nullptr;
  alloc::SiteSlot* slot = alloc::find_site(table, caller, alloc::thread_sites.stack);
  if (slot == nullptr) return nullptr;
  void* moved = exchange(block, old_class, size, cache->bin(old_class), cache->bin(new_class));
  if (moved != nullptr) slot->tally += size + alloc::kOneAllocation;
  return moved;
}

// Between two allocators, either way round.
void* reallocate_across(void* block, size_t size, Choice choice) {
  void* moved = take(size, choice);
  if (moved == nullptr) return nullptr;
  const size_t old_size = usable(block);
  memcpy(moved, block, old_size < size ? old_size : size);
  release_slow(block);
  return moved;
}

}  // namespace

void* allocate_routed(size_t size, const void* caller, unsigned size_class) {
  return allocate_routed_or(size, size_class, caller,
                            [size, caller] { return allocate_slow(size, caller); });
}

void* allocate_slow(size_t size, const void* caller) {
  return guarded(size, caller, [size](Choice c) { return take(size, c); });
}

void* allocate_zeroed_slow(size_t size, const void* caller) {
  return guarded(size, caller, [size](Choice c) { return take_zeroed(size, c); });
}

void* allocate_aligned_slow(size_t alignment, size_t size, const void* caller) {
  void* block = take_quickly(alignment, size, caller);
  if (block != nullptr) return block;
  return guarded(size, caller,
                 [alignment, size](Choice c) { return take_aligned(alignment, size, c); });
}

// Rules come before hints, as they come before tiering.
void* allocate_hinted_slow(size_t alignment, size_t size, alloc::Hint hint, const void* caller) {
  if (size > kMaxRequest) return nullptr;
  ErrnoKeeper keeper;
  const Choice choice = choose(size, caller, hint);
  return alignment == 0 ? take(size, choice) : take_aligned(alignment, size, choice);
}

void* reallocate(void* block, size_t size, const void* caller) {
  if (alloc::classes_started()) {
    alloc::thread_sites.stack = alloc::stack_pointer();
    void* moved = reallocate_for_site(block, size, caller);
    if (moved != nullptr) {
      alloc::thread_sites.stack = 0;
      return moved;
    }
  }
  return guarded(size, caller, [block, size](Choice c) -> void* {
    const alloc::Guard* guard = alloc::guard_of(block);
    if (guard != nullptr) return guard->reallocate(block, size);
    const bool ours = alloc::owns(block);
    if (ours && c.door == Door::kPlace) return reallocate_ours(block, size, c);
    if (!ours && c.door == Door::kForward && !is_early(block)) {
      return next_allocator().realloc(block, size);
    }
    return reallocate_across(block, size, c);
  });
}

void release_slow(void* block) {
  if (block == nullptr) return;
  ErrnoKeeper keeper;
  if (alloc::is_ours(block)) {
    alloc::free_guarded(block);
  } else {
    release_foreign(block);
  }
}

size_t usable_slow(const void* block) {
  if (block == nullptr) return 0;
  return alloc::is_ours(block) ? alloc::usable_guarded(block) : foreign_usable_size(block);
}

}  // namespace hms::entry
