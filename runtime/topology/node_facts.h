// What a source says about NUMA nodes, before it becomes targets, initiators and costs.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "runtime/topology/builder.h"

namespace hms::topology {

// Cost of a node from its nearest initiators, as firmware tables give it.
struct Access {
  std::vector<int> initiators;  // nodes
  std::optional<double> latency;
  std::optional<double> bandwidth;
};

struct NodeFacts {
  uint64_t bytes = 0;
  uint64_t free_bytes = 0;
  std::vector<int> cpus;
  bool generic_initiator = false;
  std::map<int, int> distance;  // to node -> SLIT distance
  std::vector<Access> access;
  uint64_t side_cache_bytes = 0;
  int kernel_tier = -1;
  int interleave_weight = -1;
  // What the bus or the source says about the memory; kUnknown: nothing.
  TargetKind stated_kind = TargetKind::kUnknown;
  std::string label;
  // PCI address of the device that this memory belongs to, where the device's memory is a node.
  std::string device;
  // Nodes whose CPUs the source calls local to this memory, for where no distances are given.
  std::vector<int> local_to;
};

using Nodes = std::map<int, NodeFacts>;  // by OS number

// Objects for the nodes, costs that the source states, estimates for the others, kind guesses.
// `stated`: where the stated costs come from; `kinds`: where the stated kinds do.
void add_nodes(const Nodes& nodes, Provenance stated, Provenance kinds, Builder* builder);
// Distance between two nodes; nothing if the table does not say, or says unreachable (255).
std::optional<double> node_distance(const Nodes& nodes, int from, int to);

}  // namespace hms::topology
