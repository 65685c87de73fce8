// Topologies in hwloc's languages: XML files (read by ourselves), synthetic descriptions and
// details of the running machine (through libhwloc, loaded at run time).
#pragma once

#include <string>

#include "runtime/support/result.h"
#include "runtime/topology/builder.h"

namespace hms::topology {

// A file as written by `lstopo --of xml` of hwloc 2. Needs no library.
Status add_hwloc_xml(const std::string& path, Builder* builder);
// The same from memory; `name` is for messages.
Status add_hwloc_xml_text(const std::string& text, const std::string& name, Builder* builder);
// "node:2 core:4 pu:2": see "Synthetic topologies" in hwloc's documentation.
Status add_hwloc_synthetic(const std::string& spec, Builder* builder);
// Kinds, names and device memories of the running machine that sysfs does not tell. Without
// libhwloc there is nothing to add, and that is no error.
void add_hwloc_details(Builder* builder);

}  // namespace hms::topology
