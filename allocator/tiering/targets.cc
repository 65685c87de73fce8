// See targets.h.
#include "allocator/tiering/targets.h"

#include "allocator/routing/sources.h"
#include "runtime/topology/topology.h"

namespace hms::alloc {

Result<TieringTargets> tiering_targets(const std::string& spec) {
  const std::string wanted = spec.empty() ? "bandwidth" : spec;
  std::shared_ptr<const topology::Topology> topology;
  if (placement_needs_topology(wanted)) {
    const std::string source = routing::topology_source(routing::read_configuration().tiers);
    auto loaded = topology::Topology::load(source);
    if (!loaded.ok()) return loaded.status();
    topology = loaded.value();
  }
  Result<Placement> placement = parse_placement(wanted, topology.get());
  if (!placement.ok()) return placement.status();
  const std::vector<Leg>& legs = placement.value().legs;
  return TieringTargets{legs.front().target, legs.back().target};
}

}  // namespace hms::alloc
