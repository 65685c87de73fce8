// What a profile of an earlier, equal run says about the contexts of a trace: where each is to be
// born. Ranked and packed by the product's own plan (runtime/tiering/profile_plan.h).
#pragma once

#include <cstdint>
#include <map>
#include <utility>

#include "bench/tiering/trace.h"
#include "runtime/tiering/profile_plan.h"

namespace hms::bench::tiering {

struct Foreseen {
  // By allocating place and depth of stack.
  std::map<std::pair<uint64_t, uint64_t>, hms::tiering::Lean> leans;
  uint64_t rest_bytes = 0;  // near memory for those that lean there in part
};

struct Recording {
  uint64_t near_bytes;
  uint64_t rate;   // accesses per sample
  double epoch_s;  // assumed duration of an epoch
};
Foreseen foresee(const Trace& trace, const Recording& recording);

}  // namespace hms::bench::tiering
