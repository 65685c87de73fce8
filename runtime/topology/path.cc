// Path cost: the best way from an initiator to a target over links and bridges.
//
// A label per link holds the best way known to get into it; each round lets every bridge improve
// labels once, so after kMaxBridges rounds no way with more bridges has been considered. That is
// Bellman-Ford with a bounded hop count, on graphs of at most a few thousand links.
#include <algorithm>
#include <map>

#include "runtime/topology/topology.h"

namespace hms::topology {

class PathSearch {
 public:
  PathSearch(const Topology& t, Id initiator, Order by) : t_(t), initiator_(initiator), by_(by) {
    for (uint32_t l : t.links_from_[t.index_.at(initiator)]) {
      labels_[l] = {t.links_[l].properties, {t.links_[l].id}};
    }
    int hop = 0;
    while (hop < kMaxBridges && !t.bridges_.empty() && relax()) ++hop;
  }

  // The best label among the links that hold the target; null: unreachable.
  const Path* to(Id target) {
    best_ = Path{};
    for (const auto& [l, label] : labels_) {
      const auto& targets = t_.links_[l].targets;
      if (!std::count(targets.begin(), targets.end(), target)) continue;
      if (best_.reachable && !better(label.cost, best_.properties)) continue;
      best_.reachable = true;
      best_.properties = label.cost;
      best_.hops = label.hops;
    }
    return best_.reachable ? &best_ : nullptr;
  }

 private:
  static constexpr int kMaxBridges = 4;

  struct Label {
    Properties cost;
    std::vector<Id> hops;
  };

  // Strictly better in the number asked for, then in the other. A missing number is the worst.
  bool better(const Properties& a, const Properties& b) const {
    auto bandwidth = [](const Properties& p) { return p.bandwidth ? p.bandwidth->value : -1.0; };
    auto latency = [](const Properties& p) { return p.latency ? p.latency->value : 1e300; };
    double by_bandwidth = bandwidth(a) - bandwidth(b);
    double by_latency = latency(b) - latency(a);
    double first = by_ == Order::kLatency ? by_latency : by_bandwidth;
    double second = by_ == Order::kLatency ? by_bandwidth : by_latency;
    return first > 0 || (first == 0 && second > 0);
  }

  // One more bridge for every way found so far; false: nothing improved.
  bool relax() {
    const std::map<uint32_t, Label> before = labels_;
    bool improved = false;
    for (const Bridge& bridge : t_.bridges_) {
      const auto& who = bridge.initiators;
      if (!std::count(who.begin(), who.end(), initiator_)) continue;
      auto from = t_.index_.find(bridge.from_link);
      auto to = t_.index_.find(bridge.to_link);
      if (from == t_.index_.end() || to == t_.index_.end()) continue;
      auto origin = before.find(from->second);
      if (origin == before.end()) continue;
      Label next = origin->second;
      chain(&next.cost, bridge.properties);
      chain(&next.cost, t_.links_[to->second].properties);
      next.hops.push_back(bridge.id);
      next.hops.push_back(bridge.to_link);
      auto known = labels_.find(to->second);
      if (known != labels_.end() && !better(next.cost, known->second.cost)) continue;
      labels_[to->second] = std::move(next);
      improved = true;
    }
    return improved;
  }

  const Topology& t_;
  Id initiator_;
  Order by_;
  std::map<uint32_t, Label> labels_;  // by place of the link; only links that can be reached
  Path best_;
};

bool Topology::usable(const Initiator& initiator, const Target& target) {
  return initiator.kind != InitiatorKind::kCpu ||
         (target.capabilities & HMS_CAP_NOT_CPU_ACCESSIBLE) == 0;
}

const Properties* Topology::direct(Id initiator, Id target) const {
  auto row = index_.find(initiator);
  auto column = index_.find(target);
  if (row == index_.end() || column == index_.end()) return nullptr;
  return direct_.at(row->second, column->second);
}

std::optional<Properties> Topology::cost(Id initiator, Id target, Order by) const {
  const Initiator* i = this->initiator(initiator);
  const Target* t = this->target(target);
  if (!i || !t || !usable(*i, *t)) return std::nullopt;
  if (const Properties* said = direct(initiator, target)) {
    Properties out = *said;
    out.capabilities &= t->capabilities;
    return out;
  }
  // Without bridges only the initiator's own links can hold the target.
  PathSearch search(*this, initiator, by);
  const Path* found = search.to(target);
  if (!found) return std::nullopt;
  Properties out = found->properties;
  out.capabilities &= t->capabilities;
  return out;
}

Path Topology::path(Id initiator, Id target, Order by) const {
  Path out;
  const Initiator* i = this->initiator(initiator);
  const Target* t = this->target(target);
  if (!i || !t || !usable(*i, *t)) return out;
  PathSearch search(*this, initiator, by);
  if (const Path* found = search.to(target)) {
    out = *found;
    out.properties.capabilities &= t->capabilities;
    out.computed = out.properties;
  }
  if (const Properties* said = direct(initiator, target)) {
    out.reachable = true;
    out.properties = *said;
    out.properties.capabilities &= t->capabilities;
  }
  return out;
}

}  // namespace hms::topology
