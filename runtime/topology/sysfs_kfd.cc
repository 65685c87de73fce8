// What amdkfd says in /sys/class/kfd/kfd/topology: GPU memories and the links between GPUs. Format:
// Linux, drivers/gpu/drm/amd/amdkfd/kfd_topology.c (node_show, mem_show, iolink_show).
#include <stdio.h>

#include <map>

#include "runtime/topology/devices.h"
#include "runtime/topology/sysfs.h"

namespace hms::topology {
namespace {

const char kBase[] = "class/kfd/kfd/topology/nodes";
constexpr int kMaxKfdNodes = 4096;
constexpr int64_t kPublicMemory = 1, kPrivateMemory = 2;  // heap_type
constexpr double kMegabyte = 1e6;

using Fields = std::map<std::string, int64_t>;

// Lines of "name value".
Fields read_fields(const Tree& tree, const std::string& path) {
  Fields out;
  std::string text = tree.content(path).value_or("");
  size_t at = 0;
  while (at < text.size()) {
    size_t end = std::min(text.find('\n', at), text.size());
    std::string line = text.substr(at, end - at);
    at = end + 1;
    size_t space = line.find(' ');
    if (space == std::string::npos) continue;
    if (auto n = parse_number(line.substr(space + 1))) out[line.substr(0, space)] = *n;
  }
  return out;
}

// location_id is bus << 8 | device << 3 | function.
std::string pci_address(const Fields& node) {
  auto get = [&node](const char* name) {
    auto at = node.find(name);
    return at == node.end() ? 0U : static_cast<unsigned>(at->second);
  };
  unsigned location = get("location_id");
  char text[32];
  snprintf(text, sizeof text, "%04x:%02x:%02x.%x", get("domain") & 0xffff, location >> 8 & 0xff,
           location >> 3 & 0x1f, location & 7);
  return text;
}

// The frame buffer banks of a GPU. mem_clk_max is in MHz, width in bits; two transfers a clock.
void add_banks(const Tree& tree, const std::string& dir, const std::string& address,
               Builder* builder) {
  Target* memory = builder->find_target(device_memory_key(address));
  Initiator* gpu = builder->find_initiator(device_key(address));
  if (!memory || !gpu) return;
  for (const std::string& bank : tree.entries(dir + "/mem_banks")) {
    Fields f = read_fields(tree, path_of({dir, "mem_banks", bank, "properties"}));
    if (f["heap_type"] != kPublicMemory && f["heap_type"] != kPrivateMemory) continue;
    // With a large BAR the kernel calls the memory public, yet a CPU reaches it only by mapping it
    // through the driver, so it stays device memory here.
    if (f["size_in_bytes"] > 0) {
      memory->bytes = memory->free_bytes = static_cast<uint64_t>(f["size_in_bytes"]);
      memory->from = Provenance::kDriver;
    }
    double width = static_cast<double>(f["width"]), clock = static_cast<double>(f["mem_clk_max"]);
    if (width <= 0 || clock <= 0 || width > 65536 || clock > 100000) continue;
    Properties said;
    said.bandwidth = Sourced{width / 8 * clock * 1e6 * 2, Provenance::kDriver};
    builder->state(gpu->id, memory->id, said);
  }
}

// Links between GPUs: a peer reads the other's memory at the speed of the link.
void add_peer_links(const Tree& tree, const std::string& dir, const std::string& address,
                    const std::map<int, std::string>& gpus, Builder* builder) {
  Initiator* gpu = builder->find_initiator(device_key(address));
  if (!gpu) return;
  for (const char* links : {"io_links", "p2p_links"}) {
    for (const std::string& link : tree.entries(path_of({dir, links}))) {
      Fields f = read_fields(tree, path_of({dir, links, link, "properties"}));
      auto peer = gpus.find(static_cast<int>(f["node_to"]));
      if (peer == gpus.end() || f["node_to"] == f["node_from"]) continue;
      Target* memory = builder->find_target(device_memory_key(peer->second));
      if (!memory) continue;
      Properties said;
      if (f["max_bandwidth"] > 0) {
        said.bandwidth =
            Sourced{static_cast<double>(f["max_bandwidth"]) * kMegabyte, Provenance::kDriver};
      }
      builder->state(gpu->id, memory->id, said);
    }
  }
}

}  // namespace

void add_kfd(const Tree& tree, Builder* builder) {
  std::map<int, std::string> gpus;  // KFD node -> PCI address
  for (const std::string& name : tree.entries(kBase)) {
    int node = suffix_number(name, "", kMaxKfdNodes);
    std::string dir = std::string(kBase) + "/" + name;
    if (node < 0 || tree.number(dir + "/gpu_id").value_or(0) == 0) continue;
    gpus[node] = pci_address(read_fields(tree, dir + "/properties"));
  }
  for (const auto& [node, address] : gpus) {
    add_banks(tree, std::string(kBase) + "/" + std::to_string(node), address, builder);
  }
  for (const auto& [node, address] : gpus) {
    add_peer_links(tree, std::string(kBase) + "/" + std::to_string(node), address, gpus, builder);
  }
}

}  // namespace hms::topology
