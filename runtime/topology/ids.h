// Session ids: one process-wide counter over all object types. A key keeps its id from load to load
// and from rescan to rescan, until a rescan no longer finds it; then the id is dead for good.
#pragma once

#include <string>

#include "runtime/topology/properties.h"

namespace hms::topology {

// The id of `key` within `scope` (the machine, or one description); made at first use.
Id id_of(const std::string& scope, const std::string& key);
// Forgets the key if it still has this id: should it come back, it gets a new one.
void retire_id(const std::string& scope, const std::string& key, Id id);

}  // namespace hms::topology
