// What an hms_topology handle of the C interface is, for the C interfaces of other layers.
#pragma once

#include <memory>

#include "runtime/topology/topology.h"

struct hms_topology {
  // Immutable; copy the pointer to keep using it across a rescan of the handle.
  std::shared_ptr<const hms::topology::Topology> snapshot;
};
