// How a range is cut for an ordered list: the first target takes what it has room for, the next one
// goes on from there. Pure arithmetic.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/hbind/backend.h"

namespace hms::hbind {

// A part of the range for one target; null: none of the list has room.
struct PlanPart {
  PageSpan span;
  const BoundTarget* target = nullptr;
};

struct Plan {
  std::vector<PlanPart> parts;      // in address order, neighbours differ
  uint64_t pages_without_room = 0;  // absent pages in parts without a target
};

// A target of the list and how many absent pages it can take.
struct Offer {
  const BoundTarget* target = nullptr;
  uint64_t pages = 0;
};

// `runs` in address order. Pages that exist need no room; they go with the part around them. Cuts
// are moved down to a huge page's boundary where the part is longer than one, so that the cut costs
// no huge page.
Plan make_plan(const std::vector<Run>& runs, std::vector<Offer> offers);

}  // namespace hms::hbind
