// Loading libhwloc and its topologies.
#include "runtime/topology/hwloc_api.h"

#include <dlfcn.h>

#include <mutex>

namespace hms::topology {
namespace {

constexpr unsigned kLeastVersion = 0x20300;  // memory attributes
constexpr unsigned kNextAbi = 0x30000;

template <typename F>
bool find(void* library, const char* name, F* out) {
  *out = reinterpret_cast<F>(dlsym(library, name));
  return *out != nullptr;
}

bool find_all(void* l, HwlocApi* a) {
  return find(l, "hwloc_get_api_version", &a->get_api_version) &&
         find(l, "hwloc_topology_init", &a->init) &&
         find(l, "hwloc_topology_destroy", &a->destroy) &&
         find(l, "hwloc_topology_load", &a->load) &&
         find(l, "hwloc_topology_set_synthetic", &a->set_synthetic) &&
         find(l, "hwloc_topology_set_components", &a->set_components) &&
         find(l, "hwloc_topology_set_io_types_filter", &a->set_io_types_filter) &&
         find(l, "hwloc_get_nbobjs_by_depth", &a->get_nbobjs_by_depth) &&
         find(l, "hwloc_get_obj_by_depth", &a->get_obj_by_depth) &&
         find(l, "hwloc_get_type_depth", &a->get_type_depth) &&
         find(l, "hwloc_bitmap_next", &a->bitmap_next) &&
         find(l, "hwloc_memattr_get_initiators", &a->memattr_get_initiators) &&
         find(l, "hwloc_distances_get_by_name", &a->distances_get_by_name) &&
         find(l, "hwloc_distances_release", &a->distances_release);
}

}  // namespace

Result<const HwlocApi*> hwloc_api() {
  static std::mutex mutex;
  static HwlocApi api;
  static bool ready = false;
  std::lock_guard<std::mutex> lock(mutex);
  if (ready) return &api;
  // Never closed: hwloc keeps plugins open and registers its own exit work.
  void* library = dlopen("libhwloc.so.15", RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    return Status(HMS_ENOSYS,
                  "this needs libhwloc.so.15, which is not installed (Debian: "
                  "apt-get install libhwloc15)");
  }
  if (!find_all(library, &api)) {
    return Status(HMS_ENOSYS, "libhwloc.so.15 is older than hwloc 2.3, which is needed here");
  }
  unsigned version = api.get_api_version();
  if (version < kLeastVersion || version >= kNextAbi) {
    return Status(HMS_ENOSYS, "libhwloc.so.15 is not hwloc 2.3 or a later 2.x");
  }
  ready = true;
  return &api;
}

Result<HwlocTopology> HwlocTopology::create() {
  auto api = hwloc_api();
  if (!api.ok()) return api.status();
  HwlocTopology out;
  out.api_ = api.value();
  hwloc_topology_t raw = nullptr;
  if (out.api_->init(&raw) != 0) return Status(HMS_ENOMEM, "hwloc cannot start: out of memory");
  out.topology_ = std::unique_ptr<hwloc_topology, Destroy>(raw, Destroy{out.api_});
  // Discovery through GPU runtimes starts those runtimes in the host process: not our business.
  for (const char* component : {"cuda", "opencl", "gl", "levelzero"}) {
    out.api_->set_components(raw, HWLOC_TOPOLOGY_COMPONENTS_FLAG_BLACKLIST, component);
  }
  out.api_->set_io_types_filter(raw, HWLOC_TYPE_FILTER_KEEP_IMPORTANT);
  return out;
}

Status HwlocTopology::load(const std::string& what) {
  if (api_->load(topology_.get()) == 0) return {};
  return {HMS_EIO, what + ": hwloc does not accept it as a topology"};
}

}  // namespace hms::topology
