// When plain requests begin to come to the classes. As long as a program is small beside near
// memory, tiering has nothing to gain, and telling its places apart would only cost it time and
// memory: until then its malloc is the one that it has without tiering.
#pragma once

#include <atomic>
#include <cstdint>

#include "allocator/leg.h"
#include "allocator/placements.h"

namespace hms::alloc {

inline constexpr uint64_t kNotWaiting = UINT64_MAX;
// Bytes of the default placement from which on the classes are due; kNotWaiting: they are open, or
// nothing is to come to them.
extern std::atomic<uint64_t> classes_open_at;

// After start_classes(): they open when the default placement has that many bytes, or a hint is
// met. `then` is called once they are open, by the thread that opens them, with no lock held.
void open_classes_at(uint64_t default_bytes, void (*then)());
// Another number of bytes, unless they are open.
void postpone_classes(uint64_t default_bytes);
// Opens them now. Does nothing if they are open.
void open_classes();

// For a miss of the thread cache: true if this request of `bytes` should open them first.
inline bool classes_due(uint64_t bytes) {
  const uint64_t at = classes_open_at.load(std::memory_order_relaxed);
  if (__builtin_expect(at == kNotWaiting, 1)) return false;
  const int64_t now = default_leg()->committed.load(std::memory_order_relaxed);
  return bytes >= at || static_cast<uint64_t>(now > 0 ? now : 0) >= at - bytes;
}
inline bool classes_wait() {
  return classes_open_at.load(std::memory_order_relaxed) != kNotWaiting;
}

// What the default placement still has of the bytes that it had when classes that waited opened:
// they lie in near memory, and nothing moves them.
uint64_t bytes_before_opening();

}  // namespace hms::alloc
