// How long a trace takes where bandwidth limits it, modelled: in each epoch as long as the memory
// that is busy for longer, as if enough readers ran at a time. Latency counts for nothing here.
#pragma once

#include <cstdint>

#include "bench/tiering/steer.h"

namespace hms::bench::tiering {

// Times of the second half of what is judged, when the engine has learnt, in those that it takes
// if both memories are busy all the time: 1 is the best.
struct BoundTimes {
  double first_touch = 0, engine = 0, woven = 0;
  double engine_hits = 0, woven_hits = 0;      // of all that is judged
  uint64_t engine_moved = 0, woven_moved = 0;  // bytes, both ways
};

// weights: what the two memories can deliver, for the engine that weaves as well.
BoundTimes bound_times(const Trace& trace, const SteerOptions& options,
                       const engine::WeaveWords& weights);

}  // namespace hms::bench::tiering
