// Placement policies replayed over a trace: the baselines that an engine must beat. They see
// births, and samples of the accesses of an epoch when it is over; never the future.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bench/tiering/heap.h"
#include "bench/tiering/layout.h"
#include "bench/tiering/trace.h"

namespace hms::bench::tiering {

// Which pages are fast. Keeps the room.
class FastMemory {
 public:
  FastMemory(uint32_t pages, uint64_t room) : fast_(pages), room_(room) {}
  bool has(uint32_t page) const { return fast_[page]; }
  bool full() const { return used_ >= room_; }
  uint64_t room() const { return room_; }
  uint64_t free() const { return room_ - used_; }
  bool add(uint32_t page) {
    if (fast_[page] || full()) return false;
    fast_[page] = true;
    ++used_;
    return true;
  }
  void remove(uint32_t page) {
    if (!fast_[page]) return;
    fast_[page] = false;
    --used_;
  }

 private:
  std::vector<bool> fast_;
  uint64_t room_, used_ = 0;
};

// Draws one access in `rate`, each by itself: as the gap to the next that is drawn.
class Thinner {
 public:
  explicit Thinner(uint64_t rate) : rate_(rate) {}
  uint32_t operator()(uint32_t count);

 private:
  uint64_t rate_;
  Random random_{31};
  uint32_t gap_ = 0;
};

struct Sample {
  uint32_t page;
  uint32_t reads, writes;
};

class Policy {
 public:
  virtual ~Policy() = default;
  virtual const char* name() const = 0;
  // The first object on a page is born.
  virtual void born(uint32_t page, const Object& object, FastMemory* fast) = 0;
  // Moves what it likes; how much that was is counted by the replay.
  virtual void epoch(const std::vector<Sample>&, FastMemory*) {}
};

std::vector<std::unique_ptr<Policy>> baselines(const Trace& trace, const Layout& layout,
                                               uint64_t fast_bytes);

struct Replay {
  double hits = 0;       // hit ratio of the judged epochs
  double last_hits = 0;  // of the last quarter of them
  uint64_t moved = 0;    // pages promoted in the judged epochs
  std::vector<double> by_epoch;
};
// rate: accesses per sample.
Replay replay(const Trace& trace, const Layout& layout, uint64_t fast_bytes, uint64_t rate,
              Policy* policy);

}  // namespace hms::bench::tiering
