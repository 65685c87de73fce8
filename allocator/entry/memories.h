// Which two memories tiering, profiles and recordings divide the heap of this process between.
#pragma once

#include <string>

#include "runtime/support/result.h"
#include "runtime/tiering/sides.h"

namespace hms::entry {

// What `words` (of HMS_TIERING, checked) or HMS_NEAR_FAR name, else what the machine or `tiers`
// offers. HMS_ENODEV: there is one memory only.
Result<tiering::Sides> near_and_far(const std::string& words);
// What HMS_NEAR_FAR names, or is offered; a machine with one memory has it on both sides.
Result<tiering::Sides> near_and_far_or_one();

// "" if there is none, and always in set-user-ID programs.
std::string environment(const char* name);

}  // namespace hms::entry
