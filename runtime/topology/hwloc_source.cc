// XML files, synthetic descriptions and live details through hwloc.
#include "runtime/topology/hwloc_source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>

#include "runtime/support/os.h"
#include "runtime/support/os_tree.h"
#include "runtime/topology/devices.h"
#include "runtime/topology/xml_guard.h"

namespace hms::topology {
namespace {

constexpr int64_t kMaxFile = 64 << 20;

const char* info_of(hwloc_obj_t object, const char* name) {
  for (unsigned i = 0; i < object->infos_count; ++i) {
    if (object->infos[i].name && strcmp(object->infos[i].name, name) == 0) {
      return object->infos[i].value;
    }
  }
  return nullptr;
}

std::string pci_address(const hwloc_obj_attr_u::hwloc_pcidev_attr_s& pci) {
  char text[32];
  snprintf(text, sizeof text, "%04x:%02x:%02x.%x", static_cast<unsigned>(pci.domain), pci.bus,
           pci.dev, pci.func);
  return text;
}

// Device memory in KiB by the info that the vendor's back end writes.
uint64_t memory_of(hwloc_obj_t osdev) {
  for (const char* name : {"CUDAGlobalMemorySize", "RSMIVRAMSize", "LevelZeroHBMSize",
                           "LevelZeroDDRSize", "OpenCLGlobalMemorySize"}) {
    const char* text = info_of(osdev, name);
    if (!text) continue;
    uint64_t kib = strtoull(text, nullptr, 10);
    if (kib > 0 && kib < (uint64_t{1} << 44)) return kib * 1024;
  }
  return 0;
}

// The node that owns the CPUs nearest to a device; -1 where it hangs off the whole machine.
int home_of(const HwlocTopology& t, hwloc_obj_t device, const Nodes& nodes) {
  hwloc_obj_t place = device;
  while (place && !place->cpuset) place = place->parent;
  if (!place) return -1;
  int home = -1;
  for (const auto& [node, facts] : nodes) {
    if (facts.cpus.empty()) continue;
    if (!t.api().bitmap_isset(place->cpuset, static_cast<unsigned>(facts.cpus[0]))) continue;
    if (home >= 0) return -1;
    home = node;
  }
  return home;
}

// The first OS device below a PCI device that says more about it.
void read_osdevs(hwloc_obj_t pci, DeviceFacts* device) {
  for (hwloc_obj_t io = pci->io_first_child; io; io = io->next_sibling) {
    if (io->type != HWLOC_OBJ_OS_DEVICE) continue;
    if (device->name.empty() && io->name) device->name = io->name;
    device->memory_bytes = std::max(device->memory_bytes, memory_of(io));
    bool processor = io->attr && (io->attr->osdev.type == HWLOC_OBJ_OSDEV_COPROC ||
                                  io->attr->osdev.type == HWLOC_OBJ_OSDEV_GPU);
    if (processor && device->kind == InitiatorKind::kGeneric) device->kind = InitiatorKind::kGpu;
  }
}

// Matrices of links between GPUs, in MB/s (hwloc/distances.h); objects are OS devices.
void add_peer_links(const HwlocTopology& t, const char* name, Builder* builder) {
  unsigned count = 1;
  hwloc_distances_s* matrix = nullptr;
  if (t.api().distances_get_by_name(t.get(), name, &count, &matrix, 0) != 0 || !matrix) return;
  auto address = [](hwloc_obj_t object) -> std::string {
    while (object && object->type != HWLOC_OBJ_PCI_DEVICE) object = object->parent;
    return object && object->attr ? pci_address(object->attr->pcidev) : "";
  };
  for (unsigned i = 0; count > 0 && i < matrix->nbobjs; ++i) {
    for (unsigned j = 0; j < matrix->nbobjs; ++j) {
      hwloc_uint64_t value = matrix->values[size_t{i} * matrix->nbobjs + j];
      Initiator* from = builder->find_initiator(device_key(address(matrix->objs[i])));
      Target* to = builder->find_target(device_memory_key(address(matrix->objs[j])));
      if (i == j || value == 0 || !from || !to) continue;
      Properties said;
      said.bandwidth = Sourced{static_cast<double>(value) * 1e6, Provenance::kHwloc};
      builder->state(from->id, to->id, said);
    }
  }
  t.api().distances_release(t.get(), matrix);
}

Status add_loaded(const HwlocTopology& t, const std::string& what, Builder* builder) {
  Nodes nodes = hwloc_nodes(t);
  bool memory =
      std::any_of(nodes.begin(), nodes.end(), [](const auto& n) { return n.second.bytes > 0; });
  if (!memory) return {HMS_EIO, what + ": describes no memory (no NUMANode with local_memory)"};
  add_nodes(nodes, Provenance::kHwloc, Provenance::kHwloc, builder);
  add_hwloc_devices(t, nodes, builder);
  return {};
}

Result<std::string> read_bounded(const std::string& path) {
  int64_t bytes = os::file_size(path.c_str());
  if (bytes < 0) {
    std::string why =
        bytes == -EINVAL ? "is not a regular file" : strerror(static_cast<int>(-bytes));
    return Status(HMS_EIO, "xml:" + path + ": " + why);
  }
  if (bytes > kMaxFile) return Status(HMS_EIO, "xml:" + path + ": is larger than 64 MiB");
  std::string text(static_cast<size_t>(bytes) + 1, '\0');
  int n = os::read_file(path.c_str(), text.data(), text.size());
  if (n < 0) return Status(HMS_EIO, "xml:" + path + ": " + strerror(-n));
  text.resize(static_cast<size_t>(n));
  return text;
}

}  // namespace

void add_hwloc_devices(const HwlocTopology& t, const Nodes& nodes, Builder* builder) {
  unsigned count = t.api().get_nbobjs_by_depth(t.get(), HWLOC_TYPE_DEPTH_PCI_DEVICE);
  for (unsigned i = 0; i < count; ++i) {
    hwloc_obj_t pci = t.api().get_obj_by_depth(t.get(), HWLOC_TYPE_DEPTH_PCI_DEVICE, i);
    if (!pci || !pci->attr) continue;
    // hwloc keeps the upper 16 bits of the class code.
    auto kind = kind_of_pci_class(static_cast<unsigned>(pci->attr->pcidev.class_id) << 8);
    if (!kind) continue;
    DeviceFacts device;
    device.address = pci_address(pci->attr->pcidev);
    device.kind = *kind;
    device.node = home_of(t, pci, nodes);
    device.link_bandwidth = static_cast<double>(pci->attr->pcidev.linkspeed) * 1e9;  // GB/s
    device.memory_from = Provenance::kHwloc;
    read_osdevs(pci, &device);
    if (!(device.link_bandwidth > 0) && device.memory_bytes == 0) continue;
    add_device(device, nodes, builder);
  }
  for (const char* name : {"NVLinkBandwidth", "XGMIBandwidth", "XeLinkBandwidth"}) {
    add_peer_links(t, name, builder);
  }
}

Status add_hwloc_xml_text(const std::string& text, const std::string& name, Builder* builder) {
  if (Status s = check_hwloc_xml(text); !s.ok()) {
    return {s.code(), name + ": " + s.message()};
  }
  auto t = HwlocTopology::create();
  if (!t.ok()) return {t.status().code(), name + ": " + t.status().message()};
  // The size counts the terminating NUL, which std::string has.
  if (t.value().api().set_xmlbuffer(t.value().get(), text.c_str(),
                                    static_cast<int>(text.size() + 1)) != 0) {
    return {HMS_EIO, name + ": hwloc does not accept it as XML"};
  }
  if (Status s = t.value().load(name); !s.ok()) return s;
  return add_loaded(t.value(), name, builder);
}

Status add_hwloc_xml(const std::string& path, Builder* builder) {
  auto text = read_bounded(path);
  if (!text.ok()) return text.status();
  return add_hwloc_xml_text(text.value(), "xml:" + path, builder);
}

Status add_hwloc_synthetic(const std::string& spec, Builder* builder) {
  std::string name = "synthetic:" + spec;
  if (Status s = check_synthetic(spec); !s.ok()) return {s.code(), name + ": " + s.message()};
  auto t = HwlocTopology::create();
  if (!t.ok()) return {t.status().code(), name + ": " + t.status().message()};
  if (t.value().api().set_synthetic(t.value().get(), spec.c_str()) != 0) {
    return {HMS_EINVAL, name +
                            ": is no synthetic topology; expected levels such as "
                            "'node:2 core:4 pu:2' or '[numa(memory=8GB)] pack:2 core:2 pu:1'"};
  }
  if (Status s = t.value().load(name); !s.ok()) return s;
  return add_loaded(t.value(), name, builder);
}

void add_hwloc_details(Builder* builder) {
  auto t = HwlocTopology::create();
  if (!t.ok() || !t.value().load("live").ok()) return;
  Nodes nodes = hwloc_nodes(t.value());
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
  add_hwloc_devices(t.value(), nodes, builder);
}

}  // namespace hms::topology
