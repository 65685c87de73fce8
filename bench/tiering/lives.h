// The births and deaths of a trace's objects, in order.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "bench/tiering/trace.h"

namespace hms::bench::tiering {

// Calls allocate(object) and release(object) of a heap as the trace says, up to a tick.
template <typename Heap>
class Lives {
 public:
  Lives(const Trace& trace, Heap& heap) : trace_(trace), heap_(heap) {
    for (size_t i = 0; i < trace.objects.size(); ++i)
      if (trace.objects[i].death != kNever) deaths_.push_back(i);
    std::sort(deaths_.begin(), deaths_.end(), [&](size_t a, size_t b) {
      return std::pair(trace.objects[a].death, a) < std::pair(trace.objects[b].death, b);
    });
  }
  void until(uint64_t tick) {
    for (; born_ < trace_.objects.size() && trace_.objects[born_].birth < tick; ++born_) {
      bury(trace_.objects[born_].birth, born_);
      heap_.allocate(born_);
    }
    bury(tick, born_);
  }

 private:
  // What died in the tick of a birth may have been born in it.
  void bury(uint64_t tick, size_t born) {
    while (dead_ < deaths_.size() && trace_.objects[deaths_[dead_]].death <= tick &&
           deaths_[dead_] < born)
      heap_.release(deaths_[dead_++]);
  }
  const Trace& trace_;
  Heap& heap_;
  std::vector<size_t> deaths_;
  size_t born_ = 0, dead_ = 0;
};

}  // namespace hms::bench::tiering
