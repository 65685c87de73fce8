// jemalloc's own API, as jemalloc(3) of 5.3.0 describes it, on our allocator: programs linked with
// libjemalloc mix it with malloc and free. Requests that name an arena of the program go to the
// embedded jemalloc; arenas and caches that jemalloc chose itself have no meaning here.
#include <errno.h>
#include <jemalloc/jemalloc.h>
#include <string.h>

#include "allocator/entry/next.h"
#include "allocator/entry/program_arenas.h"
#include "allocator/entry/request.h"
#include "allocator/guard.h"
#include "allocator/jemalloc.h"

namespace hms::entry {
namespace {

constexpr int kLgAlignMask = 0x3f;

// 1 if the flags ask for none.
size_t alignment_of(int flags) { return size_t{1} << (flags & kLgAlignMask); }

bool zero_of(int flags) { return (flags & MALLOCX_ZERO) != 0; }

void* allocate_flagged(size_t size, int flags, const void* caller) {
  const size_t alignment = alignment_of(flags);
  if (alignment <= kMinAlignment) {
    // To the usable size, so that a later rallocx in place finds zeros behind the request.
    return zero_of(flags) ? allocate_zeroed_slow(alloc::good_size(size, 1), caller)
                          : allocate(size, caller);
  }
  void* block = allocate_aligned_slow(alignment, size, caller);
  if (block != nullptr && zero_of(flags)) memset(block, 0, usable(block));
  return block;
}

void* allocate_anywhere(size_t size, int flags, const void* caller) {
  return names_program_arena(flags) ? hmsje_mallocx(size, program_arena_flags(flags))
                                    : allocate_flagged(size, flags, caller);
}

// Across owners or alignments: no owner can do it in place.
void* move_flagged(void* block, size_t size, int flags, const void* caller) {
  void* moved = allocate_anywhere(size, flags & ~MALLOCX_ZERO, caller);
  if (moved == nullptr) return nullptr;
  const size_t old_size = usable(block);
  memcpy(moved, block, old_size < size ? old_size : size);
  release_slow(block);
  return moved;
}

void clear_growth(void* block, size_t old_size, int flags) {
  if (block == nullptr || !zero_of(flags)) return;
  const size_t new_size = usable(block);
  if (new_size > old_size) memset(static_cast<char*>(block) + old_size, 0, new_size - old_size);
}

void* reallocate_flagged(void* block, size_t size, int flags, const void* caller) {
  const size_t alignment = alignment_of(flags);
  const size_t old_size = usable(block);
  void* moved;
  if (names_program_arena(flags) || in_program_arena(block) || alignment > kMinAlignment) {
    const bool enough = size <= old_size && size > old_size / 2;
    const bool aligned = reinterpret_cast<uintptr_t>(block) % alignment == 0;
    moved = enough && aligned && !names_program_arena(flags)
                ? block
                : move_flagged(block, size, flags, caller);
  } else {
    moved = reallocate(block, size, caller);
  }
  clear_growth(moved, old_size, flags);
  return moved;
}

size_t resize_in_place(void* block, size_t size, size_t extra, int flags) {
  const size_t old_size = usable(block);
  if (in_program_arena(block)) return hmsje_xallocx(block, size, extra, flags);
  if (!alloc::owns(block) || alloc::guard_of(block) != nullptr || forwarding()) return old_size;
  if (extra > kMaxRequest - size) extra = kMaxRequest - size;
  const size_t now = alloc::resize_in_place(block, size, extra, alignment_of(flags));
  if (now > old_size && zero_of(flags)) {
    memset(static_cast<char*>(block) + old_size, 0, now - old_size);
  }
  return now;
}

}  // namespace
}  // namespace hms::entry

using hms::entry::ErrnoKeeper;

HMS_ENTRY void* mallocx(size_t size, int flags) {
  return hms::entry::allocate_anywhere(size, flags, __builtin_return_address(0));
}

HMS_ENTRY void* rallocx(void* block, size_t size, int flags) {
  return hms::entry::reallocate_flagged(block, size, flags, __builtin_return_address(0));
}

HMS_ENTRY size_t xallocx(void* block, size_t size, size_t extra, int flags) {
  ErrnoKeeper keeper;
  return hms::entry::resize_in_place(block, size, extra, flags);
}

HMS_ENTRY size_t sallocx(const void* block, int) { return hms::entry::usable(block); }

HMS_ENTRY void dallocx(void* block, int flags) {
  if (!hms::alloc::owns(block) && hms::entry::in_program_arena(block)) {
    hmsje_dallocx(block, hms::entry::program_arena_flags(flags));
  } else {
    hms::entry::release(block);
  }
}

HMS_ENTRY void sdallocx(void* block, size_t, int flags) { dallocx(block, flags); }

// jemalloc: 0 if the size cannot be had.
HMS_ENTRY size_t nallocx(size_t size, int flags) {
  const size_t alignment = hms::entry::alignment_of(flags);
  if (size > hms::entry::kMaxRequest - alignment) return 0;
  return hms::alloc::good_size(size, alignment);
}

HMS_ENTRY int mallctlnametomib(const char* name, size_t* mib, size_t* depth) {
  hms::alloc::share_controls();
  return hmsje_mallctlnametomib(name, mib, depth);
}

HMS_ENTRY int mallctlbymib(const size_t* mib, size_t depth, void* oldp, size_t* oldlenp, void* newp,
                           size_t newlen) {
  hms::alloc::share_controls();
  return hms::entry::arena_control({mib, depth, oldp, oldlenp, newp, newlen});
}

HMS_ENTRY int mallctl(const char* name, void* oldp, size_t* oldlenp, void* newp, size_t newlen) {
  size_t mib[8];
  size_t depth = sizeof(mib) / sizeof(mib[0]);
  const int error = mallctlnametomib(name, mib, &depth);
  return error != 0 ? error : mallctlbymib(mib, depth, oldp, oldlenp, newp, newlen);
}

HMS_ENTRY void malloc_stats_print(void (*write)(void*, const char*), void* opaque,
                                  const char* options) {
  hms::alloc::share_controls();
  hmsje_malloc_stats_print(write, opaque, options);
}
