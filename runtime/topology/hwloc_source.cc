// Synthetic descriptions and live details through libhwloc.
#include "runtime/topology/hwloc_source.h"

#include <stdio.h>
#include <string.h>

#include <algorithm>

#include "runtime/topology/described.h"
#include "runtime/topology/hwloc_api.h"
#include "runtime/topology/tree.h"

namespace hms::topology {
namespace {

// hwloc's insertion takes quadratic time in the width of a level: these bounds keep it to a second.
constexpr uint64_t kMaxSynthetic = 8192;
constexpr uint64_t kMaxSyntheticLevel = 1024;

std::string text_of(const char* text) { return text ? text : ""; }

std::string info_of(hwloc_obj_t object, const char* name) {
  for (unsigned i = 0; i < object->infos_count; ++i) {
    if (object->infos[i].name && strcmp(object->infos[i].name, name) == 0) {
      return text_of(object->infos[i].value);
    }
  }
  return "";
}

std::string pci_address(hwloc_obj_t pci) {
  if (!pci->attr) return "";
  const auto& a = pci->attr->pcidev;
  char text[32];
  snprintf(text, sizeof text, "%04x:%02x:%02x.%x", static_cast<unsigned>(a.domain), a.bus, a.dev,
           a.func);
  return text;
}

// Copies what libhwloc holds into plain values.
class Copier {
 public:
  explicit Copier(const HwlocTopology& t) : t_(t), api_(t.api()) {}

  Described run() {
    int depth = api_.get_type_depth(t_.get(), HWLOC_OBJ_PU);
    each(depth, [this](hwloc_obj_t pu) { d_.cpus.push_back(static_cast<int>(pu->os_index)); });
    each(HWLOC_TYPE_DEPTH_NUMANODE, [this](hwloc_obj_t node) { copy_node(node); });
    each(HWLOC_TYPE_DEPTH_PCI_DEVICE, [this](hwloc_obj_t pci) { copy_device(pci); });
    copy_matrices();
    return std::move(d_);
  }

 private:
  template <typename F>
  void each(int depth, F visit) {
    if (depth < 0 && depth != HWLOC_TYPE_DEPTH_NUMANODE && depth != HWLOC_TYPE_DEPTH_PCI_DEVICE) {
      return;  // no such type, or at several depths
    }
    unsigned count = api_.get_nbobjs_by_depth(t_.get(), depth);
    for (unsigned i = 0; i < count; ++i) {
      hwloc_obj_t object = api_.get_obj_by_depth(t_.get(), depth, i);
      if (object) visit(object);
    }
  }

  CpuSet copy_set(hwloc_const_bitmap_t set) const {
    CpuSet out;
    if (!set) return out;
    for (int cpu = api_.bitmap_next(set, -1); cpu >= 0 && cpu < kMaxCpus;
         cpu = api_.bitmap_next(set, cpu)) {
      out.add(cpu);
    }
    return out;
  }

  void copy_node(hwloc_obj_t object) {
    if (!object->attr) return;
    Described::Node node;
    node.number = static_cast<int>(object->os_index);
    node.bytes = object->attr->numanode.local_memory;
    node.cpus = copy_set(object->cpuset);
    node.subtype = text_of(object->subtype);
    node.dax_type = info_of(object, "DAXType");
    node.cxl_device = info_of(object, "CXLDevice");
    node.device = info_of(object, "PCIBusID");
    hwloc_obj_t above = object->parent;
    if (above && above->type == HWLOC_OBJ_MEMCACHE) node.cache_bytes = above->attr->cache.size;
    using Attribute = Described::Attribute;
    copy_values(HWLOC_MEMATTR_ID_BANDWIDTH, Attribute::kBandwidth, object);
    copy_values(HWLOC_MEMATTR_ID_LATENCY, Attribute::kLatency, object);
    copy_values(HWLOC_MEMATTR_ID_READ_BANDWIDTH, Attribute::kReadBandwidth, object);
    copy_values(HWLOC_MEMATTR_ID_READ_LATENCY, Attribute::kReadLatency, object);
    d_.nodes.push_back(std::move(node));
  }

