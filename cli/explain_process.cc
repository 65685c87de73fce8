// See explain_process.h.
#include "cli/explain_process.h"

#include <errno.h>
#include <string.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/format.h"
#include "cli/report.h"
#include "cli/table.h"
#include "runtime/support/mappings.h"
#include "runtime/support/os.h"

namespace hms::cli {
namespace {

Status refused(int pid, int error) {
  const std::string who = "process " + std::to_string(pid);
  if (error == -ESRCH || error == -ENOENT) return {HMS_ENODEV, who + " has ended"};
  if (error == -EPERM || error == -EACCES) {
    return {HMS_EPERM, "not allowed to ask about the memory of " + who +
                           "; run as its user or with CAP_SYS_PTRACE"};
  }
  return {HMS_EIO, who + ": " + strerrordesc_np(-error)};
}

void find_window(const ProcessStats& stats, AddressExplanation* out) {
  for (const WindowStats& window : stats.windows) {
    if (out->address < window.base || out->address - window.base >= window.bytes) continue;
    out->in_window = true;
    out->window = window;
    for (size_t i = 0; i < stats.targets.size(); ++i) {
      const bool member =
          window.stripes != 0 ? ((window.stripes >> i) & 1) != 0 : i == window.target;
      if (member) out->targets.push_back(stats.targets[i]);
    }
    return;
  }
}

std::string nodes_text(uint64_t nodes, bool more) {
  std::string out;
  for (int node = 0; node < 64; ++node) {
    if (((nodes >> node) & 1) != 0) out += (out.empty() ? "" : ",") + std::to_string(node);
  }
  return "nodes " + out + (more ? " and more" : "");
}

struct PolicySearch {
  uint64_t address;
  std::string found;
};

// The last policy that begins at or before the address.
bool visit_policy(void* context, const os::MappingPolicy& policy) {
  auto* search = static_cast<PolicySearch*>(context);
  if (policy.begin > search->address) return false;
  search->found = policy.is_default ? "none" : nodes_text(policy.nodes, policy.far_node);
  return true;
}

bool visit_mapping(void* context, const os::Mapping& mapping) {
  auto* out = static_cast<AddressExplanation*>(context);
  out->mapped = true;
  out->anonymous = mapping.anonymous;
  return false;
}

void judge(AddressExplanation* out) {
  using Verdict = AddressExplanation::Verdict;
  if (!out->in_window || !out->told) return;
  out->verdict = out->node < 0 ? Verdict::kNoPage : Verdict::kMisplaced;
  if (out->node < 0) return;
  for (const TargetStats& target : out->targets) {
    if (target.node == out->node) out->verdict = Verdict::kPlaced;
    if (target.node < 0) out->verdict = Verdict::kAnyNode;
  }
}

const char* name_of(AddressExplanation::Verdict verdict) {
  switch (verdict) {
    case AddressExplanation::Verdict::kNoPage:
      return "no page yet";
    case AddressExplanation::Verdict::kPlaced:
      return "placed";
    case AddressExplanation::Verdict::kMisplaced:
      return "misplaced";
    case AddressExplanation::Verdict::kAnyNode:
      return "any node";
    case AddressExplanation::Verdict::kUnknown:
      break;
  }
  return "unknown";
}

std::string target_text(const TargetStats& t) {
  std::string out = t.key;
  if (t.emulated) return out + " (emulated on node " + std::to_string(t.node) + ")";
  return t.node < 0 ? out + " (any node)" : out;
}

std::string kernel_text(const AddressExplanation& e) {
  using Verdict = AddressExplanation::Verdict;
  if (e.node < 0) return "no page there yet: the first access makes one";
  std::string where = "the page is on node " + std::to_string(e.node);
  if (e.verdict == Verdict::kPlaced) return where + ", as the target asks for";
  if (e.verdict == Verdict::kMisplaced) return where + ": misplaced, the target asks for another";
  return where;
}

// "NAME=value" entries of a process.
std::map<std::string, std::string> environment_of(int pid, bool* readable) {
  std::map<std::string, std::string> out;
  std::ifstream file("/proc/" + std::to_string(pid) + "/environ", std::ios::binary);
  std::string entry;
  *readable = static_cast<bool>(file);
  while (std::getline(file, entry, '\0')) {
    const size_t equals = entry.find('=');
    if (equals != std::string::npos) out[entry.substr(0, equals)] = entry.substr(equals + 1);
  }
  return out;
}

}  // namespace

Result<AddressExplanation> explain_address(const ProcessStats& stats, uint64_t address) {
  AddressExplanation out;
  out.address = address;
  find_window(stats, &out);
  const uintptr_t page = address / os::kPageSize * os::kPageSize;
  int r = os::visit_mappings_of(stats.pid, page, page + os::kPageSize, visit_mapping, &out);
  if (r < 0) return refused(stats.pid, r);
  if (!out.mapped) return out;
  void* pages[] = {reinterpret_cast<void*>(page)};  // NOLINT(performance-no-int-to-ptr)
  int status = -ENOENT;
  r = os::query_pages(stats.pid, 1, pages, &status);
  if (r < 0) return refused(stats.pid, r);
  out.told = true;
  out.node = status;
  PolicySearch search = {address, ""};
  // Without NUMA there is none.
  if (os::visit_policies_of(stats.pid, visit_policy, &search) >= 0) out.policy = search.found;
  judge(&out);
  return out;
}

std::string to_text(const AddressExplanation& e) {
  std::string out = "address " + hex(e.address) + ": ";
  if (!e.mapped) return out + "nothing is mapped there\n";
  if (e.in_window) {
    std::string targets;
    for (const TargetStats& t : e.targets)
      targets += (targets.empty() ? "" : ", ") + target_text(t);
    out += "memory of libhms for " + targets +
           (e.window.stripes != 0 ? ", page by page in turn" : "") +
           "\n  window: " + hex(e.window.base) + " to " + hex(e.window.base + e.window.bytes) +
           ", " + human_bytes(e.window.bytes) + "\n";
  } else {
    out +=
        std::string(e.anonymous ? "memory" : "a file") +
        " that the program mapped by itself (code, stack, mmap): no window of libhms has it, and "
        "no rule decides\n";
  }
  out += "  kernel: " + kernel_text(e) + "\n";
  if (!e.policy.empty()) out += "  policy of the mapping: " + e.policy + "\n";
  return out;
}

nlohmann::ordered_json to_json(const AddressExplanation& e) {
  nlohmann::ordered_json out;
  out["address"] = hex(e.address);
  out["mapped"] = e.mapped;
  out["window"] = nullptr;
  if (e.in_window) out["window"] = {{"base", hex(e.window.base)}, {"bytes", e.window.bytes}};
  out["targets"] = nlohmann::ordered_json::array();
  for (const TargetStats& t : e.targets) out["targets"].push_back(t.key);
  out["node"] = e.told && e.node >= 0 ? nlohmann::ordered_json(e.node) : nullptr;
  out["policy"] = e.policy;
  out["verdict"] = name_of(e.verdict);
  return out;
}

Result<Effective> started_with(int pid, std::string* origin) {
  bool readable = false;
  std::map<std::string, std::string> environment = environment_of(pid, &readable);
  if (!readable) return refused(pid, -EACCES);
  Effective out;
  for (const char* name : {"HMS_CONF", "HMS_CONF_FILE"}) {
    const auto entry = environment.find(name);
    if (entry == environment.end()) continue;
    *origin += (origin->empty() ? "" : " and ") + std::string(name);
    std::string text = entry->second;
    if (std::string(name) == "HMS_CONF_FILE") {
      std::ostringstream content;
      content << std::ifstream(text).rdbuf();
      text = content.str();
    }
    parse_config(text, name, &out.config);
  }
  if (origin->empty()) return Status(HMS_ENODEV, "its environment names no rules");
  const std::string& wanted = environment["HMS_TOPOLOGY"];
  std::string source = wanted.empty() || wanted == "live" ? "sysfs" : wanted;
  if (!out.config.tiers.empty()) source = "tiers:" + out.config.tiers;
  const auto topology = topology::Topology::load(source);
  if (topology.ok()) out.topology = topology.value();
  return out;
}

nlohmann::ordered_json windows_json(const ProcessStats& stats) {
  nlohmann::ordered_json out = nlohmann::ordered_json::array();
  for (const WindowStats& window : stats.windows) {
    out.push_back({{"base", hex(window.base)},
                   {"bytes", window.bytes},
                   {"target", stats.targets[window.target].key},
                   {"in_turn", window.stripes != 0}});
  }
  return out;
}

std::string windows_text(const ProcessStats& stats) {
  Table table;
  table.left(1);
  table.row({"FROM", "TO", "BYTES", "TARGET"});
  table.left(3);
  for (const WindowStats& window : stats.windows) {
    std::string target = stats.targets[window.target].key;
    if (window.stripes != 0) target += " and others, in turn";
    table.row(
        {hex(window.base), hex(window.base + window.bytes), human_bytes(window.bytes), target});
  }
  return table.text();
}

}  // namespace hms::cli
