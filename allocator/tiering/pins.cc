// See pins.h.
#include "allocator/tiering/pins.h"

#include <string.h>

#include <algorithm>
#include <atomic>

#include "allocator/region.h"
#include "allocator/setup.h"
#include "allocator/tiering/migrate.h"

namespace hms::alloc {
namespace {

struct Range {
  uintptr_t from, to;
};

// Ascending, with gaps between them. Under the lock, a leaf; the number is also read without.
Mutex lock;
Range ranges[kMaxPins];
std::atomic<size_t> count{0};

size_t first_with_end_from(uintptr_t at) {
  const Range* const begin = ranges;
  const auto before = [](const Range& range, uintptr_t where) { return range.to < where; };
  return static_cast<size_t>(std::lower_bound(begin, begin + count.load(), at, before) - begin);
}

// The ranges [first, last) become these pieces, at most two.
bool replace(size_t first, size_t last, const Range* pieces, size_t number) {
  const size_t before = count.load();
  const size_t after = before - (last - first) + number;
  if (after > kMaxPins) return false;
  memmove(ranges + first + number, ranges + last, (before - last) * sizeof(Range));
  std::copy(pieces, pieces + number, ranges + first);
  count.store(after);
  return true;
}

// Nothing of it may be left.
bool clip_to_region(uintptr_t* from, uintptr_t* to) {
  *from = std::max(*from, region.base);
  *to = std::min(*to, region.base + region.bytes);
  return *from < *to;
}

bool add(uintptr_t from, uintptr_t to) {
  LockGuard guard(lock);
  const size_t first = first_with_end_from(from);
  size_t last = first;
  Range whole{from, to};
  for (; last < count.load() && ranges[last].from <= to; ++last) {
    whole.from = std::min(whole.from, ranges[last].from);
    whole.to = std::max(whole.to, ranges[last].to);
  }
  return replace(first, last, &whole, 1);
}

bool cut(uintptr_t from, uintptr_t to) {
  LockGuard guard(lock);
  const size_t first = first_with_end_from(from + 1);
  size_t last = first;
  while (last < count.load() && ranges[last].from < to) ++last;
  if (first == last) return true;
  Range rest[2];
  size_t number = 0;
  if (ranges[first].from < from) rest[number++] = {ranges[first].from, from};
  if (ranges[last - 1].to > to) rest[number++] = {to, ranges[last - 1].to};
  return replace(first, last, rest, number);
}

}  // namespace

// A move that began before is waited for: it holds what the new range might forbid.
bool pin(uintptr_t from, uintptr_t to) {
  ensure_started();
  if (!clip_to_region(&from, &to)) return true;
  if (!add(from, to)) return false;
  LockGuard moves(move_lock());
  return true;
}

bool unpin(uintptr_t from, uintptr_t to) {
  ensure_started();
  return !clip_to_region(&from, &to) || cut(from, to);
}

bool any_pinned(uintptr_t from, uintptr_t to) {
  if (count.load() == 0) return false;
  LockGuard guard(lock);
  const size_t first = first_with_end_from(from + 1);
  return first < count.load() && ranges[first].from < to;
}

UnitPages pinned_pages(UnitNumber unit) {
  UnitPages pages;
  if (count.load() == 0) return pages;
  const uintptr_t start = unit_start(unit);
  const uintptr_t end = unit_start(unit + 1);
  LockGuard guard(lock);
  for (size_t i = first_with_end_from(start + 1); i < count.load() && ranges[i].from < end; ++i) {
    const size_t first = (std::max(ranges[i].from, start) - start) / os::kPageSize;
    const size_t last = (std::min(ranges[i].to, end) - 1 - start) / os::kPageSize;
    for (size_t page = first; page <= last; ++page) pages.set(page);
  }
  return pages;
}

void lock_pins() { lock.lock(); }
void unlock_pins() { lock.unlock(); }

}  // namespace hms::alloc
