// libhwloc, loaded at run time: never a link dependency, absent on many machines.
#pragma once

#include <hwloc.h>

#include <memory>
#include <string>

#include "runtime/support/result.h"

namespace hms::topology {

// The functions in use, typed by the header they were written against (any hwloc 2.3 or later 2.x).
struct HwlocApi {
  decltype(&hwloc_get_api_version) get_api_version;
  decltype(&hwloc_topology_init) init;
  decltype(&hwloc_topology_destroy) destroy;
  decltype(&hwloc_topology_load) load;
  decltype(&hwloc_topology_set_synthetic) set_synthetic;
  decltype(&hwloc_topology_set_components) set_components;
  decltype(&hwloc_topology_set_io_types_filter) set_io_types_filter;
  decltype(&hwloc_get_nbobjs_by_depth) get_nbobjs_by_depth;
  decltype(&hwloc_get_obj_by_depth) get_obj_by_depth;
  decltype(&hwloc_get_type_depth) get_type_depth;
  decltype(&hwloc_bitmap_next) bitmap_next;
  decltype(&hwloc_memattr_get_initiators) memattr_get_initiators;
  decltype(&hwloc_distances_get_by_name) distances_get_by_name;
  decltype(&hwloc_distances_release) distances_release;
};

// Loaded once per process; the error says how to get it.
Result<const HwlocApi*> hwloc_api();

// A topology under construction or loaded; destroyed with its owner.
class HwlocTopology {
 public:
  // Initialised, not loaded yet.
  static Result<HwlocTopology> create();
  Status load(const std::string& what);

  const HwlocApi& api() const { return *api_; }
  hwloc_topology_t get() const { return topology_.get(); }

 private:
  struct Destroy {
    const HwlocApi* api;
    void operator()(hwloc_topology* t) const { api->destroy(t); }
  };
  friend class Result<HwlocTopology>;
  HwlocTopology() : topology_(nullptr, Destroy{nullptr}) {}
  const HwlocApi* api_ = nullptr;
  std::unique_ptr<hwloc_topology, Destroy> topology_;
};

}  // namespace hms::topology
