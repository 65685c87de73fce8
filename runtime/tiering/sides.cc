// See sides.h.
#include "runtime/tiering/sides.h"

#include <algorithm>
#include <vector>

#include "runtime/topology/tiers.h"

namespace hms::tiering {
namespace {

using topology::Target;
using topology::Topology;

Status nothing_to_tier(const std::string& why) {
  return {HMS_ENODEV, "there is nothing to tier: " + why};
}
Status only_one(const std::string& memory) {
  return nothing_to_tier(memory +
                         " is the only memory; to emulate two, name them: --tiers "
                         "fast=512M,slow=2G");
}

// The CPUs' memories, those with most bandwidth first: high-bandwidth memory is seldom the one that
// answers soonest.
Result<std::vector<const Target*>> by_speed(const Topology& topology) {
  topology::Query query;
  query.order = topology::Order::kBandwidth;
  Result<std::vector<topology::Match>> matches = topology.find(query);
  if (!matches.ok()) return matches.status();
  std::vector<const Target*> out;
  for (const topology::Match& match : matches.value()) {
    const Target* target = topology.target(match.target);
    if (target != nullptr && target->bytes > 0 && target->node >= 0) out.push_back(target);
  }
  return out;
}

// Tiers as they were named.
Result<std::vector<const Target*>> by_name(const Topology& topology, const std::string& tiers) {
  Result<std::vector<topology::Tier>> named = topology::parse_tiers(tiers);
  if (!named.ok()) return named.status();
  std::vector<const Target*> out;
  for (const topology::Tier& tier : named.value()) {
    const Target* target = topology.find_target(tier.name);
    if (target != nullptr) out.push_back(target);
  }
  return out;
}

constexpr char kTiers[] = "tiers:";

// "node:0>node:1", for the parser of placements.
Result<std::string> automatic(const Topology& topology, const std::string& source) {
  const bool named = source.rfind(kTiers, 0) == 0;
  auto found = named ? by_name(topology, source.substr(sizeof kTiers - 1)) : by_speed(topology);
  if (!found.ok()) return found.status();
  const std::vector<const Target*>& targets = found.value();
  if (targets.empty()) return only_one("what the kernel chooses");
  const Target* near = targets[0];
  const Target* far = nullptr;
  for (const Target* target : targets) {
    if (target == near || (!named && target->kind == near->kind)) continue;
    if (far == nullptr || target->bytes > far->bytes) far = target;
  }
  if (far != nullptr) return near->key + ">" + far->key;
  if (targets.size() == 1) return only_one("'" + near->key + "'");
  return nothing_to_tier("all memories are of one kind, as '" + near->key +
                         "'; to tier two of them, name them: NEAR>FAR");
}

// What the CPU that reaches it best gets from it; 0 where that is not known.
double bandwidth_of(const Topology& topology, const TargetRef& of) {
  const Target* target = topology.find_target(of.key);
  double best = 0;
  if (target == nullptr) return best;
  for (const topology::Initiator& initiator : topology.initiators()) {
    if (initiator.kind != topology::InitiatorKind::kCpu) continue;
    const topology::Properties found = topology.path(initiator.id, target->id).properties;
    if (found.bandwidth && found.bandwidth->from != topology::Provenance::kAssumed)
      best = std::max(best, found.bandwidth->value);
  }
  return best;
}

}  // namespace

bool words_say_off(const std::string& words) { return words.empty() || words == "off"; }

std::string words_that_choose(const std::string& first, const std::string& second) {
  for (const std::string& words : {first, second}) {
    if (!words_say_off(words) && words != "auto") return words;
  }
  return "auto";
}

Status check_words(const std::string& words) {
  const size_t first = words.find('>');
  const bool two = first != std::string::npos && first > 0 && first + 1 < words.size() &&
                   words.find('>', first + 1) == std::string::npos;
  if (two || words_say_off(words) || words == "auto") return {};
  return {HMS_EINVAL, "'" + words + "' is neither auto, off nor NEAR>FAR, such as node:0>node:1"};
}

Result<Sides> choose_sides(const std::string& words, const Topology& topology,
                           const std::string& source) {
  std::string pair = words;
  if (words == "auto") {
    Result<std::string> found = automatic(topology, source);
    if (!found.ok()) return found.status();
    pair = found.value();
  }
  Result<Placement> placement = parse_placement(pair, &topology);
  if (!placement.ok()) return Status(HMS_EINVAL, placement.status().message());
  const Placement& p = placement.value();
  if (p.legs.size() != 2 || p.spread != Spread::kOrdered || p.strict || p.huge) {
    return Status(HMS_EINVAL, "'" + words + "' does not name two memories: write NEAR>FAR");
  }
  Sides sides{p.legs[0].target, p.legs[1].target};
  sides.bandwidths = {bandwidth_of(topology, sides.near), bandwidth_of(topology, sides.far)};
  if (sides.near.key == sides.far.key) {
    return Status(HMS_EINVAL, "'" + words + "': near and far are the same memory");
  }
  return sides;
}

}  // namespace hms::tiering