  void copy_values(unsigned id, Described::Attribute attribute, hwloc_obj_t node) {
    unsigned count = 0;
    if (api_.memattr_get_initiators(t_.get(), id, node, 0, &count, nullptr, nullptr) != 0) return;
    std::vector<hwloc_location> locations(count);
    std::vector<hwloc_uint64_t> values(count);
    if (count == 0 || api_.memattr_get_initiators(t_.get(), id, node, 0, &count, locations.data(),
                                                  values.data()) != 0) {
      return;
    }
    for (size_t i = 0; i < std::min<size_t>(count, locations.size()); ++i) {
      // Values from the viewpoint of devices are left to the devices' own links.
      if (locations[i].type != HWLOC_LOCATION_TYPE_CPUSET) continue;
      d_.values.push_back({attribute, static_cast<int>(node->os_index),
                           copy_set(locations[i].location.cpuset), static_cast<double>(values[i])});
    }
  }

  void copy_device(hwloc_obj_t pci) {
    if (!pci->attr) return;
    Described::Device device;
    device.address = pci_address(pci);
    // hwloc keeps the upper 16 bits of the class code.
    device.pci_class = static_cast<unsigned>(pci->attr->pcidev.class_id) << 8;
    device.link_gb_s = static_cast<double>(pci->attr->pcidev.linkspeed);
    hwloc_obj_t place = pci;
    while (place && !place->cpuset) place = place->parent;
    if (place) device.near = copy_set(place->cpuset);
    for (hwloc_obj_t io = pci->io_first_child; io; io = io->next_sibling) {
      if (io->type != HWLOC_OBJ_OS_DEVICE || !io->attr) continue;
      if (device.name.empty()) device.name = text_of(io->name);
      auto type = io->attr->osdev.type;
      device.processor =
          device.processor || type == HWLOC_OBJ_OSDEV_COPROC || type == HWLOC_OBJ_OSDEV_GPU;
      for (unsigned i = 0; i < io->infos_count; ++i) {
        device.memory_bytes =
            std::max(device.memory_bytes,
                     device_memory_info(text_of(io->infos[i].name), text_of(io->infos[i].value)));
      }
    }
    d_.devices.push_back(std::move(device));
  }

  static std::string device_of(hwloc_obj_t object) {
    while (object && object->type != HWLOC_OBJ_PCI_DEVICE) object = object->parent;
    return object && object->attr ? pci_address(object) : "";
  }

  void copy_matrices() {
    for (const char* name :
         {"NUMALatency", "NVLinkBandwidth", "XGMIBandwidth", "XeLinkBandwidth"}) {
      unsigned count = 1;
      hwloc_distances_s* matrix = nullptr;
      if (api_.distances_get_by_name(t_.get(), name, &count, &matrix, 0) != 0 || count == 0) {
        continue;
      }
      for (size_t i = 0; i < matrix->nbobjs; ++i) {
        for (size_t j = 0; j < matrix->nbobjs; ++j) {
          hwloc_obj_t from = matrix->objs[i], to = matrix->objs[j];
          if (from && to) copy_cell(name, from, to, matrix->values[i * matrix->nbobjs + j]);
        }
      }
      api_.distances_release(t_.get(), matrix);
    }
  }

  void copy_cell(const char* name, hwloc_obj_t from, hwloc_obj_t to, uint64_t value) {
    if (is_peer_matrix(name)) {
      d_.peer_links.push_back({device_of(from), device_of(to), static_cast<double>(value)});
    } else if (from->type == HWLOC_OBJ_NUMANODE) {
      d_.distances.push_back(
          {static_cast<int>(from->os_index), static_cast<int>(to->os_index), value});
    }
  }

