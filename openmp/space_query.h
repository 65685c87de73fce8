// From a machine to the targets of a predefined memory space. Pure.
#pragma once

#include <string>
#include <vector>

#include "openmp/standard.h"
#include "runtime/placement/placement.h"
#include "runtime/topology/topology.h"

namespace hms::omp {

struct SpaceTargets {
  std::vector<TargetRef> resources;  // best first
  bool kernel_chosen = true;
};

// `space` is one of the five predefined ones.
SpaceTargets query_space(Handle space, const topology::Topology& machine);

TargetRef reference_to(const topology::Target& target);

}  // namespace hms::omp
