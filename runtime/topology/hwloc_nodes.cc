// NUMA nodes of a hwloc topology as facts: which CPUs each node owns, what is local to them, what
// the memory attributes and the distance matrix say.
#include <string.h>

#include <algorithm>
#include <map>
#include <set>

#include "runtime/support/os.h"
#include "runtime/topology/hwloc_source.h"

namespace hms::topology {
namespace {

constexpr double kBandwidthUnit = 1024.0 * 1024.0;  // hwloc/memattrs.h: MiB/s

const char* info_of(hwloc_obj_t object, const char* name) {
  for (unsigned i = 0; i < object->infos_count; ++i) {
    if (object->infos[i].name && strcmp(object->infos[i].name, name) == 0) {
      return object->infos[i].value;
    }
  }
  return nullptr;
}

// Subtypes that hwloc writes: topology-linux.c ("HBM", "DRAM", "MCDRAM", "NVM", "SPM", "GPUMemory",
// "CXL-DRAM" ...). "SPM" is memory that firmware reserved, of any kind.
TargetKind kind_of(hwloc_obj_t node) {
  if (info_of(node, "CXLDevice")) return TargetKind::kCxl;
  const char* dax = info_of(node, "DAXType");
  if (dax && strcmp(dax, "NVM") == 0) return TargetKind::kPmem;
  std::string subtype = node->subtype ? node->subtype : "";
  auto has = [&subtype](const char* word) { return subtype.find(word) != std::string::npos; };
  if (has("MCDRAM") || has("HBM")) return TargetKind::kHbm;
  if (has("CXL")) return TargetKind::kCxl;
  if (has("NVM") || has("PMEM")) return TargetKind::kPmem;
  if (has("GPUMemory")) return TargetKind::kDevice;
  if (has("DRAM")) return TargetKind::kDram;
  return TargetKind::kUnknown;
}

class Reader {
 public:
  explicit Reader(const HwlocTopology& topology) : t_(topology), api_(topology.api()) {}

  Nodes run() {
    collect_nodes();
    assign_cpus();
    set_locality();
    read_attributes();
    read_distances();
    return std::move(nodes_);
  }

 private:
  void collect_nodes() {
    int depth = HWLOC_TYPE_DEPTH_NUMANODE;
    unsigned count = api_.get_nbobjs_by_depth(t_.get(), depth);
    for (unsigned i = 0; i < count; ++i) {
      hwloc_obj_t object = api_.get_obj_by_depth(t_.get(), depth, i);
      if (!object || !object->attr || !object->cpuset) continue;
      if (object->os_index >= static_cast<unsigned>(os::kMaxNodes)) continue;
      int node = static_cast<int>(object->os_index);
      NodeFacts facts;
      facts.bytes = facts.free_bytes = object->attr->numanode.local_memory;
      facts.stated_kind = kind_of(object);
      facts.label = object->subtype ? object->subtype : "";
      const char* device = info_of(object, "PCIBusID");
      facts.device = device ? device : "";
      nodes_.emplace(node, std::move(facts));
      objects_.emplace(node, object);
      for (hwloc_obj_t m = object->memory_first_child; m; m = m->next_sibling) note_cache(node, m);
      for (hwloc_obj_t p = object->parent; p && p->type == HWLOC_OBJ_MEMCACHE; p = p->parent) {
        note_cache(node, p);
      }
    }
  }

  void note_cache(int node, hwloc_obj_t object) {
    if (object->type == HWLOC_OBJ_MEMCACHE && object->attr) {
      nodes_[node].side_cache_bytes = object->attr->cache.size;
    }
  }

  // Each CPU belongs to one node: among those it is local to, the one with the fewest CPUs, and of
  // equals the one that is no special memory, then the lowest number. So the CPUs of a socket with
  // DRAM, HBM and CXL are "cpu:N" of its DRAM.
  void assign_cpus() {
    int depth = api_.get_type_depth(t_.get(), HWLOC_OBJ_PU);
    unsigned count = depth < 0 ? 0 : api_.get_nbobjs_by_depth(t_.get(), depth);
    for (unsigned i = 0; i < count; ++i) {
      hwloc_obj_t pu = api_.get_obj_by_depth(t_.get(), depth, i);
      if (!pu) continue;
      int best = -1;
      for (const auto& [node, object] : objects_) {
        if (!api_.bitmap_isset(object->cpuset, pu->os_index)) continue;
        if (best < 0 || rank(node) < rank(best)) best = node;
      }
      if (best >= 0) {
        nodes_[best].cpus.push_back(static_cast<int>(pu->os_index));
        representative_.emplace(best, pu);
      }
    }
    for (auto& [node, facts] : nodes_) std::sort(facts.cpus.begin(), facts.cpus.end());
  }

