// What the OpenMP tests share: a machine of two emulated tiers, and allocators made in one line. No
// OpenMP runtime is loaded: what is tested here must not need one.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <functional>
#include <thread>
#include <vector>

#include "openmp/allocators.h"
#include "openmp/defaults.h"
#include "openmp/memory.h"
#include "openmp/spaces.h"
#include "openmp/traits.h"

namespace hms::omp::testing {

inline constexpr uint64_t kRecord = sizeof(Record);  // what a block counts beside its size

// All spaces are looked up anew. Allocators of earlier tests keep theirs.
class OpenMp : public ::testing::Test {
 protected:
  void SetUp() override {
    setenv("HMS_TOPOLOGY", "tiers:fast=64M:bw=400G:lat=80,slow=256M:bw=50G:lat=300", 1);
    setenv("HMS_CONF", "", 1);
    unsetenv("HMS_OMP_SPACES");
    forget_spaces();
  }
};

inline Result<Traits> checked(const std::vector<Trait>& traits) {
  return parse_traits(traits.data(), static_cast<int>(traits.size()), 0);
}

inline Allocator* make(const std::vector<Trait>& traits, Handle space = kDefaultSpace) {
  auto parsed = checked(traits);
  EXPECT_TRUE(parsed.ok()) << parsed.status().message();
  auto made = make_allocator(*find_space(space), parsed.ok() ? parsed.value() : Traits(), false);
  EXPECT_TRUE(made.ok()) << made.status().message();
  return made.ok() ? made.value() : nullptr;
}

inline void* get(Handle h, size_t size, size_t alignment = 1) {
  return allocate(h, {size, alignment, false}, Caller::kAny);
}

inline bool has_record(const void* block) { return record_of(block) != nullptr; }

inline void in_threads(unsigned count, const std::function<void(unsigned)>& body) {
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < count; ++i) threads.emplace_back(body, i);
  for (std::thread& thread : threads) thread.join();
}

}  // namespace hms::omp::testing
