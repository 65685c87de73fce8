// What all entry points share: a request goes to the thread cache of the default placement if the
// gate is open, to the one that rules name for its size class if that is known, else through
// choose(). Failure is null with errno ENOMEM, success leaves errno alone.
#pragma once

#include <string.h>

#include <cstddef>
#include <cstdint>

#include "allocator/entry/gate.h"
#include "allocator/fast_path.h"
#include "allocator/routing/router.h"
#include "allocator/tiering/sites.h"

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
size_t usable_slow(const void* block);

// The hit paths: the gate, then fast_path.h. Misses go to the slow paths, which look after errno.
inline bool gate_open() {
  return __builtin_expect(!gate_closed.load(std::memory_order_relaxed), 1);
}

// A hit where tiering keeps apart what comes from different places. Where the request is a miss,
// the depth of stack is part of the place.
template <typename Miss>
inline void* allocate_by_site_or(alloc::SiteSlot* table, size_t size, const void* caller,
                                 Miss miss) {
  const uintptr_t stack = alloc::stack_pointer();
  const auto tell_stack = [stack, miss] {
    alloc::thread_sites.stack = stack;
    return miss();
  };
  if (__builtin_expect(size > alloc::kMaxCachedSize, 0)) return tell_stack();
  alloc::SiteSlot* slot = alloc::find_site(table, caller, stack);
  if (__builtin_expect(slot == nullptr, 0)) return tell_stack();
  return alloc::pop_for_site_or(*slot, size, tell_stack);
}

// With the gate closed: a hit where rules decide by size or thread. What is remembered of them
// comes first: nothing is where there are no rules, and then the table of sites is asked.
template <typename Miss>
inline void* allocate_routed_or(size_t size, const void* caller, Miss miss) {
  if (__builtin_expect(size <= alloc::kMaxCachedSize, 1)) {
    alloc::Bin* bin = alloc::thread_state.routed[alloc::cached_class(size)];
    if (__builtin_expect(bin != nullptr, 1)) {
      void** top = bin->top;
      if (__builtin_expect(top == bin->base, 0)) return miss();
      bin->top = top - 1;
      return top[-1];
    }
  }
  alloc::SiteSlot* sites = alloc::thread_sites.first;
  if (sites != nullptr) return allocate_by_site_or(sites, size, caller, miss);
  if (__builtin_expect(size > alloc::kMaxCachedSize, 0)) return miss();
  const alloc::PlacementId placement = routing::quick_route(size);
  if (placement == routing::kAskRules) return miss();
  if (placement == alloc::kDefaultPlacement && alloc::classes_started()) {
    sites = alloc::thread_sites.table;
    return sites != nullptr ? allocate_by_site_or(sites, size, caller, miss) : miss();
  }
  return alloc::allocate_placed_or(size, placement, miss);
}
// The same with allocate_slow() for the misses. Out of line: the path without rules stays small.
void* allocate_routed(size_t size, const void* caller);

inline void* allocate(size_t size, const void* caller) {
  const auto miss = [size, caller] { return allocate_slow(size, caller); };
  return gate_open() ? alloc::allocate_default_or(size, miss) : allocate_routed(size, caller);
}

inline void* allocate_zeroed(size_t size, const void* caller) {
  if (size > alloc::kMaxCachedSize) return allocate_zeroed_slow(size, caller);
  void* block = allocate(size, caller);
  return block != nullptr ? memset(block, 0, size) : nullptr;
}

// `alignment` is a power of two.
template <typename Miss>
inline void* allocate_aligned_or(size_t alignment, size_t size, Miss miss) {
  if (!gate_open()) return miss();
  return alloc::allocate_aligned_or(alignment, size, alloc::kDefaultPlacement, miss);
}

inline void* allocate_aligned(size_t alignment, size_t size, const void* caller) {
  return allocate_aligned_or(alignment, size,
                             [=] { return allocate_aligned_slow(alignment, size, caller); });
}

// With the gate closed: true if rules would put a block of this class where this one is.
inline bool routed_here(uintptr_t address, unsigned size_class) {
  alloc::Cache* home = alloc::existing_cache(alloc::region.free_to[alloc::window_of(address)]);
  return home != nullptr && &home->bins[size_class] == alloc::thread_state.routed[size_class];
}

// True if realloc has nothing to do: the block is of the class of that size, and without rules it
// stays on its placement.
[[gnu::always_inline]] inline bool fits_as_it_is(const void* block, size_t size) {
  const auto address = reinterpret_cast<uintptr_t>(block);
  if (!alloc::in_region(address) || size - 1 >= alloc::kMaxCachedSize) return false;
  const unsigned size_class = alloc::cached_class(size);
  if (alloc::page_mark(address) != size_class + 1) return false;
  if (gate_open() || alloc::thread_sites.first != nullptr) return alloc::unguarded(address);
  return routed_here(address, size_class);
}

// Without rules: another block with its content, when the thread cache has all that it takes. Null,
// and nothing done, if not. Inlined by force: a second frame is a fifth of the way.
[[gnu::always_inline]] inline void* reallocate_hit(void* block, size_t size) {
  const auto address = reinterpret_cast<uintptr_t>(block);
  if (!alloc::in_region(address) || size - 1 >= alloc::kMaxCachedSize || !gate_open()) {
    return nullptr;
  }
  const unsigned old_class = alloc::page_mark(address) - 1;
  const unsigned new_class = alloc::cached_class(size);
  if (old_class >= alloc::kCachedClasses || old_class == new_class) return nullptr;
  alloc::Cache* cache = alloc::existing_cache(alloc::region.free_to[alloc::window_of(address)]);
  if (cache == nullptr) return nullptr;
  alloc::Bin& from = cache->bins[old_class];
  alloc::Bin& to = cache->bins[new_class];
  if (to.top == to.base || from.top >= from.limit) return nullptr;
  void* moved = *--to.top;
  const size_t old_size = alloc::kClassSizes[old_class];
  memcpy(moved, block, old_size < size ? old_size : size);
  *from.top++ = block;
  if (__builtin_expect(--alloc::thread_state.ticks < 0, 0)) alloc::tick();
  return moved;
}

inline size_t usable(const void* block) {
  auto address = reinterpret_cast<uintptr_t>(block);
  if (__builtin_expect(alloc::in_region(address) && alloc::unguarded(address), 1)) {
    const unsigned size_class = alloc::page_mark(address) - 1;
    if (__builtin_expect(size_class < alloc::kBinClasses, 1)) return alloc::kClassSizes[size_class];
  }
  return usable_slow(block);
}

[[gnu::always_inline]] inline void release(void* block) {
  alloc::free_or(block, [block] { release_slow(block); });
}

}  // namespace hms::entry
