// Helpers of the allocator's tests: placements built by hand, counters by key.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "allocator/allocator.h"
#include "runtime/placement/placement.h"
#include "runtime/support/counters.h"

namespace hms::alloc::test {

inline constexpr size_t kKiB = 1024;
inline constexpr size_t kMiB = 1024 * kKiB;

// An emulated target laid over node 0: works on every machine.
inline hms::Leg emulated(const std::string& key, uint64_t capacity, uint32_t weight = 1) {
  hms::Leg leg;
  leg.target = {key, 0, true, capacity};
  leg.weight = weight;
  return leg;
}

inline Placement make(std::vector<hms::Leg> legs, Spread spread = Spread::kOrdered,
                      bool strict = false) {
  Placement placement;
  placement.legs = std::move(legs);
  placement.spread = spread;
  placement.strict = strict;
  placement.spec = "test";
  return placement;
}

inline PlacementId registered(const Placement& placement) {
  Result<PlacementId> id = register_placement(placement);
  EXPECT_TRUE(id.ok()) << id.status().message();
  return id.ok() ? id.value() : kDefaultPlacement;
}

inline TargetCounters* counters(const std::string& key) {
  return stats_target(key.c_str(), 0, true);
}

inline std::string key_of(const void* block) { return target_of(block).key; }

// Blocks freed at the end of the scope.
class Blocks {
 public:
  Blocks() = default;
  ~Blocks() { release(); }
  Blocks(const Blocks&) = delete;
  Blocks& operator=(const Blocks&) = delete;

  void* add(void* block) {
    if (block != nullptr) all_.push_back(block);
    return block;
  }
  void release() {
    for (void* block : all_) deallocate(block);
    all_.clear();
  }
  const std::vector<void*>& all() const { return all_; }

 private:
  std::vector<void*> all_;
};

// Resident set of this process in bytes.
size_t resident_bytes();

}  // namespace hms::alloc::test
