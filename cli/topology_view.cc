// A topology as a table and as JSON.
#include "cli/topology_view.h"

#include <algorithm>

#include "runtime/topology/units.h"

namespace hms::cli {
namespace {

using topology::Sourced;
using topology::Topology;

struct Capability {
  const char* name;
  uint32_t bit;
};
constexpr Capability kCapabilities[] = {
    {"cpu-accessible", HMS_CAP_CPU_ACCESSIBLE},
    {"coherent", HMS_CAP_COHERENT},
    {"persistent", HMS_CAP_PERSISTENT},
    {"atomics", HMS_CAP_ATOMICS},
    {"volatile", HMS_CAP_VOLATILE},
    {"not-cpu-accessible", HMS_CAP_NOT_CPU_ACCESSIBLE},
    {"special-purpose", HMS_CAP_SPECIAL_PURPOSE},
};

std::string with_source(const std::string& text, const Sourced& s) {
  return text + " (" + to_string(s.from) + ")";
}

std::string join(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& w : words) out += (out.empty() ? "" : " ") + w;
  return out;
}

void put(const char* name, const char* unit, const std::optional<Sourced>& s,
         nlohmann::ordered_json* out) {
  std::string base = name;
  (*out)[base + unit] = s ? nlohmann::ordered_json(s->value) : nullptr;
  (*out)[base + "_from"] = s ? nlohmann::ordered_json(to_string(s->from)) : nullptr;
}

nlohmann::ordered_json target_json(const topology::Target& x) {
  nlohmann::ordered_json out = {{"id", x.id},
                                {"key", x.key},
                                {"label", x.label},
                                {"kind", to_string(x.kind)},
                                {"kind_from", to_string(x.from)},
                                {"bytes", x.bytes},
                                {"free_bytes", x.free_bytes},
                                {"node", nullptr},
                                {"emulated", x.emulated},
                                {"capabilities", capability_names(x.capabilities)},
                                {"must_understand", capability_names(x.must_understand)},
                                {"kernel_tier", nullptr},
                                {"interleave_weight", nullptr},
                                {"side_cache_bytes", x.side_cache_bytes}};
  if (x.node >= 0) out["node"] = x.node;
  if (x.kernel_tier >= 0) out["kernel_tier"] = x.kernel_tier;
  if (x.interleave_weight >= 0) out["interleave_weight"] = x.interleave_weight;
  return out;
}

template <typename Lookup>
std::vector<std::string> keys_of(const std::vector<topology::Id>& ids, Lookup lookup) {
  std::vector<std::string> out;
  for (topology::Id id : ids) {
    if (const auto* object = lookup(id)) out.push_back(object->key);
  }
  return out;
}

std::vector<std::string> targets_of(const Topology& t, const std::vector<topology::Id>& ids) {
  return keys_of(ids, [&t](topology::Id id) { return t.target(id); });
}
std::vector<std::string> initiators_of(const Topology& t, const std::vector<topology::Id>& ids) {
  return keys_of(ids, [&t](topology::Id id) { return t.initiator(id); });
}

std::string targets_table(const Topology& t) {
  std::vector<std::vector<std::string>> rows{
      {"target", "name", "kind", "capacity", "free", "node", "kernel tier", "needs"}};
  for (const auto& x : t.targets()) {
    std::string node = x.node < 0 ? "-" : std::to_string(x.node);
    std::string extra = x.side_cache_bytes
                            ? " behind a cache of " + topology::format_bytes(x.side_cache_bytes)
                            : "";
    rows.push_back({x.key, x.label.empty() ? "-" : x.label,
                    std::string(to_string(x.kind)) + " (" + to_string(x.from) + ")",
                    topology::format_bytes(x.bytes) + extra, topology::format_bytes(x.free_bytes),
                    x.emulated && x.node >= 0 ? "emulated on " + node : node,
                    x.kernel_tier < 0 ? "-" : std::to_string(x.kernel_tier),
                    x.must_understand ? join(capability_names(x.must_understand)) : "-"});
  }
  return "Targets (memories)\n" + columns(rows);
}

std::string initiators_table(const Topology& t) {
  std::vector<std::vector<std::string>> rows{{"initiator", "name", "kind", "near node", "CPUs"}};
  for (const auto& x : t.initiators()) {
    rows.push_back({x.key, x.label.empty() ? "-" : x.label, to_string(x.kind),
                    x.node < 0 ? "-" : std::to_string(x.node),
                    x.cpus.empty() ? "-" : ranges(x.cpus)});
  }
  return "\nInitiators (what accesses them)\n" + columns(rows);
}

std::string links_table(const Topology& t) {
  std::vector<std::vector<std::string>> rows{
      {"from", "to", "bandwidth", "latency", "SLIT distance"}};
  for (const auto& x : t.links()) {
    rows.push_back({initiator_keys(t, x.initiators), target_keys(t, x.targets),
                    bandwidth_text(x.properties), latency_text(x.properties),
                    distance_text(x.properties)});
  }
  return "\nLinks (each initiator reaches each target at this cost)\n" + columns(rows);
}

std::string bridges_table(const Topology& t) {
  if (t.bridges().empty()) return "\nBridges: none\n";
  std::vector<std::vector<std::string>> rows{
      {"from link", "to link", "for", "bandwidth", "latency"}};
  for (const auto& x : t.bridges()) {
    const auto* from = t.link(x.from_link);
    const auto* to = t.link(x.to_link);
    rows.push_back({from ? from->key : "-", to ? to->key : "-", initiator_keys(t, x.initiators),
                    bandwidth_text(x.properties), latency_text(x.properties)});
  }
  return "\nBridges (one way, between links)\n" + columns(rows);
}

}  // namespace

