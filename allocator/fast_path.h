// The hit paths, to be inlined into entry points.
//
// Budget (x86-64, gcc -O2): malloc hit about 14 instructions with two branches that never fail on a
// hit, free hit about 20 with four. No lock, no atomic read-modify-write, no system call, no call.
#pragma once

#include "allocator/allocator.h"
#include "allocator/region.h"
#include "allocator/size_classes.h"
#include "allocator/thread_cache.h"

namespace hms::alloc {

void* allocate_slow(size_t size, PlacementId placement);
void deallocate_slow(void* block);

// A block from a bin; `miss()` is what remains to be done when it has none.
template <typename Miss>
__attribute__((always_inline)) inline void* pop_or(Bin* bin, Miss miss) {
  void** top = bin->top;
  // Empty also when this thread has no cache yet: both are null.
  if (__builtin_expect(top == bin->base, 0)) return miss();
  bin->top = top - 1;
  return top[-1];
}

// A block of a class from its bin in the default placement's cache.
template <typename Miss>
__attribute__((always_inline)) inline void* pop_default_or(unsigned size_class, Miss miss) {
  return pop_or(&thread_state.main.bin(size_class), miss);
}

template <typename Miss>
inline void* allocate_placed_or(size_t size, PlacementId placement, Miss miss) {
  if (__builtin_expect(size <= kMaxCachedSize, 1)) {
    Cache* cache = existing_cache(placement);
    if (__builtin_expect(cache != nullptr, 1)) return pop_or(&cache->bin(cached_class(size)), miss);
  }
  return miss();
}

inline void* allocate_placed(size_t size, PlacementId placement) {
  return allocate_placed_or(size, placement,
                            [size, placement] { return allocate_slow(size, placement); });
}

// Alignments that size classes have by themselves: a class that is a multiple of the alignment. The
// class of a size rounded up to the alignment is one, because classes are the multiples of powers
// of two.
inline constexpr size_t kMaxNaturalAlignment = size_t{1} << kPageShift;

// The size rounded up to the alignment, a power of two; more than kMaxCachedSize if no cached class
// holds it.
inline size_t rounded_to(size_t alignment, size_t size) {
  if (size - 1 >= kMaxCachedSize) return SIZE_MAX;
  return (size + alignment - 1) & ~(alignment - 1);
}

// What to ask for so that a block of `size` bytes has a natural alignment; more than kMaxCachedSize
// if no cached class will do.
inline size_t naturally_aligned(size_t alignment, size_t size) {
  const size_t rounded = rounded_to(alignment, size);
  const size_t most = rounded > kMaxDenseSize ? kColour : kMaxNaturalAlignment;
  return alignment <= most ? rounded : SIZE_MAX;
}

// The block on top of the bin, if it is aligned: always where the alignment is natural, and else
// when it was allocated so.
template <typename Miss>
inline void* pop_aligned_or(Bin* bin, size_t alignment, Miss miss) {
  void** top = bin->top;
  if (__builtin_expect(top == bin->base, 0)) return miss();
  void* block = top[-1];
  if (__builtin_expect((reinterpret_cast<uintptr_t>(block) & (alignment - 1)) != 0, 0)) {
    return miss();
  }
  bin->top = top - 1;
  return block;
}

// Like allocate_placed_or(). `alignment` is a power of two.
template <typename Miss>
inline void* allocate_aligned_or(size_t alignment, size_t size, PlacementId placement, Miss miss) {
  const size_t rounded = rounded_to(alignment, size);
  if (__builtin_expect(rounded > kMaxCachedSize, 0)) return miss();
  Cache* cache = existing_cache(placement);
  if (__builtin_expect(cache == nullptr, 0)) return miss();
  return pop_aligned_or(&cache->bin(cached_class(rounded)), alignment, miss);
}

// A block to its bin of `cache`. `miss()` is what remains to be done when the bin has no room.
template <typename Miss>
[[gnu::always_inline]] inline void push_or(Cache* cache, void* block, Miss miss) {
  // No mark, 0, has a bin as well, which never has room.
  const size_t mark = page_mark(reinterpret_cast<uintptr_t>(block));
  if (__builtin_expect(mark > kCachedClasses, 0)) return miss();
  Bin& bin = cache->by_mark[mark];
  void** top = bin.top;
  if (__builtin_expect(top >= bin.limit, 0)) return miss();
  bin.top = top + 1;
  *top = block;
  if (__builtin_expect(--thread_state.ticks < 0, 0)) tick();
}

// deallocate(block). A block goes to the bin of its own placement, told by its address, whatever
// thread or entry point frees it.
inline void deallocate_owned(void* block) {
  const auto miss = [block] { deallocate_slow(block); };
  Cache* cache = existing_cache(region.placement[window_of(reinterpret_cast<uintptr_t>(block))]);
  if (__builtin_expect(cache == nullptr, 0)) return miss();
  push_or(cache, block, miss);
}

// free(address): any address. `miss()` also gets what is not ours, and blocks that have a guard.
template <typename Miss>
[[gnu::always_inline]] inline void free_or(void* block, Miss miss) {
  const uintptr_t offset = reinterpret_cast<uintptr_t>(block) - region.base;
  if (__builtin_expect(offset < default_bytes(), 1)) {
    return push_or(&thread_state.main, block, miss);
  }
  if (__builtin_expect(offset >= region.bytes, 0)) return miss();
  // Default memory beyond the first windows has no cache here: it is rare.
  Cache** others = thread_state.others;
  if (__builtin_expect(others == nullptr, 0)) return miss();
  Cache* cache = others[region.free_to[offset >> region.window_shift]];
  if (__builtin_expect(cache == nullptr, 0)) return miss();
  push_or(cache, block, miss);
}

}  // namespace hms::alloc
