// What keeps tiering from doing harm: three governors, each with one thing to watch. All take time
// and what was measured from outside, so that they can be tested without waiting.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "runtime/tiering/heap.h"

namespace hms::tiering {

struct MoverOptions {
  double refill_share = 0.25;               // of near memory, per second
  double burst_share = 0.5;                 // of near memory: the most that is saved up
  uint64_t refill_max = uint64_t{1} << 30;  // bytes per second, on any machine
  double pingpong_max = 0.05;               // share of moved bytes that soon moved back
  double realised_min = 0.5;                // share of the predicted accesses that came
  double verdict_min = 0.01;  // share of all accesses that must have been promised for a verdict
  double judge_s = 2;         // how long after a move it is judged
  double return_s = 30;       // a move back within that time is ping-pong
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

  // A unit was moved. predicted: the share of all accesses that is expected to meet it.
  void moved(UnitId unit, Side side, uint64_t bytes, double predicted, double now);
  // Promotions that are due for judgement. For each, the engine says what came instead.
  struct Due {
    UnitId unit;
    double predicted;
  };
  std::vector<Due> due(double now);
  void judged(double predicted, double realised);
  // Once a step, after judgements.
  void decide(double now);

 private:
  struct Past {
    double at;
    Side side;
    uint64_t bytes;
    double predicted;
    bool waiting;  // for judgement
  };
  void squeeze(double now, const char* reason);

  MoverOptions options_;
  double last_ = -1, tokens_ = 0, hysteresis_ = 1, width_ = 1;
  unsigned squeezed_ = 0, freezes_ = 0;
  bool frozen_ = false;
  double thaw_at_ = 0, decide_at_ = 0;
  double moved_bytes_ = 0, returned_bytes_ = 0, predicted_ = 0, realised_ = 0;
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
