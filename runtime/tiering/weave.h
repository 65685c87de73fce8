// Weaving: memory that is read in turn, spread by address over near and far.
//
// Readers of one memory at a time get its bandwidth; readers of both, in proportion to what each
// can deliver, get the sum. So of a class that streams (streams.h) neighbouring runs of units lie
// near or far by a fixed pattern. The pattern is nested: what lies near at a small share does so at
// any larger one, so that a change of the share by a part moves only that part; and of any run of
// neighbours about as many are near as of any other.
#pragma once

#include <cstdint>
#include <string>

#include "runtime/support/result.h"
#include "runtime/tiering/heap.h"

namespace hms::tiering {

// Where a run stands in the order in which runs become near: 0, first, to kWeaveCycle - 1.
inline unsigned weave_rank(uint32_t run) {
  // The six low bits, in reverse.
  unsigned rank = 0;
  for (unsigned bit = 1; bit < kWeaveCycle; bit <<= 1, run >>= 1) rank = rank << 1 | (run & 1);
  return rank;
}
// share: of kWeaveCycle runs, those that are near.
inline Side weave_side(uint32_t run, unsigned share) {
  return weave_rank(run) < share ? Side::kNear : Side::kFar;
}

// Bytes per second that the two memories can deliver; 0: nobody knows.
struct Bandwidths {
  double near = 0, far = 0;
};

// What a user wants of it.
struct WeaveWords {
  enum class Kind { kAuto, kOff, kWeights };
  Kind kind = Kind::kAuto;
  double near = 0, far = 0;  // weights, as given
};
// `auto`, `off`, or NEAR:FAR, numbers above 0. "" is auto.
Result<WeaveWords> parse_weave(const std::string& words);

struct WeaveOptions {
  unsigned near_share = 0;  // of kWeaveCycle runs, that are best near; 0: nothing is woven
  // Bytes per second that near memory can deliver: less is woven for nobody who uses a small part
  // of it. 0: whatever streams is woven.
  double near_bandwidth = 0;
};
// With auto, nothing is woven where a bandwidth is not known, or where far memory has so little of
// it that it would add next to nothing.
WeaveOptions weave_options(const WeaveWords& words, const Bandwidths& of);

}  // namespace hms::tiering
