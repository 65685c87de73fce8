// Replays the engine of libhms over a trace: its decisions on its heap, with what a sampler would
// have seen.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bench/tiering/product_heap.h"
#include "runtime/tiering/engine.h"

namespace hms::bench::tiering {

// What is seen of the accesses of an epoch.
enum class Seeing {
  kSamples,  // one access in `rate`, as hardware sampling of addresses
  kBits,     // which pages were accessed within a short time, as accessed bits
  kWrites,   // which pages were written within it, as write protection
};

struct SteerOptions {
  ProductHeap::Options heap;
  engine::EngineOptions engine;
  Seeing seeing = Seeing::kSamples;
  uint64_t rate = 200;
  double epoch_s = 0.25;  // assumed duration of an epoch, and time between steps
  bool steps = true;      // false: the engine does nothing, and data stays where it was born
};

// One stretch of judged epochs in which the kernel behaves alike.
struct PhaseResult {
  double best = 0;  // hit ratio of the best static pages of the phase, on this layout
  double hits = 0;
  double reach_s = -1;   // until hits stay at 95 % of best for a second; -1: never
  uint64_t moved = 0;    // bytes promoted
  uint64_t minimum = 0;  // bytes of the best pages that were not near when it began
};

struct Steered {
  double hits = 0;                     // hit ratio of the judged epochs
  double last_hits = 0;                // of the last quarter of them
  double first_hits = 0;               // of the first second
  double oracle = 0;                   // best static pages of the layout that came of it
  double last_oracle = 0;              // of the last quarter
  double births = 0;                   // best shares of near memory for classes, as they are born
  uint64_t promoted = 0, demoted = 0;  // bytes, in judged epochs
  double churn = 0;       // promoted per second in the last quarter, as a share of near memory
  double share_seen = 0;  // estimate of the hit ratio at the end, by the engine
  size_t parts = 0;
  unsigned classes = 0;
  std::string why;
  std::vector<double> by_epoch;  // hit ratios
  std::vector<PhaseResult> phases;
};

Steered steer(const Trace& trace, const SteerOptions& options);

}  // namespace hms::bench::tiering
