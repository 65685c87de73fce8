// What a hwloc topology says, in plain values: filled from libhwloc or from an XML file, then
// turned into the model by one set of rules.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/support/result.h"
#include "runtime/topology/builder.h"
#include "runtime/topology/node_facts.h"

namespace hms::topology {

inline constexpr int kMaxCpus = 65536;

// A set of CPU numbers below kMaxCpus.
class CpuSet {
 public:
  void add(int cpu);
  bool has(int cpu) const;
  int count() const;
  bool empty() const { return words_.empty(); }
  // hwloc's text form, "0x0000000f,0xffffffff"; false if it is none or is infinite.
  bool parse(const std::string& text);

 private:
  std::vector<uint32_t> words_;
};

struct Described {
  struct Node {
    int number = 0;
    uint64_t bytes = 0;
    CpuSet cpus;  // those it is local to
    std::string subtype, dax_type, cxl_device, device;
    uint64_t cache_bytes = 0;
  };
  enum class Attribute { kBandwidth, kLatency, kReadBandwidth, kReadLatency };
  struct Value {
    Attribute attribute;
    int node = 0;
    CpuSet initiator;
    double value = 0;  // MiB/s or ns
  };
  struct Distance {
    int from = 0, to = 0;
    uint64_t value = 0;
  };
  struct Device {
    std::string address, name;
    unsigned pci_class = 0;  // 24 bits
    double link_gb_s = 0;
    uint64_t memory_bytes = 0;
    bool processor = false;  // the operating system calls it a GPU or co-processor
    CpuSet near;
  };
  struct PeerLink {
    std::string from, to;  // PCI addresses
    double mb_s = 0;
  };
  std::vector<int> cpus;
  std::vector<Node> nodes;
  std::vector<Value> values;
  std::vector<Distance> distances;
  std::vector<Device> devices;
  std::vector<PeerLink> peer_links;
};

// The infos of OS devices that hold a memory size, in KiB.
uint64_t device_memory_info(const std::string& name, const std::string& value);
// Whether a matrix of this name says how fast GPUs reach each other.
bool is_peer_matrix(const std::string& name);

Nodes described_nodes(const Described& d);
void add_described_devices(const Described& d, const Nodes& nodes, Builder* builder);
// All of it; `what` is for messages.
Status add_described(const Described& d, const std::string& what, Builder* builder);

}  // namespace hms::topology
