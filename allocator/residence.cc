// See residence.h.
#include "allocator/residence.h"

namespace hms::alloc {
namespace {

// Idle memory up to the larger of these stays: 8 MiB, and a quarter of what is in use. With less,
// programs that replace large buffers fault most of them in anew; with half, a chain of image
// filters peaks at 1.2 times of what it does on jemalloc, with no bound at 1.4 times.
constexpr int64_t kIdleFloor = int64_t{8} << 20;
constexpr int64_t kIdleShare = 4;

int64_t most_idle(int64_t held) {
  return held / kIdleShare > kIdleFloor ? held / kIdleShare : kIdleFloor;
}

}  // namespace

void bound_idle(Leg* leg, int64_t committed_before) {
  const int64_t committed = committed_bytes(*leg);
  if (committed <= committed_before) return;
  const int64_t held = leg->held.load(std::memory_order_relaxed);
  if (committed - held > most_idle(held)) decay_arenas(leg, true);
}

}  // namespace hms::alloc
