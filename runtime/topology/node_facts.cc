// From node facts to the model. The rules (docs/topology.md has them for people):
//  - a stated cost belongs to the initiators that the table names, and to no others;
//  - other pairs are estimated from the stated cost of the same memory, scaled by the SLIT
//  distance,
//    and for bandwidth limited by what the way to the nearest socket carries;
//  - without any stated cost there is only the distance: no number is invented.
#include "runtime/topology/node_facts.h"

#include <algorithm>

namespace hms::topology {
namespace {

constexpr int kLocal = 10;         // ACPI 6.5, 5.2.17: a node to itself
constexpr int kUnreachable = 255;  // the same: 0xFF, no path

// 0: the table does not say.
int raw_distance(const Nodes& nodes, int from, int to) {
  auto row = nodes.find(from);
  if (row == nodes.end()) return 0;
  auto cell = row->second.distance.find(to);
  return cell == row->second.distance.end() ? 0 : cell->second;
}

std::string node_key(int node) { return "node:" + std::to_string(node); }

std::string initiator_key(int node, const NodeFacts& facts) {
  return (facts.cpus.empty() ? "gi:" : "cpu:") + std::to_string(node);
}

bool initiates(const NodeFacts& facts) { return !facts.cpus.empty() || facts.generic_initiator; }

void add_objects(const Nodes& nodes, Builder* builder) {
  for (const auto& [node, facts] : nodes) {
    if (facts.bytes > 0) {
      Target t;
      t.key = node_key(node);
      t.label = facts.label;
      t.bytes = facts.bytes;
      t.free_bytes = facts.free_bytes;
      t.node = node;
      t.kernel_tier = facts.kernel_tier;
      t.interleave_weight = facts.interleave_weight;
      t.side_cache_bytes = facts.side_cache_bytes;
      t.capabilities =
          HMS_CAP_CPU_ACCESSIBLE | HMS_CAP_COHERENT | HMS_CAP_ATOMICS | HMS_CAP_VOLATILE;
      builder->add_target(std::move(t));
    }
    if (initiates(facts)) {
      Initiator i;
      i.key = initiator_key(node, facts);
      i.kind = facts.cpus.empty() ? InitiatorKind::kGeneric : InitiatorKind::kCpu;
      i.node = node;
      i.cpus = facts.cpus;
      builder->add_initiator(std::move(i));
    }
  }
}

void state_access(const Nodes& nodes, Provenance from, Builder* builder) {
  for (const auto& [node, facts] : nodes) {
    Target* target = builder->find_target(node_key(node));
    if (!target) continue;
    for (const Access& access : facts.access) {
      Properties said;
      if (access.latency) said.latency = Sourced{*access.latency, from};
      if (access.bandwidth) said.bandwidth = Sourced{*access.bandwidth, from};
      if (!said.latency && !said.bandwidth) continue;
      for (int origin : access.initiators) {
        auto at = nodes.find(origin);
        if (at == nodes.end() || !initiates(at->second)) continue;
        builder->state(builder->find_initiator(initiator_key(origin, at->second))->id, target->id,
                       said);
      }
    }
  }
}

// The pairs of the graph with their nodes, so that the estimates below read like their rules.
class Estimator {
 public:
  Estimator(const Nodes& nodes, const Builder* builder) : nodes_(nodes) {
    // Statements of this pass must not become the base of others.
    for (const Target& t : builder->targets()) {
      for (const Initiator& i : builder->initiators()) {
        const Properties* p = builder->stated(i.id, t.id);
        if (p && (p->latency || p->bandwidth)) stated_[t.node].push_back({i.node, *p});
      }
    }
  }

  // Nothing for a pair that the SLIT calls unreachable.
  std::optional<Properties> estimate(int from, int to) const {
    Properties out;
    if (raw_distance(nodes_, from, to) == kUnreachable) return std::nullopt;
    auto distance = node_distance(nodes_, from, to);
    if (!distance) {
      const auto& local = nodes_.at(to).local_to;
      if (std::count(local.begin(), local.end(), from) != 0) {
        out.distance = Sourced{kLocal, Provenance::kHwloc};
      }
      return out;
    }
    out.distance = Sourced{*distance, Provenance::kSlit};
    const Base* base = nearest(from, to);
    if (base) {
      scale(*base, *distance, node_distance(nodes_, base->from, to), &out);
      limit(from, base->from, &out);
    } else if ((base = local(from)) != nullptr) {
      scale(*base, *distance, node_distance(nodes_, from, from), &out);
    }
    return out;
  }

 private:
  struct Base {
    int from;
    Properties cost;
  };

