// Topologies through hwloc: XML files, synthetic descriptions, and details of the running machine.
#pragma once

#include <string>

#include "runtime/support/result.h"
#include "runtime/topology/builder.h"
#include "runtime/topology/hwloc_api.h"
#include "runtime/topology/node_facts.h"

namespace hms::topology {

// A file as written by `lstopo --of xml`.
Status add_hwloc_xml(const std::string& path, Builder* builder);
// The same from memory; `name` is for messages.
Status add_hwloc_xml_text(const std::string& text, const std::string& name, Builder* builder);
// "node:2 core:4 pu:2": see "Synthetic topologies" in hwloc's documentation.
Status add_hwloc_synthetic(const std::string& spec, Builder* builder);
// Kinds, names and device memories of the running machine that sysfs does not tell. Without
// libhwloc there is nothing to add, and that is no error.
void add_hwloc_details(Builder* builder);

// NUMA nodes, CPU groups, memory attributes and distances of a loaded topology.
Nodes hwloc_nodes(const HwlocTopology& topology);
// GPUs, accelerators and NICs of a loaded topology.
void add_hwloc_devices(const HwlocTopology& topology, const Nodes& nodes, Builder* builder);

}  // namespace hms::topology
