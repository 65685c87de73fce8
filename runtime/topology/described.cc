// From a description to the model: which CPUs each node owns, what is local to them, what memory
// attributes and distances say, and the devices.
#include "runtime/topology/described.h"

#include <stdlib.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "runtime/support/os.h"
#include "runtime/topology/devices.h"

namespace hms::topology {
namespace {

constexpr double kBandwidthUnit = 1024.0 * 1024.0;  // hwloc/memattrs.h: MiB/s
constexpr uint64_t kMostBytes = uint64_t{1} << 60;

// Subtypes that hwloc writes: "HBM", "DRAM", "MCDRAM", "NVM", "SPM", "GPUMemory", "CXL-DRAM" ...
// "SPM" is memory that firmware reserved, of any kind.
TargetKind kind_of(const Described::Node& node) {
  auto has = [&node](const char* word) { return node.subtype.find(word) != std::string::npos; };
  if (!node.cxl_device.empty()) return TargetKind::kCxl;
  if (node.dax_type == "NVM") return TargetKind::kPmem;
  if (has("MCDRAM") || has("HBM")) return TargetKind::kHbm;
  if (has("CXL")) return TargetKind::kCxl;
  if (has("NVM") || has("PMEM")) return TargetKind::kPmem;
  if (has("GPUMemory")) return TargetKind::kDevice;
  if (has("DRAM")) return TargetKind::kDram;
  return TargetKind::kUnknown;
}

class Reader {
 public:
  explicit Reader(const Described& d) : d_(d) {}

  Nodes run() {
    for (const auto& node : d_.nodes) {
      if (node.number < 0 || node.number >= os::kMaxNodes) continue;
      NodeFacts facts;
      facts.bytes = facts.free_bytes = std::min(node.bytes, kMostBytes);
      facts.stated_kind = kind_of(node);
      facts.label = node.subtype;
      facts.device = node.device;
      facts.side_cache_bytes = node.cache_bytes;
      nodes_.emplace(node.number, std::move(facts));
      source_.emplace(node.number, &node);
    }
    assign_cpus();
    for (auto& [number, facts] : nodes_) {
      for (auto [owner, cpu] : representative_) {
        if (source_[number]->cpus.has(cpu)) facts.local_to.push_back(owner);
      }
    }
    read_values();
    read_distances();
    return std::move(nodes_);
  }

 private:
  // Each CPU belongs to one node: among those it is local to, the one with the fewest CPUs, and of
  // equals the one that is no special memory, then the lowest number. So the CPUs of a socket with
  // DRAM, HBM and CXL are "cpu:N" of its DRAM.
  void assign_cpus() {
    std::vector<std::tuple<int, bool, int>> ranked;
    for (const auto& [number, facts] : nodes_) {
      bool special =
          facts.stated_kind != TargetKind::kDram && facts.stated_kind != TargetKind::kUnknown;
      ranked.emplace_back(source_[number]->cpus.count(), special, number);
    }
    std::sort(ranked.begin(), ranked.end());
    std::vector<int> cpus = d_.cpus;
    std::sort(cpus.begin(), cpus.end());
    cpus.erase(std::unique(cpus.begin(), cpus.end()), cpus.end());
    for (int cpu : cpus) {
      auto owner = std::find_if(ranked.begin(), ranked.end(), [&](const auto& r) {
        return source_[std::get<2>(r)]->cpus.has(cpu);
      });
      if (owner == ranked.end()) continue;
      nodes_[std::get<2>(*owner)].cpus.push_back(cpu);
      representative_.emplace(std::get<2>(*owner), cpu);
    }
  }

  // The general attribute wins over the one for reads: a file may have either.
  void read_values() {
    using Attribute = Described::Attribute;
    std::map<std::pair<int, int>, Access> accesses;  // (node, owner of the CPUs)
    for (bool general : {false, true}) {
      for (const auto& v : d_.values) {
        bool is_general =
            v.attribute == Attribute::kBandwidth || v.attribute == Attribute::kLatency;
        bool bandwidth =
            v.attribute == Attribute::kBandwidth || v.attribute == Attribute::kReadBandwidth;
        if (is_general != general || !(v.value > 0)) continue;
        for (auto [owner, cpu] : representative_) {
          if (!v.initiator.has(cpu)) continue;
          Access& a = accesses[{v.node, owner}];
          a.initiators = {owner};
          (bandwidth ? a.bandwidth : a.latency) = bandwidth ? v.value * kBandwidthUnit : v.value;
        }
      }
    }
    for (auto& [key, access] : accesses) {
      auto at = nodes_.find(key.first);
      if (at != nodes_.end()) at->second.access.push_back(std::move(access));
    }
  }

