// Which two memories tiering divides the heap between.
#pragma once

#include <string>

#include "runtime/placement/placement.h"
#include "runtime/support/result.h"

namespace hms::alloc {

struct TieringTargets {
  TargetRef near, far;
};

// `spec`: a placement whose first target is near and whose last is far, such as "hbm>dram"; empty:
// the memories of `tiers` or of the machine, the one with most bandwidth near and the one with
// least far. A machine with one memory has it on both sides.
Result<TieringTargets> tiering_targets(const std::string& spec);

}  // namespace hms::alloc
