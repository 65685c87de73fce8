// Moving units and parts: charges, policy and pages. By one thread at a time, the engine's, and
// under no lock of the allocator while the kernel works.
#pragma once

#include <vector>

#include "allocator/tiering/units.h"

namespace hms::alloc {

// Carries out moves to one side; (*moved)[answer[i]] says what came of the i-th. The kernel gets as
// many pages at once as it takes well: what it does for each call costs more than many pages.
void migrate(std::vector<UnitMove>* moves, const std::vector<size_t>& answer,
             std::vector<tiering::Moved>* moved);
// Held while pages move, or are copied: who has it knows that none does.
Mutex& move_lock();

}  // namespace hms::alloc
