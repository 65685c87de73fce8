// Who else moves pages of this process. Reads the kernel's controls and never writes one.
#pragma once

#include <string>

namespace hms::tiering {

// "" when nobody does. Below `root`, "" for the real /sys. Automatic NUMA balancing is none of
// them: it leaves mappings alone that have a policy of their own, as units have.
std::string foreign_mover(const std::string& root);

}  // namespace hms::tiering
