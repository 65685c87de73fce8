// See short_lock.h. The states are those of "Futexes Are Tricky" (U. Drepper, 2011), mutex 2.
#include "allocator/short_lock.h"

#include "runtime/support/os_wait.h"

namespace hms::alloc {
namespace {

// Some microseconds: longer than anyone who runs holds the lock.
constexpr int kSpins = 200;

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

void ShortLock::wait() {
  for (int i = 0; i < kSpins; ++i) {
    uint32_t expected = kFree;
    if (state_.load(std::memory_order_relaxed) == kFree &&
        state_.compare_exchange_weak(expected, kHeld, std::memory_order_acquire)) {
      return;
    }
    relax();
  }
  while (state_.exchange(kAwaited, std::memory_order_acquire) != kFree) {
    os::wait_while(&state_, kAwaited);
  }
}

void ShortLock::wake() { os::wake_one(&state_); }

}  // namespace hms::alloc
