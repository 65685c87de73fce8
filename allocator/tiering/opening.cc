// See opening.h.
#include "allocator/tiering/opening.h"

#include <algorithm>

#include "allocator/tiering/hints.h"
#include "allocator/tiering/sites.h"

namespace hms::alloc {

std::atomic<bool> classes_on{false};
std::atomic<uint64_t> classes_open_at{kNotWaiting};

namespace {

std::atomic<void (*)()> on_open{nullptr};
std::atomic<int64_t> before{0};

int64_t default_bytes() { return default_leg()->committed.load(std::memory_order_relaxed); }

}  // namespace

void open_classes_at(uint64_t default_bytes, void (*then)()) {
  on_open.store(then);
  classes_open_at.store(std::min(default_bytes, kNotWaiting - 1));
}

void postpone_classes(uint64_t default_bytes) {
  uint64_t at = classes_open_at.load();
  while (at != kNotWaiting &&
         !classes_open_at.compare_exchange_weak(at, std::min(default_bytes, kNotWaiting - 1))) {
  }
}

// On before they are no longer due: a child that is forked in between, or a hint that comes there,
// finds the one or the other.
void open_classes() {
  const bool waited = classes_wait();
  const bool open = classes_on.exchange(true);
  classes_open_at.store(kNotWaiting);
  if (open) return;
  if (waited) before.store(default_bytes());
  make_early_hints();
  void (*const then)() = on_open.load();
  if (then != nullptr) then();
}

uint64_t bytes_before_opening() {
  const int64_t bytes = std::min(before.load(std::memory_order_relaxed), default_bytes());
  return bytes > 0 ? static_cast<uint64_t>(bytes) : 0;
}

}  // namespace hms::alloc