  const HwlocTopology& t_;
  const HwlocApi& api_;
  Described d_;
};

// The levels multiply: a short text can ask for more objects than there is memory.
Status check_synthetic(const std::string& spec) {
  if (spec.size() > 4096) return {HMS_EINVAL, "is longer than 4096 characters"};
  uint64_t objects = 1;
  bool brackets = false;    // memory attached to the level before
  bool attributes = false;  // they end at the first ')', for hwloc too
  for (size_t at = 0; at < spec.size(); ++at) {
    char c = spec[at];
    if (static_cast<unsigned char>(c) < ' ' || static_cast<unsigned char>(c) > '~') {
      return {HMS_EINVAL, "has a character that is not printable ASCII"};
    }
    brackets = c == '[' || (brackets && c != ']');
    // Elsewhere hwloc takes '(' for a part of a name, and what follows for levels.
    bool placed = at == 0 || brackets || (spec[at - 1] >= '0' && spec[at - 1] <= '9');
    if (c == '(' && !placed) return {HMS_EINVAL, "has a '(' that follows no number"};
    attributes = c == '(' || (attributes && c != ')' && c != ']');
    // Every number after ':' or alone that is not inside (attributes) is the width of a level.
    bool number = c >= '0' && c <= '9';
    bool first = at == 0 || spec[at - 1] == ':' || spec[at - 1] == ' ';
    // hwloc reads widths with strtoul: a sign or hexadecimal would get past the check below.
    if (first && !attributes && (c == '+' || c == '-')) return {HMS_EINVAL, "has a signed width"};
    if (!number || !first || attributes) continue;
    size_t end = std::min(spec.find_first_not_of("0123456789", at), spec.size());
    if (end < spec.size() && (spec[end] == 'x' || spec[end] == 'X')) {
      return {HMS_EINVAL, "has a hexadecimal width"};
    }
    auto n = parse_number(spec.substr(at, end - at));
    bool wide = !n || static_cast<uint64_t>(*n) > kMaxSyntheticLevel;
    if (!wide && *n > 0) objects *= static_cast<uint64_t>(*n);
    if (wide || objects > kMaxSynthetic) {
      return {HMS_EINVAL, "has more than " + std::to_string(kMaxSyntheticLevel) +
                              " objects below one, or " + std::to_string(kMaxSynthetic) +
                              " in all"};
    }
    at = end - 1;
  }
  return {};
}

}  // namespace

Status add_hwloc_synthetic(const std::string& spec, Builder* builder) {
  std::string name = "synthetic:" + spec;
  if (Status s = check_synthetic(spec); !s.ok()) return {s.code(), name + ": " + s.message()};
  auto t = HwlocTopology::create();
  if (!t.ok()) return {t.status().code(), name + ": " + t.status().message()};
  if (t.value().api().set_synthetic(t.value().get(), spec.c_str()) != 0) {
    return {HMS_EINVAL, name +
                            ": is no synthetic topology; expected levels such as 'node:2 core:4 "
                            "pu:2' or '[numa(memory=8GB)] pack:2 core:2 pu:1'"};
  }
  if (Status s = t.value().load(name); !s.ok()) return s;
  return add_described(Copier(t.value()).run(), name, builder);
}

void add_hwloc_details(Builder* builder) {
  auto t = HwlocTopology::create();
  if (!t.ok() || !t.value().load("live").ok()) return;
  Described described = Copier(t.value()).run();
  Nodes nodes = described_nodes(described);
  for (Target& target : builder->targets()) {
    auto at = nodes.find(target.node);
    if (at == nodes.end()) continue;
    if (target.label.empty()) target.label = at->second.label;
    bool better = target.from < Provenance::kHwloc || target.kind == TargetKind::kUnknown;
    if (at->second.stated_kind != TargetKind::kUnknown && better) {
      target.kind = at->second.stated_kind;
      target.from = Provenance::kHwloc;
    }
  }
  // The same devices again: what is new are names, memories that only a driver knows, GPU links.
  add_described_devices(described, nodes, builder);
}

}  // namespace hms::topology
