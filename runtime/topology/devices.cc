// From device facts to the model.
#include "runtime/topology/devices.h"

namespace hms::topology {

std::string device_key(const std::string& address) { return "pci:" + address; }
std::string device_memory_key(const std::string& address) { return "pci:" + address + "/vram"; }

// Class codes: PCI Code and ID Assignment, base classes 02h, 03h and 12h.
std::optional<InitiatorKind> kind_of_pci_class(unsigned class_code) {
  switch (class_code >> 16) {
    case 0x02:
      return InitiatorKind::kNic;
    case 0x03:
      return InitiatorKind::kGpu;
    case 0x12:
      return InitiatorKind::kGeneric;
    default:
      return std::nullopt;
  }
}

// Encodings: 8b/10b up to 5 GT/s, 128b/130b up to 32 GT/s, 242 of 256 bytes of a flit above.
double pci_link_bandwidth(double gigatransfers, int width) {
  if (!(gigatransfers > 0) || gigatransfers > 1024 || width <= 0 || width > 64) return 0;
  double payload = gigatransfers <= 5 ? 0.8 : gigatransfers <= 32 ? 128.0 / 130 : 242.0 / 256;
  return gigatransfers * 1e9 * payload * width / 8;
}

namespace {

// A device is closer to its own memory than to the node beside it, which has the SLIT's 10.
constexpr double kOwnDistance = 1;

// Whether a node is the device's own memory (POWER9 and Grace with their GPUs): then its link to
// the host is not in the way, and there is no second target for the same memory.
bool owns(const DeviceFacts& device, const Nodes& nodes, int node) {
  auto at = nodes.find(node);
  return at != nodes.end() && !at->second.device.empty() && at->second.device == device.address;
}

void add_own_memory(const DeviceFacts& device, Id initiator, Builder* builder) {
  Target memory;
  memory.key = device_memory_key(device.address);
  memory.label = device.name.empty() ? "" : device.name + " memory";
  memory.kind = TargetKind::kDevice;
  memory.bytes = device.memory_bytes;
  memory.free_bytes = device.memory_bytes;
  memory.capabilities = HMS_CAP_NOT_CPU_ACCESSIBLE | HMS_CAP_VOLATILE | HMS_CAP_ATOMICS;
  memory.must_understand = HMS_CAP_NOT_CPU_ACCESSIBLE;
  memory.from = device.memory_from;
  Id id = builder->add_target(std::move(memory));
  Properties own;
  own.distance = Sourced{kOwnDistance, Provenance::kAssumed};
  builder->state(initiator, id, own);
}

}  // namespace

void add_device(const DeviceFacts& device, const Nodes& nodes, Builder* builder) {
  Initiator initiator;
  initiator.key = device_key(device.address);
  initiator.label = device.name;
  initiator.kind = device.kind;
  initiator.node = device.node;
  Id id = builder->add_initiator(std::move(initiator));

  bool memory_is_node = false;
  const std::vector<Target> targets = builder->targets();
  for (const Target& t : targets) {
    if (t.node < 0 || t.emulated) continue;
    bool own = owns(device, nodes, t.node);
    memory_is_node = memory_is_node || own;
    // A device reads and writes any node by DMA; its own link is the limit that is known.
    Properties said;
    if (device.link_bandwidth > 0 && !own) {
      said.bandwidth = Sourced{device.link_bandwidth, Provenance::kPciLink};
    }
    if (own) {
      said.distance = Sourced{kOwnDistance, Provenance::kAssumed};
    } else if (auto distance = node_distance(nodes, device.node, t.node)) {
      said.distance = Sourced{*distance, Provenance::kSlit};
    }
    builder->state(id, t.id, said);
  }
  if (device.memory_bytes > 0 && !memory_is_node) add_own_memory(device, id, builder);
}

}  // namespace hms::topology
