// The table of registered placements and their legs.
#pragma once

#include <atomic>

#include "allocator/allocator.h"
#include "allocator/leg.h"

namespace hms::alloc {

inline constexpr unsigned kMaxLegs = 17;  // 16 targets and what is behind them

struct PlacementState {
  const Placement* info = nullptr;
  Spread spread = Spread::kOrdered;
  unsigned leg_count = 0;
  // The last leg of a placement that is not strict is kernel-chosen memory, in a window of its own:
  // when the list is exhausted the program still gets memory, and it never mixes with another's.
  unsigned listed = 0;  // legs before that one
  Leg* legs[kMaxLegs] = {};
};

// Never null for an id that register_placement returned.
const PlacementState* placement_state(PlacementId id);
unsigned placement_count();  // ids below are registered
Leg* default_leg();
// Sets up placement 0; part of the start.
bool make_default_placement();

// Visits the legs of all placements.
template <typename Visit>
void for_each_leg(Visit visit) {
  for (unsigned id = 0; id < placement_count(); ++id) {
    const PlacementState* state = placement_state(static_cast<PlacementId>(id));
    for (unsigned i = 0; i < state->leg_count; ++i) visit(state->legs[i]);
  }
}

void lock_placements();
void unlock_placements();

}  // namespace hms::alloc