std::string columns(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> width;
  for (const auto& row : rows) {
    if (width.size() < row.size()) width.resize(row.size());
    for (size_t i = 0; i < row.size(); ++i) width[i] = std::max(width[i], row[i].size());
  }
  std::string out;
  for (const auto& row : rows) {
    std::string line = "  ";
    for (size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line += std::string(width[i] - row[i].size() + 2, ' ');
    }
    out += line + '\n';
  }
  return out;
}

std::string bandwidth_text(const topology::Properties& p) {
  return p.bandwidth ? with_source(topology::format_bandwidth(p.bandwidth->value), *p.bandwidth)
                     : "-";
}
std::string latency_text(const topology::Properties& p) {
  return p.latency ? with_source(topology::format_latency(p.latency->value), *p.latency) : "-";
}
std::string distance_text(const topology::Properties& p) {
  if (!p.distance) return "-";
  std::string text = std::to_string(static_cast<int>(p.distance->value));
  return p.distance->from == topology::Provenance::kSlit ? text : with_source(text, *p.distance);
}

std::vector<std::string> capability_names(uint32_t capabilities) {
  std::vector<std::string> out;
  for (const Capability& c : kCapabilities) {
    if (capabilities & c.bit) out.push_back(c.name);
  }
  return out;
}

Result<uint32_t> parse_capabilities(const std::vector<std::string>& names) {
  uint32_t bits = 0;
  for (const std::string& name : names) {
    const auto* found = std::find_if(std::begin(kCapabilities), std::end(kCapabilities),
                                     [&name](const Capability& c) { return name == c.name; });
    if (found == std::end(kCapabilities)) {
      return Status(HMS_EINVAL, "capability '" + name + "' is not known; known are: " +
                                    join(capability_names(UINT32_MAX)));
    }
    bits |= found->bit;
  }
  return bits;
}

std::string ranges(const std::vector<int>& numbers) {
  std::string out;
  for (size_t i = 0; i < numbers.size();) {
    size_t j = i;
    while (j + 1 < numbers.size() && numbers[j + 1] == numbers[j] + 1) ++j;
    out += (out.empty() ? "" : ",") + std::to_string(numbers[i]);
    if (j > i) out += "-" + std::to_string(numbers[j]);
    i = j + 1;
  }
  return out;
}

std::string target_keys(const Topology& t, const std::vector<topology::Id>& ids) {
  return join(targets_of(t, ids));
}
std::string initiator_keys(const Topology& t, const std::vector<topology::Id>& ids) {
  return join(initiators_of(t, ids));
}

std::string topology_table(const Topology& t) {
  std::string out = "Topology from " + t.source() + '\n';
  if (t.emulated()) {
    out +=
        "Targets marked emulated are laid over real nodes: their numbers are descriptions, not "
        "properties of this machine.\n";
  }
  out += '\n' + targets_table(t) + initiators_table(t) + links_table(t) + bridges_table(t);
  out +=
      "\nNumbers are best case, one initiator alone; binary multiples; (source) after each. "
      "Bandwidths in kernel\nand hwloc tables are taken as MiB/s. '-': not known.\n";
  return out;
}

void put_properties(const topology::Properties& p, nlohmann::ordered_json* out) {
  put("bandwidth", "_bytes_s", p.bandwidth, out);
  put("latency", "_ns", p.latency, out);
  put("distance", "", p.distance, out);
  (*out)["granularity_bytes"] = p.granularity;
}

std::string json_text(const nlohmann::ordered_json& document) {
  return document.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + '\n';
}

nlohmann::ordered_json topology_json(const Topology& t) {
  nlohmann::ordered_json out = {{"schema", 1},
                                {"source", t.source()},
                                {"generation", t.generation()},
                                {"emulated", t.emulated()}};
  for (const char* list : {"targets", "initiators", "links", "bridges"}) {
    out[list] = nlohmann::ordered_json::array();
  }
  for (const auto& x : t.targets()) out["targets"].push_back(target_json(x));
  for (const auto& x : t.initiators()) {
    nlohmann::ordered_json one = {{"id", x.id},       {"key", x.key},
                                  {"label", x.label}, {"kind", to_string(x.kind)},
                                  {"node", nullptr},  {"cpus", x.cpus}};
    if (x.node >= 0) one["node"] = x.node;
    out["initiators"].push_back(std::move(one));
  }
  for (const auto& x : t.links()) {
    nlohmann::ordered_json one = {{"id", x.id},
                                  {"key", x.key},
                                  {"initiators", initiators_of(t, x.initiators)},
                                  {"targets", targets_of(t, x.targets)}};
    put_properties(x.properties, &one);
    out["links"].push_back(std::move(one));
  }
  for (const auto& x : t.bridges()) {
    const auto* from = t.link(x.from_link);
    const auto* to = t.link(x.to_link);
    nlohmann::ordered_json one = {{"id", x.id},
                                  {"key", x.key},
                                  {"from", from ? from->key : ""},
                                  {"to", to ? to->key : ""},
                                  {"initiators", initiators_of(t, x.initiators)}};
    put_properties(x.properties, &one);
    out["bridges"].push_back(std::move(one));
  }
  return out;
}

}  // namespace hms::cli