  void read_distances() {
    for (const auto& d : d_.distances) {
      auto at = nodes_.find(d.from);
      if (at == nodes_.end() || d.value == 0 || d.value > 255) continue;
      at->second.distance[d.to] = static_cast<int>(d.value);
    }
  }

  const Described& d_;
  Nodes nodes_;
  std::map<int, const Described::Node*> source_;
  std::map<int, int> representative_;  // node that owns CPUs -> its first CPU
};

// The node that owns the CPUs nearest to a device; -1 where it hangs off the whole machine.
int home_of(const Described::Device& device, const Nodes& nodes) {
  int home = -1;
  for (const auto& [number, facts] : nodes) {
    if (facts.cpus.empty() || !device.near.has(facts.cpus[0])) continue;
    if (home >= 0) return -1;
    home = number;
  }
  return home;
}

}  // namespace

void CpuSet::add(int cpu) {
  if (cpu < 0 || cpu >= kMaxCpus) return;
  size_t word = static_cast<size_t>(cpu) / 32;
  if (word >= words_.size()) words_.resize(word + 1);
  words_[word] |= uint32_t{1} << (cpu % 32);
}

bool CpuSet::has(int cpu) const {
  size_t word = static_cast<size_t>(cpu) / 32;
  return cpu >= 0 && word < words_.size() && (words_[word] >> (cpu % 32) & 1) != 0;
}

int CpuSet::count() const {
  int n = 0;
  for (uint32_t w : words_) n += __builtin_popcount(w);
  return n;
}

bool CpuSet::parse(const std::string& text) {
  words_.clear();
  size_t end = text.size();
  // Words of 32 bits, the highest first, so read from the end.
  while (true) {
    size_t comma = end == 0 ? std::string::npos : text.rfind(',', end - 1);
    size_t first = comma == std::string::npos ? 0 : comma + 1;
    std::string word = text.substr(first, end - first);
    if (word.compare(0, 2, "0x") == 0) word.erase(0, 2);
    bool hex = word.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos;
    if (!hex || word.size() > 8 || words_.size() >= kMaxCpus / 32) return false;
    words_.push_back(static_cast<uint32_t>(strtoul(word.c_str(), nullptr, 16)));
    if (comma == std::string::npos) break;
    end = comma;
  }
  while (!words_.empty() && words_.back() == 0) words_.pop_back();
  return true;
}

uint64_t device_memory_info(const std::string& name, const std::string& value) {
  for (const char* known : {"CUDAGlobalMemorySize", "RSMIVRAMSize", "LevelZeroHBMSize",
                            "LevelZeroDDRSize", "OpenCLGlobalMemorySize"}) {
    if (name != known) continue;
    uint64_t kib = strtoull(value.c_str(), nullptr, 10);
    return kib < (uint64_t{1} << 44) ? kib * 1024 : 0;
  }
  return 0;
}

bool is_peer_matrix(const std::string& name) {
  return name == "NVLinkBandwidth" || name == "XGMIBandwidth" || name == "XeLinkBandwidth";
}

Nodes described_nodes(const Described& d) { return Reader(d).run(); }

void add_described_devices(const Described& d, const Nodes& nodes, Builder* builder) {
  for (const auto& x : d.devices) {
    auto kind = kind_of_pci_class(x.pci_class);
    if (!kind) continue;
    DeviceFacts device;
    device.address = x.address;
    device.name = x.name;
    device.kind = *kind == InitiatorKind::kGeneric && x.processor ? InitiatorKind::kGpu : *kind;
    device.node = home_of(x, nodes);
    if (x.link_gb_s > 0 && x.link_gb_s < 1e6) device.link_bandwidth = x.link_gb_s * 1e9;
    device.memory_bytes = x.memory_bytes;
    device.memory_from = Provenance::kHwloc;
    if (device.link_bandwidth > 0 || device.memory_bytes > 0) add_device(device, nodes, builder);
  }
  for (const auto& link : d.peer_links) {
    Initiator* from = builder->find_initiator(device_key(link.from));
    Target* to = builder->find_target(device_memory_key(link.to));
    if (!from || !to || link.from == link.to || !(link.mb_s > 0) || link.mb_s > 1e9) continue;
    Properties said;
    said.bandwidth = Sourced{link.mb_s * 1e6, Provenance::kHwloc};
    builder->state(from->id, to->id, said);
  }
}

Status add_described(const Described& d, const std::string& what, Builder* builder) {
  Nodes nodes = described_nodes(d);
  bool memory =
      std::any_of(nodes.begin(), nodes.end(), [](const auto& n) { return n.second.bytes > 0; });
  if (!memory) return {HMS_EIO, what + ": describes no memory (no NUMANode with local_memory)"};
  add_nodes(nodes, Provenance::kHwloc, Provenance::kHwloc, builder);
  add_described_devices(d, nodes, builder);
  return {};
}

}  // namespace hms::topology
