// A lock that is held for well under a microsecond at a time and there in thousands: four bytes,
// inline when free, constant-initialized. A forked child may reset it.
#pragma once

#include <atomic>
#include <cstdint>

namespace hms::alloc {

class ShortLock {
 public:
  constexpr ShortLock() = default;
  ShortLock(const ShortLock&) = delete;
  ShortLock& operator=(const ShortLock&) = delete;
  void lock() {
    uint32_t expected = kFree;
    if (!state_.compare_exchange_strong(expected, kHeld, std::memory_order_acquire)) wait();
  }
  void unlock() {
    if (state_.exchange(kFree, std::memory_order_release) == kAwaited) wake();
  }

 private:
  static constexpr uint32_t kFree = 0, kHeld = 1, kAwaited = 2;
  void wait();
  void wake();
  std::atomic<uint32_t> state_{kFree};
};

class ShortGuard {
 public:
  explicit ShortGuard(ShortLock& lock) : lock_(lock) { lock_.lock(); }
  ~ShortGuard() { lock_.unlock(); }
  ShortGuard(const ShortGuard&) = delete;
  ShortGuard& operator=(const ShortGuard&) = delete;

 private:
  ShortLock& lock_;
};

}  // namespace hms::alloc