  // The stated cost of `to` whose initiator is closest to `from`.
  const Base* nearest(int from, int to) const {
    auto at = stated_.find(to);
    if (at == stated_.end()) return nullptr;
    const Base* best = nullptr;
    double best_distance = 0;
    for (const Base& b : at->second) {
      double d = node_distance(nodes_, from, b.from).value_or(kUnreachable);
      if (!best || d < best_distance) {
        best = &b;
        best_distance = d;
      }
    }
    return best;
  }

  const Base* local(int node) const {
    auto at = stated_.find(node);
    if (at == stated_.end()) return nullptr;
    for (const Base& b : at->second) {
      if (b.from == node) return &b;
    }
    return nullptr;
  }

  static void scale(const Base& base, double distance, std::optional<double> base_distance,
                    Properties* out) {
    if (!base_distance) return;
    // Never better than what was stated: the table names the best initiators.
    double ratio = std::max(1.0, distance / *base_distance);
    if (base.cost.latency) {
      out->latency = Sourced{base.cost.latency->value * ratio, Provenance::kSlit};
    }
    if (base.cost.bandwidth) {
      out->bandwidth = Sourced{base.cost.bandwidth->value / ratio, Provenance::kSlit};
    }
  }

  // Memory behind another socket is not faster than that socket's own memory from here.
  void limit(int from, int home, Properties* out) const {
    const Base* own = local(home);
    auto there = node_distance(nodes_, from, home);
    auto here = node_distance(nodes_, home, home);
    if (from == home || !own || !own->cost.bandwidth || !there || !here || !out->bandwidth) return;
    double way = own->cost.bandwidth->value / std::max(1.0, *there / *here);
    out->bandwidth->value = std::min(out->bandwidth->value, way);
  }

  const Nodes& nodes_;
  std::map<int, std::vector<Base>> stated_;  // by target node
};

void estimate_rest(const Nodes& nodes, Builder* builder) {
  Estimator estimator(nodes, builder);
  for (const Initiator& i : builder->initiators()) {
    for (const Target& t : builder->targets()) {
      auto estimate = estimator.estimate(i.node, t.node);
      if (estimate) builder->state(i.id, t.id, *estimate);
    }
  }
}

// A guess from numbers alone: far more bandwidth than the nearest socket's own memory is HBM; far
// less, or far more latency, is memory behind a link. A node with CPUs and nothing else known is
// taken for DRAM.
TargetKind guess_kind(const Target& t, const Nodes& nodes, Builder* builder) {
  const NodeFacts& facts = nodes.at(t.node);
  if (!facts.cpus.empty()) return TargetKind::kDram;
  const Properties* best = nullptr;
  const Properties* own = nullptr;
  for (const Initiator& i : builder->initiators()) {
    const Properties* p = builder->stated(i.id, t.id);
    if (!p || !p->bandwidth || p->bandwidth->from < Provenance::kHwloc) continue;
    if (best && best->bandwidth->value >= p->bandwidth->value) continue;
    const Target* home = builder->find_target(node_key(i.node));
    best = p;
    own = home ? builder->stated(i.id, home->id) : nullptr;
  }
  if (!best || !own || !own->bandwidth) return TargetKind::kUnknown;
  double ratio = best->bandwidth->value / own->bandwidth->value;
  if (ratio >= 2) return TargetKind::kHbm;
  bool slow = best->latency && own->latency && best->latency->value >= 1.5 * own->latency->value;
  return ratio <= 0.5 || slow ? TargetKind::kCxl : TargetKind::kUnknown;
}

void set_kinds(const Nodes& nodes, Provenance stated, Builder* builder) {
  for (Target& t : builder->targets()) {
    auto at = nodes.find(t.node);
    if (at == nodes.end()) continue;
    if (at->second.stated_kind != TargetKind::kUnknown) {
      t.kind = at->second.stated_kind;
      t.from = stated;
      continue;
    }
    t.kind = guess_kind(t, nodes, builder);
    bool by_numbers = at->second.cpus.empty() && t.kind != TargetKind::kUnknown;
    t.from = by_numbers ? Provenance::kHmat : Provenance::kAssumed;
  }
}

}  // namespace

std::optional<double> node_distance(const Nodes& nodes, int from, int to) {
  int distance = raw_distance(nodes, from, to);
  if (distance <= 0 || distance >= kUnreachable) return std::nullopt;
  return distance;
}

void add_nodes(const Nodes& nodes, Provenance stated, Provenance kinds, Builder* builder) {
  add_objects(nodes, builder);
  state_access(nodes, stated, builder);
  estimate_rest(nodes, builder);
  set_kinds(nodes, kinds, builder);
}

}  // namespace hms::topology
