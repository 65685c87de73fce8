// Allocation, reallocation and freeing through allocators: what all entry points do.
#pragma once

#include <string.h>

#include <cstddef>
#include <string>

#include "allocator/fast_path.h"
#include "openmp/allocators.h"
#include "openmp/runtime_link.h"

namespace hms::omp {

// Who asks: the symbol version or the entry point says which runtime's program it is, and a
// directive or clause has no way to take a null pointer (5.2 section 6.2: null_fb acts as
// abort_fb).
enum class Caller : unsigned { kGcc, kGccDirective, kLlvm, kLlvmDirective, kAny };

constexpr bool is_directive(Caller caller) {
  return caller == Caller::kGccDirective || caller == Caller::kLlvmDirective;
}
constexpr Flavour flavour_of(Caller caller) {
  return caller == Caller::kAny   ? Flavour::kAny
         : caller < Caller::kLlvm ? Flavour::kGcc
                                  : Flavour::kLlvm;
}

struct Wish {
  size_t size = 0;  // SIZE_MAX: a product that does not fit
  size_t alignment = 1;
  bool zero = false;
};

// A block for `wish` from the allocator of handle `h` (the default allocator if null), or from
// where its fallback trait says. Null: size 0, or no memory. Never returns if abort_fb has its
// turn.
void* allocate(Handle h, const Wish& wish, Caller caller);

// omp_realloc: contents kept up to the smaller size; the old block is freed only if the result is
// not null, or the size is 0.
void* reallocate(void* block, size_t size, Handle h, Handle free_h, Caller caller);

// Frees a block of any allocator. Anything else is reported once, and left alone.
void release(void* block, Handle h);

// Frees a block by its record.
void free_recorded(Record* record);

// What free(), realloc() and malloc_usable_size() do with blocks that have records.
extern const alloc::Guard record_guard;

// A message of bad use, once for each kind.
void complain(const char* kind, const std::string& what);

// The hit paths: allocators whose blocks are plain, by handle. Budget: malloc's own for default
// memory, eight instructions more for others.
inline constexpr unsigned kKnownHandles = 256;
inline constexpr unsigned kPlacementBits = 16;
inline constexpr uint64_t kNoHandle = UINT64_MAX;

struct PlainTable {
  // How many of omp_default_mem_alloc and omp_null_allocator, in this order, are known to be
  // default memory; the latter is as long as no task has set its default, if that is what it stands
  // for.
  std::atomic<uint64_t> default_memory;
  // handle << 16 | placement. Entries of no allocator are 0 or kNoHandle; the first one is never 0,
  // which would be the null allocator's.
  std::atomic<uint64_t> known[kKnownHandles];
};
extern PlainTable plain_table;

inline std::atomic<uint64_t>& known_handle(Handle h) {
  return plain_table.known[h % kKnownHandles];
}
void forget_handle(Handle h);

// What remains when the hit paths do not apply; arguments in registers, so that the hit paths need
// no stack frame.
void* allocate_missed(size_t size, Handle h, size_t alignment, Caller caller);
void* allocate_unknown(size_t size, Handle h, size_t alignment, Caller caller);
void* allocate_zeroed_missed(Handle h, size_t size, size_t alignment, Caller caller);
void release_missed(void* block, Handle h);

// `room`: the bytes to ask for, more than kMaxCachedSize if no cache can have them.
template <typename Miss>
__attribute__((always_inline)) inline void* allocate_known_or(Handle h, size_t room, Miss miss) {
  if (__builtin_expect(room - 1 >= alloc::kMaxCachedSize, 0)) return miss();
  if (__builtin_expect(h < plain_table.default_memory.load(std::memory_order_acquire), 1)) {
    return alloc::pop_default_or(alloc::cached_class_above(room - 1), miss);
  }
  const uint64_t known = known_handle(h).load(std::memory_order_acquire);
  if (__builtin_expect(known >> kPlacementBits != h, 0)) return miss();
  return alloc::allocate_placed_or(room, static_cast<alloc::PlacementId>(known), miss);
}

__attribute__((always_inline)) inline void* allocate_fast(Handle h, size_t size, Caller caller) {
  return allocate_known_or(h, size, [=] { return allocate_missed(size, h, 1, caller); });
}

__attribute__((always_inline)) inline void* allocate_aligned_fast(Handle h, size_t alignment,
                                                                  size_t size, Caller caller) {
  const auto miss = [=] { return allocate_missed(size, h, alignment, caller); };
  if (__builtin_expect((alignment & (alignment - 1)) != 0, 0)) return miss();
  return allocate_known_or(h, alloc::naturally_aligned(alignment, size), miss);
}

inline void* allocate_zeroed_fast(Handle h, size_t size, Caller caller) {
  void* block = allocate_known_or(h, size, [] { return nullptr; });
  if (__builtin_expect(block == nullptr, 0)) return allocate_zeroed_missed(h, size, 1, caller);
  return memset(block, 0, size);
}

// A plain block goes home by its address, whatever handle comes with it: as in free().
__attribute__((always_inline)) inline void release_fast(void* block, Handle h) {
  alloc::free_or(block, [block, h] { release_missed(block, h); });
}

}  // namespace hms::omp
