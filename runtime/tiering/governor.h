// What keeps tiering from doing harm: three governors, each with one thing to watch. All take time
// and what was measured from outside, so that they can be tested without waiting.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "runtime/tiering/heap.h"

namespace hms::tiering {

struct MoverOptions {
  double refill_share = 0.5;  // of near memory, per second
  double burst_share = 2;     // of near memory: the most that is saved up; an exchange of all of it
  uint64_t refill_max = uint64_t{1} << 30;  // bytes per second, on any machine
  double pingpong_max = 0.05;               // share of moved bytes that soon moved back
  double realised_min = 0.5;                // share of the predicted accesses that came
  double verdict_min = 0.01;  // share of all accesses that must have been promised for a verdict
  double judge_s = 2;         // how long after a move it is judged
  double return_s = 20;       // a move back within that time is ping-pong
  double thaw_s = 30;         // the first freeze; each one in a row is twice as long
  unsigned squeezes = 3;      // halvings before it freezes
};

// How much may move: a token bucket in bytes that narrows while moves turn out to be wrong, down to
// a freeze, and widens again while they turn out right.
class MoveGovernor {
 public:
  explicit MoveGovernor(const MoverOptions& options = {}) : options_(options) {}

  // Once a step, before moves are planned.
  void refill(double now, uint64_t near_capacity);
  uint64_t tokens() const { return frozen_ ? 0 : static_cast<uint64_t>(tokens_); }
  bool frozen() const { return frozen_; }
  double hysteresis() const { return hysteresis_; }  // factor, 1 or more
  const std::string& why() const { return why_; }

  struct Expected {
    double share = 0;     // of all accesses, that is expected to meet what moved
    double cost_ns = 0;   // of the move, and of those that made room for it
    uint32_t extent = 0;  // bytes of the unit or part, as it was listed: it may be split or made
                          // whole later, and is no longer the same then
  };
  // Bytes that moved for another reason than hits: they count, and are not judged.
  void spend(uint64_t bytes) { tokens_ = std::max(tokens_ - static_cast<double>(bytes), 0.0); }
  void moved(UnitId unit, Side side, uint64_t bytes, const Expected& expected, double now);
  // Moves that are judged now: once a second, those of the last `judge_s` seconds. Of each, the
  // engine says what share of all accesses meets the unit, and what it would save per second in
  // near memory. What was demoted counts against what was promoted: if two hot sets take turns and
  // moves come too late for both, the balance is nought however hot they are.
  struct Due {
    UnitId unit;
    Side side;
    uint32_t extent;
  };
  std::vector<Due> due(double now);
  // True if the move has turned out right so far: what came has paid for it, what went stayed cold.
  bool judged(const Due& due, double share, double saved_ns);
  // Once a step, after judgements.
  void decide(double now);

 private:
  struct Past {
    double at;
    Side side;
    Expected expected;
    double saved_ns;  // since, less what it gave up
    bool right;       // judged, and found so
  };
  void squeeze(double now, const char* reason);
  void start_verdict();

  MoverOptions options_;
  double last_ = -1, capacity_ = 0, tokens_ = 0, hysteresis_ = 1, width_ = 1;
  unsigned squeezed_ = 0, freezes_ = 0;
  bool frozen_ = false;
  double thaw_at_ = 0, decide_at_ = 0, judge_at_ = 0;
  double moved_bytes_ = 0, returned_bytes_ = 0, predicted_ = 0, realised_ = 0, cost_ns_ = 0,
         saved_ns_ = 0;
  std::unordered_map<UnitId, Past> past_;
  std::string why_;
};

// What sampling and deciding may cost: the share of one CPU is held at a budget by observing less,
// and above the limit sampling ends for good.
class CpuGovernor {
 public:
  struct Options {
    double budget = 0.005, limit = 0.02;  // of one CPU
    double window_s = 2;                  // over which cost is measured
    double effort_min = 1.0 / 64;
  };
  CpuGovernor() = default;
  explicit CpuGovernor(const Options& options) : options_(options) {}
  // cpu_s: seconds of CPU time used so far, cumulative. Returns true if effort() changed.
  bool spent(double now, double cpu_s);
  double effort() const { return effort_; }  // 0 to 1
  bool killed() const { return killed_; }
  double cost() const { return cost_; }  // share of a CPU, lately

 private:
  Options options_;
  double window_begin_ = -1, window_cpu_ = 0, effort_ = 1, cost_ = 0;
  unsigned over_ = 0;
  bool killed_ = false;
};

}  // namespace hms::tiering
