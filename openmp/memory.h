// Allocation, reallocation and freeing through allocators: what all entry points do.
#pragma once

#include <cstddef>
#include <string>

#include "allocator/fast_path.h"
#include "openmp/allocators.h"
#include "openmp/runtime_link.h"

namespace hms::omp {

// Who asks: the symbol version or the entry point says which runtime's program it is, and a
// directive or clause has no way to take a null pointer (5.2 section 6.2: null_fb acts as
// abort_fb).
struct Caller {
  Flavour flavour = Flavour::kAny;
  bool directive = false;
};

struct Wish {
  size_t size = 0;  // SIZE_MAX: a product that does not fit
  size_t alignment = 1;
  bool zero = false;
};

// A block for `wish` from the allocator of handle `h` (the default allocator if null), or from
// where its fallback trait says. Null: size 0, or no memory. Never returns if abort_fb has its
// turn.
void* allocate(Handle h, const Wish& wish, const Caller& caller);

// omp_realloc: contents kept up to the smaller size; the old block is freed only if the result is
// not null, or the size is 0.
void* reallocate(void* block, size_t size, Handle h, Handle free_h, const Caller& caller);

// Frees a block of any allocator. Anything else is reported once, and left alone.
void release(void* block, Handle h);

// Frees a block by its record.
void free_recorded(Record* record);

// A message of bad use, once for each kind.
void complain(const char* kind, const std::string& what);

// The hit paths of plain allocators. Budget: those of fast_path.h and four instructions each.
struct PlainTable {
  // Placement + 1 of the predefined allocators whose layout is one placement; 0: take the slow way.
  std::atomic<uint32_t> placement[kPredefinedAllocators];
};
extern PlainTable plain_table;

// What remains when the hit paths do not apply; arguments in registers, so that the hit paths need
// no stack frame.
void* allocate_missed(Handle h, size_t size, Flavour flavour);
void release_missed(void* block, Handle h);

__attribute__((always_inline)) inline void* allocate_fast(Handle h, size_t size, Flavour flavour) {
  const auto miss = [h, size, flavour] { return allocate_missed(h, size, flavour); };
  if (__builtin_expect(h >= kPredefinedAllocators || size == 0, 0)) return miss();
  const uint32_t known = plain_table.placement[h].load(std::memory_order_acquire);
  if (__builtin_expect(known != alloc::kDefaultPlacement + 1U, 0)) return miss();
  return alloc::allocate_default_or(size, miss);
}

// The default placement never has records.
__attribute__((always_inline)) inline void release_fast(void* block, Handle h) {
  const auto miss = [block, h] { release_missed(block, h); };
  const auto address = reinterpret_cast<uintptr_t>(block);
  if (__builtin_expect(!alloc::in_region(address) || h >= kPredefinedAllocators, 0)) return miss();
  const unsigned placement = alloc::region.placement[alloc::window_of(address)];
  if (__builtin_expect(placement != alloc::kDefaultPlacement, 0)) return miss();
  alloc::deallocate_in_or(block, alloc::kDefaultPlacement, miss);
}

}  // namespace hms::omp
