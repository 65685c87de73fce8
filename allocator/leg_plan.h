// From a placement, as a person wrote it, to the legs that carry it out on this machine.
#pragma once

#include <vector>

#include "allocator/leg.h"
#include "runtime/placement/placement.h"
#include "runtime/support/result.h"

namespace hms::alloc {

struct LegPlans {
  std::vector<LegPlan> legs;
  unsigned listed = 0;  // the rest is behind the list
};

// Nodes that this process may not use are an error when strict (HMS_ENODEV), else left out.
Result<LegPlans> plan_legs(const Placement& placement, uint8_t id);

}  // namespace hms::alloc