  std::tuple<int, bool, int> rank(int node) {
    auto [it, fresh] = weight_.try_emplace(node, 0);
    if (fresh) it->second = api_.bitmap_weight(objects_[node]->cpuset);
    TargetKind kind = nodes_[node].stated_kind;
    bool special = kind != TargetKind::kDram && kind != TargetKind::kUnknown;
    return {it->second, special, node};
  }

  void set_locality() {
    for (auto& [node, facts] : nodes_) {
      for (const auto& [owner, pu] : representative_) {
        if (api_.bitmap_isset(objects_[node]->cpuset, pu->os_index))
          facts.local_to.push_back(owner);
      }
    }
  }

  // The CPU groups that a location stands for; devices are left to their own links.
  std::vector<int> groups_at(const hwloc_location& location) {
    std::vector<int> out;
    hwloc_const_bitmap_t cpus = location.type == HWLOC_LOCATION_TYPE_CPUSET
                                    ? location.location.cpuset
                                : location.location.object ? location.location.object->cpuset
                                                           : nullptr;
    if (!cpus) return out;
    for (const auto& [owner, pu] : representative_) {
      if (api_.bitmap_isset(cpus, pu->os_index)) out.push_back(owner);
    }
    return out;
  }

  // Values by CPU group of one attribute of one node.
  std::map<int, double> values_of(unsigned attribute, hwloc_obj_t node) {
    std::map<int, double> out;
    unsigned count = 0;
    if (api_.memattr_get_initiators(t_.get(), attribute, node, 0, &count, nullptr, nullptr) != 0 ||
        count == 0) {
      return out;
    }
    std::vector<hwloc_location> locations(count);
    std::vector<hwloc_uint64_t> values(count);
    if (api_.memattr_get_initiators(t_.get(), attribute, node, 0, &count, locations.data(),
                                    values.data()) != 0) {
      return out;
    }
    for (size_t i = 0; i < std::min<size_t>(count, locations.size()); ++i) {
      if (values[i] == 0) continue;
      for (int group : groups_at(locations[i])) out[group] = static_cast<double>(values[i]);
    }
    return out;
  }

  // The general attribute, else the one for reads: a file may have either.
  std::map<int, double> either(unsigned general, unsigned reads, hwloc_obj_t node) {
    std::map<int, double> out = values_of(reads, node);
    for (const auto& [group, value] : values_of(general, node)) out[group] = value;
    return out;
  }

  void read_attributes() {
    for (auto& [node, facts] : nodes_) {
      hwloc_obj_t object = objects_[node];
      std::map<int, Access> by_group;
      for (auto [group, value] :
           either(HWLOC_MEMATTR_ID_BANDWIDTH, HWLOC_MEMATTR_ID_READ_BANDWIDTH, object)) {
        by_group[group].bandwidth = value * kBandwidthUnit;
      }
      for (auto [group, value] :
           either(HWLOC_MEMATTR_ID_LATENCY, HWLOC_MEMATTR_ID_READ_LATENCY, object)) {
        by_group[group].latency = value;
      }
      for (auto& [group, access] : by_group) {
        access.initiators = {group};
        facts.access.push_back(std::move(access));
      }
    }
  }

  void read_distances() {
    unsigned count = 1;
    hwloc_distances_s* matrix = nullptr;
    if (api_.distances_get_by_name(t_.get(), "NUMALatency", &count, &matrix, 0) != 0 || !matrix) {
      return;
    }
    for (unsigned i = 0; count > 0 && i < matrix->nbobjs; ++i) {
      for (unsigned j = 0; j < matrix->nbobjs; ++j) {
        if (!matrix->objs[i] || !matrix->objs[j]) continue;
        auto from = nodes_.find(static_cast<int>(matrix->objs[i]->os_index));
        hwloc_uint64_t value = matrix->values[size_t{i} * matrix->nbobjs + j];
        bool node = matrix->objs[i]->type == HWLOC_OBJ_NUMANODE;
        if (!node || from == nodes_.end() || value == 0 || value > 255) continue;
        from->second.distance[static_cast<int>(matrix->objs[j]->os_index)] =
            static_cast<int>(value);
      }
    }
    api_.distances_release(t_.get(), matrix);
  }

  const HwlocTopology& t_;
  const HwlocApi& api_;
  Nodes nodes_;
  std::map<int, hwloc_obj_t> objects_;
  std::map<int, hwloc_obj_t> representative_;  // node that owns CPUs -> its first CPU
  std::map<int, int> weight_;
};

}  // namespace

Nodes hwloc_nodes(const HwlocTopology& topology) { return Reader(topology).run(); }

}  // namespace hms::topology
