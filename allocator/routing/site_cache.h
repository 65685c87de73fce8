// Remembers which call-site rules hold for a return address: fixed size, no lock, nothing is ever
// removed. Code that a program unloads and replaces at the same address keeps the old answer.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace hms::routing {

class SiteCache {
 public:
  // True and the mask if the site is known.
  bool find(const void* site, uint64_t* mask) const;
  // Does nothing when the neighbourhood of the site is full: its answer is then computed each time.
  void insert(const void* site, uint64_t mask);

 private:
  static constexpr size_t kBits = 15;
  static constexpr size_t kSlots = size_t{1} << kBits;
  static constexpr size_t kProbes = 32;
  static constexpr uintptr_t kBusy = 1;  // claimed, its mask is being written; no code is there

  struct Slot {
    std::atomic<uintptr_t> site;
    std::atomic<uint64_t> mask;
  };

  static size_t first_slot(uintptr_t site) {
    return static_cast<size_t>((site * 0x9e3779b97f4a7c15ULL) >> (64 - kBits));
  }

  Slot slots_[kSlots];
};

}  // namespace hms::routing
