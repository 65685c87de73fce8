// A piece of memory in units, of which some are used all the time and the others never: what every
// sampler must be able to tell apart.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "runtime/support/os.h"
#include "runtime/support/os_sampling.h"
#include "runtime/tiering/sampler.h"

namespace hms::tiering {

class HotAndCold {
 public:
  static constexpr size_t kUnits = 24, kHot = 4;

  explicit HotAndCold(bool huge = false) {
    void* memory = nullptr;
    if (os::reserve(nullptr, (kUnits + 1) * kUnitBytes, &memory) != 0) return;
    reserved_ = memory;
    const auto at = reinterpret_cast<uintptr_t>(memory);
    begin_ = reinterpret_cast<char*>((at + kUnitBytes - 1) / kUnitBytes * kUnitBytes);
    os::commit(begin_, kUnits * kUnitBytes);
    os::advise_huge_pages(begin_, kUnits * kUnitBytes, huge);
    for (size_t at_byte = 0; at_byte < kUnits * kUnitBytes; at_byte += os::kPageSize) {
      begin_[at_byte] = 1;
    }
    for (size_t i = 0; i < kUnits; ++i) {
      UnitView unit{};
      unit.id = static_cast<UnitId>(i * (kUnitBytes / os::kPageSize));
      unit.address = reinterpret_cast<uintptr_t>(begin_ + i * kUnitBytes);
      unit.bytes = unit.committed = kUnitBytes;
      unit.class_id = static_cast<ClassId>(is_hot(i) ? 2 : 1);
      units.push_back(unit);
    }
    user_ = std::thread([this] { use(); });
  }
  ~HotAndCold() {
    stop_ = true;
    if (user_.joinable()) user_.join();
    if (reserved_ != nullptr) os::unmap(reserved_, (kUnits + 1) * kUnitBytes);
  }
  HotAndCold(const HotAndCold&) = delete;
  HotAndCold& operator=(const HotAndCold&) = delete;

  // Spread over the region, not at its start.
  static bool is_hot(size_t unit) { return unit % (kUnits / kHot) == 3; }
  char* begin() const { return begin_; }
  // Passes over the hot units so far.
  unsigned long passes() const { return passes_; }

  std::vector<UnitView> units;

 private:
  void use() {
    while (!stop_) {
      for (size_t i = 0; i < kUnits; ++i) {
        if (!is_hot(i)) continue;
        for (size_t at = 0; at < kUnitBytes; at += os::kPageSize) {
          ++*const_cast<volatile char*>(begin_ + i * kUnitBytes + at);
        }
      }
      ++passes_;
    }
  }

  void* reserved_ = nullptr;
  char* begin_ = nullptr;
  std::atomic<bool> stop_{false};
  std::atomic<unsigned long> passes_{0};
  std::thread user_;
};

// What a sampler said of each unit in all rounds together.
struct Heat {
  double events = 0, exposure = 0;
  double rate() const { return exposure > 0 ? events / exposure : 0; }
};

// Rounds go on until every hot unit shows more than twice the heat of any cold one; false if
// `rounds` were not enough. Between two rounds the memory is really used: waiting is by passes, not
// by the clock.
inline bool tells_apart(Sampler* sampler, const HotAndCold& memory, int rounds) {
  std::map<UnitId, Heat> heat;
  std::vector<Reading> readings;
  for (int round = 0; round < rounds; ++round) {
    sampler->collect(memory.units, &readings);
    for (const Reading& reading : readings) {
      heat[reading.unit].events += reading.events;
      heat[reading.unit].exposure += reading.exposure;
    }
    const unsigned long seen = memory.passes();
    while (memory.passes() < seen + 2) os::sleep_ns(1000000);
    double coldest_hot = 1e300, hottest_cold = 0;
    bool all = true;
    for (size_t i = 0; i < HotAndCold::kUnits; ++i) {
      const Heat& h = heat[memory.units[i].id];
      if (HotAndCold::is_hot(i)) {
        all = all && h.exposure > 0;
        coldest_hot = std::min(coldest_hot, h.rate());
      } else {
        hottest_cold = std::max(hottest_cold, h.rate());
      }
    }
    if (all && coldest_hot > 2 * hottest_cold && coldest_hot > 0) return true;
  }
  std::string seen;
  for (const auto& [id, h] : heat) {
    seen += " " + std::to_string(id) + ":" + std::to_string(h.events) + "/" +
            std::to_string(h.exposure) + "s";
  }
  ADD_FAILURE() << "events of each unit:" << seen;
  return false;
}

}  // namespace hms::tiering
