// "tiers:" descriptions: named memories laid over the nodes that exist, so that everything except
// real speed works on a machine with one node.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runtime/support/result.h"
#include "runtime/topology/builder.h"

namespace hms::topology {

struct Tier {
  std::string name;
  int node = -1;         // the node it names or is laid over, -1: the lowest usable one
  bool emulated = true;  // false: `name` is just another name of `node`
  uint64_t bytes = 0;
  std::optional<double> bandwidth;
  std::optional<double> latency;
  TargetKind kind = TargetKind::kDram;
};

// `NAME=VALUE,..` where VALUE is `node:N`, or `SIZE[:bw=RATE][:lat=NS][:kind=KIND][:on=N]`.
// Pure; errors name the word that is wrong and say what is allowed.
Result<std::vector<Tier>> parse_tiers(const std::string& spec);
// Lays the tiers over the nodes that the builder has. Numbers that a tier does not state are
// assumed from its neighbours, each tier half as good as the one before it.
Status add_tiers(const std::vector<Tier>& tiers, Builder* builder);

}  // namespace hms::topology
