// PCI devices that access memory or bring their own, and dax memory that is no node, from sysfs.
// Formats: Linux, Documentation/ABI/testing/sysfs-bus-pci and sysfs-bus-dax.
#include <stdlib.h>

#include <algorithm>

#include "runtime/support/os.h"
#include "runtime/topology/devices.h"
#include "runtime/topology/sysfs.h"

namespace hms::topology {
namespace {

// Smaller windows are registers and frame buffers of management consoles.
constexpr uint64_t kLeastMemory = uint64_t{256} << 20;

// The largest memory window of a device: what is known of its memory without its driver. Lines are
// "start end flags"; 0x200 in the flags is IORESOURCE_MEM, include/linux/ioport.h.
uint64_t largest_window(const Tree& tree, const std::string& dir) {
  std::string text = tree.content(dir + "/resource").value_or("");
  uint64_t best = 0;
  const char* at = text.c_str();
  while (*at) {
    char* end = nullptr;
    uint64_t field[3] = {};
    for (uint64_t& f : field) {
      f = strtoull(at, &end, 16);
      if (end == at) return best;
      at = end;
    }
    if ((field[2] & 0x200) != 0 && field[1] > field[0])
      best = std::max(best, field[1] - field[0] + 1);
    while (*at == '\n') ++at;
  }
  return best;
}

// "16.0 GT/s PCIe" and "16".
double link_bandwidth(const Tree& tree, const std::string& dir) {
  std::string speed = tree.text(dir + "/current_link_speed").value_or("");
  return pci_link_bandwidth(strtod(speed.c_str(), nullptr),
                            static_cast<int>(tree.number(dir + "/current_link_width").value_or(0)));
}

void add_pci(const Tree& tree, const std::string& address, const Nodes& nodes, Builder* builder) {
  std::string dir = "bus/pci/devices/" + address;
  auto class_code = tree.number(dir + "/class");
  if (!class_code) return;
  auto kind = kind_of_pci_class(static_cast<unsigned>(*class_code));
  if (!kind) return;
  DeviceFacts device;
  device.address = address;
  device.kind = *kind;
  device.node = static_cast<int>(tree.number(dir + "/numa_node").value_or(-1));
  // Firmware of one-node machines does not bother to say so.
  if (device.node < 0 && nodes.size() == 1) device.node = nodes.begin()->first;
  device.link_bandwidth = link_bandwidth(tree, dir);
  if (*kind != InitiatorKind::kNic) {
    auto vram = tree.number(dir + "/mem_info_vram_total");  // amdgpu
    if (vram && *vram > 0) {
      device.memory_bytes = static_cast<uint64_t>(*vram);
    } else if (uint64_t window = largest_window(tree, dir); window >= kLeastMemory) {
      device.memory_bytes = window;
      device.memory_from = Provenance::kPciLink;
    }
  }
  // Emulated and on-board devices have neither a link nor memory: nothing to say about them.
  if (device.link_bandwidth <= 0 && device.memory_bytes == 0) return;
  add_device(device, nodes, builder);
}

// Memory behind /dev/dax*: no node holds it, so it is for those who ask for it by name.
void add_dax(const Tree& tree, const std::string& name, const Nodes& nodes, Builder* builder) {
  std::string dir = "bus/dax/devices/" + name;
  if (tree.link(dir + "/driver").find("kmem") != std::string::npos) return;
  auto bytes = tree.number(dir + "/size");
  if (!bytes || *bytes <= 0) return;
  Target t;
  t.key = "dax:" + name;
  t.label = "/dev/" + name;
  t.kind = dax_kind(tree.link(dir));
  t.from = Provenance::kDriver;
  t.bytes = t.free_bytes = static_cast<uint64_t>(*bytes);
  t.capabilities = HMS_CAP_CPU_ACCESSIBLE | HMS_CAP_COHERENT | HMS_CAP_ATOMICS |
                   HMS_CAP_SPECIAL_PURPOSE |
                   (t.kind == TargetKind::kPmem ? HMS_CAP_PERSISTENT : HMS_CAP_VOLATILE);
  t.must_understand = HMS_CAP_SPECIAL_PURPOSE;
  Id id = builder->add_target(std::move(t));
  int node = static_cast<int>(tree.number(dir + "/target_node").value_or(-1));
  for (const Initiator& i : builder->initiators()) {
    if (i.kind != InitiatorKind::kCpu) continue;
    Properties said;
    if (auto distance = node_distance(nodes, i.node, node)) {
      said.distance = Sourced{*distance, Provenance::kSlit};
    }
    builder->state(i.id, id, said);
  }
}

}  // namespace

void add_devices(const Tree& tree, const Nodes& nodes, Builder* builder) {
  for (const std::string& address : tree.entries("bus/pci/devices")) {
    add_pci(tree, address, nodes, builder);
  }
  for (const std::string& name : tree.entries("bus/dax/devices", "dax")) {
    add_dax(tree, name, nodes, builder);
  }
}

}  // namespace hms::topology
