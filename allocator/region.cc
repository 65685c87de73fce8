// Reserving the region and handing out its windows: see region.h.
#include "allocator/region.h"

#include <stdlib.h>
#include <sys/resource.h>

#include "allocator/allocator.h"
#include "allocator/slab.h"
#include "runtime/support/counters.h"
#include "runtime/support/log.h"
#include "runtime/support/os.h"

namespace hms::alloc {

Region region;

namespace {

std::atomic<unsigned> next_window{0};

// ThreadSanitizer aborts the process when a mapping leaves the ranges that it knows, and shadows
// every byte of it fourfold.
#if defined(__SANITIZE_THREAD__)
constexpr size_t kLargestRegion = size_t{256} << 30;
#else
constexpr size_t kLargestRegion = size_t{16} << 40;
#endif
constexpr size_t kSmallestRegion = size_t{4} << 20;
// 16 GiB in 256 windows is 64 MiB each; below that fewer windows, never less than 1 MiB each.
constexpr size_t kSmallestWindow = size_t{1} << 20;

uintptr_t round_up(uintptr_t value, uintptr_t unit) { return (value + unit - 1) & ~(unit - 1); }

// The base is aligned so that blocks of the largest alignment fit in; small regions cannot afford
// the slack, and find their aligned blocks by address like everyone else.
size_t base_alignment(size_t bytes) {
  return bytes >= 64 * kMaxAlignment ? kMaxAlignment : os::kHugePageSize;
}

// Under RLIMIT_AS reservations count like memory. What is still free is shared with stacks,
// libraries and the program's own mappings: 64 MiB or half go to them, at least a quarter.
size_t largest_allowed() {
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return kLargestRegion;
  char text[128];
  size_t used = 0;
  if (os::read_file("/proc/self/statm", text, sizeof text) > 0) {
    used = strtoull(text, nullptr, 10) * os::kPageSize;
  }
  if (used >= limit.rlim_cur) return 0;
  size_t rest = limit.rlim_cur - used;
  constexpr size_t kOthers = size_t{64} << 20;
  size_t share = rest / 2 > kOthers ? rest - kOthers : rest / 2;
  if (share > rest / 4 * 3) share = rest / 4 * 3;
  return share < kLargestRegion ? share : kLargestRegion;
}

// The smallest power of two of which the region needs no more than there can be.
size_t window_size_for(size_t bytes) {
  size_t window = kSmallestWindow;
  while (bytes / window > kMaxWindows) window *= 2;
  return window;
}

bool try_reserve(size_t bytes) {
  size_t window = window_size_for(bytes);
  size_t windows = bytes / window;
  if (windows > kMaxWindows) windows = kMaxWindows;
  if (windows == 0) return false;
  size_t used = windows * window;
  size_t map_bytes = round_up(used >> kPageShift, os::kPageSize);
  size_t table_bytes = map_bytes + round_up((used >> kSpanShift) * sizeof(Span), os::kPageSize);
  size_t alignment = base_alignment(used);
  void* at = nullptr;
  if (os::reserve(nullptr, used + alignment + table_bytes, &at) != 0) return false;
  auto start = reinterpret_cast<uintptr_t>(at);
  region.base = (start + alignment - 1) & ~(alignment - 1);
  region.page_map = static_cast<uint8_t*>(to_pointer(region.base + used));
  region.spans = static_cast<Span*>(to_pointer(region.base + used + map_bytes));
  // Scattered use: a huge page would hold records of memory that nobody has.
  os::advise_huge_pages(region.page_map, table_bytes, false);
  region.window_shift = static_cast<unsigned>(__builtin_ctzl(window));
  region.windows = static_cast<unsigned>(windows);
  region.bytes = used;
  return true;
}

void assign(unsigned first, Leg* leg, uint8_t placement, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    region.placement[first + i] = placement;
    region.free_to[first + i] = region.guarded[placement] ? kNoCache : placement;
    region.leg[first + i] = leg;
  }
  if (placement == kDefaultPlacement &&
      uintptr_t{first} << region.window_shift == region.default_bytes) {
    const uintptr_t bytes = region.default_bytes + (count << region.window_shift);
    __atomic_store_n(&region.default_bytes, bytes, __ATOMIC_RELAXED);
  }
}

}  // namespace

bool reserve_region() {
  for (size_t bytes = largest_allowed(); bytes >= kSmallestRegion; bytes /= 2) {
    if (try_reserve(bytes)) return true;
  }
  log_once(
      LogLevel::kError, "region",
      "no address space for a heap (RLIMIT_AS leaves less than 4 MiB); every allocation fails");
  return false;
}

uintptr_t claim_windows(Leg* leg, uint8_t placement, size_t count) {
  unsigned first = next_window.load(std::memory_order_relaxed);
  do {
    if (count > region.windows - first) return 0;
  } while (!next_window.compare_exchange_weak(first, first + static_cast<unsigned>(count)));
  assign(first, leg, placement, count);
  return region.base + (uintptr_t{first} << region.window_shift);
}

bool claim_windows_at(uintptr_t at, Leg* leg, uint8_t placement, size_t count) {
  unsigned first = window_of(at);
  unsigned expected = first;
  if (first > region.windows || count > region.windows - first) return false;
  auto after = first + static_cast<unsigned>(count);
  if (!next_window.compare_exchange_strong(expected, after)) return false;
  assign(first, leg, placement, count);
  return true;
}

size_t windows_left() { return region.windows - next_window.load(std::memory_order_relaxed); }

void unclaim_windows(uintptr_t start, size_t count) {
  unsigned first = window_of(start);
  auto after = first + static_cast<unsigned>(count);
  if (start + (count << region.window_shift) == region.base + region.default_bytes) {
    __atomic_store_n(&region.default_bytes, start - region.base, __ATOMIC_RELAXED);
  }
  next_window.compare_exchange_strong(after, first);
}

bool commit_tables(uintptr_t from, uintptr_t to) {
  const auto commit = [](const void* first, const void* end) {
    uintptr_t start = reinterpret_cast<uintptr_t>(first) & ~(os::kPageSize - 1);
    uintptr_t stop = round_up(reinterpret_cast<uintptr_t>(end), os::kPageSize);
    return os::commit(to_pointer(start), stop - start) == 0;
  };
  from -= region.base;
  to -= region.base;
  return commit(region.page_map + (from >> kPageShift),
                region.page_map + (round_up(to, os::kPageSize) >> kPageShift)) &&
         commit(region.spans + (from >> kSpanShift),
                region.spans + (round_up(to, kSpanUnit) >> kSpanShift));
}

}  // namespace hms::alloc
