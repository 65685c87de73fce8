// Devices that access memory or bring their own, as any source describes them.
#pragma once

#include <string>

#include "runtime/topology/builder.h"
#include "runtime/topology/node_facts.h"

namespace hms::topology {

struct DeviceFacts {
  std::string address;  // PCI "0000:41:00.0"
  std::string name;     // for people; may be empty
  InitiatorKind kind = InitiatorKind::kGeneric;
  int node = -1;              // nearest node, -1: not told
  double link_bandwidth = 0;  // bytes/s one way, 0: not told
  uint64_t memory_bytes = 0;  // of its own, 0: none known
  Provenance memory_from = Provenance::kDriver;
};

// The kind of initiator that a PCI class stands for; nothing for devices of no interest here.
std::optional<InitiatorKind> kind_of_pci_class(unsigned class_code);
// Bandwidth of a PCI Express link in bytes/s, one way, encoding subtracted.
double pci_link_bandwidth(double gigatransfers, int width);
// The initiator, its own memory as a device target, and what its link lets it do with the nodes.
void add_device(const DeviceFacts& device, const Nodes& nodes, Builder* builder);

std::string device_key(const std::string& address);         // "pci:0000:41:00.0"
std::string device_memory_key(const std::string& address);  // "pci:0000:41:00.0/vram"

}  // namespace hms::topology
