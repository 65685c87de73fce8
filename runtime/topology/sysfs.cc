// Reading /sys/devices/system/node and what surrounds it. File formats: Linux,
// Documentation/ABI/stable/sysfs-devices-node and Documentation/admin-guide/mm/numaperf.rst.
#include "runtime/topology/sysfs.h"

#include <string.h>

#include <algorithm>

#include "runtime/support/os.h"
#include "runtime/support/os_tree.h"
#include "runtime/topology/described.h"

namespace hms::topology {
namespace {

const char kNodeDir[] = "devices/system/node";

// The kernel's documents disagree on the unit of HMAT bandwidths: MB/s in the ABI file, MiB/s in
// numaperf.rst and in hwloc. We take MiB/s; at worst every number is 4.9% too high, which changes
// no order.
constexpr double kBandwidthUnit = 1024.0 * 1024.0;

uint64_t meminfo_bytes(const std::string& text, const char* field) {
  size_t at = text.find(field);
  if (at == std::string::npos) return 0;
  at = text.find_first_of("0123456789", at + strlen(field));
  if (at == std::string::npos) return 0;
  size_t end = text.find_first_not_of("0123456789", at);
  auto kib = parse_number(text.substr(at, end - at));
  return kib && *kib < (int64_t{1} << 50) ? static_cast<uint64_t>(*kib) * 1024 : 0;
}

// A positive number of a file, from `first` or else `second`. Zero means "not told".
std::optional<double> either(const Tree& tree, const std::string& first,
                             const std::string& second) {
  for (const std::string& path : {first, second}) {
    auto n = tree.number(path);
    if (n && *n > 0) return static_cast<double>(*n);
  }
  return std::nullopt;
}

// access0: the nearest initiators of any kind; access1: the nearest CPUs.
std::vector<Access> read_access(const Tree& tree, const std::string& dir) {
  std::vector<Access> out;
  for (const char* level : {"/access0/initiators", "/access1/initiators"}) {
    std::string base = dir + level;
    Access access;
    for (const std::string& name : tree.entries(base, "node")) {
      int node = suffix_number(name, "node", os::kMaxNodes);
      if (node >= 0) access.initiators.push_back(node);
    }
    if (access.initiators.empty()) continue;
    access.latency = either(tree, base + "/read_latency", base + "/write_latency");
    access.bandwidth = either(tree, base + "/read_bandwidth", base + "/write_bandwidth");
    if (access.bandwidth) *access.bandwidth *= kBandwidthUnit;
    out.push_back(std::move(access));
  }
  return out;
}

uint64_t read_side_cache(const Tree& tree, const std::string& dir) {
  uint64_t bytes = 0;
  for (const std::string& index : tree.entries(dir + "/memory_side_cache", "index")) {
    auto n = tree.number(path_of({dir, "memory_side_cache", index, "size"}));
    if (n && *n > 0) bytes = std::max(bytes, static_cast<uint64_t>(*n));
  }
  return bytes;
}

// One row of the SLIT: a number per online node, in node order.
std::map<int, int> read_distances(const Tree& tree, const std::string& dir,
                                  const std::vector<int>& online) {
  std::map<int, int> out;
  std::string row = tree.text(dir + "/distance").value_or("");
  size_t at = 0;
  for (int node : online) {
    at = row.find_first_not_of(' ', at);
    if (at == std::string::npos) break;
    size_t end = std::min(row.find(' ', at), row.size());
    auto n = parse_number(row.substr(at, end - at));
    if (n && *n > 0 && *n <= 255) out[node] = static_cast<int>(*n);
    at = end;
  }
  return out;
}

std::vector<int> online_nodes(const Tree& tree) {
  std::vector<int> nodes = tree.list(std::string(kNodeDir) + "/online", os::kMaxNodes);
  if (!nodes.empty()) return nodes;
  for (const std::string& name : tree.entries(kNodeDir, "node")) {
    int node = suffix_number(name, "node", os::kMaxNodes);
    if (node >= 0) nodes.push_back(node);
  }
  std::sort(nodes.begin(), nodes.end());
  return nodes;
}

void read_tiers(const Tree& tree, Nodes* nodes) {
  const std::string base = "devices/virtual/memory_tiering";
  for (const std::string& name : tree.entries(base, "memory_tier")) {
    int tier = suffix_number(name, "memory_tier", 1 << 20);
    if (tier < 0) continue;
    for (int node : tree.list(path_of({base, name, "nodelist"}), os::kMaxNodes)) {
      auto at = nodes->find(node);
      if (at != nodes->end()) at->second.kernel_tier = tier;
    }
  }
}

// Weights are only read: they are the administrator's.
void read_weights(const Tree& tree, Nodes* nodes) {
  const std::string base = "kernel/mm/mempolicy/weighted_interleave";
  for (const std::string& name : tree.entries(base, "node")) {
    auto at = nodes->find(suffix_number(name, "node", os::kMaxNodes));
    auto weight = tree.number(path_of({base, name}));
    if (at != nodes->end() && weight && *weight > 0 && *weight <= 255) {
      at->second.interleave_weight = static_cast<int>(*weight);
    }
  }
}

// dax devices that the kmem driver made into nodes tell what those nodes are made of.
void read_dax_nodes(const Tree& tree, Nodes* nodes) {
  for (const std::string& name : tree.entries("bus/dax/devices", "dax")) {
    std::string dir = "bus/dax/devices/" + name;
    auto node = tree.number(dir + "/target_node");
    if (!node || tree.link(dir + "/driver").find("kmem") == std::string::npos) continue;
    auto at = nodes->find(static_cast<int>(*node));
    if (at != nodes->end()) at->second.stated_kind = dax_kind(tree.link(dir));
  }
}

// Memory of nodes that this process may not use cannot hold anything of it. Their CPUs stay.
void hide_forbidden(Nodes* nodes) {
  os::NodeMask allowed;
  if (os::allowed_nodes(&allowed) != 0) return;
  for (auto& [node, facts] : *nodes) {
    if (!allowed.test(node)) facts.bytes = facts.free_bytes = 0;
  }
}

// No /sys, or a kernel without NUMA: one node with all CPUs and all memory.
Nodes single_node() {
  NodeFacts facts;
  os::machine_memory(&facts.bytes, &facts.free_bytes);
  for (int cpu = 0; cpu < os::online_cpus(); ++cpu) facts.cpus.push_back(cpu);
  facts.distance[0] = 10;
  return {{0, std::move(facts)}};
}

}  // namespace

TargetKind dax_kind(const std::string& path) {
  auto has = [&path](const char* word) { return path.find(word) != std::string::npos; };
  // CXL memory hangs below a decoder's region; persistent memory below an nvdimm bus (libnvdimm's
  // "ndbus", "region", "dax"); "hmem" is memory that firmware reserved, of any kind.
  if (has("cxl") || has("ACPI0017") || has("decoder")) return TargetKind::kCxl;
  if (has("ndbus") || has("ACPI0012") || has("e820_pmem")) return TargetKind::kPmem;
  return TargetKind::kUnknown;
}

Result<Nodes> read_nodes(const Tree& tree) {
  Nodes nodes;
  std::vector<int> online = online_nodes(tree);
  for (int node : online) {
    std::string dir = std::string(kNodeDir) + "/node" + std::to_string(node);
    auto meminfo = tree.content(dir + "/meminfo");
    auto cpus = tree.text(dir + "/cpulist");
    if (!meminfo && !cpus) continue;  // named as online, yet not there
    NodeFacts facts;
    facts.bytes = meminfo_bytes(meminfo.value_or(""), "MemTotal:");
    facts.free_bytes = meminfo_bytes(meminfo.value_or(""), "MemFree:");
    facts.cpus = parse_list(cpus.value_or(""), kMaxCpus);
    facts.distance = read_distances(tree, dir, online);
    facts.access = read_access(tree, dir);
    facts.side_cache_bytes = read_side_cache(tree, dir);
    nodes.emplace(node, std::move(facts));
  }
  if (nodes.empty()) {
    if (tree.live()) return single_node();
    return Status(HMS_EIO, "sysfs:" + tree.root() + ": no node found below " + tree.root() + "/" +
                               kNodeDir + "; a recording has the layout of /sys");
  }
  for (int node : tree.list(std::string(kNodeDir) + "/has_generic_initiator", os::kMaxNodes)) {
    auto at = nodes.find(node);
    if (at != nodes.end()) at->second.generic_initiator = true;
  }
  read_tiers(tree, &nodes);
  read_weights(tree, &nodes);
  read_dax_nodes(tree, &nodes);
  if (tree.live()) hide_forbidden(&nodes);
  return nodes;
}

}  // namespace hms::topology
