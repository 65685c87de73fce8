// What all entry points share: a request goes to the bin that this thread remembers for its size
// class, of the default placement or of the one that rules name; else through choose(), which says
// what to remember. Failure is null with errno ENOMEM, success leaves errno alone.
#pragma once

#include <string.h>

#include <cstddef>
#include <cstdint>

#include "allocator/entry/gate.h"
#include "allocator/fast_path.h"
#include "allocator/routing/router.h"
#include "allocator/tiering/hints.h"
#include "allocator/tiering/opening.h"
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
void* allocate_hinted_slow(size_t alignment, size_t size, alloc::Hint hint, const void* caller);
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
[[gnu::always_inline]] inline void* allocate_by_site_or(alloc::SiteSlot* table, size_t size,
                                                        unsigned size_class, const void* caller,
                                                        Miss miss) {
  const uintptr_t stack = alloc::stack_pointer();
  const auto tell_stack = [stack, miss] {
    alloc::thread_sites.stack = stack;
    return miss();
  };
  if (__builtin_expect(size_class == alloc::kCachedClasses, 0)) return tell_stack();
  alloc::SiteSlot* slot = alloc::find_site(table, caller, stack);
  if (__builtin_expect(slot == nullptr, 0)) return tell_stack();
  return alloc::pop_for_site_or(*slot, size, size_class, tell_stack);
}

// A hit where nothing is remembered for the size class (kCachedClasses: the request is too large to
// have one): sites decide, or rules about more than that.
template <typename Miss>
inline void* allocate_routed_or(size_t size, unsigned size_class, const void* caller, Miss miss) {
  alloc::SiteSlot* sites = alloc::thread_sites.first;
  if (sites == nullptr) {
    if (__builtin_expect(size_class == alloc::kCachedClasses, 0)) return miss();
    const alloc::PlacementId placement = routing::quick_route(size, size_class);
    if (placement == routing::kAskRules) return miss();
    if (placement != alloc::kDefaultPlacement || !alloc::classes_started()) {
      alloc::Cache* cache = alloc::existing_cache(placement);
      if (__builtin_expect(cache == nullptr, 0)) return miss();
      return alloc::pop_or(&cache->bin(size_class), miss);
    }
    sites = alloc::thread_sites.table;
    if (sites == nullptr) return miss();
  }
  return allocate_by_site_or(sites, size, size_class, caller, miss);
}
// The same with allocate_slow() for the misses. Out of line: the hit path stays small.
void* allocate_routed(size_t size, const void* caller, unsigned size_class);

// The hit path. `unknown(size_class)`: nothing is remembered; `miss()`: the bin is empty.
template <typename Unknown, typename Miss>
[[gnu::always_inline]] inline void* allocate_or(size_t size, Unknown unknown, Miss miss) {
  if (__builtin_expect(size > alloc::kMaxCachedSize, 0)) return unknown(alloc::kCachedClasses);
  const unsigned size_class = alloc::cached_class(size);
  alloc::Bin* bin = alloc::thread_state.routed[size_class];
  if (__builtin_expect(bin == nullptr, 0)) return unknown(size_class);
  return alloc::pop_or(bin, miss);
}

inline void* allocate(size_t size, const void* caller) {
  return allocate_or(
      size, [=](unsigned size_class) { return allocate_routed(size, caller, size_class); },
      [=] { return allocate_slow(size, caller); });
}

inline void* allocate_zeroed(size_t size, const void* caller) {
  if (size > alloc::kMaxCachedSize) return allocate_zeroed_slow(size, caller);
  void* block = allocate(size, caller);
  return block != nullptr ? memset(block, 0, size) : nullptr;
}

// `alignment` is a power of two.
template <typename Miss>
inline void* allocate_aligned_or(size_t alignment, size_t size, Miss miss) {
  if (gate_open()) {
    return alloc::allocate_aligned_or(alignment, size, alloc::kDefaultPlacement, miss);
  }
  const size_t rounded = alloc::rounded_to(alignment, size);
  if (__builtin_expect(rounded > alloc::kMaxCachedSize, 0)) return miss();
  // Rules decide by the bytes that were asked for.
  const unsigned size_class = alloc::cached_class(rounded);
  alloc::Bin* bin = alloc::thread_state.routed[size_class];
  if (bin == nullptr || alloc::cached_class(size) != size_class) return miss();
  return alloc::pop_aligned_or(bin, alignment, miss);
}

inline void* allocate_aligned(size_t alignment, size_t size, const void* caller) {
  return allocate_aligned_or(alignment, size,
                             [=] { return allocate_aligned_slow(alignment, size, caller); });
}

// A block for a request with a hint; alignment 0: none is asked for. Null: hints count for nothing
// here, or there is no room. The caller then asks without.
inline void* allocate_hinted(size_t alignment, size_t size, alloc::Hint hint, const void* caller) {
  if (hint == alloc::kNoHint) return nullptr;
  if (!alloc::classes_started() && !alloc::classes_wait()) return nullptr;
  const auto miss = [=] { return allocate_hinted_slow(alignment, size, hint, caller); };
  const alloc::PlacementId placement = alloc::known_placement(hint);
  const bool rules = routing::active.load(std::memory_order_relaxed);
  if (rules || placement == alloc::kDefaultPlacement) return miss();
  return alignment == 0 ? alloc::allocate_placed_or(size, placement, miss)
                        : alloc::allocate_aligned_or(alignment, size, placement, miss);
}

// With the gate closed: true if rules would put a block of this class where this one is.
inline bool routed_here(uintptr_t address, unsigned size_class) {
  alloc::Cache* home = alloc::existing_cache(alloc::region.free_to[alloc::window_of(address)]);
  return home != nullptr && &home->bin(size_class) == alloc::thread_state.routed[size_class];
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

// Where a block goes that gets another size: with rules, they decide by that. Null: not known here.
inline alloc::Bin* bin_for_resized(alloc::Cache* home, unsigned size_class) {
  if (gate_open()) return &home->bin(size_class);
  return alloc::thread_sites.first == nullptr ? alloc::thread_state.routed[size_class] : nullptr;
}

// A block of another class with its content, when the bins have one and take the old one.
[[gnu::always_inline]] inline void* exchange(void* block, unsigned old_class, size_t size,
                                             alloc::Bin& from, alloc::Bin& to) {
  if (to.top == to.base || from.top >= from.limit) return nullptr;
  void* moved = *--to.top;
  const size_t old_size = alloc::kClassSizes[old_class];
  memcpy(moved, block, old_size < size ? old_size : size);
  *from.top++ = block;
  if (__builtin_expect(--alloc::thread_state.ticks < 0, 0)) alloc::tick();
  return moved;
}

// Another block with its content, when the thread cache has all that it takes. Null, and nothing
// done, if not. Inlined by force: a second frame is a fifth of the way.
[[gnu::always_inline]] inline void* reallocate_hit(void* block, size_t size) {
  const auto address = reinterpret_cast<uintptr_t>(block);
  if (!alloc::in_region(address) || size - 1 >= alloc::kMaxCachedSize) return nullptr;
  const unsigned old_class = alloc::page_mark(address) - 1;
  const unsigned new_class = alloc::cached_class(size);
  if (old_class >= alloc::kCachedClasses || old_class == new_class) return nullptr;
  alloc::Cache* cache = alloc::existing_cache(alloc::region.free_to[alloc::window_of(address)]);
  if (cache == nullptr) return nullptr;
  alloc::Bin* to = bin_for_resized(cache, new_class);
  return to != nullptr ? exchange(block, old_class, size, cache->bin(old_class), *to) : nullptr;
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
