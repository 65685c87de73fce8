// A gate in front of hwloc's XML parsers, which trust their input.
#pragma once

#include <string>

#include "runtime/support/result.h"

namespace hms::topology {

// Accepts what hwloc itself writes and little more: well-formed elements, bounded in depth, number
// and size, no entity declarations, a DOCTYPE only if it is hwloc's, a known character encoding,
// and counts that fit the rest of the file. The error says what is wrong and in which line.
Status check_hwloc_xml(const std::string& text);

// The same for a synthetic description: a bounded number of objects.
Status check_synthetic(const std::string& spec);

}  // namespace hms::topology
