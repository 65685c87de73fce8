// The allocator's interface: see allocator.h. Hit paths are in fast_path.h.
#include "allocator/allocator.h"

#include <string.h>

#include "allocator/account.h"
#include "allocator/blocks.h"
#include "allocator/bootstrap.h"
#include "allocator/extent_hooks.h"
#include "allocator/fast_path.h"
#include "allocator/fill.h"
#include "allocator/jemalloc.h"
#include "allocator/placements.h"
#include "allocator/setup.h"
#include "runtime/support/log.h"
#include "runtime/support/os.h"

namespace hms::alloc {
namespace {

// jemalloc resizes in place only from its large classes on.
constexpr size_t kMinResizable = size_t{16} << 10;

// Blocks above kMaxCachedSize start on pages; beyond, jemalloc must be told.
constexpr size_t kNaturalAlignment = os::kPageSize;

bool is_bootstrap(const void* block) {
  return page_mark(reinterpret_cast<uintptr_t>(block)) == kBootstrapMark;
}

// The cached class whose blocks all have the alignment; kCachedClasses if there is none.
unsigned aligned_class(size_t alignment, size_t size) {
  const size_t rounded = naturally_aligned(alignment, size == 0 ? 1 : size);
  return rounded <= kMaxCachedSize ? cached_class(rounded) : kCachedClasses;
}

// A block of jemalloc's. Below kMaxCachedSize it counts as one of the class in whose bin the next
// such request will look for it (allocate_aligned_or); what jemalloc gives may be larger.
Request aligned_request(size_t alignment, size_t size) {
  const int flags = static_cast<int>(MALLOCX_ALIGN(alignment));
  const size_t rounded = rounded_to(alignment, size);
  if (rounded > kMaxCachedSize) {
    return {size == 0 ? 1 : size, class_of(good_size(size, alignment)), flags};
  }
  const unsigned size_class = cached_class(rounded);
  return {class_size(size_class), size_class, flags};
}

// An address inside our region; whatever it is, it is not a block.
void tell_no_block(const void* block) {
  log_once(LogLevel::kError, "no block",
           "free(%p): no block is there, or no longer; it is left alone. AddressSanitizer or "
           "valgrind tells where",
           block);
}

void* take_one(const Request& request, PlacementId placement) {
  void* block = nullptr;
  void** top = &block;
  void** const limit = &block + 1;
  take_blocks(*placement_state(placement), request, 1, {&top, &limit});
  return block;
}

void* allocate_large(size_t size, PlacementId placement, int flags) {
  unsigned size_class = class_of(size);
  return take_one({class_size(size_class), size_class, flags}, placement);
}

void* allocate_large_zeroed(size_t size, PlacementId placement) {
  Cache* cache = size <= kMaxBinSize ? cache_for(placement) : nullptr;
  void* block = cache != nullptr ? pop_cached(cache, class_of(size)) : nullptr;
  if (block == nullptr) return allocate_large(size, placement, MALLOCX_ZERO);
  return memset(block, 0, size);
}

// A block of a cached class, through the cache if the thread has one.
void* allocate_class(unsigned size_class, PlacementId placement) {
  Cache* cache = cache_for(placement);
  if (cache == nullptr) return take_one({kClassSizes[size_class], size_class, 0}, placement);
  return allocate_cached(cache, size_class, placement);
}

// Requests larger than this cannot be met; also keeps the arithmetic of classes from overflowing.
bool impossible(size_t size) { return size > kMaxSize || size > region.bytes; }

size_t copy_size(size_t a, size_t b) { return a < b ? a : b; }

void* move_block(void* block, size_t old_size, size_t size, PlacementId placement) {
  void* fresh = allocate_placed(size, placement);
  if (fresh == nullptr) return nullptr;
  memcpy(fresh, block, copy_size(old_size, size));
  deallocate_owned(block);
  return fresh;
}

}  // namespace

void* allocate_slow(size_t size, PlacementId placement) {
  if (ensure_started() == Entry::kBootstrap) return bootstrap_allocate(size, 1);
  if (impossible(size)) return nullptr;
  if (size > kMaxBinSize) return fill_fresh(allocate_large(size, placement, 0));
  return fill_fresh(allocate_class(class_of(size), placement));
}

void deallocate_slow(void* block) {
  auto address = reinterpret_cast<uintptr_t>(block);
  unsigned mark = page_mark(address);
  if (mark == kBootstrapMark) return;
  if (mark == 0) return tell_no_block(block);
  unsigned size_class = mark - 1;
  fill_freed(block, size_class);
  Cache* cache =
      size_class < kBinClasses ? cache_for(region.placement[window_of(address)]) : nullptr;
  if (cache == nullptr) return give_blocks(&block, 1, size_class);
  spill_and_push(cache, size_class, block);
}

void* allocate(size_t size, PlacementId placement) { return allocate_placed(size, placement); }

void* allocate_zeroed(size_t size, PlacementId placement) {
  // Fresh memory is zero already, and jemalloc knows which is; small blocks are cheaper to clear.
  if (size > kMaxCachedSize && ensure_started() == Entry::kReady) {
    return impossible(size) ? nullptr : allocate_large_zeroed(size, placement);
  }
  void* block = allocate(size, placement);
  if (block != nullptr) memset(block, 0, size);
  return block;
}

void* allocate_aligned(size_t alignment, size_t size, PlacementId placement) {
  if (alignment <= 16) return allocate(size, placement);
  if (ensure_started() == Entry::kBootstrap) return bootstrap_allocate(size, alignment);
  if (impossible(size) || alignment > kMaxAlignment) return nullptr;
  unsigned size_class = aligned_class(alignment, size);
  if (size_class < kCachedClasses) return fill_fresh(allocate_class(size_class, placement));
  if (alignment <= kNaturalAlignment && size > kMaxCachedSize) {
    return fill_fresh(allocate_large(size, placement, 0));
  }
  return fill_fresh(take_one(aligned_request(alignment, size), placement));
}

void* reallocate(void* block, size_t size, PlacementId placement) {
  const unsigned mark = page_mark(reinterpret_cast<uintptr_t>(block));
  const size_t old_size = usable_size(block);
  if (impossible(size)) return nullptr;
  if (placement_of(block) == placement && mark != kBootstrapMark) {
    if (class_of(size) + 1 == mark) return block;
    const bool large = old_size > kMaxCachedSize && size >= kMinResizable;
    if (large && resize_in_place(block, size, 0, 1) >= size) return block;
  }
  return move_block(block, old_size, size, placement);
}

size_t resize_in_place(void* block, size_t size, size_t extra, size_t alignment) {
  size_t old_size = usable_size(block);
  // Blocks of cached classes keep their size.
  if (old_size <= kMaxCachedSize || size < kMinResizable) return old_size;
  if (is_bootstrap(block) || impossible(size)) return old_size;
  if ((reinterpret_cast<uintptr_t>(block) & (alignment - 1)) != 0) return old_size;
  if (extra > kMaxSize - size) extra = kMaxSize - size;
  begin_attempt();
  int flags = MALLOCX_TCACHE_NONE;
  if (alignment > kNaturalAlignment) flags |= static_cast<int>(MALLOCX_ALIGN(alignment));
  size_t new_size = hmsje_xallocx(block, size, extra, flags);
  if (new_size != old_size) note_resize(block, old_size, new_size);
  return new_size;
}

void deallocate(void* block) { deallocate_owned(block); }

size_t usable_size(const void* block) {
  unsigned mark = page_mark(reinterpret_cast<uintptr_t>(block));
  if (mark == kBootstrapMark) return bootstrap_size(block);
  return mark == 0 ? 0 : class_size(mark - 1);
}

size_t good_size(size_t size, size_t alignment) {
  if (size > kMaxSize) return 0;
  unsigned size_class = alignment <= 16 ? class_of(size) : aligned_class(alignment, size);
  if (size_class < kCachedClasses) return class_size(size_class);
  const size_t rounded = rounded_to(alignment, size);
  if (rounded <= kMaxCachedSize) return class_size(cached_class(rounded));
  if (alignment <= kNaturalAlignment) return class_size(class_of(size));
  return hmsje_nallocx(size == 0 ? 1 : size, static_cast<int>(MALLOCX_ALIGN(alignment)));
}

bool owns(const void* address) { return in_region(reinterpret_cast<uintptr_t>(address)); }

PlacementId placement_of(const void* block) {
  return region.placement[window_of(reinterpret_cast<uintptr_t>(block))];
}

const TargetRef& target_of(const void* block) {
  auto address = reinterpret_cast<uintptr_t>(block);
  Leg* leg = leg_of(address);
  return leg == nullptr ? default_account()->target() : account_of(*leg, address)->target();
}

void set_quota(const char* target_key, uint64_t bytes) {
  ensure_started();
  set_account_quota(target_key, bytes);
}

}  // namespace hms::alloc
