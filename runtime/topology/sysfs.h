// The sysfs source: what the kernel says about nodes, without any library. Cheap enough for
// preloaded processes; devices cost a walk over the PCI bus and are read only where asked for.
#pragma once

#include "runtime/support/result.h"
#include "runtime/topology/builder.h"
#include "runtime/topology/node_facts.h"
#include "runtime/topology/tree.h"

namespace hms::topology {

// NUMA nodes. On the running machine, nodes that this process may not use are left out, and a
// kernel without /sys yields one node. A recording without nodes is an error.
Result<Nodes> read_nodes(const Tree& tree);
// GPUs, accelerators and NICs on the PCI bus, and dax memory that is no node.
void add_devices(const Tree& tree, const Nodes& nodes, Builder* builder);
// What the amdkfd driver says about GPU memories and the links between GPUs.
void add_kfd(const Tree& tree, Builder* builder);
// What the bus says about dax memory: kCxl, kPmem or kUnknown. `path`: of the device link.
TargetKind dax_kind(const std::string& path);

}  // namespace hms::topology
