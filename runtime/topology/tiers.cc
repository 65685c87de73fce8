// Parsing tier descriptions and laying them over nodes.
#include "runtime/topology/tiers.h"

#include <stdlib.h>

#include <algorithm>
#include <cmath>

#include "runtime/support/os.h"
#include "runtime/support/size.h"
#include "runtime/topology/tree.h"

namespace hms::topology {
namespace {

constexpr size_t kMaxTiers = 64;
constexpr size_t kMaxName = 32;
constexpr double kMaxLatency = 1e9;  // a second: anything above is a slip of the unit
// What a first tier is assumed to be when neither it nor the machine states a number.
constexpr double kAssumedBandwidth = 100.0 * (1 << 30);
constexpr double kAssumedLatency = 100;

Status bad(const std::string& what) {
  return {HMS_EINVAL, "tiers: " + what +
                          "; expected NAME=node:N or NAME=SIZE[:bw=RATE][:lat=NS][:kind=dram|hbm|"
                          "cxl|pmem][:on=NODE], separated by commas, such as "
                          "fast=512M:bw=400G:lat=80,slow=8G"};
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> out;
  size_t at = 0;
  for (;;) {
    size_t end = text.find(separator, at);
    out.push_back(text.substr(at, end - at));
    if (end == std::string::npos) return out;
    at = end + 1;
  }
}

Status check_name(const std::string& name) {
  if (name.empty()) return bad("a tier has no name");
  if (name.size() > kMaxName) return bad("name '" + name.substr(0, kMaxName) + "...' is too long");
  auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  auto allowed = [&](char c) {
    return letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '-';
  };
  if (!letter(name[0]) || !std::all_of(name.begin(), name.end(), allowed)) {
    return bad("name '" + name + "' must be letters, digits, - and _, and start with a letter");
  }
  // Words that already mean something where placements are written.
  for (const char* word :
       {"default", "local", "bandwidth", "latency", "capacity", "locality", "node", "tier"}) {
    if (name == word) return bad("name '" + name + "' is a reserved word");
  }
  return {};
}

Result<int> parse_node(const std::string& tier, const std::string& text) {
  auto n =
      text.find_first_not_of("0123456789") == std::string::npos ? parse_number(text) : std::nullopt;
  if (!n || *n >= os::kMaxNodes) {
    return bad("'" + tier + "': '" + text + "' is no node number (0 to " +
               std::to_string(os::kMaxNodes - 1) + ")");
  }
  return static_cast<int>(*n);
}

Result<double> parse_latency(const std::string& tier, std::string text) {
  if (text.size() > 2 && text.compare(text.size() - 2, 2, "ns") == 0) text.resize(text.size() - 2);
  char* end = nullptr;
  double value = strtod(text.c_str(), &end);
  bool plain = text.find_first_not_of("0123456789.") == std::string::npos;
  if (text.empty() || !plain || *end != '\0' || !(value > 0) || value > kMaxLatency) {
    return bad("'" + tier + "': latency '" + text + "' is no number of nanoseconds above 0");
  }
  return value;
}

Result<double> parse_bandwidth(const std::string& tier, std::string text) {
  if (text.size() > 2 && text.compare(text.size() - 2, 2, "/s") == 0) text.resize(text.size() - 2);
  auto rate = parse_size(text);
  if (!rate.ok()) return bad("'" + tier + "': bandwidth: " + rate.status().message());
  if (rate.value() == 0) return bad("'" + tier + "': bandwidth must be above 0");
  return static_cast<double>(rate.value());
}

Status parse_attribute(const std::string& word, Tier* tier) {
  size_t equal = word.find('=');
  std::string name = word.substr(0, equal);
  std::string value = equal == std::string::npos ? "" : word.substr(equal + 1);
  if (name == "bw") {
    auto rate = parse_bandwidth(tier->name, value);
    if (!rate.ok()) return rate.status();
    tier->bandwidth = rate.value();
  } else if (name == "lat") {
    auto ns = parse_latency(tier->name, value);
    if (!ns.ok()) return ns.status();
    tier->latency = ns.value();
  } else if (name == "on") {
    auto node = parse_node(tier->name, value);
    if (!node.ok()) return node.status();
    tier->node = node.value();
  } else if (name == "kind") {
    for (TargetKind k :
         {TargetKind::kDram, TargetKind::kHbm, TargetKind::kCxl, TargetKind::kPmem}) {
      if (value == to_string(k)) {
        tier->kind = k;
        return {};
      }
    }
    return bad("'" + tier->name + "': kind '" + value + "' is not known");
  } else {
    return bad("'" + tier->name + "': '" + word + "' is no attribute");
  }
  return {};
}

Result<Tier> parse_tier(const std::string& text) {
  Tier tier;
  size_t equal = text.find('=');
  tier.name = text.substr(0, equal);
  if (Status s = check_name(tier.name); !s.ok()) return s;
  if (equal == std::string::npos) return bad("'" + text + "' has no '='");
  std::string value = text.substr(equal + 1);
  if (value.compare(0, 5, "node:") == 0) {
    auto node = parse_node(tier.name, value.substr(5));
    if (!node.ok()) return node.status();
    tier.node = node.value();
    tier.emulated = false;
    return tier;
  }
  std::vector<std::string> words = split(value, ':');
  auto bytes = parse_size(words[0]);
  if (!bytes.ok()) return bad("'" + tier.name + "': " + bytes.status().message());
  if (bytes.value() == 0) return bad("'" + tier.name + "': the size must be above 0");
  tier.bytes = bytes.value();
  for (size_t i = 1; i < words.size(); ++i) {
    if (Status s = parse_attribute(words[i], &tier); !s.ok()) return s;
  }
  return tier;
}

// Fills what tiers leave open in one number: from the next stated tier upwards, else downwards from
// the one before. `step` is how much better each tier is than the one after it.
void assume(const std::vector<std::optional<double>>& stated, double first, double step,
            std::vector<Sourced>* out) {
  out->clear();
  for (size_t i = 0; i < stated.size(); ++i) {
    if (stated[i]) {
      out->push_back({*stated[i], Provenance::kDeclared});
      continue;
    }
    double value = first;
    if (i > 0) {
      value = out->back().value / step;
    } else {
      auto next = std::find_if(stated.begin(), stated.end(), [](auto& s) { return s.has_value(); });
      if (next != stated.end()) {
        value = **next * std::pow(step, static_cast<double>(next - stated.begin()));
      }
    }
    out->push_back({value, Provenance::kAssumed});
  }
}

// The node to lay a tier over, checked against those that exist.
Result<const Target*> backing(const Tier& tier, const std::vector<Target>& nodes) {
  std::string names;
  for (const Target& t : nodes) {
    if (t.node < 0 || t.emulated) continue;
    if (tier.node == t.node || tier.node < 0) return &t;
    names += (names.empty() ? "" : ", ") + std::to_string(t.node);
  }
  return Status(HMS_ENODEV, "tiers: '" + tier.name + "': node " + std::to_string(tier.node) +
                                " has no memory that this process may use; nodes that have: " +
                                (names.empty() ? "none" : names));
}

// The best number that the machine states, so that assumed tiers rank above the nodes below them.
double best_stated(Builder* builder, std::optional<Sourced> Properties::*number, bool more,
                   double fallback, double step) {
  std::optional<double> best;
  for (const Initiator& i : builder->initiators()) {
    for (const Target& t : builder->targets()) {
      const Properties* p = builder->stated(i.id, t.id);
      if (!p || !(p->*number)) continue;
      double v = (p->*number)->value;
      if (!best || (more ? v > *best : v < *best)) best = v;
    }
  }
  return best ? *best * step : fallback;
}

}  // namespace

Result<std::vector<Tier>> parse_tiers(const std::string& spec) {
  std::vector<Tier> tiers;
  if (spec.empty()) return bad("the description is empty");
  for (const std::string& part : split(spec, ',')) {
    auto tier = parse_tier(part);
    if (!tier.ok()) return tier.status();
    for (const Tier& other : tiers) {
      if (other.name == tier.value().name) return bad("name '" + other.name + "' is given twice");
      if (!other.emulated && !tier.value().emulated && other.node == tier.value().node) {
        return bad("'" + other.name + "' and '" + tier.value().name + "' name the same node");
      }
    }
    if (tiers.size() == kMaxTiers) {
      return bad("more than " + std::to_string(kMaxTiers) + " tiers");
    }
    tiers.push_back(std::move(tier.value()));
  }
  return tiers;
}

Status add_tiers(const std::vector<Tier>& tiers, Builder* builder) {
  std::vector<std::optional<double>> bandwidths, latencies;
  for (const Tier& tier : tiers) {
    if (!tier.emulated) continue;
    bandwidths.push_back(tier.bandwidth);
    latencies.push_back(tier.latency);
  }
  std::vector<Sourced> bandwidth, latency;
  assume(bandwidths, best_stated(builder, &Properties::bandwidth, true, kAssumedBandwidth, 2), 2,
         &bandwidth);
  assume(latencies, best_stated(builder, &Properties::latency, false, kAssumedLatency, 0.5), 0.5,
         &latency);
  size_t place = 0;
  const std::vector<Target> nodes = builder->targets();
  for (const Tier& tier : tiers) {
    auto under = backing(tier, nodes);
    if (!under.ok()) return under.status();
    if (!tier.emulated) {
      builder->target(under.value()->id)->label = tier.name;
      continue;
    }
    Target t = *under.value();
    t.key = "tier:" + tier.name;
    t.label = tier.name;
    t.kind = tier.kind;
    t.bytes = t.free_bytes = tier.bytes;
    t.emulated = true;
    t.side_cache_bytes = 0;
    t.from = Provenance::kDeclared;
    Id id = builder->add_target(std::move(t));
    for (const Initiator& i : builder->initiators()) {
      const Properties* real = builder->stated(i.id, under.value()->id);
      if (i.kind != InitiatorKind::kCpu) continue;
      Properties said;
      said.bandwidth = bandwidth[place];
      said.latency = latency[place];
      if (real) said.distance = real->distance;
      builder->state(i.id, id, said);
    }
    ++place;
  }
  return {};
}

}  // namespace hms::topology
