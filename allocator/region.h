// The region: one reservation of address space that holds every block we hand out.
//
//   region  = up to 256 windows of equal, power-of-two size
//   window  = belongs to one leg of one placement; index = (address - base) >> shift
//   page map = one byte per 4 KiB page: size class + 1 of the blocks that start in it, 0 if none do
//   span table = one record per 64 KiB: see slab.h
//
// So "is it ours", "which placement" and "how large" are each a subtraction, a shift and a load.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace hms::alloc {

struct Leg;
struct Span;

inline constexpr unsigned kMaxWindows = 256;
inline constexpr unsigned kPageShift = 12;
inline constexpr uint8_t kBootstrapMark = 255;  // page map: see bootstrap.h
inline constexpr uint8_t kNoCache = 255;        // no placement has this id: see Region::free_to

struct Region {
  uintptr_t base = 0;
  uintptr_t bytes = 0;  // 0: nothing could be reserved; owns() is then false for every address
  uintptr_t default_bytes = 0;  // at the start: windows of the default placement and nothing else
  uint8_t* page_map = nullptr;
  Span* spans = nullptr;
  unsigned window_shift = 0;
  unsigned windows = 0;
  uint8_t placement[kMaxWindows] = {};  // PlacementId of each window
  // Whose caches take what free() is given: the same, or kNoCache where a guard must see it first.
  uint8_t free_to[kMaxWindows] = {};
  bool guarded[kMaxWindows] = {};  // by PlacementId: see guard.h
  Leg* leg[kMaxWindows] = {};
};

// Written by reserve_region() and claim_windows(), before any address of the window is handed out.
extern Region region;

// Reserves the region, as large as the process may: 16 TiB, then down by halves. False: no address
// space at all. Called once.
bool reserve_region();

// `count` consecutive windows for `leg`; address of the first, or 0 when they have run out.
uintptr_t claim_windows(Leg* leg, uint8_t placement, size_t count);
// The same, but only if they start at `at`: a leg whose last window ends there goes on without a
// gap.
bool claim_windows_at(uintptr_t at, Leg* leg, uint8_t placement, size_t count);

// How many are not claimed.
size_t windows_left();

// Takes windows back that were claimed last and never used.
void unclaim_windows(uintptr_t start, size_t count);

// Makes the page map and the span table of [from, to) writable, where they are not yet.
bool commit_tables(uintptr_t from, uintptr_t to);

// The region is address arithmetic; here numbers become pointers again.
inline void* to_pointer(uintptr_t address) {
  return reinterpret_cast<void*>(address);  // NOLINT(performance-no-int-to-ptr)
}

// Grows as default memory does, while others read it.
inline uintptr_t default_bytes() {
  return __atomic_load_n(&region.default_bytes, __ATOMIC_RELAXED);
}

inline bool in_region(uintptr_t address) { return address - region.base < region.bytes; }
inline size_t window_bytes() { return size_t{1} << region.window_shift; }
inline unsigned window_of(uintptr_t address) {
  return static_cast<unsigned>((address - region.base) >> region.window_shift);
}
// False for an address in the region if a guard must see what free() and realloc() are given.
inline bool unguarded(uintptr_t address) {
  const uintptr_t offset = address - region.base;
  return __builtin_expect(offset < default_bytes(), 1) ||
         region.free_to[offset >> region.window_shift] != kNoCache;
}
inline Leg* leg_of(uintptr_t address) { return region.leg[window_of(address)]; }

// Relaxed atomics: a block's byte is written before the block is handed out, and whoever frees it
// got the address through a synchronization of its own.
inline unsigned page_mark(uintptr_t address) {
  return __atomic_load_n(&region.page_map[(address - region.base) >> kPageShift], __ATOMIC_RELAXED);
}
inline void set_page_mark(uintptr_t address, unsigned mark) {
  uint8_t* byte = &region.page_map[(address - region.base) >> kPageShift];
  // Most refills reuse a slab of the same class: do not dirty the line for nothing.
  if (__atomic_load_n(byte, __ATOMIC_RELAXED) != mark) {
    __atomic_store_n(byte, static_cast<uint8_t>(mark), __ATOMIC_RELAXED);
  }
}

}  // namespace hms::alloc
